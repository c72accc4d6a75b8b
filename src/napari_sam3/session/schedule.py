"""Which frames a propagation visits, in which order (contract, "Propagation")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_sam3.errors import RequestError
from napari_sam3.session.prompts import check_frame_index, check_int
from napari_sam3.values import Direction


def check_range(
    n_frames: int, direction: Any, start: Any, max_frames: Any
) -> tuple[int | None, int | None]:
    """Check what is said of a propagation's frames.

    Parameters
    ----------
    n_frames : int
        Length of the video.
    direction, start, max_frames : object
        As the caller gave them; the latter two may be None.

    Returns
    -------
    start, max_frames : int or None

    Raises
    ------
    RequestError
        If one is wrong; a frame outside the video is a `FrameIndexError`.
    """
    if direction not in ("forward", "backward", "both"):
        raise RequestError(
            f"propagation_direction must be 'forward', 'backward' or 'both', not {direction!r}"
        )
    if start is not None:
        start = check_frame_index(start, n_frames, "start_frame_index")
    if max_frames is not None:
        max_frames = check_int(max_frames, "max_frame_num_to_track")
        if max_frames < 1:
            raise RequestError(f"max_frame_num_to_track must be at least 1, not {max_frames}")
    return start, max_frames


def check_legs(n_frames: int, legs: Sequence[range]) -> tuple[range, ...]:
    """Check frames that are to be followed; empty legs are left out.

    Raises
    ------
    RequestError
        If a leg has another step than 1 or -1, or a frame that the video has not.
    """
    kept = tuple(leg for leg in legs if leg)
    for leg in kept:
        if leg.step not in (1, -1):
            raise RequestError(f"{leg} can't be followed; frames are followed one by one")
        for frame_index in (leg[0], leg[-1]):
            check_frame_index(frame_index, n_frames)
    return kept


def plan_frames(
    n_frames: int, direction: Direction, start: int, max_frames: int | None = None
) -> tuple[range, ...]:
    """Plan the legs of a propagation.

    Parameters
    ----------
    n_frames : int
        Length of the video.
    direction : "forward", "backward" or "both"
        Forward begins at `start`, backward at the frame before it; both is one after the other.
    start : int
        0-based frame.
    max_frames : int, optional
        At most so many frames in each direction; None: to the end.

    Returns
    -------
    tuple of range
        Legs with step 1 or -1, none of them empty.
    """
    limit = n_frames if max_frames is None else max_frames
    forward = range(start, min(n_frames, start + limit))
    backward = range(start - 1, max(-1, start - 1 - limit), -1)
    legs = {"forward": (forward,), "backward": (backward,), "both": (forward, backward)}
    return tuple(leg for leg in legs[direction] if leg)

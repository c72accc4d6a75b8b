"""Which frames a propagation visits, in which order (contract, "Propagation")."""

from __future__ import annotations

from napari_sam3.values import Direction


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

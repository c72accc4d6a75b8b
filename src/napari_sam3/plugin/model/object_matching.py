"""Which objects are the same, where their numbers are others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_sam3.session.session import VideoSession
from napari_sam3.values import ObjectMask

LEAST_OVERLAP = 0.5


def match_objects(
    before: Mapping[int, ObjectMask], now: Mapping[int, ObjectMask]
) -> dict[int, int]:
    """New ids of objects that are seen on a frame as before.

    Parameters
    ----------
    before, now : mapping of id to ObjectMask
        All of one frame.

    Returns
    -------
    dict of id to id
        Of those whose masks overlap by half at least; the best matches first.
    """
    pairs = sorted(
        ((old.overlap(new), i, j) for i, old in before.items() for j, new in now.items()),
        key=lambda pair: -pair[0],
    )
    same: dict[int, int] = {}
    for overlap, i, j in pairs:
        if overlap >= LEAST_OVERLAP and i not in same and j not in same.values():
            same[i] = j
    return same


class Remembered:
    """Objects of a session as they are seen now, to be known again when it was begun anew.

    Parameters
    ----------
    session : VideoSession
        As it is before.
    obj_ids : collection of int
        The objects found by text.
    told : iterable of (frame, id or text)
        What the session was told.
    """

    def __init__(
        self, session: VideoSession, obj_ids: Iterable[int], told: Iterable[tuple[int, int | str]]
    ) -> None:
        self._session = session
        frames = {frame_index for frame_index, name in told if isinstance(name, str)}
        self._seen = {n: self._look(n, set(obj_ids)) for n in sorted(frames)}

    def new_ids(self, obj_ids: Iterable[int]) -> dict[int, int]:
        """New ids of those that are there again, among these."""
        left, same = set(obj_ids), dict[int, int]()
        for frame_index, before in self._seen.items():
            unknown = {i: mask for i, mask in before.items() if i not in same}
            same |= match_objects(unknown, self._look(frame_index, left))
            left -= set(same.values())
        return same

    def _look(self, frame_index: int, obj_ids: set[int]) -> dict[int, ObjectMask]:
        found = self._session.result(frame_index).objects
        return {i: mask for i, mask in found.items() if i in obj_ids}

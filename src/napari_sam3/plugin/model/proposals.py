"""Objects that a detector has found and nobody has taken yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from psygnal import Signal

from napari_sam3.values import FrameResult, ObjectMask


@dataclass(frozen=True, eq=False)
class Proposal:
    """An object on a frame, for a person to accept or reject.

    Attributes
    ----------
    obj_id : int
        That it will have, unless somebody takes that for another one meanwhile.
    frame_index : int
        0-based.
    mask : ObjectMask
        With the detector's score.
    """

    obj_id: int
    frame_index: int
    mask: ObjectMask


class Proposals(Mapping[int, Proposal]):
    """Those of one video, by object id."""

    changed = Signal()
    """Some came or went."""

    def __init__(self) -> None:
        self._items: dict[int, Proposal] = {}

    def __getitem__(self, obj_id: int) -> Proposal:
        return self._items[obj_id]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames that they are on, rising."""
        return tuple(sorted({p.frame_index for p in self._items.values()}))

    def result(self, frame_index: int) -> FrameResult:
        """Those on a frame."""
        here = {i: p.mask for i, p in self.items() if p.frame_index == frame_index}
        return FrameResult(frame_index, here)

    def add(self, proposals: Iterable[Proposal]) -> None:
        """Have more; those of the same ids are replaced."""
        self._replace({**self._items, **{p.obj_id: p for p in proposals}})

    def take(self, obj_ids: Iterable[int]) -> list[Proposal]:
        """Take some out, and give them."""
        gone = [self._items[i] for i in dict.fromkeys(obj_ids) if i in self._items]
        left = dict(self._items)
        for proposal in gone:
            del left[proposal.obj_id]
        self._replace(left)
        return gone

    def _replace(self, items: dict[int, Proposal]) -> None:
        is_changed = items != self._items
        self._items = items
        if is_changed:
            self.changed.emit()


@dataclass(frozen=True)
class DetectionStatus:
    """How things stand with proposals of the chosen video.

    Attributes
    ----------
    is_working : bool
        Whether a detector looks at a frame just now.
    n_proposals : int
        So many wait for a person.
    frames : tuple of int
        That they are on, rising.
    said : str
        What came of it last, in a few words; empty if nothing was asked.
    """

    is_working: bool = False
    n_proposals: int = 0
    frames: tuple[int, ...] = ()
    said: str = ""

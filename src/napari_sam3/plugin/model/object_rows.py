"""What a table of objects shows: a row an object, that tells which of them are others now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from psygnal import Signal

from napari_sam3.labels.note_tally import ObjectTally


class ObjectState(Enum):
    """How far it has come with an object."""

    NEW = "new"
    PREVIEWED = "previewed"
    TRACKED = "tracked"
    LOST = "lost"
    TO_CHECK = "to check"


class ObjectRow(NamedTuple):
    """An object.

    Attributes
    ----------
    obj_id : int
    color : str
        As its label has it, "#rrggbb".
    name, class_name : str
        Empty for none.
    n_prompts : int
        Clicks, boxes and painted frames.
    n_frames : int or None
        Frames that it is on; None where nobody knows.
    score : float or None
        Mean of the frames that have one.
    state : ObjectState
    lost_at : int or None
        The first frame that it should be on and is not.
    is_shown : bool
        Whether its label is drawn.
    is_locked : bool
        Whether it stays as it is.
    """

    obj_id: int
    color: str = "#808080"
    name: str = ""
    class_name: str = ""
    n_prompts: int = 0
    n_frames: int | None = None
    score: float | None = None
    state: ObjectState = ObjectState.NEW
    lost_at: int | None = None
    is_shown: bool = True
    is_locked: bool = False


@dataclass(frozen=True)
class RowsChange:
    """What has changed: ids of rows that came, went, or say something else."""

    added: frozenset[int] = frozenset()
    removed: frozenset[int] = frozenset()
    changed: frozenset[int] = frozenset()


class ObjectRows(Mapping[int, ObjectRow]):
    """Rows by id.

    Attributes
    ----------
    changed : psygnal signal of RowsChange
        Emitted once for each `replace` that changed something.
    """

    changed = Signal(RowsChange)

    def __init__(self) -> None:
        self._rows: dict[int, ObjectRow] = {}

    def __getitem__(self, obj_id: int) -> ObjectRow:
        return self._rows[obj_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def replace(self, rows: Iterable[ObjectRow]) -> RowsChange:
        """Have these rows and no others."""
        before, self._rows = self._rows, {row.obj_id: row for row in rows}
        change = RowsChange(
            frozenset(self._rows.keys() - before.keys()),
            frozenset(before.keys() - self._rows.keys()),
            frozenset(i for i, row in self._rows.items() if i in before and before[i] != row),
        )
        if change != RowsChange():
            self.changed.emit(change)
        return change


def judge(
    tally: ObjectTally, processed: int, end: int | None = None
) -> tuple[ObjectState, int | None]:
    """How far it has come with an object, and the frame that it was lost on.

    It is lost where it is not seen on a frame that was done between two that it is seen on, or
    that follows the last of them.

    Parameters
    ----------
    tally : ObjectTally
        Where it is.
    processed : int
        A bit a frame: set where one was done.
    end : int, optional
        The first frame that it can't be on, as it has divided.
    """
    if not tally.frames:
        return ObjectState.NEW, None
    if not tally.n_followed:
        return ObjectState.PREVIEWED, None
    missing = processed & ~tally.frames
    if missing:
        first, last = tally.first_frame or 0, tally.last_frame or 0
        missing &= (1 << (last + 2)) - (1 << first)
    if end is not None:
        missing &= (1 << end) - 1
    if missing:
        return ObjectState.LOST, (missing & -missing).bit_length() - 1
    return ObjectState.TRACKED, None

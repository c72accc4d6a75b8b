"""What is known of objects beside their masks: name, class, colour, lock, which came of which."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, SupportsIndex

from psygnal import Signal

from napari_sam3.errors import LineageError, LockedObjectError
from napari_sam3.labels.lineage import Division, check_division
from napari_sam3.labels.object_info import ASPECTS, Aspect, ObjectInfo, TableChange

COLUMNS = ("id", "name", "class", "mother", "divides_at")
"""Of a table's rows."""

MORE_COLUMNS = ("begins_at", "ends_at", "color", "locked", "accepted")
"""That rows have beside them, each where an object has something to say in it."""

_COLOUR = re.compile("#[0-9a-f]{6}")


class ObjectTable:
    """Names, classes, colours, locks and divisions of a video's objects.

    It holds those of whom something is known; of any other it gives an `ObjectInfo` that is empty.
    Two tables are equal if they say the same. An object divides at most once and has at most one
    mother, and nobody divides before being born.

    A copy is what undoes any change: `before = table.copy()`, and later `table.restore(before)`.
    Copies have no listeners.

    Attributes
    ----------
    changed : psygnal signal of TableChange
        Emitted once after each change, in the thread that made it; not if nothing is another.
        `table.changed.connect(listener)`.
    """

    changed = Signal(TableChange)

    def __init__(self) -> None:
        self._infos: dict[int, ObjectInfo] = {}
        self._divisions: dict[int, Division] = {}
        self._before: ObjectTable | None = None  # while a change is made that somebody hears of
        self._done: set[Aspect] = set()

    # ---------------------------------------------------------------- objects

    def __getitem__(self, obj_id: SupportsIndex) -> ObjectInfo:
        number = operator.index(obj_id)
        return self._infos.get(number) or ObjectInfo(number)

    def __contains__(self, obj_id: object) -> bool:
        return obj_id in self._infos or obj_id in self._divisions

    def __iter__(self) -> Iterator[ObjectInfo]:
        return (self[obj_id] for obj_id in self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ObjectTable):
            return NotImplemented
        return (self._infos, self._divisions) == (other._infos, other._divisions)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<ObjectTable of {len(self)} objects, {len(self._divisions)} divisions>"

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have: all but the listeners."""
        return vars(self.copy())

    @property
    def ids(self) -> tuple[int, ...]:
        """Objects of whom something is known, rising."""
        return tuple(sorted({*self._infos, *self._divisions}))

    @property
    def names(self) -> dict[int, str]:
        """Names of those that have one, by id."""
        return {info.obj_id: info.name for info in self if info.name}

    @property
    def classes(self) -> dict[int, str]:
        """Classes of those that have one, by id."""
        return {info.obj_id: info.class_name for info in self if info.class_name}

    @property
    def colors(self) -> dict[int, str]:
        """Colours that were chosen, as "#rrggbb", by id."""
        return {info.obj_id: info.color for info in self._infos.values() if info.color}

    @property
    def locked_ids(self) -> frozenset[int]:
        """Objects that are locked."""
        return frozenset(info.obj_id for info in self._infos.values() if info.is_locked)

    def check_unlocked(self, *obj_ids: int) -> None:
        """Refuse objects that are locked.

        Raises
        ------
        LockedObjectError
            If one of them is.
        """
        locked = sorted(self.locked_ids.intersection(obj_ids))
        if locked:
            which = ", ".join(map(str, locked))
            few = "object" if len(locked) == 1 else "objects"
            raise LockedObjectError(
                f"{few} {which} {'is' if len(locked) == 1 else 'are'} locked; unlock first (the "
                "padlock in the table of objects)"
            )

    def set(self, info: ObjectInfo) -> None:
        """Replace what is known of an object but its mother.

        Raises
        ------
        LineageError
            If `info` names another mother than the table does: that needs the frame of the
            division (`mark_division`).
        ValueError
            If the id is under 1, or the colour is none.
        """
        obj_id = _check_id(info.obj_id)
        if info.mother != self[obj_id].mother:
            raise LineageError(
                f"object {obj_id} has mother {self[obj_id].mother}, not {info.mother}; "
                "mark or unmark a division to change that"
            )
        color = info.color.strip().lower()
        if color and not _COLOUR.fullmatch(color):
            raise ValueError(f"{info.color!r} is no colour; give one as #ff8800, or none")
        tidy = replace(
            info,
            obj_id=obj_id,
            name=_tidy(info.name),
            class_name=_tidy(info.class_name),
            color=color,
        )
        with self.as_one_change():
            self._put(tidy)

    def rename(self, obj_id: int, name: str) -> None:
        """Give an object a name, or none by an empty one."""
        self.set(replace(self[obj_id], name=name))

    def classify(self, obj_id: int, class_name: str) -> None:
        """Say what an object is, or nothing by an empty string."""
        self.set(replace(self[obj_id], class_name=class_name))

    def recolor(self, obj_id: int, color: str) -> None:
        """Give an object a colour, as "#ff8800"; the colour of its number by an empty string."""
        self.set(replace(self[obj_id], color=color))

    def lock(self, obj_id: int, is_locked: bool = True) -> None:
        """Keep all that is propagated, painted or edited off an object, or let it in again."""
        self.set(replace(self[obj_id], is_locked=is_locked))

    def accept(self, obj_id: int, is_accepted: bool = True) -> None:
        """Say that an object is one, or take that back."""
        self.set(replace(self[obj_id], is_accepted=is_accepted))

    def remove(self, obj_id: int) -> None:
        """Forget an object, also as mother and daughter; one that is unknown is no error."""
        if obj_id not in self:
            return
        with self.as_one_change():
            self._done.add("removal")
            self.unmark_division(obj_id)
            mother = self[obj_id].mother
            if mother is not None:
                left = tuple(d for d in self.daughters(mother) if d != obj_id)
                if left:
                    self._divisions[mother] = self._divisions[mother]._replace(daughters=left)
                else:
                    del self._divisions[mother]
            self._infos.pop(obj_id, None)

    def renumber(self, new_ids: Mapping[int, int]) -> None:
        """Give objects other ids, all at once; what was known under a new id is lost.

        Parameters
        ----------
        new_ids : mapping of id to id
            Ids that are not in it stay.

        Raises
        ------
        ValueError
            If two objects would get the same id, or one is under 1.
        """
        wanted = {_check_id(old): _check_id(new) for old, new in new_ids.items()}
        if len(set(wanted.values())) < len(wanted):
            raise ValueError(f"two objects can't have one id: {wanted}")

        def now(obj_id: int) -> int:
            return wanted.get(obj_id, obj_id)

        with self.as_one_change():
            self._done.add("renumbering")
            for lost in set(wanted.values()) - wanted.keys():
                self.remove(lost)
            self._infos = {
                now(i.obj_id): replace(
                    i, obj_id=now(i.obj_id), mother=None if i.mother is None else now(i.mother)
                )
                for i in self._infos.values()
            }
            self._divisions = {
                now(d.mother): Division(
                    now(d.mother), tuple(sorted(now(one) for one in d.daughters)), d.frame_index
                )
                for d in self._divisions.values()
            }

    def copy(self) -> ObjectTable:
        """A table of its own that says the same."""
        other = ObjectTable()
        other._infos, other._divisions = dict(self._infos), dict(self._divisions)
        return other

    def restore(self, before: ObjectTable) -> None:
        """Say again what a copy says that was made before; the listeners stay."""
        with self.as_one_change():
            self._infos, self._divisions = dict(before._infos), dict(before._divisions)

    # ---------------------------------------------------------------- changes

    @contextmanager
    def as_one_change(self) -> Iterator[None]:
        """Have `changed` emitted once for all that the block changes, at its end."""
        if self._before is not None:  # an outer block tells
            yield
            return
        # nothing is copied or compared where nobody listens: files are read a row at a time
        self._before = self.copy() if len(self.changed) else None
        try:
            yield
        finally:
            before, self._before = self._before, None
            done, self._done = self._done, set()
            if before is not None:
                self._tell(before, done)

    def _tell(self, before: ObjectTable, done: Collection[Aspect]) -> None:
        """Emit `changed`, if something is known that was not before, or no more."""
        ids, what = set[int](), {*done}
        for obj_id in {*before.ids, *self.ids}:
            old, new = before[obj_id], self[obj_id]
            others = {
                aspect
                for field, aspect in ASPECTS.items()
                if getattr(old, field) != getattr(new, field)
            }
            if before.division_of(obj_id) != self.division_of(obj_id):
                others.add("division")
            if others:
                ids.add(obj_id)
                what |= others
        if ids:
            self.changed.emit(TableChange(tuple(sorted(ids)), frozenset(what)))

    # ---------------------------------------------------------------- lineage

    @property
    def divisions(self) -> tuple[Division, ...]:
        """By rising mother."""
        return tuple(division for _, division in sorted(self._divisions.items()))

    @property
    def parents(self) -> dict[int, int]:
        """Mother of each daughter, by rising daughter."""
        return {info.obj_id: info.mother for info in self if info.mother is not None}

    def daughters(self, mother: int) -> tuple[int, ...]:
        """Who an object divided into, rising; nobody if it did not."""
        division = self._divisions.get(mother)
        return () if division is None else division.daughters

    def division_of(self, mother: int) -> Division | None:
        """The division of an object, if there is one."""
        return self._divisions.get(mother)

    def is_alive(self, obj_id: int, frame_index: int, prompted_on: Collection[int] = ()) -> bool:
        """Whether an object may be seen on a frame: begun or born already, not ended or divided.

        Parameters
        ----------
        obj_id, frame_index : int
            The object and the frame.
        prompted_on : collection of int
            Frames that it was pointed out on: one that has ended may be seen again from such a
            frame on, and one that has not begun up to it.
        """
        info = self[obj_id]
        begin, end = info.begins_at, info.ends_at
        if begin is not None and frame_index < begin:
            if not any(frame_index <= n < begin for n in prompted_on):
                return False
        elif (
            end is not None
            and frame_index >= end
            and not any(end <= n <= frame_index for n in prompted_on)
        ):
            return False
        division = self._divisions.get(obj_id)
        if division is not None and frame_index >= division.frame_index:
            return False
        birth = None if info.mother is None else self._divisions.get(info.mother)
        return birth is None or frame_index >= birth.frame_index

    def mark_division(self, mother: int, daughters: Sequence[int], frame_index: int) -> None:
        """Say that an object became others; takes the place of an earlier division of it.

        Parameters
        ----------
        mother : int
            The object that ends.
        daughters : sequence of int
            The objects that begin; one at least.
        frame_index : int
            Their first frame, at least 1.

        Raises
        ------
        LineageError
            If somebody would be its own ancestor, have two mothers, or divide before being born.
            The table is then as before.
        ValueError
            If an id is under 1.
        """
        mother, born = _check_id(mother), tuple(sorted({_check_id(d) for d in daughters}))
        frame_index = operator.index(frame_index)
        division = Division(mother, born, frame_index)
        check_division(division, self.parents, self._divisions)
        with self.as_one_change():
            self.unmark_division(mother)
            self._divisions[mother] = division
            for daughter in born:
                self._infos[daughter] = replace(self[daughter], mother=mother)

    def unmark_division(self, mother: int) -> None:
        """Take a division back; the daughters stay, without a mother."""
        with self.as_one_change():
            division = self._divisions.pop(mother, None)
            for daughter in () if division is None else division.daughters:
                self._put(replace(self[daughter], mother=None))

    def _put(self, info: ObjectInfo) -> None:
        if info == ObjectInfo(info.obj_id):
            self._infos.pop(info.obj_id, None)
        else:
            self._infos[info.obj_id] = info

    # ------------------------------------------------------------------- rows

    def to_rows(self) -> list[dict[str, str]]:
        """A row of text an object, by rising id; for a CSV.

        All have `COLUMNS`, and those of `MORE_COLUMNS` that one of them has something to say in.
        """
        rows = []
        for info in self:
            division = self._divisions.get(info.obj_id)
            values = (
                str(info.obj_id),
                info.name,
                info.class_name,
                "" if info.mother is None else str(info.mother),
                "" if division is None else str(division.frame_index),
                "" if info.begins_at is None else str(info.begins_at),
                "" if info.ends_at is None else str(info.ends_at),
                info.color,
                "yes" if info.is_locked else "",
                "yes" if info.is_accepted else "",
            )
            rows.append(dict(zip((*COLUMNS, *MORE_COLUMNS), values, strict=True)))
        unused = [name for name in MORE_COLUMNS if not any(row[name] for row in rows)]
        return [{name: row[name] for name in row if name not in unused} for row in rows]

    @classmethod
    def from_parents(
        cls,
        parents: Mapping[int, int],
        begins: Mapping[int, int],
        *,
        names: Mapping[int, str] | None = None,
        classes: Mapping[int, str] | None = None,
        problems: list[str] | None = None,
    ) -> ObjectTable:
        """A table of what a file tells that knows the mother of each daughter.

        Parameters
        ----------
        parents : mapping of id to id
            Mother of each daughter.
        begins : mapping of id to int
            First frame of each daughter; an object divides on that of the first of its daughters.
        names, classes : mapping of id to str, optional
            As far as known.
        problems : list of str, optional
            As `from_rows` takes it.

        Raises
        ------
        LineageError
            If the divisions can't be.
        ValueError
            If an id is under 1.
        """
        table = cls()
        for obj_id, name in (names or {}).items():
            table.rename(obj_id, name)
        for obj_id, class_name in (classes or {}).items():
            table.classify(obj_id, class_name)
        born: dict[int, list[int]] = {}
        for daughter, mother in parents.items():
            born.setdefault(mother, []).append(daughter)
        for mother, daughters in sorted(born.items()):
            with _note_problems(problems, f"the division of object {mother}"):
                if not begins.keys() >= set(daughters):
                    raise LineageError(
                        f"object {mother} has daughters but no divides_at; say their first frame"
                    )
                table.mark_division(mother, daughters, min(begins[d] for d in daughters))
        return table

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, str | None]], problems: list[str] | None = None
    ) -> ObjectTable:
        """The table that `to_rows` told of.

        Parameters
        ----------
        rows : iterable of mapping
            Missing columns are empty.
        problems : list of str, optional
            Gets a sentence for each thing that can't be used, and is left out; without it that is
            an error.

        Raises
        ------
        LineageError
            If the divisions can't be.
        ValueError
            If a value is no number, or an id comes twice.
        """
        names: dict[int, str] = {}
        classes: dict[int, str] = {}
        parents: dict[int, int] = {}
        divides_at: dict[int, int] = {}
        more: dict[int, dict[str, Any]] = {}
        for number, row in enumerate(rows, 1):
            with _note_problems(problems, f"row {number}"):
                obj_id = _check_id(_number(row, "id"))
                if obj_id in names:
                    raise ValueError(f"object {obj_id} comes twice; keep one of its rows")
                names[obj_id], classes[obj_id] = row.get("name") or "", row.get("class") or ""
                more[obj_id] = {
                    "is_locked": row.get("locked") == "yes",
                    "is_accepted": row.get("accepted") == "yes",
                }
                if row.get("color"):
                    more[obj_id]["color"] = row["color"]
                for column in ("begins_at", "ends_at"):
                    if row.get(column):
                        more[obj_id][column] = _number(row, column)
                if row.get("divides_at"):
                    divides_at[obj_id] = _number(row, "divides_at")
                if row.get("mother"):
                    parents[obj_id] = _number(row, "mother")
        begins = {
            daughter: divides_at[mother]
            for daughter, mother in parents.items()
            if mother in divides_at
        }
        table = cls.from_parents(parents, begins, names=names, classes=classes, problems=problems)
        for obj_id, said in more.items():
            with _note_problems(problems, f"object {obj_id}"):
                table.set(replace(table[obj_id], **said))
        return table


@contextmanager
def _note_problems(problems: list[str] | None, where: str) -> Iterator[None]:
    """Say where a value is wrong: in a list of problems if there is one, else as the error."""
    try:
        yield
    except ValueError as exc:
        problem = f"{where}: {exc}"
        if problems is None:
            raise type(exc)(problem) from exc
        problems.append(problem)


def _number(row: Mapping[str, str | None], column: str) -> int:
    text = row.get(column) or ""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{column} is {text!r}; it must be a whole number") from None


def _check_id(obj_id: SupportsIndex) -> int:
    number = operator.index(obj_id)
    if number < 1:
        raise ValueError(f"{number} can't be the id of an object; ids count from 1")
    return number


def _tidy(text: str) -> str:
    """A text without line breaks and blanks at its ends, to be shown in one line."""
    return " ".join(text.split())

"""What is known of one object, and what a change of it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object.

    Attributes
    ----------
    obj_id : int
        Id, and label.
    name : str
        What a person calls this one; empty for none.
    class_name : str
        What it is, as "cell"; empty for none.
    mother : int or None
        The object that it came of by a division.
    begins_at, ends_at : int or None
        Its first frame, and the first one after its last, where a person has said so by parting it
        from another object.
    color : str
        Chosen by a person, as "#rrggbb"; empty for the colour that its number has.
    is_locked : bool
        Whether it stays as it is: nothing that is propagated, painted or edited changes it.
    is_accepted : bool
        Whether a person has said that it is one; asked of those found by a text.
    """

    obj_id: int
    name: str = ""
    class_name: str = ""
    mother: int | None = None
    begins_at: int | None = None
    ends_at: int | None = None
    color: str = ""
    is_locked: bool = False
    is_accepted: bool = False


Aspect = Literal[
    "name",
    "class",
    "division",
    "life",
    "color",
    "lock",
    "acceptance",
    "removal",
    "renumbering",
]

ASPECTS: dict[str, Aspect] = {
    "name": "name",
    "class_name": "class",
    "mother": "division",
    "begins_at": "life",
    "ends_at": "life",
    "color": "color",
    "is_locked": "lock",
    "is_accepted": "acceptance",
}
"""What a field of an `ObjectInfo` is called in a `TableChange`."""


@dataclass(frozen=True)
class TableChange:
    """What a change of an `ObjectTable` has changed.

    Attributes
    ----------
    ids : tuple of int
        Objects of whom something else is known than before, rising; of a renumbering, old ids and
        new ones.
    what : frozenset of str
        What is another: "name", "class", "division" (also of the daughters), "life", "color",
        "lock", "acceptance"; and "removal" or "renumbering", if that was done.
    """

    ids: tuple[int, ...]
    what: frozenset[Aspect]

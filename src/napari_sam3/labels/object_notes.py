"""What is known of an object on a frame besides its pixels: how sure, and where it came from."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, cast, get_args

import numpy as np

Source = Literal["prompt", "propagated", "painted", "imported"]
SOURCES: tuple[Source, ...] = get_args(Source)

_NOTE = struct.Struct("<qdB")  # id, score (NaN for none), place in SOURCES
_ROW = np.dtype([("id", "<i8"), ("score", "<f8"), ("source", "u1")])  # the same


class ObjectNote(NamedTuple):
    """Where the mask of an object on a frame came from.

    Attributes
    ----------
    score : float or None
        Confidence in 0..1; None where there is none, as for what is painted.
    source : "prompt", "propagated", "painted" or "imported"
        A person showed the model, the model found it, a person drew it, or a file held it.
    """

    score: float | None
    source: Source


PAINTED = ObjectNote(None, "painted")


def pack_notes(notes: Mapping[int, ObjectNote]) -> bytes:
    """Notes in 17 bytes an object: a long video has some hundred thousand of them.

    Raises
    ------
    ValueError
        If a source is none of `SOURCES`, a score is not in 0..1, or an id is no 64-bit integer.
    """
    try:
        return b"".join(
            _NOTE.pack(obj_id, _checked(obj_id, score), _place(obj_id, source))
            for obj_id, (score, source) in sorted(notes.items())
        )
    except struct.error as error:
        raise ValueError(f"the ids of objects are 64-bit integers, got {list(notes)}") from error


def unpack_notes(packed: bytes) -> dict[int, ObjectNote]:
    """The notes by rising id."""
    return {
        obj_id: ObjectNote(None if math.isnan(score) else score, SOURCES[place])
        for obj_id, score, place in _NOTE.iter_unpack(packed)
    }


def mean_scores(packed: Iterable[bytes]) -> dict[int, float | None]:
    """The mean score of each object that is noted, by rising id; None where it never has one."""
    rows = np.frombuffer(b"".join(packed), _ROW)
    ids, place = np.unique(rows["id"], return_inverse=True)
    is_known = ~np.isnan(rows["score"])
    counts = np.bincount(place[is_known], minlength=len(ids))
    sums = np.bincount(place[is_known], rows["score"][is_known], len(ids))
    return {
        int(obj_id): float(total / count) if count else None
        for obj_id, total, count in zip(ids, sums, counts, strict=True)
    }


def _checked(obj_id: int, score: float | None) -> float:
    if score is None:
        return math.nan
    if not 0 <= score <= 1:
        raise ValueError(f"score of object {obj_id} is {score}; give 0 to 1, or None")
    return float(score)


def _place(obj_id: int, source: str) -> int:
    try:
        return SOURCES.index(cast(Source, source))
    except ValueError:
        raise ValueError(
            f"source of object {obj_id} is {source!r}; give one of {', '.join(SOURCES)}"
        ) from None

"""What is known of an object on a frame besides its pixels: how sure, and where it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Source = Literal["prompt", "propagated", "painted", "imported"]
SOURCES: tuple[Source, ...] = get_args(Source)

# score: NaN for none; source: its place in SOURCES
_NOTE = np.dtype([("id", "<i8"), ("score", "<f8"), ("source", "u1")])


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
    rows = []
    for obj_id, (score, source) in sorted(notes.items()):
        if score is not None and not 0 <= score <= 1:
            raise ValueError(f"score of object {obj_id} is {score}; give 0 to 1, or None")
        if source not in SOURCES:
            raise ValueError(
                f"source of object {obj_id} is {source!r}; give one of {', '.join(SOURCES)}"
            )
        rows.append((obj_id, math.nan if score is None else score, SOURCES.index(source)))
    try:
        return np.array(rows, _NOTE).tobytes()
    except OverflowError as error:
        raise ValueError(f"the ids of objects are 64-bit integers, got {list(notes)}") from error


def unpack_notes(packed: bytes) -> dict[int, ObjectNote]:
    """The notes by rising id."""
    return {
        obj_id: ObjectNote(None if math.isnan(score) else score, SOURCES[place])
        for obj_id, score, place in np.frombuffer(packed, _NOTE).tolist()
    }


def note_rows(packed: Sequence[bytes]) -> NDArray[np.void]:
    """The notes of many frames in one table; see `LabelStack.noted`."""
    found = np.frombuffer(b"".join(packed), _NOTE)
    rows = np.empty(len(found), [("place", np.intp), *((n, _NOTE[n]) for n in _NOTE.names or ())])
    for name in _NOTE.names or ():
        rows[name] = found[name]
    rows["place"] = np.repeat(np.arange(len(packed)), [len(p) // _NOTE.itemsize for p in packed])
    return rows


def mean_scores(packed: Iterable[bytes]) -> dict[int, float | None]:
    """The mean score of each object that is noted, by rising id; None where it never has one."""
    rows = np.frombuffer(b"".join(packed), _NOTE)
    ids, place = np.unique(rows["id"], return_inverse=True)
    is_known = ~np.isnan(rows["score"])
    counts = np.bincount(place[is_known], minlength=len(ids))
    sums = np.bincount(place[is_known], rows["score"][is_known], len(ids))
    return {
        int(obj_id): float(total / count) if count else None
        for obj_id, total, count in zip(ids, sums, counts, strict=True)
    }

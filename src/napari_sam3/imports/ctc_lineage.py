"""The table of tracks of the Cell Tracking Challenge: objects and divisions in its terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import explain_read_errors
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plain_files import read_text


@dataclass(frozen=True)
class Lineage:
    """What a table tells of tracks.

    Attributes
    ----------
    objects : ObjectTable
        The divisions.
    renamed : mapping of label to id
        Ids of objects whose labels in the pictures are others.
    told : sequence of str
        What can't be used of it, in words.
    """

    objects: ObjectTable = field(default_factory=ObjectTable)
    renamed: Mapping[int, int] = field(default_factory=dict)
    told: Sequence[str] = ()


def read_lineage(table: Path, frames: Collection[int], first: int) -> Lineage:
    """Read a table of tracks: label, first frame, last frame, parent.

    The only child of a track that ended earlier than a frame before is no daughter: that is how
    the challenge says that an object was away. It gets its first track's label.

    Parameters
    ----------
    table : Path
        Usually res_track.txt or man_track.txt.
    frames : collection of int
        Those that have a picture, 0-based.
    first : int
        The number that frame 0 has in the table.

    Raises
    ------
    VideoError
        If it can't be read, or tells a label twice.
    """
    tracks: dict[int, tuple[int, int, int]] = {}
    with explain_read_errors(table):
        for line in filter(str.strip, read_text(table, encoding="utf-8-sig").splitlines()):
            label, begin, end, parent = map(int, line.split())
            if label in tracks:
                raise VideoError(f"{str(table)!r} tells of label {label} twice; remove one line")
            tracks[label] = (begin - first, end - first, parent)
    told = []
    low, high = min(frames), max(frames)
    if tracks:
        begins, ends = min(t[0] for t in tracks.values()), max(t[1] for t in tracks.values())
        if begins < low or ends > high:
            told.append(
                f"{table.name} tells of frames {begins + first} to {ends + first}, but the "
                f"pictures are numbered {low + first} to {high + first}; if both do not count "
                "alike, its divisions are on wrong frames"
            )
    children = Counter(parent for _, _, parent in tracks.values())
    parents: dict[int, int] = {}
    renamed: dict[int, int] = {}
    born: dict[int, int] = {}
    for label, (begin, _, parent) in sorted(tracks.items(), key=lambda item: item[1]):
        if parent not in tracks:
            continue
        obj_id = renamed.get(parent, parent)
        if children[parent] == 1 and begin > tracks[parent][1] + 1:
            renamed[label] = obj_id
        else:
            parents[label], born[label] = obj_id, begin
    problems: list[str] = []
    with explain_read_errors(table):
        objects = ObjectTable.from_parents(parents, born, problems=problems)
    return Lineage(objects, renamed, [*told, *(f"{one}; this is left out" for one in problems)])

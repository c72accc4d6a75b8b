"""Cell Tracking Challenge: a folder of label TIFFs and the table of tracks with their lineage."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.base import (
    ResultWriter,
    check_replaceable,
    label_shape,
    replacing_folder,
    write_all,
)
from napari_sam3.export.spool import LabelSpool
from napari_sam3.video.facts import VideoFacts

TRACKS = "res_track.txt"
OWN_NAMES = r"mask\d{3,}\.tif|res_track\.txt"
MOST = np.iinfo(np.uint16).max


class CtcTrack(NamedTuple):
    """A line of the table: an object seen on every frame from `begin` to `end`.

    Attributes
    ----------
    label : int
        In the masks of the folder.
    begin, end : int
        First and last frame, 0-based.
    parent : int
        Label of the track that it comes from; 0 for none.
    obj_id : int
        The object that it is a part of.
    """

    label: int
    begin: int
    end: int
    parent: int
    obj_id: int


def plan_tracks(
    seen: Mapping[int, Iterable[int]], parents: Mapping[int, int] | None = None
) -> list[CtcTrack]:
    """Cut objects into tracks as the challenge wants them.

    A track has no gaps: an object that comes back is a new track whose parent is the one before.
    A mother's track ends before her daughters begin: if her id goes on, that is a daughter too.
    A daughter whose mother was not seen before her has no parent.

    Parameters
    ----------
    seen : mapping of object id to frames
        On which frames each object is, in any order.
    parents : mapping of id to id, optional
        Mother of each daughter.

    Returns
    -------
    list of CtcTrack
        By rising label. The first part of an object keeps its id as label.
    """
    parents = parents or {}
    frames = {obj_id: sorted(set(on)) for obj_id, on in seen.items()}
    frames = {obj_id: on for obj_id, on in frames.items() if on}
    divisions = defaultdict(set)
    for daughter, mother in parents.items():
        if daughter in frames:
            divisions[mother].add(frames[daughter][0])
    spans = {obj_id: _spans(on, divisions[obj_id]) for obj_id, on in sorted(frames.items())}
    fresh = iter(range(max(frames, default=0) + 1, 2**63))
    labels = {
        obj_id: [obj_id, *(next(fresh) for _ in parts[1:])] for obj_id, parts in spans.items()
    }
    tracks = []
    for obj_id, parts in spans.items():
        for n, (begin, end) in enumerate(parts):
            parent = labels[obj_id][n - 1] if n else 0
            mother = parents.get(obj_id, 0)
            if n == 0 and mother in spans:
                earlier = [m for m, (_, last) in enumerate(spans[mother]) if last < begin]
                parent = labels[mother][earlier[-1]] if earlier else 0
            tracks.append(CtcTrack(labels[obj_id][n], begin, end, parent, obj_id))
    return sorted(tracks)


def _spans(frames: list[int], cuts: set[int]) -> list[tuple[int, int]]:
    """First and last frame of each run without a gap; one also ends before each of `cuts`."""
    spans: list[tuple[int, int]] = []
    for frame in frames:
        if spans and frame == spans[-1][1] + 1 and frame not in cuts:
            spans[-1] = (spans[-1][0], frame)
        else:
            spans.append((frame, frame))
    return spans


class CtcWriter(ResultWriter):
    """Writes a result folder of the Cell Tracking Challenge: mask000.tif, ... and res_track.txt.

    All frames of the video have a mask, 16-bit, with as many digits as are needed, three at least.
    The folder is put in place as a whole, and replaces an earlier one; one that holds anything else
    is refused. The challenge wants it named as 01_RES.

    Parameters
    ----------
    path : path-like
        The folder.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video, to be written beside the folder.
    parents : mapping of id to id, optional
        Mother of each daughter, read at `close`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
        parents: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        check_replaceable(self.path, OWN_NAMES)
        self._parents = parents or {}
        self._spool = LabelSpool(self.path.absolute().parent, shape[1:])

    def _add(self, frame_index: int, labels: NDArray[Any], scores: Mapping[int, float]) -> None:
        if labels.min() < 0:
            raise VideoError(f"label {int(labels.min())} can't be written; labels count from 1")
        self._spool.put(frame_index, labels)

    def _finish(self) -> None:
        import tifffile

        seen: dict[int, list[int]] = defaultdict(list)
        for frame_index in self._spool.frames:
            for obj_id in self._spool.ids(frame_index):
                seen[obj_id].append(frame_index)
        tracks = plan_tracks(seen, self._parents)
        if tracks and tracks[-1].label > MOST:
            greatest = max(track.obj_id for track in tracks)
            wrong = greatest if greatest > MOST else tracks[-1].label
            raise VideoError(
                f"label {wrong} does not fit into the challenge's 16-bit masks (1..{MOST}); "
                "renumber the objects from 1"
            )
        renamed: dict[int, dict[int, int]] = defaultdict(dict)
        for track in tracks:
            if track.label != track.obj_id:
                for frame_index in range(track.begin, track.end + 1):
                    renamed[frame_index][track.obj_id] = track.label
        digits = max(3, len(str(self.shape[0] - 1)))
        with replacing_folder(self.path, OWN_NAMES) as folder:
            for frame_index in range(self.shape[0]):
                labels = self._spool.get(frame_index)
                masks = labels.astype(np.uint16)
                for obj_id, label in renamed.get(frame_index, {}).items():
                    masks[labels == obj_id] = label
                name = f"mask{frame_index:0{digits}d}.tif"
                tifffile.imwrite(folder / name, masks, compression="zlib")
            lines = [f"{t.label} {t.begin} {t.end} {t.parent}\n" for t in tracks]
            (folder / TRACKS).write_text("".join(lines), encoding="ascii")

    def _release(self) -> None:
        self._spool.close()


def export_ctc(
    folder: str | os.PathLike[str],
    labels: Any,
    *,
    facts: VideoFacts | None = None,
    parents: Mapping[int, int] | None = None,
) -> None:
    """Write a whole (T, H, W) label array as a Cell Tracking Challenge folder (see `CtcWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or a label is above 65535.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(CtcWriter(folder, label_shape(labels), facts=facts, parents=parents), labels)

"""Cell Tracking Challenge: a folder of label TIFFs and the table of tracks with their lineage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.whole_folder import folder_written_whole
from napari_sam3.export.writer import LabelWriter, PathLike, label_shape, write_all
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.labels.tracks import plan_tracks
from napari_sam3.video.video_facts import VideoFacts

TRACKS = "res_track.txt"
MOST = np.iinfo(np.uint16).max


class CtcWriter(LabelWriter):
    """Writes a result folder of the Cell Tracking Challenge: mask000.tif, ... and res_track.txt.

    All frames of the video have a mask, 16-bit, with as many digits as are needed, three at least.
    The folder is put in place as a whole, and replaces an earlier one; one that holds anything else
    is refused. The challenge wants it named as 01_RES.

    A track has no gaps there: an object that comes back is a new track whose parent is the one
    before. A mother's track ends before her daughters begin (see `plan_tracks`).

    Parameters are those of `ResultWriter`; of `objects`, the divisions count.
    """

    own_names = r"mask\d{3,}\.tif|res_track\.txt"

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        if labels.min() < 0:
            raise VideoError(f"label {int(labels.min())} can't be written; labels count from 1")
        super()._add(frame_index, labels, notes)

    def _finish(self) -> None:
        import tifffile

        seen: dict[int, list[int]] = defaultdict(list)
        for frame_index in self._frames.frames:
            for obj_id in self._frames.ids(frame_index):
                seen[obj_id].append(frame_index)
        tracks = plan_tracks(seen, self._objects.divisions, ends_at_gaps=True)
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
        with folder_written_whole(self.path, self.own_names) as folder:
            for frame_index in range(self.shape[0]):
                labels = self._frames.get(frame_index)
                masks = labels.astype(np.uint16)
                for obj_id, label in renamed.get(frame_index, {}).items():
                    masks[labels == obj_id] = label
                name = f"mask{frame_index:0{digits}d}.tif"
                tifffile.imwrite(folder / name, masks, compression="zlib")
            lines = [f"{t.label} {t.begin} {t.end} {t.parent}\n" for t in tracks]
            (folder / TRACKS).write_text("".join(lines), encoding="ascii")


def export_ctc(
    folder: PathLike,
    labels: Any,
    *,
    facts: VideoFacts | None = None,
    objects: ObjectTable | None = None,
) -> None:
    """Write a whole (T, H, W) label array as a Cell Tracking Challenge folder (see `CtcWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or a label is above 65535.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(CtcWriter(folder, label_shape(labels), facts=facts, objects=objects), labels)

"""Cell Tracking Challenge: a folder of label TIFFs and the table of tracks with their lineage."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from napari_sam3.export.whole_folder import folder_written_whole
from napari_sam3.export.writer import LabelWriter, exporter
from napari_sam3.labels.tracks import plan_tracks

TRACKS = "res_track.txt"


class CtcWriter(LabelWriter):
    """Writes a result folder of the Cell Tracking Challenge: mask000.tif, ... and res_track.txt.

    All frames of the video have a mask, 16-bit, with as many digits as are needed, three at least.
    The folder is put in place as a whole, and replaces an earlier one; one that holds anything else
    is refused. The challenge wants it named as 01_RES.

    A track has no gaps there: an object that comes back is a new track whose parent is the one
    before. A mother's track ends before her daughters begin (see `plan_tracks`).

    Parameters are those of `ResultWriter`; of `objects`, the divisions count.
    """

    own_names = r"mask[0-9]{3,}\.tif|res_track\.txt"
    highest_id = int(np.iinfo(np.uint16).max)

    def _finish(self) -> None:
        import tifffile

        seen: dict[int, list[int]] = defaultdict(list)
        for frame_index in self._frames.frames:
            for obj_id in self._frames.ids(frame_index):
                seen[obj_id].append(frame_index)
        tracks = plan_tracks(seen, self._objects.divisions, ends_at_gaps=True)
        self.check_ids(0, max((track.label for track in tracks), default=0))
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


export_ctc = exporter(CtcWriter)

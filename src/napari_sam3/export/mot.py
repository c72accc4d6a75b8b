"""MOTChallenge CSV: boxes of tracks, for the tools that judge trackers."""

from __future__ import annotations

from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter
from napari_sam3.whole_files import written_whole


class MotWriter(ObjectWriter):
    """Writes one line for each object on each frame, by frame, then id; without a head.

    Nine columns, as CVAT and Datumaro read the challenge: frame, id, bb_left, bb_top, bb_width,
    bb_height, conf, class, visibility. Frames, ids and the pixels of the box count from 1; conf is
    the score (1 where there is none). Class and visibility are 1, which is what the challenge's own
    tools count: a -1 there, as in files of results, reads as not to be seen.

    Parameters are those of `ResultWriter`.
    """

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        lines = []
        for measure, _ in found:
            x0, y0, x1, y1 = measure.bbox
            score = 1.0 if measure.score is None else measure.score
            lines.append(
                f"{frame_index + 1},{measure.obj_id},{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},"
                f"{score:.4g},1,1\n"
            )
        self._frames.put(frame_index, "".join(lines).encode())

    def _finish(self) -> None:
        with written_whole(self.path) as part, part.open("wb") as file:
            for frame_index in self._frames.frames:
                file.write(self._frames.get(frame_index))


export_mot = exporter(MotWriter)

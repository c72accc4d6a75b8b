"""MOTChallenge CSV: boxes of tracks, for the tools that judge trackers."""

from __future__ import annotations

import os
from typing import Any

from napari_sam3.export.base import label_shape, replacing, write_all
from napari_sam3.export.objects import Found, ObjectWriter
from napari_sam3.export.spool import Spool
from napari_sam3.video.video_facts import VideoFacts


class MotWriter(ObjectWriter):
    """Writes one line for each object on each frame, by frame, then id; without a head.

    The ten columns of a result: frame, id, bb_left, bb_top, bb_width, bb_height, conf, x, y, z.
    Frames, ids and the pixels of the box count from 1, as the challenge has it; conf is the score
    (1 where there is none); x, y, z are -1, as in two dimensions.

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video, to be written beside the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        self._spool = Spool(self.path.absolute().parent)

    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
        lines = []
        for measure, _ in found:
            x0, y0, x1, y1 = measure.bbox
            score = 1.0 if measure.score is None else measure.score
            lines.append(
                f"{frame_index + 1},{measure.obj_id},{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},"
                f"{score:.4g},-1,-1,-1\n"
            )
        self._spool.put(frame_index, "".join(lines).encode())

    def _finish(self) -> None:
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            for frame_index in self._spool.frames:
                file.write(self._spool.get(frame_index))

    def _release(self) -> None:
        self._spool.close()


def export_mot(
    path: str | os.PathLike[str], labels: Any, *, facts: VideoFacts | None = None
) -> None:
    """Write a whole (T, H, W) label array as MOTChallenge CSV (see `MotWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(MotWriter(path, label_shape(labels), facts=facts), labels)

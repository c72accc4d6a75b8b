"""Add a format of results: a line for each object on each frame, with the middle of its box.

python add_a_format.py [VIDEO X Y]     X, Y: a pixel on the object, on the first frame

Writes positions.txt. CONTRIBUTING.md says where such a class stands in the package.
"""

import sys
from pathlib import Path

from napari_sam3 import VideoSession
from napari_sam3.export.writer import FoundObject, ObjectWriter
from napari_sam3.samples import sample_paths
from napari_sam3.whole_files import written_whole


class PositionsWriter(ObjectWriter):
    """Writes frame, id, x and y (px), apart by spaces, by rising frame, then id.

    Parameters are those of `ResultWriter`.
    """

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        lines = []
        for measure, _crop in found:
            x0, y0, x1, y1 = measure.bbox
            lines.append(f"{frame_index} {measure.obj_id} {(x0 + x1) / 2:g} {(y0 + y1) / 2:g}\n")
        # the same frame may come again: what was kept of it is replaced
        self._frames.put(frame_index, "".join(lines).encode())

    def _finish(self) -> None:
        # whole or not at all: an earlier file stays until this one is done
        with written_whole(self.path) as part, part.open("wb") as file:
            for frame_index in self._frames.frames:
                file.write(self._frames.get(frame_index))


if __name__ == "__main__":
    video, x, y = sys.argv[1:] or (sample_paths().video, 343, 406)
    with VideoSession(video) as session:
        session.add_prompt(0, points=[[float(x), float(y)]])
        shape = (len(session.video), *session.frame_size)
        with PositionsWriter("positions.txt", shape) as writer:
            for result in session.propagate(max_frame_num_to_track=12):
                writer.write(result)
    print(Path("positions.txt").read_text(encoding="utf-8"), end="")

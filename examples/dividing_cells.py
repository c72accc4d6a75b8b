"""Follow a cell through its division, name mother and daughters, and write the family tree.

python dividing_cells.py

On the sample. Writes the Cell Tracking Challenge's folder, the film with outlines, and the table
of all cells on all frames into "results".
"""

from contextlib import ExitStack
from pathlib import Path

from napari_sam3 import VideoSession
from napari_sam3.export import Scene, open_writer
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.samples import sample_paths
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video.video_facts import describe_video

DIVIDES_AT = 28
"""The first frame on which there are two."""

family = ObjectTable()
family.rename(1, "mother")
family.rename(2, "upper daughter")
family.rename(3, "lower daughter")
family.mark_division(1, [2, 3], DIVIDES_AT)

with VideoSession(sample_paths().video) as session, ExitStack() as stack:
    session.add_prompt(0, points=[[343, 406]], obj_id=1)
    session.add_prompt(DIVIDES_AT, points=[[342, 396]], obj_id=2)
    session.add_prompt(DIVIDES_AT, points=[[355, 442]], obj_id=3)
    session.limit_lives(family.is_alive)  # the mother ends where her daughters begin

    scene = Scene(
        shape=(len(session.video), *session.frame_size),
        facts=describe_video(session.video),
        video=session.video,
        frames=RgbFrames(session.video),
        objects=family,
    )
    writers = [
        stack.enter_context(open_writer(name, Path("results") / target, scene))
        for name, target in (("ctc", "01_RES"), ("overlay", "overlay.mp4"), ("csv", "objects.csv"))
    ]
    for result in session.propagate():
        if result.frame_index in (0, DIVIDES_AT - 1, DIVIDES_AT, len(session.video) - 1):
            seen = {family[i].name: found.area for i, found in result.objects.items()}
            print(f"frame {result.frame_index}, px:", seen)
        for writer in writers:
            writer.write(result)

print("label, first frame, last frame, mother:")
print(Path("results/01_RES/res_track.txt").read_text(encoding="utf-8").strip())

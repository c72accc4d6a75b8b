"""Make the pictures and films of the tutorials: what their scripts write, run here.

python docs/tutorial_pictures.py

Needs no window.
"""

from __future__ import annotations

import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from picture_files import save_film, save_picture
from PIL import Image

from napari_sam3 import open_video
from napari_sam3.cli import main as napari_sam3
from napari_sam3.samples import sample_paths

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
GAP = 6
"""Between pictures side by side, px."""


def run(example: str) -> None:
    """Run an example in the current folder."""
    sys.argv = [example]
    runpy.run_path(str(EXAMPLES / example), run_name="__main__")


def frames_of(film: str, which: Sequence[int] | slice, width: int) -> list[Image.Image]:
    """Frames of a film, scaled to a width."""
    with open_video(film) as video:
        indices = range(len(video))[which] if isinstance(which, slice) else which
        pictures = [Image.fromarray(np.asarray(video[index])).convert("RGB") for index in indices]
    height = pictures[0].height * width // pictures[0].width
    return [picture.resize((width, height), Image.Resampling.LANCZOS) for picture in pictures]


def in_rows(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size, side by side and below each other."""
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    size = (width + GAP) * columns - GAP, (height + GAP) * rows - GAP
    sheet = Image.new("RGB", size, "white")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        sheet.paste(picture, (column * (width + GAP), row * (height + GAP)))
    return sheet


def main() -> None:
    """Make them all."""
    os.chdir(tempfile.mkdtemp())
    run("dividing_cells.py")
    save_film(frames_of("results/overlay.mp4", slice(0, None, 3), 480), "division.webp", ms=250)
    shown = frames_of("results/overlay.mp4", (0, 27, 28, 59), 400)
    save_picture(in_rows(shown, 2), "mother.webp")

    run("hidden_animal.py")
    save_film(frames_of("results/overlay.mp4", slice(0, None, 2), 400), "animal.webp", ms=120)
    shown = frames_of("results/overlay.mp4", (14, 25, 32, 46), 400)
    save_picture(in_rows(shown, 2), "behind-the-tree.webp")

    Path("films").mkdir()
    shutil.copy(sample_paths().video, "films/a.mp4")
    Path("prompts.csv").write_text(
        "frame,object,kind,x,y,x1,y1\n0,1,point,343,406,,\n0,2,box,368,247,442,305\n",
        encoding="utf-8",
    )
    asked = "batch prompts.csv films -o batch --formats overlay --frames 21 --model optical-flow"
    if napari_sam3(asked.split()) != 0:
        raise RuntimeError(f"'napari-sam3 {asked}' failed")
    shown = frames_of("batch/a/overlay.mp4", (0, 10, 20), 400)
    save_picture(in_rows(shown, 3), "batch.webp")


if __name__ == "__main__":
    main()

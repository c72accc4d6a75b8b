"""Tiny films as folders of pictures: quick to write and to read."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_sam3.batch import elsewhere

N_FRAMES, SIZE = 6, (60, 80)


@pytest.fixture
def films(tmp_path):
    """Three films, each a folder of frames; the second one is damaged."""
    folder = tmp_path / "films"
    for number, name in enumerate("abc"):
        (folder / name).mkdir(parents=True)
        noise = np.random.default_rng(number)
        for frame_index in range(N_FRAMES):
            frame = noise.integers(0, 255, SIZE, dtype=np.uint8)
            Image.fromarray(frame).save(folder / name / f"{frame_index}.png")
    (folder / "b" / "0.png").write_bytes(b"no picture")
    return [folder / name for name in "abc"]


@pytest.fixture
def prompts(tmp_path):
    """A file with one click for every video."""
    path = tmp_path / "prompts.json"
    said = {"format": "napari-sam3 prompts", "version": 1}
    path.write_text(json.dumps({**said, "prompts": [{"frame": 0, "points": [[30, 20]]}]}))
    return path


@pytest.fixture
def computed_here(monkeypatch):
    """The videos that were followed by the command, their model on a worker or not."""
    videos = []
    do_task = elsewhere.do_task

    def note(task, *rest):
        videos.append(task.video)
        return do_task(task, *rest)

    monkeypatch.setattr(elsewhere, "do_task", note)
    return videos

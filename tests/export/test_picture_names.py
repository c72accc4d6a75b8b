"""COCO and YouTube-VIS name the pictures that are there, and are read by their names."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_sam3.export import Scene, open_writer
from napari_sam3.export.sidecar import read_sidecar, sidecar_path
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.video import open_video
from napari_sam3.video.video_facts import VideoFacts, describe_video

NAMES = ["IMG_0007.JPG", "IMG_0008.JPG", "IMG_0010.JPG", "IMG_0011.JPG"]
LABELS = np.zeros((4, 20, 30), np.uint16)
for _t in range(4):
    LABELS[_t, 3:9, 2 + _t : 9 + _t] = _t + 1


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "cam.1"
    folder.mkdir()
    for name in NAMES:
        Image.fromarray(np.full((20, 30), 40, np.uint8)).save(folder / name)
    return folder


def write(folder, name, path):
    with pytest.warns(UserWarning, match="left out"), open_video(folder) as video:
        scene = Scene(shape=LABELS.shape, facts=describe_video(video))
    write_all(open_writer(name, path, scene), LABELS)
    return json.loads(path.read_text())


def names_in(content) -> list[str]:
    if "images" in content:
        return [image["file_name"] for image in content["images"]]
    return content["videos"][0]["file_names"]


@pytest.mark.parametrize("name", ["coco", "coco-polygons", "ytvis"])
def test_the_pictures_of_a_folder_are_named(tmp_path, folder, name):
    path = tmp_path / "out.json"
    names = names_in(write(folder, name, path))
    assert names == [f"cam.1/{one}" for one in NAMES]
    assert all((tmp_path / one).is_file() for one in names)
    assert read_sidecar(path).file_names == tuple(names)
    with open_labels(path) as labels:
        np.testing.assert_array_equal([labels[t] for t in range(4)], LABELS)
    sidecar_path(path).unlink()
    with open_labels(path) as labels:  # with gaps in the numbers, and not from 0
        np.testing.assert_array_equal([labels[t] for t in range(4)], LABELS)


def test_a_file_that_went_through_another_tool_is_read_by_the_pictures_names(tmp_path, folder):
    path = tmp_path / "out.json"
    content = write(folder, "coco", path)
    for image in content["images"]:
        del image["frame_index"]
    content["images"].reverse()
    path.write_text(json.dumps(content))
    with open_labels(path) as labels:
        np.testing.assert_array_equal([labels[t] for t in range(4)], LABELS)


def test_one_picture_is_named_too(tmp_path, folder):
    with open_video(folder / NAMES[0]) as video:
        assert video.file_names == (NAMES[0],)


@pytest.mark.parametrize("name", ["coco", "ytvis"])
def test_frames_of_a_film_have_names_that_are_made_up(tmp_path, name):
    path = tmp_path / "out.json"
    scene = Scene(shape=LABELS.shape, facts=VideoFacts(*LABELS.shape, name="film.mp4"))
    write_all(open_writer(name, path, scene), LABELS)
    content = json.loads(path.read_text())
    assert names_in(content) == [f"film/{n:05d}.png" for n in range(4)]


def test_facts_keep_the_names():
    facts = VideoFacts(2, 20, 30, file_names=("a/0.png", "a/1.png"))
    assert VideoFacts.from_json(facts.to_json()) == facts
    with pytest.raises(ValueError, match="1 names of pictures"):
        VideoFacts(2, 20, 30, file_names=("a.png",))

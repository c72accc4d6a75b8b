"""Frames as pictures beside their annotations."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_sam3.export import Scene, open_writer
from napari_sam3.export.pictures import FramePictures
from napari_sam3.export.writer import write_all
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import open_video
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.video_facts import VideoFacts, describe_video

LABELS = np.zeros((4, 20, 30), np.uint16)
LABELS[1:, 3:9, 2:12] = 7
FILM = np.full((4, 20, 30, 3), 50, np.uint8)
for _n in range(4):
    FILM[_n, :, :, 0] = 40 * _n


def scene_of(video, images):
    return Scene(
        shape=LABELS.shape,
        facts=describe_video(video),
        video=video,
        frames=RgbFrames(video),
        images=images,
    )


def names_in(path) -> list[str]:
    said = json.loads(path.read_text())
    if "images" in said:
        return [image["file_name"] for image in said["images"]]
    return said["videos"][0]["file_names"]


@pytest.mark.parametrize("name", ["coco", "coco-polygons", "ytvis"])
def test_names_lead_to_pictures_of_the_frames(tmp_path, name):
    path = tmp_path / "out.json"
    with open_writer(name, path, scene_of(ArrayVideo(FILM), "png")) as writer:
        for frame_index in (3, 1):
            writer.write_labels(frame_index, LABELS[frame_index])
    named = names_in(path)
    assert named == [f"video/{n:05d}.png" for n in ([1, 3] if name != "ytvis" else range(4))]
    for place in named:
        np.testing.assert_array_equal(Image.open(tmp_path / place), FILM[int(place[-9:-4])])
    assert {p.name for p in (tmp_path / "video").iterdir()} == {n.rpartition("/")[2] for n in named}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in" / "cam1"
    folder.mkdir(parents=True)
    for n in range(4):
        Image.fromarray(FILM[n]).save(folder / f"IMG_{n + 7:04d}.JPG", quality=100)
    return folder


@pytest.mark.parametrize(("images", "ending"), [("jpg", ".JPG"), ("png", ".png")])
def test_a_folder_of_frames_keeps_its_names(tmp_path, folder, images, ending):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "coco.json"
    with open_video(folder) as video:
        write_all(open_writer("coco", path, scene_of(video, images)), LABELS)
    assert names_in(path) == [f"cam1/IMG_{n:04d}{ending}" for n in range(7, 11)]
    for n, place in enumerate(names_in(path)):
        picture = np.asarray(Image.open(path.parent / place), int)
        assert np.abs(picture - FILM[n]).max() <= 3


@pytest.mark.parametrize("images", ["jpg", "png"])
def test_pictures_that_are_there_are_left_alone(folder, images):
    before = {file: file.read_bytes() for file in folder.iterdir()}
    path = folder.parent / "coco.json"
    with open_video(folder) as video:
        write_all(open_writer("coco", path, scene_of(video, images)), LABELS)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    assert names_in(path) == [f"cam1/IMG_{n:04d}.JPG" for n in range(7, 11)]


def test_names_out_of_a_file_do_not_lead_elsewhere():
    facts = VideoFacts(2, 20, 30, name="a.mp4", file_names=("../x/0.png", "/etc/1.png"))
    pictures = FramePictures(facts)
    assert [pictures.name(n) for n in range(2)] == ["a/00000.png", "a/00001.png"]


def test_pictures_need_the_video():
    with pytest.raises(ValueError, match="without the video"):
        FramePictures(VideoFacts(2, 20, 30), kind="png")
    with pytest.raises(ValueError, match="choose from jpg, png"):
        FramePictures(VideoFacts(2, 20, 30), kind="gif")


def test_writing_them_tells_how_far_it_is_and_can_be_ended(tmp_path):
    told = []
    facts = VideoFacts(*LABELS.shape)
    frames = RgbFrames(ArrayVideo(FILM))
    pictures = FramePictures(facts, frames, "png", on_progress=lambda *far: told.append(far))
    pictures.write(tmp_path, [0, 2])
    pictures.write(tmp_path, [2, 3])  # of another format
    assert told == [(1, 2), (2, 2), (1, 2), (2, 2)]

    def stop(done, total):
        raise KeyboardInterrupt

    stopped = FramePictures(facts, frames, "png", on_progress=stop)
    with pytest.raises(KeyboardInterrupt):
        stopped.write(tmp_path / "again", range(4))
    assert [p.name for p in (tmp_path / "again" / "video").iterdir()] == ["00000.png"]

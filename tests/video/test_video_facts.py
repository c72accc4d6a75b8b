"""What is kept of a video beside its results."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import read_sidecar, sidecar_path
from napari_sam3.video import open_video
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.content_hash import hash_content
from napari_sam3.video.video_facts import VideoFacts, describe_video
from napari_sam3.video.video_writer import VideoWriter

FACTS = VideoFacts(
    2, 4, 6, name="a.mp4", sha256="00", fps=5.0, timestamps=(0.0, 0.2), pixel_size=(2, 1), unit="um"
)


def test_a_file_is_known_by_its_content(tmp_path):
    path = tmp_path / "film.mp4"
    with VideoWriter(path, 5) as writer:
        for _ in range(3):
            writer.write(np.zeros((16, 32), np.uint8))
    with open_video(path) as video:
        facts = describe_video(video)
    assert facts.shape == (3, 16, 32)
    assert facts.name == "film.mp4"
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.timestamps == pytest.approx((0, 0.2, 0.4))
    path.rename(tmp_path / "moved.mp4")
    assert hash_content(tmp_path / "moved.mp4") == facts.sha256


def test_a_changed_file_is_hashed_anew(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = hash_content(path)
    path.write_bytes(b"three")
    assert hash_content(path) == hashlib.sha256(b"three").hexdigest() != before


def test_a_folder_is_known_by_its_files(tmp_path):
    for n in range(2):
        Image.fromarray(np.full((4, 6), n, np.uint8)).save(tmp_path / f"{n}.png")
    lines = [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("0.png", "1.png")
    ]
    assert hash_content(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_an_array_has_no_hash():
    facts = describe_video(ArrayVideo(np.zeros((2, 4, 6, 3), np.uint8)))
    assert facts == VideoFacts(2, 4, 6)


def test_facts_come_back_from_json():
    assert VideoFacts.from_json(FACTS.to_json()) == FACTS
    assert VideoFacts.from_json(VideoFacts(2, 4, 6).to_json()) == VideoFacts(2, 4, 6)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        FACTS.to_json().replace('"version": 1', '"version": 2'),
        FACTS.to_json().replace('"frames": 2', '"frames": 3'),
        FACTS.to_json().replace('"frames"', '"films"'),
        FACTS.to_json().replace('"fps": 5.0', '"fps": -5.0'),
    ],
)
def test_what_are_no_facts_is_said_with_the_file(tmp_path, text):
    path = tmp_path / "labels.tif"
    sidecar_path(path).write_text(text)
    with pytest.raises(VideoError, match=r"labels\.tif\.video\.json"):
        read_sidecar(path)


def test_no_sidecar_is_no_error(tmp_path):
    assert read_sidecar(tmp_path / "labels.tif") is None

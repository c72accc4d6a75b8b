"""What is written can be read, and a failure leaves no half file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.video_writer import VideoWriter

from .clips import draw, read_number


def colour(number: int, size: tuple[int, int] = (48, 96)) -> np.ndarray:
    return np.repeat(draw(number, size)[..., None], 3, axis=2)


def test_frames_come_back(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoWriter(path, 12.5) as writer:
        for number in range(30):
            writer.write(colour(number))
    with open_video(path) as video:
        assert [read_number(frame) for frame in video] == list(range(30))
        assert video.fps == pytest.approx(12.5)
        assert video.metadata["codec"] == "h264"
        assert video.metadata["pixel_format"] == "yuv420p"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "odd.mp4", 25) as writer:
        for number in range(3):
            writer.write(colour(number, (47, 95)))
    with open_video(tmp_path / "odd.mp4") as video:
        assert video.shape == (3, 48, 96, 3)
        assert read_number(video[2]) == 2


def test_source_times_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.4, 2.0]
    with VideoWriter(tmp_path / "vfr.mp4", 25) as writer:
        for number, time in enumerate(times):
            writer.write(colour(number), time)
    with open_video(tmp_path / "vfr.mp4") as video:
        assert video.timestamps == pytest.approx(times, abs=1e-4)


@pytest.mark.parametrize("written", [0, 3])
def test_failure_leaves_nothing_behind(written: int, tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"what was there")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(path, written)
    assert path.read_bytes() == b"what was there"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def write_and_fail(path: Path, written: int) -> None:
    with VideoWriter(path, 25) as writer:
        for number in range(written):
            writer.write(colour(number))
        raise ZeroDivisionError


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frame"), VideoWriter(tmp_path / "out.mp4", 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "frame", [np.zeros((10, 12, 3), np.uint8), np.zeros((48, 96, 3), float), np.zeros(5, np.uint8)]
)
def test_frames_that_do_not_fit(frame: np.ndarray, tmp_path: Path) -> None:
    with (
        pytest.raises(VideoError, match="does not fit"),
        VideoWriter(tmp_path / "out.mp4", 25, (48, 96)) as writer,
    ):
        writer.write(frame)


def test_times_must_rise(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", 25) as writer:
        writer.write(colour(0), 1.0)
        with pytest.raises(VideoError, match="times must rise"):
            writer.write(colour(1), 1.0)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_impossible_rates(fps: float, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="frames a second"):
        VideoWriter(tmp_path / "out.mp4", fps)


def test_no_such_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(VideoError, match="can't be written"),
        VideoWriter(tmp_path / "nowhere" / "out.mp4", 25),
    ):
        pass


def test_no_such_encoder(tmp_path: Path) -> None:
    with (
        pytest.raises(VideoError, match="no encoder 'nonsense'"),
        VideoWriter(tmp_path / "out.mp4", 25, codec="nonsense") as writer,
    ):
        writer.write(colour(0))
    assert list(tmp_path.iterdir()) == []

"""Where a result can't be written: one error of ours, and nothing half under its name."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.temporary_frames import TemporaryFrames
from napari_sam3.export.writer import write_all
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.video_facts import VideoFacts

SQUARES = np.random.default_rng(0).integers(0, 60, (3, 18, 22)).astype(np.uint16)
resource = pytest.importorskip("resource")  # not every system limits files
NOISE = SQUARES.repeat(5, axis=1).repeat(5, axis=2)
NAMES = list(FORMATS)


@contextmanager
def room_for(bytes_a_file: int):
    """A disk on which no file gets longer than that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(
    name: str, path: Path, labels: np.ndarray = NOISE, facts: VideoFacts | None = None
) -> None:
    video = ArrayVideo(np.arange(labels.size, dtype=np.uint8).reshape(labels.shape))
    scene = Scene(shape=labels.shape, facts=facts, video=video, frames=RgbFrames(video))
    write_all(open_writer(name, path, scene), labels)


def contents(folder: Path) -> dict[Path, bytes]:
    return {place: place.read_bytes() for place in folder.rglob("*") if place.is_file()}


@pytest.mark.parametrize("room", [0, 400, 1500])
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, name, room):
    path = tmp_path / FORMATS[name].target.rstrip("/")
    with room_for(room), pytest.raises(VideoError, match=path.name) as said:
        write(name, path)
    assert "\n" not in str(said.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_the_earlier_result(tmp_path, name):
    path = tmp_path / FORMATS[name].target.rstrip("/")
    write(name, path, NOISE * 0 + 1)
    before = contents(tmp_path)
    with room_for(400), pytest.raises(VideoError):
        write(name, path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_disk_that_fails_at_the_end_is_told_alike(tmp_path, name, monkeypatch):
    def fail(self, *args):
        raise OSError(28, "No space left on device")

    path = tmp_path / FORMATS[name].target.rstrip("/")
    monkeypatch.setattr(TemporaryFrames, "read", fail)
    with pytest.raises(VideoError, match="No space left on device"):
        write(name, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_without_room_for_the_facts_beside_it_there_is_no_result(tmp_path, name, monkeypatch):
    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    facts = VideoFacts(*NOISE.shape, name="film.mp4")
    with pytest.raises(VideoError, match="No space left on device"):
        write(name, tmp_path / FORMATS[name].target.rstrip("/"), facts=facts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_too_long_is_refused_before_there_is_work_to_lose(tmp_path, name):
    with pytest.raises(VideoError, match="can't be written"):
        open_writer(name, tmp_path / ("x" * 300), scene())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_just_short_enough_is_written(tmp_path, name):
    path = tmp_path / ("x" * 251 + ".mp4")
    write(name, path)
    assert [place.name for place in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", NAMES)
def test_what_can_not_be_replaced_is_refused_at_once(tmp_path, name):
    path = tmp_path / "there"
    if FORMATS[name].target.endswith("/"):
        path.write_text("precious")
    else:
        path.mkdir()
    with pytest.raises(VideoError, match=r"is a file|is a folder"):
        open_writer(name, path, scene())


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_the_system_refuses_is_told_at_once(tmp_path, name, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(VideoError, match="Permission denied"):
        open_writer(name, tmp_path / "out", scene())


def scene() -> Scene:
    video = ArrayVideo(np.zeros((3, 90, 110), np.uint8))
    return Scene(shape=(3, 90, 110), video=video, frames=RgbFrames(video))

"""What is a video, what is none, and what is said of it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import as_video, open_video
from napari_sam3.video.content_hash import hash_content, hash_samples
from napari_sam3.video.proxy import proxy_path
from napari_sam3.video.video_facts import VideoFacts, describe_video
from napari_sam3.video.video_writer import VideoWriter

from .clips import draw, encode, picture_frame, read_number


def test_no_such_file() -> None:
    with pytest.raises(VideoError, match=r"no file or folder .*nowhere\.mp4"):
        open_video("nowhere.mp4")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(VideoError, match=r"empty\.mp4.*is empty \(0 bytes\)"):
        open_video(path)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.avi", "notes"])
def test_text_is_no_video(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("Not a video, only words. " * 200)
    with pytest.raises(VideoError, match="notes"):
        open_video(path)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".h264", ".gif", ".png", ".tif"])
def test_noise_is_no_video(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    with pytest.raises(VideoError, match="noise"):
        open_video(path)


def test_sound_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    write_sound(path, cover=True)
    with pytest.raises(VideoError, match=r"holds no video.*cover"):
        open_video(path)


def test_cover_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25, options={})
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        film = container.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt = 96, 48, "yuv420p"
        blank = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8)).reformat(
            format="yuvj420p"
        )
        blank.pts = 0
        container.mux(cover.encode(blank))
        for number in range(10):
            frame = picture_frame(draw(number), "yuv420p")
            frame.pts = number
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
    with open_video(path) as video:
        assert video.shape == (10, 48, 96, 3)
        assert read_number(video[7]) == 7


def write_sound(path: Path, cover: bool) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        voice = container.add_stream("aac", rate=8000)
        picture = container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        container.mux(picture.encode(frame.reformat(format="yuvj420p")))
        hum = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        hum.planes[0].update(bytes(4096))
        hum.sample_rate, hum.pts = 8000, 0
        container.mux(voice.encode(hum))
        container.mux(voice.encode(None))


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "one.mp4", n_frames=1)) as video:
        assert video.shape == (1, 48, 96, 3)
        assert read_number(video[-1]) == 0


def test_file_that_changed_meanwhile(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4")
    video = open_video(path)
    encode(path, n_frames=10)
    with pytest.raises(VideoError, match=r"has changed since it was opened"):
        video[39]
    path.unlink()
    with pytest.raises(VideoError, match=r"is gone"):
        video[39]


def test_odd_names_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a:b %03d été #1.mp4"
    try:
        encode(tmp_path / "plain.mp4", n_frames=3).rename(path)
    except OSError:
        pytest.skip("this file system takes no such name")
    with open_video(path) as video:
        assert read_number(video[2]) == 2


def test_link_that_leads_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "round.mp4"
    path.symlink_to(path)
    with pytest.raises(VideoError, match=r"no file or folder .*round\.mp4"):
        open_video(path)


@pytest.mark.parametrize("name", ["secret.mp4", "secret.tif", "secret.webp", "secret"])
def test_what_may_not_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    if path.suffix:
        path.write_bytes(b"nobody's business")
    else:
        path.mkdir()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    for owner, method in ((Path, "open"), (Path, "iterdir"), (os, "open"), (av, "open")):
        monkeypatch.setattr(owner, method, refuse)
    with pytest.raises(VideoError, match=f"{name}.*Permission denied"):
        open_video(path)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be deleted there")
def test_file_deleted_while_it_is_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", gop=12)
    with open_video(path) as video:
        assert read_number(video[3]) == 3
        path.unlink()
        # it is still held open
        assert read_number(video[39]) == 39
    with pytest.raises(VideoError, match="no file"):
        open_video(path)


def test_head_that_tells_of_a_huge_picture(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    header = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    path.write_bytes(header + struct.pack("<IiiHHIIiiII", 40, 2**20, 2**20, 1, 24, *[0] * 6))
    with pytest.raises(VideoError, match=r"huge\.bmp"):
        open_video(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, bool])
def test_arrays_are_taken_as_they_are(dtype: Any) -> None:
    array = (np.arange(3 * 4 * 5).reshape(3, 4, 5) % 7).astype(dtype)
    video = as_video(array)
    assert video.dtype == dtype
    assert video.path is video.fps is video.timestamps is None
    np.testing.assert_array_equal(video[1], array[1])


def test_array_is_there_again_after_closing() -> None:
    video = as_video(np.full((2, 3, 4), 7))
    video.close()
    with pytest.raises(VideoError, match="closed"):
        video[0]
    assert video.reopen()[1, 2, 3] == 7


def test_alpha_is_dropped() -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, 4, 5, 4), np.uint8)
    video = as_video(array)
    assert video.shape == (3, 4, 5, 3)
    np.testing.assert_array_equal(np.asarray(video), array[..., :3])


def test_lazy_arrays_stay_lazy() -> None:
    dask_array = pytest.importorskip("dask.array")
    array = dask_array.zeros((100_000, 1080, 1920, 3), np.uint8, chunks=(1, -1, -1, -1))
    assert as_video(array)[70_000, 5, 5].tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5), (2, 3, 4, 5, 3), (0, 4, 5), (5,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(VideoError, match="array of shape"):
        as_video(np.zeros(shape))


@pytest.mark.parametrize("thing", [3, None, [[1, 2]], np.zeros((2, 3, 4), complex), object()])
def test_other_things_are_refused(thing: Any) -> None:
    with pytest.raises(VideoError, match="no video"):
        as_video(thing)


def test_a_video_stays_itself() -> None:
    video = as_video(np.zeros((2, 3, 4)))
    assert as_video(video) is video


def test_importing_it_brings_neither_opencv_nor_torch_nor_qt() -> None:
    code = (
        "import sys, napari_sam3.video.video_file;"
        "import napari_sam3.video.image_folder, napari_sam3.video.video_writer;"
        "bad = {'cv2', 'torch', 'qtpy', 'napari', 'skimage'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "path", ["", "  ", b"film.mp4", "a\0b.mp4", "~nobody-of-that-name/a.mp4", 3]
)
def test_what_is_no_path(path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(draw(0)).save("frame0.png")
    with pytest.raises(VideoError, match=r"is no path|no such home folder"):
        open_video(path)
    with pytest.raises(VideoError, match=r"is no path|no such home folder"):
        VideoWriter(path, 25)


def test_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.mp4")
    with pytest.raises(VideoError, match=r"film\.mp4.* is a device or a pipe"):
        open_video(tmp_path / "film.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".tif", ".gif"])
def test_film_whose_name_is_no_utf8_or_holds_other_digits(suffix: str, tmp_path: Path) -> None:
    for name in (os.fsdecode(b"Gel\xe4nde"), "film①²٣"):
        path = tmp_path / (name + suffix)
        if suffix == ".tif":
            tifffile.imwrite(tmp_path / "a.tif", np.stack([draw(n) for n in range(5)]))
            (tmp_path / "a.tif").rename(path)
        else:
            encode(tmp_path / f"a{suffix}", n_frames=5, format="mp4").rename(path)
        with open_video(path) as video:
            assert [read_number(frame) for frame in video] == list(range(5))
            assert VideoFacts.from_json(describe_video(video).to_json()).name == path.name
            if suffix == ".mp4":
                assert proxy_path(video).suffix == ".mp4"
        assert len(hash_samples(tmp_path)) == len(hash_content(tmp_path)) == 64


def test_memory_that_does_not_suffice_is_an_error_of_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(tmp_path / "a.mp4", n_frames=5)

    def fail(*_: Any) -> None:
        raise MemoryError

    with open_video(path) as video:
        with pytest.raises(VideoError, match=r"10{15} frames of .*'a.mp4'.* not enough memory"):
            video._stack(np.broadcast_to(np.intp(0), 10**15), ())
        monkeypatch.setattr(video, "_read", fail)
        with pytest.raises(VideoError, match=r"frame 3 of .*'a.mp4'.* not enough memory"):
            video[3]
    monkeypatch.setattr("napari_sam3.video.open._open", fail)
    with pytest.raises(VideoError, match=r"a\.mp4' can't be opened: there is not enough memory"):
        open_video(path)

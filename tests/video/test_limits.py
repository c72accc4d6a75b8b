"""Files of few bytes that ask for much memory: refused by their heads, with the setting named."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.limits import check_picture_size, open_picture
from napari_sam3.video.probe import probe_file

from .clips import draw, encode

SETTING = "NAPARI_SAM3_FRAME_MEGAPIXELS"


def write_blank_png(path: Path, side: int) -> Path:
    """A black PNG of side x side px, one bit a pixel."""
    lines = zlib.compress(bytes(side * (1 + (side + 7) // 8)), 1)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", head), (b"IDAT", lines), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)
    return path


def test_picture_of_12000_by_12000_px_is_refused_by_its_head(tmp_path: Path) -> None:
    path = write_blank_png(tmp_path / "bomb.png", 12_000)
    said = rf"'bomb.png' has frames of 12000 x 12000 px, 144 megapixels.* at most 96 .*{SETTING}"
    with pytest.raises(VideoError, match=said):
        open_video(path)


def test_the_setting_lifts_the_limit_and_sets_a_lower_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_blank_png(tmp_path / "large.png", 1500)
    with open_video(path) as video:
        assert video.shape == (1, 1500, 1500)
    monkeypatch.setenv(SETTING, "2")
    with pytest.raises(VideoError, match=r"2 megapixels.* at most 2 "):
        open_video(path)
    monkeypatch.setenv(SETTING, "0")
    check_picture_size(path, 2**31, 2**31)
    with open_video(path) as video:
        assert not video[0].any()


def test_pillows_own_limit_is_the_callers_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_blank_png(tmp_path / "large.png", 1500)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with open_picture(path) as image:
        assert image.size == (1500, 1500)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_a_program_in_the_dress_of_a_picture_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    # Pillow alone would open it, and have Ghostscript run it when it is read
    head = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    path.write_bytes(head + b"showpage\n")
    assert Image.open(path).format == "EPS"
    with pytest.raises(VideoError, match=r"a\.png.*can't be read as a picture"):
        open_video(path)


def write_gif(path: Path, side: int, n_frames: int) -> Path:
    """A GIF of a dot a frame on a ground of side x side px; 23 bytes a frame."""
    dot = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"\x21\xf9\x04\x00\x04\x00\x00\x00" + dot
    path.write_bytes(head + frame * n_frames + b"\x3b")
    return path


def test_gif_of_10000_by_10000_px_is_refused_by_its_head(tmp_path: Path) -> None:
    path = write_gif(tmp_path / "bomb.gif", 10_000, 10)
    for _ in range(2):
        with pytest.raises(VideoError, match=rf"10000 x 10000 px, 100 megapixels.*{SETTING}"):
            open_video(path)


def test_index_kept_of_a_film_does_not_lift_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gif(tmp_path / "a.gif", 1100, 3)
    monkeypatch.setattr("napari_sam3.video.probe.WORTH_KEEPING", 0)
    open_video(path).close()
    monkeypatch.setenv(SETTING, "1")
    with pytest.raises(VideoError, match=r"1100 x 1100 px.*at most 1 "):
        open_video(path)


def test_opening_keeps_few_of_large_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gif(tmp_path / "a.gif", 1000, 40)
    n_bytes = 4 * 1000 * 1000
    monkeypatch.setattr("napari_sam3.video.probe.START_BYTES", 7 * n_bytes // 2)
    _, start = probe_file(path)
    assert len(start.frames) == 3
    assert len(start.stamps) == 14
    start.close()
    with open_video(path) as video:
        assert len(video) == 40
        assert video[39].shape == (1000, 1000, 3)


def test_gif_of_very_many_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gif(tmp_path / "long.gif", 16, 5_000)
    monkeypatch.setattr("napari_sam3.video.video_file.keep_freed_memory", lambda: None)
    tracemalloc.start()
    try:
        with open_video(path) as video:
            assert len(video) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 5_000 * 200
    finally:
        tracemalloc.stop()


def test_mp4_that_announces_more_samples_than_it_has_bytes(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", n_frames=1, gop=1, b_frames=0)
    data = bytearray(path.read_bytes())
    # 2**27 samples of a byte, all in one chunk
    for table, place, value in ((b"stsz", 8, 1), (b"stsz", 12, 2**27), (b"stts", 12, 2**27)):
        struct.pack_into(">I", data, data.find(table) + place, value)
    struct.pack_into(">I", data, data.find(b"stsc") + 16, 2**27)
    path.write_bytes(data)
    with pytest.raises(VideoError, match="announces 134217728 samples, more than it has bytes"):
        open_video(path)


def test_animated_webp_of_a_large_canvas(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    first, *others = [Image.fromarray(draw(number)) for number in range(3)]
    first.save(path, save_all=True, append_images=others)
    data = bytearray(path.read_bytes())
    data[24:30] = (16_382).to_bytes(3, "little") * 2
    path.write_bytes(data)
    with pytest.raises(VideoError, match=rf"16383 x 16383 px.*{SETTING}"):
        open_video(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    "description",
    ["ImageJ=1.53t\nimages=2000000000\nframes=2000000000\n", '{"shape": [2000000000, 48, 96]}'],
)
def test_tiff_that_announces_very_many_pages(
    description: str, compression: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for number in range(3):
            writer.write(
                draw(number),
                description=description if number == 0 else None,
                metadata=None,
                contiguous=False,
                photometric="minisblack",
                compression=compression,
            )
    with pytest.warns(UserWarning, match=r"breaks off: 19999999\d\d frames at its end are lost"):
        video = open_video(path)
    assert len(video) in (1, 3)
    video.close()


def test_small_pictures_need_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> None:
        raise AssertionError("the settings were read")

    monkeypatch.setattr("napari_sam3.video.limits.read_settings", read)
    check_picture_size(Path("a.png"), 1000, 1000)

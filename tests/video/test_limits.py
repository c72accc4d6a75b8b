"""Files of few bytes that ask for much memory: refused by their heads, with the setting named."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.limits import check_picture_size, open_picture

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
    said = rf"'bomb.png' has frames of 12000 x 12000 px, 144 megapixels.* at most 64 .*{SETTING}"
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


def test_small_pictures_need_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> None:
        raise AssertionError("the settings were read")

    monkeypatch.setattr("napari_sam3.video.limits.read_settings", read)
    check_picture_size(Path("a.png"), 1000, 1000)

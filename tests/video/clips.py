"""Small video files for the tests: every frame carries its own number as a barcode."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from napari_sam3.video import Video, open_video

BITS = 10
BLOCK = 8
"""A bar's width, px: wide enough to survive chroma subsampling and hard compression."""
SIZE = (48, 96)
"""(height, width) of most clips, px."""


def draw(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Draw frame `number` as (H, W) uint8: a row of bars, its negative below, a moving ramp."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    picture = (100 + (rows * 2 + columns + 5 * number) % 40).astype(np.uint8)
    for bit in range(BITS):
        value = 235 if number >> bit & 1 else 20
        bar = slice(bit * BLOCK, (bit + 1) * BLOCK)
        picture[0:16, bar] = value
        picture[16:32, bar] = 255 - value
    return picture


def read_number(frame: NDArray[Any]) -> int:
    """Read the number off a frame, (H, W) or (H, W, 3); -1 where the bars contradict each other."""
    # no more than the bars: a picture whose size was damaged may be a very large one
    picture = np.asarray(frame[:32, : BITS * BLOCK], np.float64)
    if picture.ndim == 3:
        picture = picture.mean(axis=2)
    least = 0.2 * max(picture.max(), 1)
    number = 0
    for bit in range(BITS):
        bar = slice(bit * BLOCK + 2, (bit + 1) * BLOCK - 2)
        upper, lower = picture[3:13, bar].mean(), picture[19:29, bar].mean()
        if abs(upper - lower) < least:
            return -1
        number |= int(upper > lower) << bit
    return number


def encode(path: Any, *args: Any, **options: Any) -> Any:
    """Write a clip as `write_clip` does; one that this run of the tests has made is copied."""
    kept_clips = os.environ.get("TESTS_KEPT_CLIPS")
    if kept_clips is None or not isinstance(path, Path):
        return write_clip(path, *args, **options)
    kind = repr((path.suffix, args, sorted(options.items())))
    kept = Path(kept_clips) / f"{sha256(kind.encode()).hexdigest()}{path.suffix}"
    kept.parent.mkdir(exist_ok=True)
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            write_clip(kept.with_stem(f"new-{kept.stem}"), *args, **options).replace(kept)
    shutil.copyfile(kept, path)
    return path


def write_clip(
    path: Any,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    n_frames: int = 40,
    size: tuple[int, int] = SIZE,
    rate: Fraction | int = 25,
    gop: int | None = None,
    b_frames: int | None = None,
    options: dict[str, str] | None = None,
    pts: list[int] | None = None,
    time_base: Fraction | None = None,
    format: str | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    sound: bool = False,
) -> Any:
    """Write a clip, to a path or into an open file; `pts` are in `time_base`."""
    place = str(path) if isinstance(path, Path) else path
    container = av.open(place, "w", format=format, options=container_options or {})
    # with several threads x264 does not write the same file each time where the machine is busy
    steady = {"threads": "1"} if codec.startswith("libx264") else {}
    stream = container.add_stream(codec, rate=rate, options=steady | (options or {}))
    stream.width, stream.height, stream.pix_fmt = size[1], size[0], pix_fmt
    # x264 would write slices else, and those are another kind of file
    stream.thread_type = "FRAME"
    if gop is not None:
        stream.gop_size = gop
    if b_frames is not None:
        stream.max_b_frames = b_frames
    if time_base is not None:
        stream.codec_context.time_base = time_base
    if rotation:
        stream.set_display_rotation(rotation)
    voice = container.add_stream("aac", rate=8000) if sound else None
    for number in range(n_frames):
        frame = picture_frame(draw(number, size), pix_fmt)
        frame.time_base = time_base or 1 / Fraction(rate)
        frame.pts = pts[number] if pts is not None else number
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    if voice is not None:
        for part in range(8):
            hum = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            hum.planes[0].update(bytes(4096))
            hum.sample_rate, hum.pts = 8000, 1024 * part
            container.mux(voice.encode(hum))
        container.mux(voice.encode(None))
    container.close()
    return path


def picture_frame(grey: NDArray[np.uint8], pix_fmt: str) -> av.VideoFrame:
    """Make a frame of a picture, in the encoder's format."""
    if pix_fmt.startswith("gray1"):
        depth = int(pix_fmt.removeprefix("gray").removesuffix("le"))
        wide = (grey.astype(np.uint16) << (depth - 8)) + 1
        return av.VideoFrame.from_ndarray(wide, format=pix_fmt)
    if pix_fmt == "gray":
        return av.VideoFrame.from_ndarray(grey, format="gray")
    rgb = np.repeat(grey[..., None], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return frame if pix_fmt == "rgb24" else frame.reformat(format=pix_fmt)


def requires_encoder(codec: str) -> None:
    """Skip the test where FFmpeg was built without an encoder."""
    try:
        av.Codec(codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this FFmpeg has no encoder {codec}")


def write_dib_avi(
    path: Path,
    n_frames: int,
    *,
    bottom_up: bool,
    bits: int = 8,
    grey: bool = True,
) -> Path:
    """Write the AVI that cameras and ImageJ write: a bitmap a frame, of 8 bits with a palette."""
    height, width = SIZE
    levels = np.arange(256, dtype=np.uint8)
    # blue, green, red, 0; a palette that is not grey keeps dark and bright apart all the same
    palette = np.stack([levels, levels, levels if grey else levels // 2, 0 * levels], axis=1)
    n_bytes, n_colours = width * height * bits // 8, 256 if bits == 8 else 0
    upward = height if bottom_up else -height
    header = struct.pack("<IiiHHIIiiII", 40, width, upward, 1, bits, 0, n_bytes,
                         0, 0, n_colours, 0)  # fmt: skip
    rate = struct.pack("<4s4sIHHIIIIIIiI4H", b"vids", b"DIB ", 0, 0, 0, 0, 1, 25, 0, n_frames,
                       n_bytes, -1, 0, 0, 0, width, height)  # fmt: skip
    whole = struct.pack("<14I", 40000, 0, 0, 0x10, n_frames, 0, 1, n_bytes, width, height,
                        0, 0, 0, 0)  # fmt: skip
    stream_format = header + (palette.tobytes() if bits == 8 else b"")
    stream = chunk(b"strh", rate) + chunk(b"strf", stream_format)
    headers = chunk(b"avih", whole) + chunk(b"LIST", b"strl" + stream)
    frames, entries = b"movi", b""
    for number in range(n_frames):
        picture = draw(number)[::-1] if bottom_up else draw(number)
        if bits == 16:
            # five bits a colour
            picture = (picture.astype("<u2") >> 3) * 0b0_00001_00001_00001
        elif bits > 8:
            picture = np.repeat(picture[..., None], bits // 8, axis=2)
        entries += struct.pack("<4sIII", b"00db", 0x10, len(frames), n_bytes)
        frames += chunk(b"00db", np.ascontiguousarray(picture).tobytes())
    body = chunk(b"LIST", b"hdrl" + headers) + chunk(b"LIST", frames) + chunk(b"idx1", entries)
    path.write_bytes(chunk(b"RIFF", b"AVI " + body))
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    """A piece of a RIFF file."""
    return kind + struct.pack("<I", len(data)) + data


def forget(video: Video) -> None:
    """Empty the cache, so that the next frame is decoded."""
    if hasattr(video, "_cache"):
        video._cache.drop(video._owner)


def check_every_order(path: Path, expected: int | Sequence[int], *, turns: int = 0) -> None:
    """Read every frame's number forwards, backwards, at random and again.

    `expected` is how many frames there are, or the numbers that they carry; `turns` are the
    quarter turns to the right that a picture needs to be upright.
    """
    carried = list(range(expected)) if isinstance(expected, int) else list(expected)
    last = len(carried) - 1

    def read(frame: NDArray[Any]) -> int:
        return read_number(np.rot90(frame, -turns))

    with open_video(path) as video:
        assert [read(frame) for frame in video] == carried, "forwards"
        forget(video)
        backwards = []
        for number in range(last, -1, -1):
            # a cache this small does not hide a wrong seek
            if number % 3 == 0:
                forget(video)
            backwards.append(read(video[number]))
        assert backwards == carried[::-1], "backwards"
        picks = random.Random(0).choices(range(last + 1), k=30)
        for number in [*picks, 5, 5, 6, 5, last, 0, last]:
            forget(video)
            assert read(video[number]) == carried[number], "at random"
        if video.timestamps is not None:
            assert (np.diff(video.timestamps) > 0).all()

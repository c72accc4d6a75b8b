"""Videos for `video_access.py`: textured, grainy, each frame with its number as a barcode."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12
BLOCK = 32  # px; a bar survives any of the codecs
GRAIN = 24


@dataclass(frozen=True)
class Clip:
    """A file to be made."""

    name: str
    what: str
    n_frames: int
    size: tuple[int, int]
    codec: str
    pix_fmt: str
    gop: int
    options: tuple[tuple[str, str], ...] = ()
    is_variable: bool = False


_X264 = (("preset", "veryfast"), ("bf", "2"), ("x264-params", "scenecut=0"))
CLIPS = (
    Clip("gop250_1080p.mp4", "1080p H.264, B-frames, a keyframe every 250", 500, (1080, 1920),
         "libx264", "yuv420p", 250, _X264),
    Clip("gop12_480p.mp4", "480p H.264, B-frames, a keyframe every 12", 1000, (480, 640),
         "libx264", "yuv420p", 12, _X264),
    Clip("vfr_480p.mp4", "480p H.264, B-frames, variable rate, a keyframe every 60", 400,
         (480, 640), "libx264", "yuv420p", 60, _X264, is_variable=True),
    Clip("mjpeg_480p.avi", "480p MJPEG in AVI", 400, (480, 640), "mjpeg", "yuvj420p", 1),
    Clip("vp9_480p.mkv", "480p VP9 in Matroska, a keyframe every 60", 400, (480, 640),
         "libvpx-vp9", "yuv420p", 60, (("deadline", "realtime"), ("cpu-used", "8"))),
    Clip("h264_480p.ts", "480p H.264 in MPEG-TS, B-frames, a keyframe every 60", 400, (480, 640),
         "libx264", "yuv420p", 60, _X264),
)  # fmt: skip


def make_clip(clip: Clip, folder: Path) -> Path:
    """Write it, unless it is there already."""
    path = folder / clip.name
    if path.exists():
        return path
    rng = np.random.default_rng(0)
    height, width = clip.size
    ground = rng.integers(60, 180, (height // 8, width // 8 + 64), np.uint8)
    ground = np.kron(ground, np.ones((8, 8), np.uint8))
    # a camera's noise is most of what a real video's bytes are spent on
    grain = rng.integers(0, GRAIN, (height + 64, width + 64), np.uint8)
    steps = rng.choice([1, 2, 3, 5], clip.n_frames) if clip.is_variable else [1] * clip.n_frames
    pts = np.cumsum(steps) - steps[0]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(clip.codec, rate=Fraction(25), options=dict(clip.options))
        stream.width, stream.height, stream.pix_fmt = width, height, clip.pix_fmt
        stream.gop_size = clip.gop
        # x264 would write slices else, which decode in another way
        stream.thread_type = "FRAME"
        for number in range(clip.n_frames):
            shift = abs((2 * number) % 1000 - 500)
            y, x = rng.integers(0, 64, 2)
            grey = ground[:, shift : shift + width] + grain[y : y + height, x : x + width]
            draw_number(grey, number)
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format=clip.pix_fmt)
            frame.time_base, frame.pts = Fraction(1, 25), int(pts[number])
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def draw_number(grey: np.ndarray, number: int) -> None:
    """Draw bars for the bits, their negative below."""
    for bit in range(BITS):
        value = 235 if number >> bit & 1 else 20
        bar = slice(bit * BLOCK, (bit + 1) * BLOCK)
        grey[:BLOCK, bar] = value
        grey[BLOCK : 2 * BLOCK, bar] = 255 - value


def crop_bars(rgb: np.ndarray) -> np.ndarray:
    """Copy the part of a frame, (H, W, 3), that holds the number."""
    return np.array(rgb[: 2 * BLOCK, : BITS * BLOCK, 1])


def read_number(bars: np.ndarray) -> int:
    """Read the number off what `crop_bars` gave."""
    inner = slice(BLOCK // 4, -BLOCK // 4)
    bars = bars.reshape(2, BLOCK, BITS, BLOCK)[:, inner, :, inner].mean(axis=(1, 3))
    return sum(int(bars[0, bit] > bars[1, bit]) << bit for bit in range(BITS))

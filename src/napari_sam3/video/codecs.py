"""What this FFmpeg can read and write."""

from __future__ import annotations

import av

ENCODERS = ("libx264", "aac")
"""Encoders that films are written with."""

DECODERS = (
    "h264",
    "hevc",
    "vp9",
    "av1",
    "mpeg4",
    "mpeg2video",
    "mjpeg",
    "prores",
    "ffv1",
    "rawvideo",
)
"""Decoders of the kinds of video that people bring."""


def ffmpeg_versions() -> dict[str, str]:
    """Versions of PyAV and of the FFmpeg libraries that it carries."""
    libraries = {
        name: ".".join(map(str, version)) for name, version in sorted(av.library_versions.items())
    }
    return {"PyAV": av.__version__, "FFmpeg": str(av.ffmpeg_version_info), **libraries}


def has_codec(name: str, mode: str) -> bool:
    """Whether there is an encoder ("w") or a decoder ("r") of that name."""
    try:
        av.Codec(name, mode)  # type: ignore[arg-type]
    except ValueError:  # PyAV's UnknownCodecError
        return False
    return True

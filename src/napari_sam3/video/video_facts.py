"""What a video is known by once its results lie elsewhere: content hash, frames, times, scale."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Self

from napari_sam3.values import MOST_FRAMES, MOST_PIXELS
from napari_sam3.video.base import Video
from napari_sam3.video.content_hash import hash_content

KIND = "napari-sam3 video facts"
VERSION = 1


@dataclass(frozen=True)
class VideoFacts:
    """What is worth knowing of a video beside masks of it.

    Attributes
    ----------
    frames, height, width : int
        Its shape; height and width in px.
    name : str or None
        Of the file or folder, without its place.
    sha256 : str or None
        Of the content, as `hash_content` makes it; None for an array in memory.
    fps : float or None
        Frames a second.
    timestamps : tuple of float or None
        When each frame is shown, s.
    pixel_size : (float, float) or None
        Height and width of a pixel in `unit`.
    unit : str or None
        Of length, as "um", "nm", "mm".
    file_names : tuple of str or None
        Of the pictures that are the frames, as seen from beside the folder ("cam1/IMG_0007.JPG");
        None where frames have no files of their own.

    Raises
    ------
    ValueError
        If the numbers can't be those of a video.
    """

    frames: int
    height: int
    width: int
    name: str | None = None
    sha256: str | None = None
    fps: float | None = None
    timestamps: tuple[float, ...] | None = None
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    file_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"a video of shape {self.shape} can't be; each is at least 1")
        if self.timestamps is not None and len(self.timestamps) != self.frames:
            raise ValueError(
                f"there are {len(self.timestamps)} timestamps, but the video has {self.frames} "
                "frames"
            )
        if self.file_names is not None and len(self.file_names) != self.frames:
            raise ValueError(
                f"there are {len(self.file_names)} names of pictures, but the video has "
                f"{self.frames} frames"
            )
        positive = [self.fps, *(self.pixel_size or ())]
        if not all(n is None or (math.isfinite(n) and n > 0) for n in positive):
            raise ValueError(
                f"fps {self.fps} and pixel_size {self.pixel_size} must be positive numbers"
            )
        if (self.pixel_size is None) != (self.unit is None):
            raise ValueError(f"pixel_size {self.pixel_size} and unit {self.unit!r} go together")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return self.frames, self.height, self.width

    @property
    def frame_interval(self) -> float | None:
        """Seconds from frame to frame, the mean where it varies; None where unknown."""
        return 1 / self.fps if self.fps else None

    def time_of(self, frame_index: int) -> float | None:
        """When a frame is shown, s; None where unknown."""
        return None if self.timestamps is None else self.timestamps[frame_index]

    def may_be(self, other: VideoFacts) -> bool:
        """Whether these can be facts of the same video, as far as both tell."""
        hashes = {self.sha256, other.sha256} - {None}
        return self.shape == other.shape and len(hashes) < 2

    def to_json(self) -> str:
        """As a JSON object."""
        fields = asdict(self)
        # the names in the file tell the unit and the order of axes
        fields["timestamps_s"] = fields.pop("timestamps")
        if self.pixel_size is not None:
            fields["pixel_size"] = dict(zip("yx", self.pixel_size, strict=True))
        if self.file_names is None:
            del fields["file_names"]
        return json.dumps({"kind": KIND, "version": VERSION, **fields}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If it is something else, or of a newer version.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.get("kind") != KIND:
            raise ValueError(f"this is no JSON of the kind {KIND!r}")
        if fields.get("version") != VERSION:
            raise ValueError(
                f"version {fields.get('version')!r} of {KIND} is not known here (only {VERSION}); "
                "update napari-sam3"
            )
        try:
            if int(fields["frames"]) > MOST_FRAMES or (
                int(fields["height"]) * int(fields["width"]) > MOST_PIXELS
            ):
                raise ValueError("a video of that size can't be")
            times, size = fields.get("timestamps_s"), fields.get("pixel_size")
            names = fields.get("file_names")
            return cls(
                frames=int(fields["frames"]),
                height=int(fields["height"]),
                width=int(fields["width"]),
                **{name: fields.get(name) for name in ("name", "sha256", "fps", "unit")},
                timestamps=None if times is None else tuple(float(t) for t in times),
                pixel_size=None if size is None else (float(size["y"]), float(size["x"])),
                file_names=None if names is None else tuple(map(str, names)),
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"the {KIND} are damaged ({exc!r})") from exc


def describe_video(video: Video) -> VideoFacts:
    """Gather the facts of a video; its whole file is read once (about a second a gigabyte).

    Parameters
    ----------
    video : Video
        Of one that shows a proxy, the original is described.

    Raises
    ------
    VideoError
        If its file can't be read any more.
    """
    video = video.original
    frames, height, width = video.shape[:3]
    size, unit = video.metadata.get("pixel_size"), video.metadata.get("pixel_unit")
    if size is None or unit is None:
        size = unit = None
    return VideoFacts(
        frames,
        height,
        width,
        name=None if video.path is None else video.path.name,
        sha256=None if video.path is None else hash_content(video.path),
        fps=video.fps or None,
        timestamps=None if video.timestamps is None else tuple(video.timestamps.tolist()),
        pixel_size=None if size is None else (float(size[0]), float(size[1])),
        unit=unit,
        file_names=video.file_names,
    )

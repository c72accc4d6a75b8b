"""Which video a project is of, and where it is now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Any

from napari_sam3.errors import ProjectError, VideoError
from napari_sam3.values import MOST_FRAMES, MOST_PIXELS
from napari_sam3.video.base import Video
from napari_sam3.video.content_hash import count_bytes, hash_samples
from napari_sam3.video.folder_contents import is_pattern
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class VideoReference:
    """What a project knows of its video.

    Attributes
    ----------
    shape : (T, H, W)
        Of its frames.
    path : str or None
        Where it was; None for an array that is no file.
    relative_path : str or None
        The same, seen from the project's folder; None on another drive.
    content_hash : str or None
        As `napari_sam3.video.content_hash.hash_samples` makes it.
    n_bytes : int or None
        Size of the file, or of all files of the folder.
    fps : float or None
        Frames a second.
    choice : PlaneChoice
        Which channel, depth and scene of it, as indices.
    """

    shape: Shape
    path: str | None = None
    relative_path: str | None = None
    content_hash: str | None = None
    n_bytes: int | None = None
    fps: float | None = None
    choice: PlaneChoice = NO_CHOICE

    @classmethod
    def of(
        cls,
        video: Video | str | os.PathLike[str] | None,
        shape: Shape,
        folder: Path,
        choice: PlaneChoice = NO_CHOICE,
    ) -> VideoReference:
        """Take note of a video for a project in `folder`; of a `Video`, with its own choice.

        Raises
        ------
        VideoError
            If its file can't be read.
        """
        fps = None
        if isinstance(video, Video):
            video = video.original
            fps, choice, video = video.fps, video.choice, video.path
        if video is None:
            return cls(shape, fps=fps, choice=choice)
        place = Path(video).expanduser().absolute()
        return cls(
            shape,
            str(place),
            _relative(place, folder),
            hash_samples(place),
            count_bytes(place),
            fps,
            choice,
        )

    @property
    def name(self) -> str | None:
        """Of the file or folder, without its place."""
        # a project may come from another system
        return None if self.path is None else self.path.replace("\\", "/").rsplit("/", 1)[-1]

    def find(self, folder: Path) -> tuple[Path | None, str | None]:
        """Look for the video.

        Where it was; where it would be if it had been moved along with the project; beside the
        project and in it, under its name. What is found must have the same content, so that a
        stranger's project opens nothing that the stranger did not have. Network places are not
        asked (Windows tells them who asks), unless the project lies on the same one.

        Returns
        -------
        place : Path or None
        problem : str or None
            Why not, in words with the remedy.
        """
        if self.path is None:
            return None, (
                "the video was no file but an array in memory; open it as a layer, and choose it"
            )
        if self.content_hash is None:
            return None, (
                f"the project does not tell the content of its video {self.name!r}, so nothing is "
                "taken for it; say where it is (point_to(path))"
            )
        changed: Path | None = None
        looked: list[Path] = []
        for place in self._candidates(folder):
            if _is_foreign(str(place), str(folder)) or _leads_out(place, folder):
                continue
            looked.append(place)
            try:
                if self._is_at(place):
                    return place, None
                changed = changed or place
            except (VideoError, OSError, ValueError):  # none there, or a path that can't be
                continue
        if changed is not None:
            return None, (
                f"{str(changed)!r} is not what it was when the project was made: its content has "
                "changed, so the results may not fit. Put the video of then in its place, or say "
                "that it is the right one (point_to(path, even_if_changed=True))"
            )
        places = ", ".join(sorted({repr(str(place.parent)) for place in looked}))
        return None, (
            f"the video {self.name!r} was not found (looked in {places}); say where it is now "
            "(point_to(path))"
        )

    def moved_to(self, place: Path, folder: Path, *, even_if_changed: bool) -> VideoReference:
        """The same video at another place.

        Raises
        ------
        ProjectError
            If it is another one.
        VideoError
            If it can't be read.
        """
        place = place.expanduser().absolute()
        content_hash = hash_samples(place)
        if self.content_hash not in (None, content_hash) and not even_if_changed:
            raise ProjectError(
                f"{str(place)!r} is not the video of this project ({self.name}): its content is "
                "another. Name the right file, or say that this one is meant all the same "
                "(even_if_changed=True)"
            )
        return replace(
            self.seen_at(place, folder), content_hash=content_hash, n_bytes=count_bytes(place)
        )

    def check_choice(self, choice: PlaneChoice) -> None:
        """Make sure that a video shows the same channel, depth and scene.

        Raises
        ------
        ProjectError
            If it does not.
        """
        if choice != self.choice:
            raise ProjectError(
                f"the project is of {self.name or 'its video'} with {self.choice or 'no choice'}; "
                f"this is {choice or 'no choice'}. Choose the same, or name another folder"
            )

    def seen_at(self, place: Path, folder: Path) -> VideoReference:
        """The same, of a project in `folder`, with the video at another place."""
        return replace(self, path=str(place.absolute()), relative_path=_relative(place, folder))

    def to_json(self) -> dict[str, Any]:
        """As JSON can say it."""
        return {
            "path": self.path,
            "relative_path": self.relative_path,
            "content_hash": self.content_hash,
            "bytes": self.n_bytes,
            "shape": list(self.shape),
            "fps": self.fps,
            **({"choice": self.choice.to_json()} if self.choice else {}),
        }

    @classmethod
    def from_json(cls, data: Any, problems: list[str]) -> VideoReference | None:
        """What can be used of it; None if not even the shape can."""
        if not isinstance(data, dict):
            return None
        shape = data.get("shape")
        if not (
            isinstance(shape, list)
            and len(shape) == 3
            and all(isinstance(n, int) and not isinstance(n, bool) for n in shape)
            and min(shape) > 0
            and shape[0] <= MOST_FRAMES
            and shape[1] * shape[2] <= MOST_PIXELS
        ):
            return None
        texts: dict[str, str | None] = {}
        for name in ("path", "relative_path", "content_hash"):
            value = data.get(name)
            is_text = isinstance(value, str) and 0 < len(value) < 2**15 and "\0" not in value
            texts[name] = value if is_text else None
            if value is not None and not is_text:
                problems.append(f"the video's {name} in project.json can't be used ({value!r:.60})")
        n_bytes, fps = data.get("bytes"), data.get("fps")
        is_rate = isinstance(fps, int | float) and not isinstance(fps, bool) and 0 < fps < 1e9
        choice = NO_CHOICE
        try:
            choice = PlaneChoice.from_json(data.get("choice"))
        except VideoError as exc:
            problems.append(f"the video's choice in project.json can't be used ({exc})")
        return cls(
            (shape[0], shape[1], shape[2]),
            choice=choice,
            n_bytes=n_bytes if isinstance(n_bytes, int) else None,
            fps=float(fps) if is_rate else None,  # type: ignore[arg-type]
            **texts,
        )

    def _candidates(self, folder: Path) -> Iterator[Path]:
        assert self.path is not None
        yield Path(self.path)
        if self.relative_path is not None:
            yield Path(os.path.normpath(folder / self.relative_path))
        name = self.name
        if name and name != "..":
            yield folder.parent / name
            yield folder / name

    def _is_at(self, place: Path) -> bool:
        # what a damaged project names may block
        if not (place.is_file() or place.is_dir() or is_pattern(place)):
            raise FileNotFoundError(place)
        if self.n_bytes is not None and place.is_file() and place.stat().st_size != self.n_bytes:
            return False
        return hash_samples(place) == self.content_hash


def _relative(place: Path, folder: Path) -> str | None:
    try:
        return Path(os.path.relpath(place, folder.absolute())).as_posix()
    except ValueError:  # another drive
        return None


def _is_foreign(path: str, folder: str, *, is_windows: bool = os.name == "nt") -> bool:
    """Whether a path leads to a computer, or a device, that the project's own folder is not on."""
    if not is_windows:
        return False
    drive, home = (PureWindowsPath(p).drive.lower().replace("/", "\\") for p in (path, folder))
    return drive.startswith("\\\\") and drive != home


def _leads_out(place: Path, folder: Path) -> bool:
    """Whether a path into the project's folder goes over a link that lies in it."""
    ways = (place, *place.parents)
    return folder in ways and any(way.is_symlink() for way in ways[: ways.index(folder)])

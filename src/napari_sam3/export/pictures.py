"""Frames of the video as pictures beside its annotations, and the names that lead to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from PIL import Image

from napari_sam3.export.writer import PathLike, ResultWriter, Shape
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import Frames
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.whole_files import written_whole

Kind = Literal["jpg", "png"]

KINDS: tuple[Kind, ...] = ("jpg", "png")

_SAME = {".jpeg": ".jpg", ".jpe": ".jpg"}
_OPTIONS = {"jpg": {"quality": 95, "subsampling": 0}, "png": {"compress_level": 3}}


class FramePictures:
    """The pictures of a video's frames: how they are called, and those that were asked for.

    A frame of a folder of pictures keeps its name, with the ending of what is written; frames of
    films and stacks are called film/00007.png. What is written is the frame as it is shown: 8-bit
    RGB, turned as the file says.

    Parameters
    ----------
    facts : VideoFacts
        Of the video.
    frames : Frames, optional
        The video as 8-bit RGB; needed with `kind`.
    kind : "jpg" or "png", optional
        What to write; by default nothing.
    home : Path, optional
        The folder that the names of the video's own pictures are seen from; there nothing is
        written, since they are there.
    on_progress : callable, optional
        Called with (pictures written, pictures to write); what it raises ends the writing.
    """

    def __init__(
        self,
        facts: VideoFacts,
        frames: Frames | None = None,
        kind: Kind | None = None,
        *,
        home: Path | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if kind is not None and kind not in KINDS:
            raise ValueError(f"pictures are {kind!r}; choose from {', '.join(KINDS)}")
        if kind is not None and frames is None:
            raise ValueError("pictures of the frames can't be written without the video; name it")
        self._facts = facts
        self._frames = frames
        self.kind = kind
        self._home = home
        self._on_progress = on_progress
        self._done: set[Path] = set()  # several formats in a folder have the same

    def name(self, frame_index: int, root: Path | None = None) -> str:
        """Where a frame's picture is, as seen from a folder: its own, or the one to be written."""
        own = self._own_name(frame_index)
        if own is None:
            stem = PurePosixPath(self._facts.name or "video").stem
            return f"{stem}/{frame_index:05d}.{self.kind or 'png'}"
        if self.kind is None or (root is not None and self._is_home(root)):
            return own
        place = PurePosixPath(own)
        ending = place.suffix.lower()
        if _SAME.get(ending, ending) == f".{self.kind}":
            return own
        return str(place.with_suffix(f".{self.kind}"))

    def file_name(self, frame_index: int) -> str:
        """The last part of `name`, for formats that have folders of their own."""
        return PurePosixPath(self.name(frame_index)).name

    def folders(self, root: Path) -> set[Path]:
        """The folders that pictures would be written to, to be replaced or not."""
        if self.kind is None or self._is_home(root):
            return set()
        return {(root / self.name(n)).parent for n in range(self._facts.frames)} - {root}

    def write(self, root: Path, frames: Iterable[int]) -> None:
        """Write the pictures of frames, if some were asked for, each by its name below a folder."""
        if not self._is_home(root):
            self.write_as(frames, lambda n: root / self.name(n))

    def write_as(self, frames: Iterable[int], place_of: Callable[[int], Path]) -> None:
        """Write the pictures of frames, if some were asked for, to places of one's own."""
        if self._frames is None or self.kind is None:
            return
        places = {n: place_of(n) for n in frames}
        for done, (frame_index, place) in enumerate(places.items(), 1):
            if place not in self._done:
                place.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.fromarray(self._frames[frame_index])
                kind = "JPEG" if self.kind == "jpg" else "PNG"
                with written_whole(place) as part:
                    picture.save(part, kind, **_OPTIONS[self.kind])
                self._done.add(place)
            if self._on_progress is not None:
                self._on_progress(done, len(places))

    def _own_name(self, frame_index: int) -> str | None:
        names = self._facts.file_names
        if names is None:
            return None
        place = PurePosixPath(names[frame_index])
        # they may come out of a file
        return None if place.is_absolute() or ".." in place.parts else str(place)

    def _is_home(self, root: Path) -> bool:
        has_own = self._facts.file_names is not None
        return has_own and self._home is not None and self._home.resolve() == root.resolve()


class PicturedWriter(ResultWriter):
    """A writer of files that name a picture of each frame, which may be written too.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    pictures : FramePictures, optional
        The names, and the pictures to write; by default none is written.
    """

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
        pictures: FramePictures | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts, objects=objects)
        self._pictures = pictures or FramePictures(self.known_facts)

"""Labels with a file a picture: which frames they are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from napari_sam3.imports.frame_numbers import number_frames
from napari_sam3.video.folder_contents import look_into
from napari_sam3.video.video_facts import VideoFacts


class FramesOfFiles(NamedTuple):
    """Frames that files of labels are of.

    Attributes
    ----------
    frames : tuple of int
        Of each file, 0-based.
    known : tuple of int
        Frames that were labelled, rising: those that have a file.
    length : int
        Frames of the video, if it is the pictures beside the files; 0 if there are none.
    first : int
        The number that frame 0 has in the names.
    told : tuple of str
        What is not sure.
    """

    frames: tuple[int, ...]
    known: tuple[int, ...]
    length: int = 0
    first: int = 0
    told: tuple[str, ...] = ()

    @property
    def reach(self) -> int:
        """So many frames there are, or more where there are no pictures."""
        return max(max(self.known) + 1, self.length)


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder that are frames of one video, in their order; none if not sure."""
    return (look_into(folder).frames or ()) if folder.is_dir() else ()


def number_files(
    path: Path,
    stems: Sequence[str],
    pictures: Sequence[Path],
    first_number: int | None = None,
    facts: VideoFacts | None = None,
) -> FramesOfFiles:
    """Say which frame each file is of: its picture's place, or by the number in its name.

    A file that is given alone is of frame 0.

    Files that were written here lie beside pictures of the frames that were processed alone, so
    that the facts of the video count first.

    Parameters
    ----------
    path : Path
        The folder of the files, or one file.
    stems : sequence of str
        Names of the files, without their endings; at least one.
    pictures : sequence of Path
        The frames of the video in their order, as far as they lie there.
    first_number : int, optional
        The number that frame 0 has; names count then, whatever pictures there are.
    facts : VideoFacts, optional
        Of the video, where they lie beside the files.

    Raises
    ------
    VideoError
        As `number_frames`.
    """
    if path.is_file():
        return FramesOfFiles((0,), (0,), 1)
    said = _as_the_facts_say(stems, facts) if facts is not None and first_number is None else None
    if facts is not None and said is not None:
        return FramesOfFiles(said, tuple(sorted(said)), facts.frames)
    places = {picture.stem: n for n, picture in enumerate(pictures)}
    if first_number is None and places and places.keys() >= set(stems):
        frames = tuple(places[stem] for stem in stems)
        return FramesOfFiles(frames, tuple(sorted(frames)), len(pictures))
    numbers = number_frames([f"{stem}." for stem in stems], first=first_number)
    told = (numbers.doubt,) if numbers.doubt else ()
    return FramesOfFiles(numbers.frames, tuple(sorted(numbers.frames)), 0, numbers.first, told)


def _as_the_facts_say(stems: Sequence[str], facts: VideoFacts) -> tuple[int, ...] | None:
    """Frames by the names of the video's own pictures, or else by the numbers that stand for them.

    None where the files are called otherwise.
    """
    if facts.file_names is not None:
        places = {PurePosixPath(name).stem: n for n, name in enumerate(facts.file_names)}
    else:
        numbers = (int(s) for s in stems if s.isascii() and s.isdecimal() and len(s) < 10)
        places = {f"{n:05d}": n for n in numbers if n < facts.frames}
    return tuple(places[stem] for stem in stems) if places.keys() >= set(stems) else None

"""What the files of a folder are to each other: frames of one video, films, masks, a poster.

Told by their names alone. What is sure is sorted out; where it is not, the caller refuses.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_sam3.video.numbered_files import natural_key

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mj2"}
    | {".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".h264", ".h265"}
    | {".mkv", ".webm", ".ogv", ".avi", ".wmv", ".asf", ".flv", ".mxf", ".gif", ".y4m"}
)
"""What files of videos are called; the manifest names the same ones, a test compares them."""

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
IMAGE_SUFFIXES = TIFF_SUFFIXES | frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
MICROSCOPE_SUFFIXES = frozenset({".nd2", ".czi", ".lif"})

_ZARR = ("zarr.json", ".zgroup", ".zarray")
_SAME_KIND = {".tiff": ".tif", ".jpeg": ".jpg"}
# what programs that segment, and people, call their results beside the pictures
_RESULT = re.compile(
    r"\b(masks?|seg|segm|segment(ed|ations?)|labels?|label(l?)ed|gt|groundtruth|annotations?|"
    r"annotated|preds?|predictions?|predicted|probs?|probabilit(y|ies)|outlines?|contours?|"
    r"overlays?|flows|cp output|thumbs?|thumbnails?|previews?)\b"
)
_POSTER = re.compile(
    r"\b(posters?|covers?|thumbs?|thumbnails?|previews?|folder|fanart|banner|logo)\b"
)
# 2024-01-05_12-30-01, 20240105T123001, 00d02h15m: several numbers that are one moment
_MOMENT = re.compile(
    r"(?<![0-9])(?:"
    r"(?:19|20)[0-9]{2}([-_.]?)[01][0-9]\1[0-3][0-9]"
    r"[-_.t ]{1,3}[0-2][0-9](?:[0-5][0-9]{3}|[-_.h][0-5][0-9](?:[-_.m][0-5][0-9])?)(?:[-_.][0-9]+)?"
    r"|(?:[0-9]+d)?[0-9]+h[0-9]+m(?:[0-9]+s)?)(?![0-9])"
)
_FEWEST_FRAMES = 3
"""So many numbered pictures beside a film are taken for its frames."""


@dataclass(frozen=True)
class FolderContents:
    """The pictures and films of a folder, or those that a pattern names.

    Attributes
    ----------
    path : Path
        The folder or the pattern.
    series : tuple of tuple of Path
        Pictures that can be frames, in natural order; more than one where names tell of several
        videos.
    films : tuple of Path
        Files of videos.
    beside : tuple of Path
        Pictures that are no frames by their names: masks, posters, thumbnails.
    """

    path: Path
    series: tuple[tuple[Path, ...], ...]
    films: tuple[Path, ...]
    beside: tuple[Path, ...]

    @property
    def frames(self) -> tuple[Path, ...] | None:
        """The frames of the one video that is meant; None where that is not sure."""
        if len(self.series) != 1 or len(self.films) > 1 or (self.films and not self._is_numbered):
            return None
        return self.series[0]

    @property
    def is_of_films(self) -> bool:
        """Whether films are meant: there are some, and of pictures at most a few beside them."""
        return bool(self.films) and not self._is_numbered

    @property
    def pictures(self) -> tuple[Path, ...]:
        """All pictures, those that are no frames too."""
        return tuple(sorted([*self.beside, *sum(self.series, ())], key=natural_key))

    @property
    def _is_numbered(self) -> bool:
        pictures = sum(self.series, ())
        is_numbered = all(re.search(r"\d", file.stem) for file in pictures)
        return is_numbered and len(pictures) >= max(_FEWEST_FRAMES, len(self.films) + 1)

    def pattern_of(self, files: Sequence[Path]) -> str:
        """A pattern that names some of the pictures, and if possible no other."""
        others = {file.name for file in self.pictures} - {file.name for file in files}
        tried = [_widest(files), _narrowest(files)]
        names = (t for t in tried if not any(fnmatch.fnmatch(other, t) for other in others))
        folder = self.path.parent if is_pattern(self.path) else self.path
        return str(folder / next(names, tried[-1]))


def is_zarr(path: Path) -> bool:
    """Whether a folder is one of Zarr, an array or a group, of format 2 or 3."""
    return path.is_dir() and any((path / name).is_file() for name in _ZARR)


def is_pattern(path: Path) -> bool:
    """Whether a path names files by a pattern, as `folder/cam1_*.png`: with `*`, `?` or `[...]`.

    What is there by that very name is no pattern.
    """
    return glob.has_magic(path.name) and not path.exists() and path.parent.is_dir()


def files_at(path: Path) -> list[Path]:
    """The files in a folder, or those that a pattern names; in no order.

    Names are alike however their accents are composed.

    Raises
    ------
    OSError
        If the folder can't be read.
    """
    if path.is_dir():
        return [file for file in path.iterdir() if file.is_file()]
    pattern = _composed(path.name)
    return [
        file
        for file in path.parent.iterdir()
        if fnmatch.fnmatch(_composed(file.name), pattern)
        and (pattern.startswith(".") or not file.name.startswith("."))
        and file.is_file()
    ]


def nested_files(path: Path) -> list[Path]:
    """The files of a folder of Zarr and of the folders in it, in order; links are passed over.

    Labels that OME-Zarr keeps beside a picture are left out: they come and go.
    """
    found: list[Path] = []
    for home, folders, names in os.walk(path):
        here = Path(home)
        if here == path and "labels" in folders:
            folders.remove("labels")
        found += [here / name for name in names if not (here / name).is_symlink()]
    return sorted(file for file in found if file.is_file())


def name_of(path: Path) -> str:
    """What a video is called: the name of a file without its ending, of a folder, of a pattern.

    Of a pattern it is the folder's, and what the pattern says beside its wildcards.
    """
    if path.is_dir():
        return path.name
    if not is_pattern(path):
        return path.stem
    words = re.sub(r"\[[^]]*\]|[*?]", " ", path.stem)
    return "-".join([path.absolute().parent.name, *re.findall(r"[^\W_]+", words)])


def look_into(path: Path) -> FolderContents:
    """Find the pictures and films of a folder, or of a pattern.

    Hidden files are passed over. What a pattern names is one series: who writes it says so.

    Raises
    ------
    OSError
        If the folder can't be read.
    """
    files = [file for file in files_at(path) if not file.name.startswith(".")]
    films = tuple(sorted((f for f in files if _suffix(f) in VIDEO_SUFFIXES), key=natural_key))
    pictures = sorted((f for f in files if _suffix(f) in IMAGE_SUFFIXES), key=natural_key)
    beside = {*_posters(pictures, films), *_results(pictures)}
    rest = [file for file in pictures if file not in beside]
    if not rest and not films:
        rest, beside = pictures, set()
    if not rest:
        series: tuple[tuple[Path, ...], ...] = ()
    elif is_pattern(path):
        series = (tuple(rest),)
    else:
        series = _series(rest)
    return FolderContents(path, series, films, tuple(f for f in pictures if f in beside))


# ------------------------------------------------------------------------------ what is no frame


def _posters(pictures: Sequence[Path], films: Sequence[Path]) -> set[Path]:
    """Single pictures that go by such names, and those that are called as a film is."""
    stems = {film.stem.casefold() for film in films} | {film.name.casefold() for film in films}
    alone = [group for group in _group(pictures, _skeleton) if len(group) == 1]
    posters = {group[0] for group in alone if _POSTER.search(_words(group[0]))}
    return posters | {f for f in pictures if f.stem.casefold() in stems}


def _results(pictures: Sequence[Path]) -> set[Path]:
    """Pictures that were made of others: so called, and each with the numbers of another one."""
    found: set[Path] = set()
    groups = _group(pictures, _skeleton)
    plain = [g for g in groups if not _RESULT.search(_words(g[0]))]
    numbers = {_numbers(file.stem) for group in plain for file in group}
    stems = [file.stem.casefold() for group in plain for file in group]
    for group in groups:
        if group in plain or not all(_numbers(file.stem) in numbers for file in group):
            continue
        if _numbers(group[0].stem) or any(stem in group[0].stem.casefold() for stem in stems):
            found.update(group)
    return found


# ------------------------------------------------------------------------------------- series


def _series(pictures: Sequence[Path]) -> tuple[tuple[Path, ...], ...]:
    """Part pictures into series by their names; they come in natural order."""
    whole = (tuple(pictures),)
    firsts = [re.match(r"(\D*)(\d+)", file.stem.casefold()) for file in pictures]
    heads = [(m[1], int(m[2])) for m in firsts if m is not None]
    n_results = sum(bool(_RESULT.search(_words(file))) for file in pictures)
    is_counted = len(heads) == len(set(heads)) == len(pictures)
    if is_counted and len({word for word, _ in heads}) == 1 and n_results in (0, len(pictures)):
        return whole  # numbered in front, whatever stands behind the numbers
    groups = _group(pictures, _skeleton)
    if len(groups) == 1:
        return _by_columns(groups[0])
    keys = [_numbers(file.stem) for file in pictures]
    if len(groups) == len(pictures) and (not any(keys) or len(set(keys)) == len(keys)):
        return whole  # names that have nothing to do with each other
    return tuple(groups)


def _by_columns(files: tuple[Path, ...]) -> tuple[tuple[Path, ...], ...]:
    """Part files that differ in numbers only: one number or moment that rises makes one series."""
    columns = list(zip(*(_numbers(file.stem) for file in files), strict=True))
    changing = [n for n, column in enumerate(columns) if len(set(column)) > 1]
    if len(changing) < 2 or any(_rises(columns[n]) for n in changing) or _are_moments(files):
        return (files,)
    least = min(changing, key=lambda n: len(set(columns[n])))
    return tuple(_group(files, lambda file: _numbers(file.stem)[least]))


def _are_moments(files: Sequence[Path]) -> bool:
    """Whether the names differ in the moments that they tell of, and in nothing else."""
    found = [_MOMENT.search(file.stem.casefold()) for file in files]
    moments = [_numbers(m[0]) for m in found if m is not None]
    others = {m.string[: m.start()] + m.string[m.end() :] for m in found if m is not None}
    return len(moments) == len(files) and len(others) == 1 and _rises(moments)


def _rises(values: Sequence[Any]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _group(files: Iterable[Path], key: Callable[[Path], object]) -> list[tuple[Path, ...]]:
    groups: dict[object, list[Path]] = {}
    for file in files:
        groups.setdefault(key(file), []).append(file)
    return [tuple(group) for group in groups.values()]


# -------------------------------------------------------------------------------------- names


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _suffix(file: Path) -> str:
    return file.suffix.lower()


def _skeleton(file: Path) -> str:
    """A name without its numbers."""
    suffix = _suffix(file)
    return re.sub(r"\d+", "0", file.stem.casefold()) + _SAME_KIND.get(suffix, suffix)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", text))


def _words(file: Path) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", file.stem.casefold()))


def _widest(files: Sequence[Path]) -> str:
    """What the names have in common at both ends, and anything between."""
    names = [file.name for file in files]
    if len(names) == 1:
        return glob.escape(names[0])
    head = _common(names).rstrip("0123456789")
    tail = _common([name[len(head) :][::-1] for name in names])[::-1].lstrip("0123456789")
    return f"{glob.escape(head)}*{glob.escape(tail)}"


def _common(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    return low[: next((n for n, c in enumerate(low) if high[n] != c), len(low))]


def _narrowest(files: Sequence[Path]) -> str:
    """The first name, with digits only where numbers change."""
    rows = [re.split(r"([0-9]+)", file.name) for file in files]
    if len({len(row) for row in rows}) > 1:
        return _widest(files)
    parts = []
    for n, column in enumerate(zip(*rows, strict=True)):
        if len(set(column)) == 1:
            parts.append(glob.escape(column[0]))
        else:
            width = len(column[0]) if len(set(map(len, column))) == 1 else 0
            parts.append("[0-9]" * width or ("[0-9]*" if n % 2 else "*"))
    return "".join(parts)

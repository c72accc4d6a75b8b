"""Films kept in several TIFF files, or in fewer pages than one announces, as OME-XML tells of them.

A file names others by their names alone (OME-TIFF 6.1, `UUID FileName`). They are looked for beside
it and nowhere else, whatever is written there.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from io import BufferedReader, FileIO, UnsupportedOperation
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import tifffile

from napari_sam3.errors import VideoError

_MOST_OPEN = 8


class LoneFile(BufferedReader):
    """A file open for reading of which libraries do not learn where it lies.

    tifffile looks for others of a set itself else, and takes what is missing for black.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        super().__init__(file)

    @property
    def status(self) -> os.stat_result:
        """What the system says of the open file."""
        return os.fstat(self._file.fileno())

    def fileno(self) -> NoReturn:
        """There is none for others."""
        raise UnsupportedOperation("fileno")


def open_beside(folder: Path, name: str) -> LoneFile:
    """Open a file that another one in a folder names.

    Raises
    ------
    OSError
        If it is not in the folder, or no file; a name or a link that leads out of the folder is
        followed nowhere.
    """
    home = folder.resolve()
    try:
        place = (home / name).resolve(strict=True)
    except (ValueError, RuntimeError) as exc:
        raise FileNotFoundError(str(exc)) from exc
    if not place.is_relative_to(home):
        raise PermissionError("it lies outside the folder")
    if not stat.S_ISREG(place.stat().st_mode):
        raise FileNotFoundError("it is no file")
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return LoneFile(FileIO(place, opener=lambda path, usual: os.open(path, usual | flags)))


@dataclass(frozen=True)
class PlaneRun:
    """Planes that follow each other in one file.

    Attributes
    ----------
    file : str or None
        Its name as it is written; None for the file that tells of it.
    page : int
        Where they begin there.
    frame : int
        Which frame of the film the first one is.
    count : int or None
        How many they are; None for all pages of the file.
    """

    file: str | None
    page: int
    frame: int
    count: int | None


@dataclass(frozen=True)
class OmePlan:
    """What OME-XML says of where the planes of an image lie.

    Attributes
    ----------
    sizes : dict of str to int
        How many there are along Z, C and T, the fastest last.
    runs : list of PlaneRun
    whole : str or None
        The file that tells of all files, where this one tells of none.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    runs: list[PlaneRun] = field(default_factory=list)
    whole: str | None = None

    @property
    def axes(self) -> str:
        """The axes along which there is more than one plane."""
        return "".join(axis for axis, size in self.sizes.items() if size > 1)

    @property
    def n_planes(self) -> int:
        """How many planes there should be."""
        count = 1
        for size in self.sizes.values():
            count *= size
        return count

    @property
    def names_others(self) -> bool:
        """Whether planes lie in other files."""
        return any(run.file is not None for run in self.runs)

    def exceeds(self, n_pages: int) -> bool:
        """Whether it tells of more planes than the file has pages."""
        return max([self.n_planes, *(run.page + (run.count or 0) for run in self.runs)]) > n_pages


def read_plan(xml: str, name: str, scene: int = 0) -> OmePlan | None:
    """Read the plan of an image off the OME-XML of a file of that name; None if it holds none.

    Raises
    ------
    ValueError
        If it is damaged (`ElementTree.ParseError` is a SyntaxError).
    """
    root = ElementTree.fromstring(xml)
    part = root.find("{*}BinaryOnly")
    if part is not None:
        return OmePlan(whole=part.get("MetadataFile", ""))
    images = root.findall("{*}Image/{*}Pixels")
    if scene >= len(images):
        return None
    pixels = images[scene]
    channel = pixels.find("{*}Channel")
    samples = 1 if channel is None else int(channel.get("SamplesPerPixel", 1))
    order = [axis for axis in reversed(pixels.get("DimensionOrder", "XYZCT")) if axis in "ZCT"]
    sizes = {axis: int(pixels.get(f"Size{axis}", 1)) for axis in order}
    if samples > 1:
        sizes["C"] //= samples
    if len(sizes) != 3 or min(sizes.values()) < 1:
        return None
    runs = []
    for data in pixels.iterfind("{*}TiffData"):
        frame = 0
        for axis, size in sizes.items():
            frame = frame * size + int(data.get(f"First{axis}", 0))
        one = None if data.get("IFD") is None else "1"
        count = data.get("PlaneCount", data.get("NumPlanes", one))
        uuid, file = data.find("{*}UUID"), None
        if uuid is not None:
            file = uuid.get("FileName", uuid.text or "")
            if file.lower() == name.lower() or uuid.text == root.get("UUID"):
                file = None
        page, number = int(data.get("IFD", 0)), None if count is None else int(count)
        if min(page, frame, 0 if number is None else number) >= 0:
            runs.append(PlaneRun(file, page, frame, number or None))
    return OmePlan(sizes, runs)


class TiffFiles:
    """Files beside one that names them, a few of them open at a time.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[LoneFile, tifffile.TiffFile]] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def get(self, name: str) -> tuple[LoneFile, tifffile.TiffFile]:
        """Open a file, or take it from among those that are.

        Raises
        ------
        VideoError
            If it is gone or has changed since it was opened first.
        OSError
            If it can't be had.
        """
        found = self._open.pop(name, None)
        if found is None:
            try:
                file = open_beside(self._folder, name)
            except OSError as exc:
                if name in self._seen:
                    raise VideoError(f"{name!r} is gone ({exc}); put it back") from exc
                raise
            try:
                found = file, tifffile.TiffFile(file, name=name)
            except BaseException:
                file.close()
                raise
        while len(self._open) >= _MOST_OPEN:
            self._open.pop(next(iter(self._open)))[0].close()
        self._open[name] = found  # the one used last is closed last
        status = found[0].status
        identity = status.st_size, status.st_mtime_ns
        if self._seen.setdefault(name, identity) != identity:
            raise VideoError(f"{name!r} has changed since it was opened; open the film anew")
        return found

    def close(self) -> None:
        """Close all."""
        for file, _ in self._open.values():
            file.close()
        self._open.clear()

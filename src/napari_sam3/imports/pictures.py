"""Labels in pictures: TIFF stacks, folders of PNG or TIFF, a DAVIS or CTC folder, one picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import OWN, PROCESSED, read_sidecar
from napari_sam3.imports.ctc_lineage import Lineage, read_lineage
from napari_sam3.imports.frame_numbers import MOST_FRAMES, FrameNumbers, number_frames
from napari_sam3.imports.label_file import LabelFile, check_pixels, explain_read_errors
from napari_sam3.labels.frame_ranges import read_frames
from napari_sam3.plain_files import is_plain
from napari_sam3.values import MAX_OBJECT_ID

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
PICTURE_SUFFIXES = TIFF_SUFFIXES | {".png", ".bmp"}
PROCESSED_IN_TIFF = re.compile(rf"{PROCESSED}=([0-9,-]*)")


class TiffLabels(LabelFile):
    """A TIFF of (T, H, W) or (H, W) labels, read a frame at a time."""

    def __init__(self, path: Path) -> None:
        import tifffile

        with explain_read_errors(path):
            # names of other files, which may lie anywhere, are not followed
            self._tiff = tifffile.TiffFile(path, _multifile=False)
        try:
            with explain_read_errors(path):
                series = self._tiff.series[0]
                if self._tiff.is_ome and series.kind != "ome":
                    raise VideoError(
                        f"{str(path)!r} is one of several files of a stack (OME-TIFF); save the "
                        "labels as one file"
                    )
                shape = tuple(n for n in series.shape if n != 1)
                height, width = series.shape[-2:]
                frames = int(np.prod(series.shape[:-2], dtype=np.int64))
            if len(shape) > 3 or (len(shape) == 3 and frames == 1) or "S" in series.axes:
                raise VideoError(
                    f"{str(path)!r} has the axes {series.axes} {series.shape}; labels are "
                    "(frames, height, width): save one channel and plane alone"
                )
            size = (int(height), int(width))
            with explain_read_errors(path):
                is_one_piece = len(series.pages) != frames or series.pages[0] is None
                said = PROCESSED_IN_TIFF.search(str(self._tiff.pages.first.description))
                known = None if said is None else read_frames(said[1], frames)
            greatest = greatest_of(series.dtype)
            super().__init__(path, (frames, *size), greatest=greatest, known=known)
            self._series = series
            # ImageJ writes one page for many frames
            self._whole: NDArray[Any] | None = None
            if is_one_piece:
                with explain_read_errors(path):
                    if series.dataoffset is not None:
                        self._whole = tifffile.memmap(path, mode="r", series=0)
                    else:
                        self._whole = series.asarray()
                self._whole = self._whole.reshape(frames, *size)
        except BaseException:
            self._tiff.close()
            raise

    def _read(self, frame_index: int) -> NDArray[Any]:
        if self._whole is not None:
            return np.array(self._whole[frame_index])
        page: Any = self._series.pages[frame_index]
        return np.asarray(page.asarray())

    def close(self) -> None:
        """Give back the file."""
        self._whole = None
        self._tiff.close()


class PictureLabels(LabelFile):
    """Labels with a picture a frame; frames without one were never processed.

    In folders that were written here, or have the facts of the video beside them, the number of a
    picture is its frame; else see `number_frames`.

    Parameters
    ----------
    path : Path
        The folder, or the one picture.
    files : sequence of Path
        At least one.
    first_number : int, optional
        The number that frame 0 has.
    """

    def __init__(
        self, path: Path, files: Sequence[Path], *, first_number: int | None = None
    ) -> None:
        numbers, length = FrameNumbers((0,)), 1
        if path not in files:
            length = _length_said(files[0])
            is_sure = length > 0 or read_sidecar(path) is not None
            names = [file.name for file in files]
            numbers = number_frames(names, first=first_number, is_sure=is_sure)
        self._files = dict(zip(numbers.frames, files, strict=True))
        lineage = self._read_lineage(path, numbers.first)
        self._renamed = lineage.renamed
        first = read_picture(self._files[min(self._files)])
        # what follows may be of more bits, but PNG has no more than 16
        is_tiff = any(file.suffix.lower() in TIFF_SUFFIXES for file in files)
        greatest = MAX_OBJECT_ID if is_tiff and len(files) > 1 else greatest_of(first.dtype)
        super().__init__(
            path,
            (max(max(self._files) + 1, length), first.shape[0], first.shape[1]),
            greatest=greatest,
            known=sorted(self._files),
            may_go_on=not length,
            objects=lineage.objects,
            told=[*filter(None, [numbers.doubt]), *lineage.told],
        )

    def _read_lineage(self, path: Path, first: int) -> Lineage:
        """What lies beside the pictures of tracks; `first` is the number of frame 0."""
        return Lineage()

    def _read(self, frame_index: int) -> NDArray[Any]:
        file = self._files.get(frame_index)
        if file is None:
            return np.zeros(self.shape[1:], np.uint8)
        labels = read_picture(file)
        if not self._renamed:
            return labels
        objects = labels.astype(np.float64 if labels.dtype.kind == "f" else np.int64)
        for label in set(np.unique(labels).tolist()) & self._renamed.keys():
            objects[labels == label] = self._renamed[label]
        return objects


class CtcLabels(PictureLabels):
    """A folder of the Cell Tracking Challenge with its table of tracks.

    Parameters
    ----------
    path : Path
        The folder.
    table : Path
        The table, as res_track.txt or man_track.txt; its frames have the pictures' numbers.
    first_number : int, optional
        The number that frame 0 has, in both.
    """

    def __init__(self, path: Path, table: Path, *, first_number: int | None = None) -> None:
        files = [f for f in visible_files(path) if f.suffix.lower() in TIFF_SUFFIXES]
        if not files:
            raise VideoError(f"{str(path)!r} has {table.name}, but no masks (mask000.tif, ...)")
        self._table = table
        super().__init__(path, files, first_number=first_number)

    def _read_lineage(self, path: Path, first: int) -> Lineage:
        return read_lineage(self._table, self._files.keys(), first)


def visible_files(folder: Path) -> list[Path]:
    """The files of a folder without hidden ones, as "._mask000.tif" of macOS; by name."""
    files = sorted(f for f in folder.iterdir() if not f.name.startswith(".") and f.is_file())
    for file in files:
        if not is_plain(file):
            raise VideoError(
                f"{file.name!r} in {str(folder)!r} is a link, which may lead anywhere; put the "
                "file itself in its place"
            )
    return files


def read_picture(path: Path) -> NDArray[Any]:
    """Read a picture of labels, (H, W): grey, palette or black-and-white.

    Raises
    ------
    VideoError
        If it can't be read, or is in colour.
    """
    with explain_read_errors(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            labels = _read_by_tifffile(path)
        else:
            labels = _read_by_pillow(path)
    if labels.ndim != 2 or labels.dtype.kind not in "iubf":
        raise VideoError(
            f"the mask {str(path)!r} has shape {labels.shape} and {labels.dtype}; give a grey or "
            "palette picture of whole numbers, without colour or transparency"
        )
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def _length_said(file: Path) -> int:
    """Frames of the video as pictures that were written here tell; 0 of those of others."""
    if file.suffix.lower() != ".png":
        return 0
    from PIL import Image

    try:
        with Image.open(file) as image:
            said = re.fullmatch(r"frame [0-9]+ of ([0-9]+)", str(image.info.get(OWN)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0  # it will be said when it is read
    return int(said[1]) if said and int(said[1]) <= MOST_FRAMES else 0


def _read_by_tifffile(path: Path) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path, _multifile=False) as tiff:
        first: Any = tiff.pages.first
        check_pixels(path, first.imagelength, first.imagewidth)
        return np.asarray(tiff.asarray())


def _read_by_pillow(path: Path) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image)
    except Image.DecompressionBombError as exc:
        raise VideoError(
            f"{str(path)!r} says that it has too many pixels ({exc}); give a picture of the "
            "video's size"
        ) from exc


def greatest_of(dtype: Any) -> int:
    """The greatest label that numbers of a type can be; those of floats are known when read."""
    kind = np.dtype(dtype)
    return min(int(np.iinfo(kind).max), MAX_OBJECT_ID) if kind.kind in "iu" else MAX_OBJECT_ID

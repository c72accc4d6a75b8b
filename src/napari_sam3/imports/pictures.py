"""Labels in pictures: TIFF stacks, folders of PNG or TIFF, a DAVIS or CTC folder, one picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import read_sidecar
from napari_sam3.imports.label_file import LabelFile, explain_read_errors
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.numbered_files import natural_key

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
PICTURE_SUFFIXES = TIFF_SUFFIXES | {".png", ".bmp"}


class TiffLabels(LabelFile):
    """A TIFF of (T, H, W) or (H, W) labels, read a frame at a time."""

    def __init__(self, path: Path) -> None:
        import tifffile

        with explain_read_errors(path):
            self._tiff = tifffile.TiffFile(path)
        try:
            with explain_read_errors(path):
                series = self._tiff.series[0]
                shape = tuple(n for n in series.shape if n != 1)
            height, width = series.shape[-2:]
            frames = int(np.prod(series.shape[:-2], dtype=np.int64))
            if len(shape) > 3 or (len(shape) == 3 and frames == 1) or "S" in series.axes:
                raise VideoError(
                    f"{str(path)!r} has the axes {series.axes} {series.shape}; labels are "
                    "(frames, height, width): save one channel and plane alone"
                )
            size = (int(height), int(width))
            super().__init__(path, (frames, *size), greatest=greatest_of(series.dtype))
            self._series = series
            # ImageJ writes one page for many frames, all in one piece
            self._whole: NDArray[Any] | None = None
            if len(series.pages) != frames or series.pages[0] is None:
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
    """Labels with a picture a frame.

    Where the facts of the video lie beside the folder, or the numbers begin with 0, the number of a
    picture is its frame, and frames without one are background. Else they follow each other from
    frame 0 on.

    Parameters
    ----------
    path : Path
        The folder, or the one picture.
    files : sequence of Path
        At least one.
    objects : ObjectTable, optional
        As `LabelFile` takes it.
    problems : sequence of str
        As `LabelFile` takes them.
    renamed : mapping of int to int, optional
        Ids of objects whose labels in the pictures are others.
    """

    def __init__(
        self,
        path: Path,
        files: Sequence[Path],
        *,
        objects: ObjectTable | None = None,
        problems: Sequence[str] = (),
        renamed: Mapping[int, int] | None = None,
    ) -> None:
        self._renamed = dict(renamed or {})
        files = sorted(files, key=natural_key)
        numbers = [_number(file) for file in files]
        are_frames = None not in numbers and len(set(numbers)) == len(files)
        if are_frames and (numbers[0] == 0 or read_sidecar(path) is not None):
            self._files = {n: file for n, file in zip(numbers, files, strict=True) if n is not None}
        else:
            self._files = dict(enumerate(files))
        first = read_picture(files[0])
        greatest = greatest_of(first.dtype)
        shape = (max(self._files) + 1, first.shape[0], first.shape[1])
        super().__init__(path, shape, greatest=greatest, objects=objects, problems=problems)

    def _read(self, frame_index: int) -> NDArray[Any]:
        file = self._files.get(frame_index)
        if file is None:
            return np.zeros(self.shape[1:], np.uint8)
        labels = read_picture(file)
        if not self._renamed:
            return labels
        objects = labels.astype(np.int64)
        for label in set(np.unique(labels).tolist()) & self._renamed.keys():
            objects[labels == label] = self._renamed[label]
        return objects


def open_ctc(folder: Path, table: Path) -> PictureLabels:
    """Open a folder of the Cell Tracking Challenge with its table of tracks.

    The only child of a track that ended earlier than a frame before is no daughter: that is how
    the challenge says that an object was away. It gets its first track's label.
    """
    files = [f for f in folder.iterdir() if f.suffix.lower() in TIFF_SUFFIXES and f.is_file()]
    if not files:
        raise VideoError(f"{str(folder)!r} has {table.name}, but no masks (mask000.tif, ...)")
    with explain_read_errors(table):
        lines = table.read_text(encoding="utf-8").splitlines()
        rows = [[int(n) for n in line.split()] for line in lines if line.strip()]
        tracks = {label: (begin, end, parent) for label, begin, end, parent in rows}
    children = Counter(parent for _, _, parent in tracks.values())
    parents: dict[int, int] = {}
    renamed: dict[int, int] = {}
    begins: dict[int, int] = {}
    for label, (begin, _, parent) in sorted(tracks.items(), key=lambda item: item[1]):
        if parent not in tracks:
            continue
        obj_id = renamed.get(parent, parent)
        if children[parent] == 1 and begin > tracks[parent][1] + 1:
            renamed[label] = obj_id
        else:
            parents[label], begins[label] = obj_id, begin
    problems: list[str] = []
    with explain_read_errors(table):
        objects = ObjectTable.from_parents(parents, begins, problems=problems)
    return PictureLabels(folder, files, objects=objects, problems=problems, renamed=renamed)


def read_picture(path: Path) -> NDArray[Any]:
    """Read a picture of labels, (H, W): grey, palette or black-and-white.

    Raises
    ------
    VideoError
        If it can't be read, or is in colour.
    """
    with explain_read_errors(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            import tifffile

            labels = np.asarray(tifffile.imread(path))
        else:
            from PIL import Image

            with Image.open(path) as image:
                labels = np.asarray(image)
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise VideoError(
            f"the mask {str(path)!r} has shape {labels.shape} and {labels.dtype}; give a grey or "
            "palette picture of whole numbers, without colour or transparency"
        )
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def greatest_of(dtype: Any) -> int:
    """The greatest label that a type of number holds; of what is no whole number, 0."""
    return int(np.iinfo(dtype).max) if np.dtype(dtype).kind in "iu" else 0


def _number(file: Path) -> int | None:
    found = re.findall(r"\d+", file.stem)
    return int(found[-1]) if found else None

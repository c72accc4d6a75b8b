"""Label TIFF: all frames in one file, for Fiji, napari and scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.base import ResultWriter, label_shape, replacing, write_all
from napari_sam3.export.spool import LabelSpool
from napari_sam3.labels.notes import ObjectNote
from napari_sam3.video.video_facts import VideoFacts

IMAGEJ_BYTES = 4 * 10**9
"""More than this, and an ImageJ TIFF can't hold it."""


class LabelTiffWriter(ResultWriter):
    """Writes a deflated TIFF of axes TYX with all frames of the video, 0 where there is nothing.

    16-bit labels are written as ImageJ does, so that Fiji shows a calibrated time series;
    32-bit labels and more than 4 GB as OME-TIFF (BigTIFF where needed).

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    frame_interval : float, optional
        Seconds from frame to frame.
    pixel_size : (float, float), optional
        (y, x), length of a pixel in `unit`.
    unit : str
        Of `pixel_size`, as "um" or "mm".
    facts : VideoFacts, optional
        Of the video; its times and scale are taken where they are not given here.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        frame_interval: float | None = None,
        pixel_size: tuple[float, float] | None = None,
        unit: str = "um",
        facts: VideoFacts | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        if facts is not None:
            frame_interval = frame_interval or facts.frame_interval
            if pixel_size is None and facts.pixel_size is not None:
                pixel_size, unit = facts.pixel_size, str(facts.unit)
        if pixel_size is not None and not (np.isfinite(pixel_size).all() and min(pixel_size) > 0):
            raise ValueError(f"pixel_size is {pixel_size}; give two positive lengths (y, x)")
        self._interval = frame_interval
        self._pixel_size = pixel_size
        self._unit = unit
        self._spool = LabelSpool(self.path.absolute().parent, shape[1:])

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        self._spool.put(frame_index, labels)

    def _finish(self) -> None:
        import tifffile

        dtype = self._dtype()
        is_imagej = dtype == np.uint16 and np.prod(self.shape) * dtype.itemsize < IMAGEJ_BYTES
        metadata = self._imagej_metadata() if is_imagej else self._ome_metadata()
        options: dict[str, Any] = {"imagej": True} if is_imagej else {"ome": True}
        if is_imagej and self._pixel_size is not None:
            y, x = self._pixel_size
            options["resolution"] = (1 / x, 1 / y)
        with replacing(self.path) as temporary:
            tifffile.imwrite(
                temporary,
                self._frames(dtype),
                shape=self.shape,
                dtype=dtype,
                compression="zlib",
                photometric="minisblack",
                metadata=metadata,
                **options,
            )

    def _dtype(self) -> np.dtype[Any]:
        least, greatest = self._spool.least, self._spool.greatest
        if least < 0 or greatest > np.iinfo(np.uint32).max:
            raise VideoError(
                f"labels {least}..{greatest} can't be written as TIFF; renumber them from 1"
            )
        return np.dtype(np.uint16 if greatest <= np.iinfo(np.uint16).max else np.uint32)

    def _frames(self, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
        for frame_index in range(self.shape[0]):
            yield self._spool.get(frame_index).astype(dtype, copy=False)

    def _imagej_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"axes": "TYX"}
        if self._interval:
            metadata |= {"finterval": self._interval, "fps": 1 / self._interval, "tunit": "sec"}
        if self._pixel_size is not None:
            metadata["unit"] = self._unit
        return metadata

    def _ome_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"axes": "TYX"}
        if self._interval:
            metadata |= {"TimeIncrement": self._interval, "TimeIncrementUnit": "s"}
        if self._pixel_size is not None:
            y, x = self._pixel_size
            unit = {"um": "µm"}.get(self._unit, self._unit)
            metadata |= {"PhysicalSizeX": x, "PhysicalSizeXUnit": unit}
            metadata |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": unit}
        return metadata

    def _release(self) -> None:
        self._spool.close()


def export_labels_tiff(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    frame_interval: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    unit: str = "um",
    facts: VideoFacts | None = None,
) -> None:
    """Write a whole (T, H, W) label array as TIFF (see `LabelTiffWriter`).

    Parameters
    ----------
    path : path-like
        Where to write; an existing file is replaced once the new one is whole.
    labels : (T, H, W) integer array-like
        Read frame by frame.
    frame_interval, pixel_size, unit, facts
        As `LabelTiffWriter` takes them.

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    options: dict[str, Any] = {"frame_interval": frame_interval, "pixel_size": pixel_size}
    options |= {"unit": unit, "facts": facts}
    write_all(LabelTiffWriter(path, label_shape(labels), **options), labels)

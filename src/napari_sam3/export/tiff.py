"""Label TIFF: all frames in one file, for Fiji, napari and scripts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.export.sidecar import PROCESSED
from napari_sam3.export.writer import LabelWriter, PathLike, Shape, exporter
from napari_sam3.labels.frame_ranges import say_frames
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.whole_files import written_whole

IMAGEJ_BYTES = 4 * 10**9
"""More than this, and an ImageJ TIFF can't hold it."""


class LabelTiffWriter(LabelWriter):
    """Writes a deflated TIFF of axes TYX with all frames of the video, 0 where there is nothing.

    Where some frames were never processed, its description tells the others: processed_frames.
    16-bit labels are written as ImageJ does, so that Fiji shows a calibrated time series;
    32-bit labels and more than 4 GB as OME-TIFF (BigTIFF where needed).

    Parameters
    ----------
    path, shape, objects
        As `ResultWriter` takes them.
    frame_interval : float, optional
        Seconds from frame to frame.
    pixel_size : (float, float), optional
        (y, x), length of a pixel in `unit`.
    unit : str
        Of `pixel_size`, as "um" or "mm".
    facts : VideoFacts, optional
        Of the video; its times and scale are taken where they are not given here.
    """

    tells_frames = True

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        frame_interval: float | None = None,
        pixel_size: tuple[float, float] | None = None,
        unit: str = "um",
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
    ) -> None:
        if facts is not None:
            frame_interval = frame_interval or facts.frame_interval
            if pixel_size is None and facts.pixel_size is not None:
                pixel_size, unit = facts.pixel_size, str(facts.unit)
        if pixel_size is not None and not (np.isfinite(pixel_size).all() and min(pixel_size) > 0):
            raise ValueError(f"pixel_size is {pixel_size}; give two positive lengths (y, x)")
        super().__init__(path, shape, facts=facts, objects=objects)
        self._interval = frame_interval
        self._pixel_size = pixel_size
        self._unit = unit

    def _finish(self) -> None:
        import tifffile

        is_small = self._frames.greatest <= np.iinfo(np.uint16).max
        dtype = np.dtype(np.uint16 if is_small else np.uint32)
        is_imagej = dtype == np.uint16 and np.prod(self.shape) * dtype.itemsize < IMAGEJ_BYTES
        metadata = self._imagej_metadata() if is_imagej else self._ome_metadata()
        options: dict[str, Any] = {"imagej": True} if is_imagej else {"ome": True}
        if is_imagej and self._pixel_size is not None:
            y, x = self._pixel_size
            options["resolution"] = (1 / x, 1 / y)
        with written_whole(self.path) as part:
            tifffile.imwrite(
                part,
                self._read_frames(dtype),
                shape=self.shape,
                dtype=dtype,
                compression="zlib",
                photometric="minisblack",
                metadata=metadata,
                **options,
            )

    def _read_frames(self, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
        for frame_index in range(self.shape[0]):
            yield self._frames.get(frame_index).astype(dtype, copy=False)

    def _imagej_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = {"axes": "TYX"}
        if self._interval:
            metadata |= {"finterval": self._interval, "fps": 1 / self._interval, "tunit": "sec"}
        if self._pixel_size is not None:
            metadata["unit"] = self._unit
        if len(self.processed) < self.shape[0]:
            metadata[PROCESSED] = say_frames(self.processed)
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
        if len(self.processed) < self.shape[0]:
            metadata["Description"] = f"{PROCESSED}={say_frames(self.processed)}"
        return metadata


export_labels_tiff = exporter(LabelTiffWriter)

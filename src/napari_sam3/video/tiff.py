"""Multi-page TIFFs as video: one page a frame, read when it is asked for.

Only what is shown is in memory, however large the file. A file that breaks off opens with the
pages that are whole, and says how many are missing where it can.
"""

from __future__ import annotations

import os
import warnings
import weakref
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.picture import PICTURE_ERRORS, unreadable
from napari_sam3.video.tiff_pages import as_frame, open_stack
from napari_sam3.video.whole import warn_of_loss


class TiffStack(Video):
    """A multi-page TIFF, one page a frame, read when asked for.

    Raises
    ------
    VideoError
        If it can't be read, or is not (T, H, W) or (T, H, W, 3).
    """

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close).atexit = False
        try:
            self._source, self._lost, calibration = open_stack(path, self._file)
        except VideoError:
            self._file.close()
            raise
        except PICTURE_ERRORS as exc:
            self._file.close()
            raise unreadable(path, exc) from exc
        self._identity = self._identify()
        self._warned = False
        n_frames, step = len(self._source), calibration.step
        super().__init__(
            (n_frames, *self._source.frame_shape),
            self._source.dtype.newbyteorder("="),
            path=path,
            fps=1 / step if step else None,
            timestamps=np.arange(n_frames, dtype=np.float64) * step if step else None,
            metadata={
                "container": "tiff",
                "axes": self._source.axes,
                "frames": n_frames,
                "duration": n_frames * step if step else None,
                **calibration.metadata,
            },
        )

    @classmethod
    def open(cls, path: Path) -> TiffStack:
        """Open a file, and tell the user of frames that are missing."""
        stack = cls(path)
        warn_of_loss(path, stack._lost, len(stack), has_holes=False)
        return stack

    @property
    def breaks_off(self) -> bool:
        """Whether frames are missing at the end."""
        return self._lost != 0

    def reopen(self) -> TiffStack:
        """Open the same file once more."""
        assert self.path is not None
        return TiffStack(self.path)

    def _identify(self) -> tuple[int, int]:
        # of the open file: one that was moved away or deleted can be read on
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _read(self, frame_index: int) -> Frame:
        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            if self._identify() != self._identity:
                raise VideoError(
                    f"{str(self.path)!r} has changed since it was opened; open it anew with "
                    "open_video"
                )
            try:
                page = self._source.read(frame_index)
                if page.shape == self._source.page_shape:
                    return as_frame(page, self._source.axes).astype(self.dtype, order="C")
                reason = f"it is {page.shape}, the first one {self._source.page_shape}"
            except PICTURE_ERRORS as exc:
                reason = str(exc)
            self._warn_of_page(frame_index, reason)
            return np.zeros(self.shape[1:], self.dtype)

    def _warn_of_page(self, frame_index: int, reason: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"frame {frame_index} of {self._name} can't be read ({reason}): the file is "
                "damaged there; black is shown in its place, as for others like it",
                stacklevel=5,
            )

    def _release(self) -> None:
        with self._lock:
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffStack, (self.path,)

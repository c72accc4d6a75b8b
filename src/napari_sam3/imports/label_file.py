"""What labels in a file are to the rest of the program: frames, read when they are asked for."""

from __future__ import annotations

import operator
import struct
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import read_processed, read_sidecar
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import MAX_OBJECT_ID, ObjectMask
from napari_sam3.video.video_facts import VideoFacts

MOST_PIXELS = 2**30
"""Of a frame; a file of few bytes may say that it has more."""


class LabelFile(ABC):
    """Labels of a video as they lie in a file or folder; a context manager.

    Parameters
    ----------
    path : Path
        The file or folder.
    shape : (T, H, W)
        Of what it holds; more frames are background where the facts beside it tell of more.
    greatest : int
        No label is larger.
    known : sequence of int, optional
        Frames that were labelled, if only with background, where the format tells; all that it
        holds if left out.
    may_go_on : bool
        Whether nothing tells the length of the video.
    objects : ObjectTable, optional
        See below.
    facts : VideoFacts, optional
        What the file tells of the video; what lies beside it comes first.
    told : sequence of str
        What is not sure of the file, was changed, or can't be used; warned of, together.

    Attributes
    ----------
    path : Path
        The file or folder.
    shape : (T, H, W)
        Frames that the file does not have are background.
    dtype : dtype
        uint16, or uint32 where labels are larger.
    facts : VideoFacts or None
        Of the video, where they lie beside the file, or it tells them.
    may_go_on : bool
        Whether the video may have more frames: only some are known, and nothing tells its length.
    objects : ObjectTable
        Names, classes and divisions, where the format tells.
    """

    ndim = 3

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        *,
        greatest: int,
        known: Sequence[int] | None = None,
        may_go_on: bool = False,
        objects: ObjectTable | None = None,
        facts: VideoFacts | None = None,
        told: Sequence[str] = (),
    ) -> None:
        self.path = path
        check_pixels(path, shape[1], shape[2])
        self.facts: VideoFacts | None = read_sidecar(path) or facts
        self._frames_there = shape[0]
        if self.facts is not None:
            if self.facts.shape[1:] != shape[1:] or self.facts.frames < shape[0]:
                raise VideoError(
                    f"{str(path)!r} has labels of shape {shape}, but what lies beside it tells of "
                    f"a video of {self.facts.shape}; delete the wrong one"
                )
            shape = self.facts.shape
        self.shape = shape
        is_partial = known is not None and len(known) < self._frames_there
        self.may_go_on = may_go_on and is_partial and self.facts is None
        processed = read_processed(path, shape[0])
        if processed is not None:
            known = processed
        self._known: Sequence[int] = range(self._frames_there) if known is None else known
        is_small = greatest <= np.iinfo(np.uint16).max
        self.dtype: np.dtype[Any] = np.dtype(np.uint16 if is_small else np.uint32)
        self.objects = ObjectTable() if objects is None else objects
        for one in told:
            warnings.warn(f"{str(path)!r}: {one}", stacklevel=3)

    @abstractmethod
    def _read(self, frame_index: int) -> NDArray[Any]:
        """Read one of the frames that are there, as (H, W) integers."""

    def notes(self, frame_index: int) -> dict[int, ObjectNote]:
        """Scores of the objects on a frame, where the format tells; their source is "imported"."""
        return {}

    def processed_frames(self) -> NDArray[np.intp]:
        """Frames that were labelled, if only with background, rising; the others never were.

        Where neither the format nor a file beside it tells, they are all that it holds.
        """
        return np.asarray(self._known, np.intp)

    def close(self) -> None:  # noqa: B027 - not every file is held open
        """Give back what is held."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame_index: SupportsIndex) -> NDArray[Any]:
        """A frame as (H, W) of `dtype`, a new array.

        Raises
        ------
        IndexError
            If there is no such frame.
        VideoError
            If it can't be read, has another size, or holds what can't be labels.
        """
        number = operator.index(frame_index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no frame {number}: {str(self.path)!r} has {len(self)}")
        number %= len(self)
        if number >= self._frames_there:
            return np.zeros(self.shape[1:], self.dtype)
        with explain_read_errors(self.path):
            labels = np.asarray(self._read(number))
        if labels.shape != self.shape[1:]:
            raise VideoError(
                f"frame {number} of {str(self.path)!r} has shape {labels.shape}, the others "
                f"{self.shape[1:]}; all must be of one size"
            )
        return self._check(labels)

    def _check(self, labels: NDArray[Any]) -> NDArray[Any]:
        greatest = min(np.iinfo(self.dtype).max, MAX_OBJECT_ID)
        if labels.dtype.kind == "f":
            # beyond, a float skips whole numbers: two labels may have become one
            greatest = min(greatest, 2 ** (np.finfo(labels.dtype).nmant + 1))
            is_whole = np.isfinite(labels) & (labels == np.round(labels))
            if not is_whole.all():
                wrong = labels[~is_whole][0]
                raise VideoError(
                    f"{str(self.path)!r} holds the value {wrong}; labels are whole numbers, 0 the "
                    "background"
                )
        elif labels.dtype.kind not in "iub":
            raise VideoError(
                f"{str(self.path)!r} has {labels.dtype} values; labels are whole numbers"
            )
        if labels.size and (labels.min() < 0 or labels.max() > greatest):
            raise VideoError(
                f"{str(self.path)!r} holds the values {labels.min()} to {labels.max()} as "
                f"{labels.dtype}; labels there lie in 0..{greatest}, renumber them"
            )
        return labels.astype(self.dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def draw_masks(
    masks: Iterable[tuple[int, ObjectMask]], size: tuple[int, int]
) -> NDArray[np.uint32]:
    """Draw objects that may overlap: the higher score keeps the pixel, of equals the first."""
    labels = np.zeros(size, np.uint32)
    for obj_id, mask in sorted(masks, key=lambda item: -item[1].score):
        place = labels[mask.slices]
        place[mask.crop & (place == 0)] = obj_id
    return labels


_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, SyntaxError, ArithmeticError),
    *(RuntimeError, AttributeError, struct.error, zlib.error),
)
"""What the readers of TIFF, PNG, Zarr and JSON raise on damaged files."""


def check_pixels(path: Path, height: int, width: int) -> None:
    """Refuse frames of more than `MOST_PIXELS`, before memory is taken for them."""
    if height * width > MOST_PIXELS:
        raise VideoError(
            f"{str(path)!r} says that its frames have {height} x {width} px; at most "
            f"{MOST_PIXELS} px can be labelled"
        )


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Turn what libraries say about a file into a `VideoError` that names it."""
    try:
        yield
    except VideoError:
        raise
    except _DAMAGE as exc:
        reason = getattr(exc, "strerror", None) or f"{type(exc).__name__}: {exc}"
        raise VideoError(
            f"the labels in {str(path)!r} can't be read ({reason}); the file may be damaged"
        ) from exc
    except MemoryError as exc:
        raise VideoError(f"the labels in {str(path)!r} are too large for this machine") from exc

"""What a video is to the rest of the program: an array of frames that is read when it is asked for.

`Video` is the array protocol and nothing else; one small subclass a kind of source reads frames.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.errors import VideoError
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.video.prefetch import Prefetch

Frame = NDArray[Any]


class Video(ABC):
    """Frames in order of presentation, read lazily; behaves like a read-only numpy array.

    Reading is safe from several threads at once. What is given out is always a copy of the
    caller's own: writing into it changes nothing here.

    Attributes
    ----------
    shape : tuple of int
        (T, H, W, 3) for colour, always red, green, blue; (T, H, W) for grey.
    dtype : numpy dtype
        uint8 for colour files; grey files keep their depth (uint8, uint16, float32); arrays keep
        their own.
    fps : float or None
        Frames a second; the mean where the rate varies; None where it is unknown.
    timestamps : (T,) float64 ndarray or None
        When each frame is shown, s, as the file says it (the first one need not be 0); read-only.
    path : Path or None
        The file or folder; None for an array in memory.
    choice : PlaneChoice
        Which channel, depth and scene of it these frames are; nothing where it holds one of each.
    metadata : mapping of str to Any
        What else is known: for files `container`, `codec`, `pixel_format`, `duration` (s),
        `constant_frame_rate`, ...
    for_screen : callable or None
        Asked first what indexing with a key gives; what it does not answer (None) is read. For a
        window, which must not wait; whoever computes with frames never gets its answers.
    """

    for_screen: Callable[[Any], Frame | None] | None = None

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        *,
        path: Path | None = None,
        fps: float | None = None,
        timestamps: NDArray[np.float64] | None = None,
        metadata: Mapping[str, Any] | None = None,
        choice: PlaneChoice = NO_CHOICE,
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.path = path
        self.choice = choice
        self.fps = fps
        if timestamps is not None:
            timestamps = np.asarray(timestamps, np.float64)
            timestamps.flags.writeable = False
        self.timestamps = timestamps
        self.metadata: Mapping[str, Any] = MappingProxyType(dict(metadata or {}))
        self._closed = False

    # ------------------------------------------------------------ to be given by a source

    @abstractmethod
    def _read(self, frame_index: int) -> Frame:
        """Read one frame as a new array; `frame_index` lies in 0..T-1. Called from any thread."""

    @abstractmethod
    def reopen(self) -> Video:
        """Open the same source once more, with a handle (and a lock) of its own."""

    @property
    def original(self) -> Video:
        """The video whose values are true: this one, unless it is only good for showing."""
        return self

    @property
    def file_names(self) -> tuple[str, ...] | None:
        """Of the pictures that are the frames, as seen from beside `path`; None without any."""
        return None

    def _release(self) -> None:  # noqa: B027  (many sources hold nothing)
        """Give back what the source holds; called once."""

    # ------------------------------------------------------------------------- lifetime

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Give back files and memory; closing twice does no harm, reading afterwards raises."""
        if not self._closed:
            self._closed = True
            self._release()

    def _check_open(self) -> None:
        if self._closed:
            raise VideoError(f"{self._name} is closed; open it again with reopen()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------- array

    @property
    def ndim(self) -> int:
        """3 for grey, 4 for colour."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values, as numpy counts."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes that all frames would take as one array."""
        return self.size * self.dtype.itemsize

    @property
    def is_rgb(self) -> bool:
        """Whether frames are (H, W, 3)."""
        return self.ndim == 4

    def frame(self, frame_index: SupportsIndex) -> Frame:
        """Read one frame.

        Parameters
        ----------
        frame_index : int
            0-based; negative counts from the end.

        Returns
        -------
        (H, W) or (H, W, 3) ndarray
            A new, writable array.

        Raises
        ------
        IndexError
            If there is no such frame.
        VideoError
            If the video is closed or can't be read any more, or memory does not suffice.
        """
        return self._checked_read(frame_index, self._read)

    def _checked_read(self, frame_index: SupportsIndex, read: Callable[[int], Frame]) -> Frame:
        number = operator.index(frame_index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"index {number} is out of bounds for axis 0 with size {len(self)}")
        self._check_open()
        try:
            return read(number % len(self))
        except MemoryError as exc:
            raise out_of_memory(f"frame {number % len(self)} of {self._name}", "be read") from exc

    def frame_unless(
        self, frame_index: SupportsIndex, is_unwanted: Callable[[], bool]
    ) -> Frame | None:
        """Read one frame, as `frame` does, or give up on the way to it where that is long.

        Parameters
        ----------
        frame_index : int
        is_unwanted : callable
            Asked on the way, from this thread; True gives up.

        Returns
        -------
        (H, W) or (H, W, 3) ndarray, or None
            None if it was given up.
        """
        return self.frame(frame_index)

    def decoding_cost(self, frame_index: int) -> int:
        """How many frames must be decoded to have one (0..T-1): 0 where it is in memory."""
        return 1

    def frames(
        self, start: int | None = None, stop: int | None = None, step: int | None = None
    ) -> Prefetch:
        """Read frames one after another, decoding ahead in a thread.

        For who goes through a video, forwards or backwards, beside others who look here and there:
        the frames are read apart from theirs, and reading them disturbs nobody's cache.

        Parameters
        ----------
        start, stop, step : int, optional
            As in a slice: `frames(step=-1)` is the whole video backwards.

        Returns
        -------
        Prefetch
            An iterator of (H, W) or (H, W, 3) arrays, with a `len` (frames still to come) and
            `close`; also a context manager. Errors are raised where the frame would have come.

        Raises
        ------
        ValueError
            If `step` is 0.
        VideoError
            If the video is closed.
        """
        numbers = range(len(self))[slice(start, stop, step)]
        self._check_open()
        reader = self._reader(numbers.step)
        on_close = None if reader is self else reader.close
        return Prefetch(reader.frame, numbers, self.nbytes // len(self), on_close)

    def _reader(self, step: int) -> Video:
        """What frames that follow each other are read from: this video, or a twin of it."""
        return self

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Frame]:
        for frame_index in range(len(self)):
            yield self.frame(frame_index)

    def __getitem__(self, key: Any) -> Any:
        """Read what numpy would give for the same key, decoding only the frames it touches.

        Takes integers, slices (strided, backwards), an ellipsis, integer and boolean arrays,
        and tuples of them, as numpy does.
        """
        if self.for_screen is not None:
            shown = self.for_screen(key)
            if shown is not None:
                return shown
        parts = _complete_key(key, self.ndim)
        place = next(n for n, part in enumerate(parts) if part is not None and part is not Ellipsis)
        head, rest = parts[place], tuple(parts[place + 1 :])
        is_plain = place == 0 and all(isinstance(k, slice) or _is_integer(k) for k in rest)
        if is_plain and _is_integer(head):
            return self.frame(head)[rest]
        numbers = np.arange(len(self))[(head,)]
        if is_plain:
            # each frame is cut before the next one is read
            stacked = self._stack(numbers.ravel(), rest)
            return stacked.reshape(numbers.shape + stacked.shape[1:])
        if isinstance(head, slice):
            parts[place] = slice(None)
        else:
            shape = numbers.shape
            numbers, inverse = np.unique(numbers, return_inverse=True)
            parts[place] = inverse.reshape(shape)
        return self._stack(numbers, ())[tuple(parts)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the whole video as one array, (T, H, W) or (T, H, W, 3)."""
        if copy is False:
            raise ValueError("a video can't become an array without a copy: its frames are decoded")
        whole: NDArray[Any] = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _stack(self, numbers: NDArray[np.intp], rest: tuple[Any, ...]) -> NDArray[Any]:
        """Read the frames `numbers` (in 0..T-1), cut each with `rest`, and stack them."""
        probe = np.broadcast_to(np.zeros((), self.dtype), self.shape[1:])[rest]
        try:
            out = np.empty((numbers.size, *probe.shape), self.dtype)
        except (MemoryError, ValueError) as exc:
            # more than numpy can count is a ValueError
            raise out_of_memory(f"{numbers.size} frames of {self._name}", "be read") from exc
        # in rising order, whatever was asked for: forwards is how files are read fastest
        done = -1
        for place in np.argsort(numbers, kind="stable"):
            if done >= 0 and numbers[place] == numbers[done]:
                out[place] = out[done]
            else:
                out[place] = self.frame(numbers[place])[rest]
            done = int(place)
        return out

    # ----------------------------------------------------------------------------- text

    @property
    def _name(self) -> str:
        return f"the video {self.path.name!r}" if self.path is not None else "the video"

    def __repr__(self) -> str:
        name = repr(str(self.path)) if self.path is not None else "in memory"
        rate = f", {self.fps:.6g} fps" if self.fps else ""
        state = ", closed" if self._closed else ""
        return f"<{type(self).__name__} {name}: {self.shape} {self.dtype}{rate}{state}>"


def out_of_memory(what: str, verb: str) -> VideoError:
    """Say that memory does not suffice for something."""
    return VideoError(
        f"{what} can't {verb}: there is not enough memory; take fewer frames or smaller ones, or "
        "close other programs"
    )


def _is_integer(key: Any) -> bool:
    return not isinstance(key, bool | np.bool_ | np.ndarray) and hasattr(key, "__index__")


def _complete_key(key: Any, ndim: int) -> list[Any]:
    """A key's parts, with slices for the axes that it leaves out: one at least picks frames."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(part, bool | np.bool_) for part in parts):
        raise IndexError("a single True or False is no index; give an array of them")
    # a boolean array uses up as many axes as it has
    used = sum(
        np.ndim(part) if getattr(part, "dtype", None) == np.bool_ else 1
        for part in parts
        if part is not None and part is not Ellipsis
    )
    if used > ndim:
        raise IndexError(
            f"too many indices for array: array is {ndim}-dimensional, but {used} were indexed"
        )
    ellipses = [n for n, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    place = ellipses[0] if ellipses else len(parts)
    if used < ndim:
        parts[place : place + 1] = [slice(None)] * (ndim - used)
    # an ellipsis that stands for no axis stays: it parts index arrays, which numpy heeds
    return parts

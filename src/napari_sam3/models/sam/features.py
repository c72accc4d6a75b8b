"""The image encoder's output of a video's frames: kept, made ahead, made while nobody works.

The encoder is most of what a frame costs, and what it gives does not depend on prompts. So a
frame is encoded once: clicks on it, a second propagation and the backward pass find it here.
"""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.feature_cache import SHARED_FEATURES, FeatureCache
from napari_sam3.models.sam.feature_files import Encoded, FeatureKey
from napari_sam3.models.sam.idle import IdleWork
from napari_sam3.values import Frames

__all__ = ["Encoded", "FeatureSource", "ImageEncoder"]

AHEAD = 2
"""Frames that are decoded and preprocessed while the model works on the one before them."""
AROUND = 16
"""Frames on either side of the one looked at that are encoded while nobody works."""
_SHARE = 0.5  # of the memory budget that frames encoded on suspicion may take


class ImageEncoder(Protocol):
    """The part of a model that sees the frame and no prompt.

    Attributes
    ----------
    key : str
        Changes with whatever changes the output: weights, resolution, precision, versions.
    device : Device
    """

    key: str
    device: Device

    def preprocess(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """(H, W, 3) uint8 to (1, 3, S, S) float32 on the CPU; called from any thread."""
        ...

    def encode(self, pixels: torch.Tensor) -> Encoded:
        """(1, 3, S, S) on the device to what is kept of a frame, by name; on the device.

        Only what can't be had again cheaply: no position encodings. Called inside
        `device.computing()`. What comes back is made contiguous, so give maps as (1, C, H, W)
        and permute what was got from a `FeatureSource`.
        """
        ...


class FeatureSource:
    """What an image encoder makes of the frames of one video.

    Used by one thread at a time, but for `prefetch` and `close`.

    Parameters
    ----------
    frames : Frames
    encoder : ImageEncoder
    cache : FeatureCache
        Where features are kept; the process's own unless told otherwise.
    """

    def __init__(
        self, frames: Frames, encoder: ImageEncoder, cache: FeatureCache = SHARED_FEATURES
    ) -> None:
        self.frames = frames
        self.encoder = encoder
        self.cache = cache
        self.n_encoded = 0
        self._identity: tuple[str, bool] | None = None
        self._expected = range(0)
        self._ahead: dict[int, Future[torch.Tensor | None]] = {}
        self._reader: ThreadPoolExecutor | None = None
        self._frame_nbytes = 0
        self._last: tuple[int, Encoded] | None = None
        self._idle = IdleWork(encoder.device, self._encode_idly)
        self._closed = False

    def get(self, frame_index: int) -> Encoded:
        """The features of a frame: kept ones, else encoded now.

        Returns
        -------
        mapping of str to tensor
            On the device, contiguous; not to be written into.

        Raises
        ------
        OutOfDeviceMemoryError
            If the device's memory is used up.
        """
        self._idle.interrupt(unless=frame_index)
        self._move_on(frame_index)
        if self._last is not None and self._last[0] == frame_index:
            return self._last[1]
        self._last = None
        encoded = self._kept(frame_index)
        if encoded is None:
            # whoever encodes holds the device; afterwards the frame may be there
            with self.encoder.device.computing():
                encoded = self._kept(frame_index)
                if encoded is None:
                    encoded = self._encode(frame_index, self._take_pixels(frame_index))
        with self.encoder.device.telling_of_memory():
            there = {name: t.to(self.encoder.device.torch) for name, t in encoded.items()}
        self._last = (frame_index, there)
        return there

    def expect(self, frame_indices: range) -> None:
        """Say which frames will be asked for next, in that order: they are read ahead."""
        self._expected = frame_indices
        for frame_index in [i for i in self._ahead if i not in frame_indices]:
            self._ahead.pop(frame_index).cancel()
        if frame_indices:
            self._key(frame_indices[0])
        self._tell_cache()
        self._read_ahead()

    def prefetch(self, frame_index: int) -> None:
        """Encode this frame and those around it while nobody works; returns at once.

        `get` stops it, in the midst of a frame too, unless that very frame is asked for.
        """
        if self._closed or max(self.cache.memory_budget, self.cache.disk_budget) == 0:
            return
        self._idle.start(self._frames_around(frame_index))

    @property
    def preparing(self) -> int | None:
        """The frame being encoded while nobody works; None if there is none."""
        return self._idle.doing

    def close(self) -> None:
        """End all threads; what is kept stays in the cache."""
        self._closed = True
        self._idle.close()
        self._last = None
        for task in self._ahead.values():
            task.cancel()
        self._ahead.clear()
        if self._reader is not None:
            self._reader.shutdown()
            self._reader = None
        if self._identity is not None:
            self._expected = range(0)
            self._tell_cache()

    # ------------------------------------------------------------ encoding

    def _encode(self, frame_index: int, pixels: torch.Tensor) -> Encoded:
        device = self.encoder.device
        begin = perf_counter()
        with device.computing():
            made = self.encoder.encode(pixels.to(device.torch))
            encoded = {name: _own(tensor) for name, tensor in made.items()}
        seconds = perf_counter() - begin
        self.n_encoded += 1
        self._frame_nbytes = sum(tensor.nbytes for tensor in encoded.values())
        self.cache.put(self._key(frame_index), encoded, seconds)
        return encoded

    def _kept(self, frame_index: int) -> Encoded | None:
        return self.cache.get(self._key(frame_index))

    def _key(self, frame_index: int) -> FeatureKey:
        if self._identity is None:
            identity = self.frames.identity
            self._identity = (
                (_passing_identity(self.frames, self.cache), False)
                if identity is None
                else (identity, True)
            )
        video, is_lasting = self._identity
        return FeatureKey(video, self.encoder.key, frame_index, is_lasting)

    # ------------------------------------------------------- reading ahead

    def _move_on(self, frame_index: int) -> None:
        """Take note that a frame is asked for: those expected before it are over."""
        if frame_index in self._expected:
            place = self._expected.index(frame_index)
            self._expected = self._expected[place + 1 :]
        else:
            self._expected = range(0)
        self._tell_cache()
        for passed in [i for i in self._ahead if i != frame_index and i not in self._expected]:
            self._ahead.pop(passed).cancel()
        self._read_ahead()

    def _tell_cache(self) -> None:
        if self._identity is not None:
            self.cache.expect(self._key(0), self._expected)

    def _read_ahead(self) -> None:
        for frame_index in self._expected[:AHEAD]:
            key = self._key(frame_index)
            if frame_index in self._ahead or self.cache.has_in_memory(key):
                continue
            if self._reader is None:
                self._reader = ThreadPoolExecutor(1, "read frames ahead")
            self._ahead[frame_index] = self._reader.submit(self._read, key)

    def _read(self, key: FeatureKey) -> torch.Tensor | None:
        """Fetch a frame's features from disk into memory; where there are none, its pixels."""
        if self.cache.get(key) is not None:
            return None
        return self.encoder.preprocess(self.frames[key.frame_index])

    def _take_pixels(self, frame_index: int) -> torch.Tensor:
        task = self._ahead.pop(frame_index, None)
        pixels = None if task is None else task.result()
        if pixels is None:
            pixels = self.encoder.preprocess(self.frames[frame_index])
        return pixels

    # ---------------------------------------------------------------- idle

    def _frames_around(self, centre: int) -> Iterator[int]:
        """Frames not kept yet, the nearest first; as many as do not fill the cache."""
        room = _SHARE * max(self.cache.memory_budget, self.cache.disk_budget)
        for seen, frame_index in enumerate(_nearest_first(centre, len(self.frames))):
            if seen * self._frame_nbytes > room:
                return
            if not self.cache.holds(self._key(frame_index)):
                yield frame_index

    def _encode_idly(self, frame_index: int) -> None:
        if not self.cache.holds(self._key(frame_index)):
            self._encode(frame_index, self.encoder.preprocess(self.frames[frame_index]))


def _nearest_first(centre: int, n_frames: int) -> Iterator[int]:
    yield centre
    for distance in range(1, AROUND + 1):
        for frame_index in (centre + distance, centre - distance):
            if 0 <= frame_index < n_frames:
                yield frame_index


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous tensor on the CPU that holds no other's memory."""
    tensor = tensor.detach().cpu().contiguous()
    return tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()


_passing: weakref.WeakKeyDictionary[Frames, str] = weakref.WeakKeyDictionary()


def _passing_identity(frames: Frames, cache: FeatureCache) -> str:
    """Tell apart frames that have no name, for as long as they live."""
    if frames not in _passing:
        _passing[frames] = f"in memory {uuid.uuid4().hex}"
        weakref.finalize(frames, cache.forget, _passing[frames])
    return _passing[frames]

"""Video files: an exact index, one decoder behind a lock, the shared cache in front of it."""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import av
import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.decoder import READ_ON, Decoder
from napari_sam3.video.demuxer import identify
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.frame_cache import SHARED_CACHE, FrameCache
from napari_sam3.video.frame_format import frame_nbytes, keep_freed_memory
from napari_sam3.video.frame_index import FrameIndex
from napari_sam3.video.missing_frames import warn_of_gaps, warn_of_loss
from napari_sam3.video.probe import Probe, probe_file

JUMP_BUDGET = 64 * 2**20
"""Bytes of frames kept on the way to one that was jumped to: 20 frames of 1080p. Someone who then
steps back makes the cache take all that fits."""

SHORT_WAY = 16
"""Frames; from so near a keyframe a frame is sooner decoded again than kept: memory that is new
costs a fifth of decoding."""

NOTHING = -1
"""Not even the frame that was asked for."""

TRAIL = 32
"""Frames kept behind someone who reads forwards. Their memory goes round from then on."""

RECENT = 64
"""Where every frame is a keyframe, one is kept that is asked for again among so many."""

BATCH = 48
"""Frames that are decoded in one go for who goes backwards: seeking stops the decoder's threads,
and costs as much as decoding several frames."""

FALSE_ALARMS = 3
"""So often a frame called damaged may prove healthy; then the file is one where decoders err."""

STEP_BACK = 64
"""So many frames back are a step; more is a jump."""


class VideoFile(Video):
    """A video file, decoded with FFmpeg through PyAV.

    Frame i is the i-th frame in order of presentation, whatever was read before it. In place of
    a frame that the file announces but that can't be decoded the last good one before it is given
    (black where there is none), with one warning a video.
    """

    def __init__(self, path: Path, probe: Probe, *, cache: FrameCache = SHARED_CACHE) -> None:
        self._probe = probe
        self._index: FrameIndex = probe.index
        self._cache = cache
        self._owner = object()
        self._lock = FairLock()
        self._decoder: Decoder | None = None
        self._at_start: Decoder | None = None  # from opening, not used yet
        self._format = probe.frame_format
        self._stand_ins = probe.stand_ins
        self._reach = 0
        self._previous = -1
        self._trail: deque[int] = deque()
        self._recent: deque[int] = deque(maxlen=RECENT)
        weakref.finalize(self, cache.abandon, self._owner).atexit = False
        super().__init__(
            (len(self._index), *self._format.shape),
            self._format.dtype,
            path=path,
            fps=probe.fps,
            timestamps=self._index.times,
            metadata=probe.metadata,
        )

    @classmethod
    def open(cls, path: Path) -> VideoFile:
        """Open a file; see `napari_sam3.video.open_video`."""
        keep_freed_memory()
        probe, start = probe_file(path)
        video = cls(path, probe)
        search = _Search(video, 0, JUMP_BUDGET)
        for frame_index, frame in reversed(start.number(probe.index)):
            search.add(frame_index, frame)
        search.finish()
        video._at_start = start.take_decoder(probe.index)
        if search.corrupt is not None:
            video._check_damage(search.corrupt)
        warn_of_loss(path, probe.lost, len(video), has_holes=probe.has_holes)
        if probe.lost == 0:
            warn_of_gaps(path, *probe.metadata.get("left_out", (0, 0)))
        return video

    def reopen(self, *, cache: FrameCache | None = None) -> VideoFile:
        """Open the same file with a decoder (and a cache, if given) of its own; share the index."""
        return VideoFile(self._path, self._probe, cache=cache or self._cache)

    def _reader(self, step: int) -> VideoFile:
        # a decoder of its own, that nobody sends elsewhere. Forwards no frame is needed twice, so
        # that they would only drive others out of the cache; backwards they come out of it
        reader = self.reopen(cache=FrameCache(budget=0) if step > 0 else None)
        if -BATCH // 4 <= step < 0:
            reader._reach = min(BATCH, 2 * JUMP_BUDGET // self._probe.frame_nbytes)
        return reader

    @property
    def _path(self) -> Path:
        assert self.path is not None
        return self.path

    def _keep(self, frame_index: int, frame: av.VideoFrame) -> None:
        self._cache.put(self._owner, frame_index, frame, frame_nbytes(frame))

    def frame_unless(
        self, frame_index: SupportsIndex, is_unwanted: Callable[[], bool]
    ) -> Frame | None:
        """Read one frame, or give up on the way from its keyframe; see `Video.frame_unless`."""
        try:
            return self._checked_read(frame_index, lambda number: self._read(number, is_unwanted))
        except _GivenUpError:
            return None

    def decoding_cost(self, frame_index: int) -> int:
        """Frames from where the decoder stands, or from the keyframe; 0 for one in the cache."""
        shown = self._stand_ins.get(frame_index, frame_index)
        if shown is None or self._cache.holds(self._owner, shown):
            return 0
        decoder = self._decoder
        last = -1 if decoder is None else decoder.last
        key = int(self._index.key_frames[self._index.key_before(shown)])
        if last < shown and (last >= key or shown - last <= READ_ON):
            return shown - last
        return shown - key + 1

    def _read(self, frame_index: int, is_unwanted: Callable[[], bool] = lambda: False) -> Frame:
        step_back = self._previous - frame_index
        self._previous = frame_index
        shown = self._stand_ins.get(frame_index, frame_index)
        frame = self._cache.get(self._owner, shown) if shown is not None else None
        if frame is None and shown is not None:
            frame = self._decode(shown, self._choose_budget(shown, step_back), is_unwanted)
        if frame is None:
            return np.zeros(self.shape[1:], self.dtype)
        return self._format.convert(frame)

    def _choose_budget(self, frame_index: int, step_back: int) -> int | None:
        """How many bytes of what lies on the way to a frame to keep; None for all that fits."""
        if self._reach:
            return None
        if self._index.is_all_keys:
            # decoding over and over into the same memory is twice as fast as into new
            is_known = frame_index in self._recent
            self._recent.append(frame_index)
            return 0 if is_known else NOTHING
        way = frame_index - int(self._index.key_frames[self._index.key_before(frame_index)])
        if 0 < step_back <= STEP_BACK and way >= 2 * step_back:
            # the next steps end on the way
            return None
        return JUMP_BUDGET if way >= SHORT_WAY else 0

    def _decode(
        self, frame_index: int, budget: int | None, is_unwanted: Callable[[], bool]
    ) -> av.VideoFrame | None:
        """Decode a frame, and keep what lies on the way, all or the last `budget` bytes of it.

        None if the frame can't be had, and nothing can stand for it.
        """
        with self._lock:
            self._check_open()
            # another thread may have had the same wish
            frame: av.VideoFrame | None = self._cache.get(self._owner, frame_index)
            if frame is not None:
                return frame
            if self._decoder is None:
                self._decoder = self._start_decoder("AUTO")
            follows = 0 < frame_index - self._decoder.last <= READ_ON and budget != NOTHING
            search = self._search(
                self._decoder, frame_index, None if follows else budget, is_unwanted
            )
            if search.corrupt is not None and not self._probe.warned:
                self._check_damage(search.corrupt)
            if search.found:
                if follows:
                    self._drop_behind(search.cached)
                return search.frame
            # frame threads swallow what lies just before a damage
            with closing(self._start_decoder("SLICE")) as slow:
                search = self._search(slow, frame_index, budget)
            if not search.found:
                self._add_stand_ins(frame_index, search)
            elif self._decoder.is_strict:
                self._warn_of_damage(frame_index)
                self._decoder.close()
                self._decoder = None  # the next one takes frames as they come
        return search.frame

    def _check_damage(self, frame_index: int) -> None:
        """Warn, once, of a frame that the decoder calls damaged, if it surely is.

        After a start between keyframes decoders call healthy ones so: it is decoded anew from
        further back.
        """
        if self._probe.false_alarms == FALSE_ALARMS:
            return
        key = max(0, self._index.key_before(frame_index) - 2)
        with closing(self._start_decoder("SLICE")) as decoder:
            come = decoder.read_to_end(key, self._index)
            found = next((frame for number, frame in come if number == frame_index), None)
        if found is not None and not found.is_corrupt:
            self._probe.false_alarms += 1
            return
        self._warn_of_damage(frame_index)

    def _warn_of_damage(self, frame_index: int) -> None:
        """Tell of a frame that is not what it was."""
        if not self._probe.warned:
            self._probe.warned = True
            warnings.warn(
                f"frame {frame_index} of {self._path.name!r} can't be decoded (1 of {len(self)}) "
                "as it was: the file is damaged there; it, and those that build on it or are "
                "damaged like it, are shown as the decoder makes them",
                stacklevel=6,
            )

    def _drop_behind(self, added: list[int]) -> None:
        """Let go of frames that someone who reads forwards has left behind."""
        self._trail.extend(added)
        while len(self._trail) > TRAIL:
            self._cache.discard(self._owner, self._trail.popleft())

    def _search(
        self,
        decoder: Decoder,
        frame_index: int,
        budget: int | None,
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> _Search:
        search = _Search(self, frame_index, budget)
        for number, frame in decoder.read(frame_index, self._index, reach=self._reach):
            search.add(number, frame)
            if not search.found and is_unwanted():
                search.finish()
                raise _GivenUpError
        search.finish()
        return search

    def _start_decoder(self, threads: Literal["AUTO", "SLICE"]) -> Decoder:
        if identify(self._path) != self._probe.identity:
            raise VideoError(
                f"{str(self._path)!r} has changed since it was opened; open it anew with open_video"
            )
        if threads == "AUTO" and self._at_start is not None:
            decoder, self._at_start = self._at_start, None
            return decoder
        is_strict = threads == "AUTO" and not self._probe.warned
        return Decoder(
            self._path, self._probe.stream_number, self._index.kind, threads, is_strict=is_strict
        )

    def _add_stand_ins(self, frame_index: int, search: _Search) -> None:
        """Remember what to show in place of frames that are not there; warn once."""
        stop = len(self) if search.next is None else search.next
        # one search tells it of all frames in the hole, or a long hole would take for ever
        first = frame_index if search.number is None else search.number + 1
        for number in range(first, stop):
            self._stand_ins[number] = search.number
        if not self._probe.warned:
            self._probe.warned = True
            hole = f"frames {first} to {stop - 1}" if stop - first > 1 else f"frame {first}"
            warnings.warn(
                f"{hole} of {self._path.name!r} can't be decoded ({stop - first} of {len(self)}): "
                "the file is damaged there; the last good frame (or black, where there is none) is "
                "shown in place of these, and of others like them",
                stacklevel=5,
            )

    def _release(self) -> None:
        with self._lock:
            for decoder in (self._decoder, self._at_start):
                if decoder is not None:
                    decoder.close()
            self._decoder = self._at_start = None
        self._cache.drop(self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return VideoFile.open, (self._path,)


class _GivenUpError(Exception):
    """Nobody wants the frame any more."""


class _Search:
    """What comes by on the way to a frame: some to keep, the nearest ones before and behind it."""

    def __init__(self, video: VideoFile, wanted: int, budget: int | None) -> None:
        self._video = video
        self._wanted = wanted
        self._budget = budget
        self._passed: deque[tuple[int, av.VideoFrame]] = deque()
        self._nbytes = 0
        self.number: int | None = None
        self.frame: av.VideoFrame | None = None
        self.next: int | None = None
        self.cached: list[int] = []
        self.corrupt: int | None = None

    @property
    def found(self) -> bool:
        return self.number == self._wanted

    def add(self, number: int, frame: av.VideoFrame) -> None:
        if self.corrupt is None and frame.is_corrupt:
            self.corrupt = number
        if number > self._wanted:
            self.next = number if self.next is None else min(number, self.next)
        elif self.number is None or number > self.number:
            self.number, self.frame = number, frame
        if self._budget is None:
            self._keep(number, frame)
            return
        self._passed.append((number, frame))
        self._nbytes += frame_nbytes(frame)
        while self._nbytes > self._budget and len(self._passed) > 1:
            self._nbytes -= frame_nbytes(self._passed.popleft()[1])

    def finish(self) -> None:
        """Keep the last of what came by."""
        if self._budget != NOTHING:
            for number, frame in self._passed:
                self._keep(number, frame)
        self._passed.clear()

    def _keep(self, number: int, frame: av.VideoFrame) -> None:
        self._video._keep(number, frame)
        self.cached.append(number)

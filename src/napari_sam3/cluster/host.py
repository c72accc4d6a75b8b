"""A tracker on a worker, for a session that is elsewhere: what Dask calls an actor.

All methods are coroutines, so that a stop is heard at once while a frame is computed; the tracker's
work is done in a thread of its own. Messages go in and out (`wire`), errors among them. When nobody
has called for the length of the lease, or the client is gone, everything is given back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.host_run import Run
from napari_sam3.cluster.said import (
    KeyframesKept,
    concept_from_head,
    objects_from_head,
    prompt_from_head,
)
from napari_sam3.cluster.wire import (
    RELEASE,
    VERSION,
    Head,
    decode,
    encode,
    encode_error,
    is_message,
    join,
    whole,
)
from napari_sam3.cluster.worker_limits import read_limits
from napari_sam3.cluster.worker_models import get_model, models_here, turn
from napari_sam3.cluster.worker_videos import Upload, UploadFolder, find_under_roots
from napari_sam3.errors import (
    ModelUnavailableError,
    NoWorkerError,
    Sam3Error,
    SessionNotFoundError,
    VideoError,
    WireError,
)
from napari_sam3.models.base import VideoModel, VideoTracker
from napari_sam3.models.registry import list_models
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import ObjectMask
from napari_sam3.video import PlaneChoice, Video
from napari_sam3.video.content_hash import hash_samples
from napari_sam3.video.open import open_chosen

logger = logging.getLogger(__name__)

LEASE = 900.0
"""Seconds for which a session stays that nobody calls."""

BEAT = 10.0
"""Seconds after which a call that waits for frames comes back without any."""

_open: set[TrackingHost] = set()


class TrackingHost:
    """A tracker that is spoken to by messages.

    Parameters
    ----------
    order : bytes
        A message with `lease`, seconds.
    """

    def __init__(self, order: bytes) -> None:
        head, _ = decode(order)
        self._lease = min(LEASE, float(whole(head.get("lease", int(LEASE)), 1)))
        self._limits = read_limits()
        self._uploads = UploadFolder(self._limits)
        self._upload: Upload | None = None
        self._thread = ThreadPoolExecutor(1, "session")
        self._called = time.monotonic()
        self._watch: asyncio.Task[None] | None = None
        self._video: Video | None = None
        self._tracker: VideoTracker | None = None
        self._keyframes = KeyframesKept()
        self._run: Run | None = None
        self._pump: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ beginning

    async def hello(self, message: bytes) -> bytes:
        """Say what is here, before anything is asked for."""
        self._hear()
        memory = psutil.virtual_memory()
        return encode(
            {
                "release": RELEASE,
                "wire": VERSION,
                "python": ".".join(map(str, sys.version_info[:3])),
                "process": os.getpid(),
                "sessions": len(_open),
                "most_sessions": self._limits.most_sessions,
                "roots": len(self._limits.roots),
                "free_memory": int(memory.available),
            }
        )

    async def describe(self, message: bytes) -> bytes:
        """Say which models and devices are here; for a person who asks, since libraries load."""
        self._hear()
        return encode(await asyncio.to_thread(_facts))

    async def models(self, message: bytes) -> bytes:
        """Say which models are known here, and of which the weights are here; no library loads."""
        self._hear()
        return encode({"models": await asyncio.to_thread(models_here)})

    async def load(self, message: bytes) -> bytes:
        """Load a model, if its weights are here; say what it is and what it takes."""

        def load(head: Head, masks: list[ObjectMask]) -> bytes:
            model = _model_asked(head)
            return encode(
                {
                    "name": model.name,
                    "device": model.device,
                    "capabilities": vars(model.capabilities),
                }
            )

        return await self._answer(message, load)

    async def open(self, message: bytes) -> bytes:
        """Open the video and load the model.

        The answer may be that the video must be sent first (`wanted`).
        """
        self._hear()
        if self._tracker is None and self not in _open:
            if len(_open) >= self._limits.most_sessions:
                return encode_error(NoWorkerError("this worker has no room for a further session"))
            _open.add(self)
        answer = await self._answer(message, self._begin)
        if self._tracker is None:
            _open.discard(self)
        return answer

    def _begin(self, head: Head, masks: list[ObjectMask]) -> bytes:
        path = self._find_video(head)
        if path is None:
            return encode({"wanted": True})
        said = head["video"]
        video = open_chosen(path, PlaneChoice.from_json(said.get("choice")))
        try:
            self._check_video(video, path, said)
            limits = head.get("contrast_limits")
            model = _model_asked(head)
            frames = RgbFrames(video, None if limits is None else (limits[0], limits[1]))
            self._video, self._tracker = video, model.start(frames)
        except BaseException:
            video.close()
            raise
        return encode({})

    def _find_video(self, head: Head) -> Path | None:
        said = head.get("video")
        if not isinstance(said, dict):
            raise VideoError(f"no video is named: {said!r:.80}")
        if isinstance(said.get("path"), str) and head.get("upload") is None:
            return find_under_roots(said["path"], self._limits.roots)
        if head.get("upload") is not None:
            return self._uploads.find(Upload.from_head(head["upload"]))
        return None

    def _check_video(self, video: Video, path: Path, said: Head) -> None:
        """Refuse a video that is not the one meant."""
        ours = {
            "shape": list(video.shape),
            "dtype": video.dtype.str,
            "samples": hash_samples(path),
        }
        for what in ("shape", "dtype", "samples"):
            if said.get(what) is not None and said[what] != ours[what]:
                raise VideoError(
                    f"{str(path)!r} on the worker is another video: its {what} is "
                    f"{ours[what]!r:.40}, here it is {said[what]!r:.40}; put the same file there, "
                    "or correct the mapping of paths"
                )

    # -------------------------------------------------------------- uploads

    async def begin_upload(self, message: bytes) -> bytes:
        """Make room for an upload, and say how many bytes of each file are here already."""

        def begin(head: Head, masks: list[ObjectMask]) -> bytes:
            self._upload = Upload.from_head(head.get("upload"))
            return encode({"here": self._uploads.begin(self._upload)})

        return await self._answer(message, begin)

    async def add_piece(self, message: bytes, piece: bytes) -> bytes:
        """Add a piece to a file of the upload, and say how many bytes of it are here."""

        def add(head: Head, masks: list[ObjectMask]) -> bytes:
            number, place = whole(head.get("file")), whole(head.get("place"))
            here = self._uploads.add(self._open_upload(), number, place, bytes(piece))
            return encode({"here": here})

        return await self._answer(message, add)

    async def finish_upload(self, message: bytes) -> bytes:
        """Check that the upload is whole."""

        def finish(head: Head, masks: list[ObjectMask]) -> bytes:
            self._uploads.finish(self._open_upload())
            return encode({})

        return await self._answer(message, finish)

    def _open_upload(self) -> Upload:
        if self._upload is None:
            raise WireError("a piece came of a video that nobody has begun to send")
        return self._upload

    # -------------------------------------------------------------- prompts

    async def segment(self, message: bytes) -> bytes:
        """What a prompt means on a frame."""

        def answer(head: Head, masks: list[ObjectMask]) -> bytes:
            prompt = prompt_from_head(head.get("prompt"), masks)
            with turn():
                mask = self._open_tracker().segment(whole(head.get("frame")), prompt)
            return encode({"found": mask is not None}, [] if mask is None else [mask])

        return await self._answer(message, answer)

    async def detect(self, message: bytes) -> bytes:
        """Where a concept is on a frame."""

        def answer(head: Head, masks: list[ObjectMask]) -> bytes:
            concept = concept_from_head(head.get("concept"))
            with turn():
                found = self._open_tracker().detect(whole(head.get("frame")), concept)
            return encode({}, list(found))

        return await self._answer(message, answer)

    async def look_at(self, message: bytes) -> bytes:
        """Get ready for prompts on a frame while nobody works; comes back when that is over."""
        self._hear()
        head, _ = decode(message)
        tracker = self._tracker
        if tracker is not None and (self._run is None or self._run.is_over):
            number = whole(head.get("frame"))
            await asyncio.wrap_future(self._thread.submit(tracker.prefetch, number))
            while tracker.preparing == number:
                await asyncio.sleep(0.05)
        return encode({})

    # ---------------------------------------------------------- propagation

    async def start(self, message: bytes, checkpoint: bytes = b"") -> bytes:
        """Begin a run, from a checkpoint if one is given; an earlier one ends."""
        await self._end_run()

        def begin(head: Head, masks: list[ObjectMask]) -> bytes:
            tracker = self._open_tracker()
            run = Run(whole(head.get("run")), loop)
            kept = Checkpoint.from_bytes(bytes(checkpoint)) if checkpoint else None
            journal, frames = self._keyframes.journal_from_head(head, masks, run.recall, kept)
            run.source = tracker.propagate(journal, frames, run.new_id)
            run.take_checkpoint = partial(tracker.checkpoint, step=frames.step)
            self._run = run
            return encode({})

        loop = asyncio.get_running_loop()
        answer = await self._answer(message, begin)
        run = self._run
        if run is not None and not run.is_over:
            self._pump = asyncio.create_task(run.pump(self._thread))
        return answer

    async def checkpoint(self, message: bytes) -> bytes:
        """What the tracker remembers after a frame of the run, as two messages, or as one: None."""

        def take(head: Head, masks: list[ObjectMask]) -> bytes:
            frame, step = whole(head.get("frame")), head.get("step")
            run = self._run
            kept = None if run is None else run.checkpoints.get(frame)
            if kept is None and step in (1, -1):
                kept = self._open_tracker().checkpoint(frame, step)
            return join([encode({})] if kept is None else [encode({}), kept.to_bytes()])

        answer = await self._answer(message, take)
        # an error, or what a run asks first, comes alone
        return join([answer]) if is_message(answer) else answer

    async def take(self, message: bytes) -> bytes:
        """All frames that are ready, at least one; none after `BEAT` seconds without any."""
        self._hear()
        head, _ = decode(message)
        run = self._run
        if run is None or run.number != head.get("run"):
            return join([encode_error(SessionNotFoundError("this run is over"))])
        return join(await run.take(BEAT))

    async def give(self, message: bytes) -> bytes:
        """Answer what a run has asked."""
        self._hear()
        head, masks = decode(message)
        run = self._run
        if run is not None and run.number == head.get("run"):
            answer: Any = head.get("id")
            if "objects" in head:
                answer = objects_from_head(head, masks)
            run.give(whole(head.get("ask")), answer)
        return encode({})

    async def stop(self, message: bytes) -> bytes:
        """End a run, after the frame under way; comes back when that is done."""
        self._hear()
        head, _ = decode(message)
        if self._run is not None and self._run.number == head.get("run"):
            await self._end_run()
        return encode({})

    async def _end_run(self) -> None:
        run, pump = self._run, self._pump
        self._run = self._pump = None
        if run is not None:
            run.stop()
        if pump is not None:
            await pump

    # ------------------------------------------------------------- lifetime

    async def alive(self, message: bytes) -> bytes:
        """Say that the client is there still."""
        self._hear()
        return encode({"sessions": len(_open)})

    async def close(self, message: bytes) -> bytes:
        """Give everything back."""
        await self._close()
        return encode({})

    async def _close(self) -> None:
        await self._end_run()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        tracker, self._tracker = self._tracker, None
        video, self._video = self._video, None

        def give_back() -> None:
            if tracker is not None:
                tracker.close()
            if video is not None:
                video.close()

        if tracker is not None:
            await asyncio.wrap_future(self._thread.submit(give_back))
        self._thread.shutdown(wait=False)
        self._keyframes = KeyframesKept()
        _open.discard(self)

    def _hear(self) -> None:
        """Note that somebody called."""
        self._called = time.monotonic()
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_over())

    async def _watch_over(self) -> None:
        """Close when nobody calls, or when Dask has let this actor go with its client."""
        is_held = _holder(self)
        while time.monotonic() - self._called < self._lease and is_held():
            await asyncio.sleep(min(1.0, self._lease / 4))
        logger.info("a session is closed: its client has not called, or is gone")
        await self._close()

    # -------------------------------------------------------------- working

    def _open_tracker(self) -> VideoTracker:
        if self._tracker is None:
            raise SessionNotFoundError("this session of the worker is closed")
        return self._tracker

    async def _answer(
        self, message: bytes, work: Callable[[Head, list[ObjectMask]], bytes]
    ) -> bytes:
        """Do work in the session's thread; its errors are answers too.

        Where a run waits in that thread to be told something, the answer is what it asks
        (`first`), and nothing was done: the caller must tell it, and ask anew.
        """
        self._hear()

        def do() -> bytes:
            try:
                return work(*decode(message))
            except Exception as exc:  # the process's border: raised again by who asked
                if not isinstance(exc, Sam3Error):
                    logger.exception("unforeseen error in a session")
                return encode_error(exc)

        job: Future[bytes] = self._thread.submit(do)
        done, run = asyncio.wrap_future(job), self._run
        while run is not None and not done.done():
            asking = asyncio.create_task(run.asking.wait())
            either: set[asyncio.Future[Any]] = {done, asking}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            asking.cancel()
            if run.question is not None and job.cancel():
                return encode({"first": run.question, "run": run.number})
            run = self._run
        return await done


def _model_asked(head: Head) -> VideoModel:
    name, device, resolution = head.get("model"), head.get("device"), head.get("resolution")
    if not (isinstance(name, str) and isinstance(device, str | None)):
        raise WireError(f"a model that was asked for is called {name!r:.80}, on {device!r:.80}")
    is_place = any(mark in name for mark in "/\\") and Path(name).expanduser().exists()
    if is_place and find_under_roots(name, read_limits().roots) is None:
        raise ModelUnavailableError(
            f"the model {name!r} lies outside what the worker may read; name one of its list, or "
            "have its folder put under a root of the worker"
        )
    return get_model(name, device, None if resolution is None else whole(resolution))


def _holder(host: TrackingHost) -> Callable[[], bool]:
    """What says whether Dask holds an actor still."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # there is no Dask round it
        return lambda: True
    return lambda: any(actor is host for actor in worker.state.actors.values())


def _facts() -> Head:
    try:
        from napari_sam3.models.sam.device_facts import device_facts
    except (ImportError, OSError) as exc:  # a library of PyTorch's that can't be loaded
        devices = [f"PyTorch can't be imported: {exc}"]
    else:
        devices = [
            f"{facts.name} ({facts.title}"
            + ("" if facts.free_bytes is None else f", {facts.free_bytes / 2**30:.1f} GB free")
            + ")"
            for facts in device_facts()
        ]
    return {
        "models": [entry.name for entry in list_models() if entry.is_ready],
        "devices": devices,
        "roots": [str(root) for root in read_limits().roots],
    }

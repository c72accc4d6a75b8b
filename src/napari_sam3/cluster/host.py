"""A tracker on a worker, for a session that is elsewhere."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.host_base import BEAT, Host, Work, model_asked, no_room
from napari_sam3.cluster.host_run import Run
from napari_sam3.cluster.said import (
    KeyframesKept,
    concept_from_head,
    objects_from_head,
    prompt_from_head,
)
from napari_sam3.cluster.wire import (
    Head,
    decode,
    encode,
    encode_error,
    is_message,
    join,
    whole,
)
from napari_sam3.cluster.worker_models import turn
from napari_sam3.cluster.worker_videos import Upload, UploadFolder, find_under_roots
from napari_sam3.errors import (
    SessionNotFoundError,
    VideoError,
    WireError,
)
from napari_sam3.models.base import VideoTracker
from napari_sam3.models.mask_settings import mask_settings_of
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import ObjectMask
from napari_sam3.video import PlaneChoice, Video
from napari_sam3.video.content_hash import hash_samples
from napari_sam3.video.open import open_chosen


class TrackingHost(Host):
    """A tracker that is spoken to by messages.

    Parameters
    ----------
    order : bytes
        As of `Host`.
    """

    def __init__(self, order: bytes) -> None:
        super().__init__(order)
        self._uploads = UploadFolder(self._limits)
        self._upload: Upload | None = None
        self._video: Video | None = None
        self._tracker: VideoTracker | None = None
        self._keyframes = KeyframesKept()
        self._run: Run | None = None
        self._pump: asyncio.Task[None] | None = None

    # ------------------------------------------------------------ beginning

    async def open(self, message: bytes) -> bytes:
        """Open the video and load the model.

        The answer may be that the video must be sent first (`wanted`). Else it says what is set
        for the model now.
        """
        self._hear()
        if self._tracker is None and not self._has_place():
            return no_room()
        answer = await self._answer(message, self._begin)
        if self._tracker is None:
            self._leave_place()
        return answer

    def _begin(self, head: Head, masks: list[ObjectMask]) -> bytes:
        model = model_asked(head)  # before anything is sent to who lacks it
        path = self._find_video(head)
        if path is None:
            return encode({"wanted": True})
        said = head["video"]
        video = open_chosen(path, PlaneChoice.from_json(said.get("choice")))
        try:
            self._check_video(video, path, said)
            limits = head.get("contrast_limits")
            frames = RgbFrames(video, None if limits is None else (limits[0], limits[1]))
            self._video, self._tracker = video, model.start(frames)
        except BaseException:
            video.close()
            raise
        return encode({"mask_settings": dict(mask_settings_of(model))})

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

    async def _give_back(self) -> None:
        await self._end_run()
        tracker, self._tracker = self._tracker, None
        video, self._video = self._video, None

        def give_back() -> None:
            if tracker is not None:
                tracker.close()
            if video is not None:
                video.close()

        if tracker is not None:
            await asyncio.wrap_future(self._thread.submit(give_back))
        self._keyframes = KeyframesKept()

    # -------------------------------------------------------------- working

    def _open_tracker(self) -> VideoTracker:
        if self._tracker is None:
            raise SessionNotFoundError("this session of the worker is closed")
        return self._tracker

    async def _answer(self, message: bytes, work: Work) -> bytes:
        """As of `Host`.

        Where a run waits in that thread to be told something, the answer is what it asks
        (`first`), and nothing was done: the caller must tell it, and ask anew.
        """
        self._hear()
        job = self._submit(message, work)
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

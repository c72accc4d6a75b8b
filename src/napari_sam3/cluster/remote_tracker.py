"""A tracker on a worker, as a session here uses it; when the worker dies it goes on on another."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.given_frames import GivenFrames
from napari_sam3.cluster.host_run import MOST_AHEAD
from napari_sam3.cluster.link import Link, LinkLost
from napari_sam3.cluster.said import (
    KeyframesSent,
    Masks,
    concept_to_head,
    frame_from_head,
    objects_to_message,
    prompt_to_head,
)
from napari_sam3.cluster.sending import SentVideo
from napari_sam3.cluster.wire import Head, decode, encode, raise_error, split, whole
from napari_sam3.cluster.workers import LACKING, Workers
from napari_sam3.errors import (
    CheckpointError,
    NoWorkerError,
    Sam3Error,
    SchedulerLostError,
    WireError,
    WorkerLostError,
)
from napari_sam3.models.base import TrackedFrame
from napari_sam3.values import Concept, Frames, Journal, ObjectMask, ObjectPrompt, PackedMask

_LOOKS = 0.2
"""Seconds between two frames that a worker is told are looked at."""

_ROOM, _AGAIN = 5.0, 0.2
"""Seconds that room is looked for, where another session was quicker; and between two looks."""


class RemoteTracker:
    """Fulfils `VideoTracker`; all that it is told is kept by the session, none of it there only.

    A worker that dies is replaced by another one, which is told the same journal and computes the
    way again, unseen. A frame on the way to which two workers die one after the other is given up:
    it would go through a whole cluster. Where the journal allows it (`Journal.note_nearly`) the
    next worker is given the last frames instead, and goes on from there at once, nearly the same.

    Parameters
    ----------
    workers : Workers
        That have the model.
    frames : Frames
        Of the session.
    """

    def __init__(self, workers: Workers, frames: Frames) -> None:
        self._workers = workers
        self._video = SentVideo(frames, workers.path_map, workers.tell_progress)
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._lost: set[str] = set()
        self._is_anew = False  # whether an earlier worker was lost
        self._sent = KeyframesSent()
        self._numbers = count(1)
        self._questions: _Questions | None = None
        # what was found of concepts, for another worker to know it again
        self._shown: dict[int, dict[int, PackedMask]] = {}
        self._checkpoint: Checkpoint | None = None  # of the run under way
        self._given = GivenFrames()
        self._is_catching_up = False
        self._looked = 0.0
        self._wanted: int | None = None
        self._looking: Any = None
        self._closed = threading.Event()
        threading.Thread(target=self._begin_early, name="begin elsewhere", daemon=True).start()

    # ------------------------------------------------------------- the worker

    def _begin_early(self) -> None:
        """Have the worker open the video before anybody waits for it."""
        try:
            self._begin()
        except (Sam3Error, LinkLost, OSError):
            return  # it is tried again, and said, when something is asked for
        with self._lock:
            wanted = self._wanted
        if wanted is not None:
            self.prefetch(wanted)

    def _begin(self) -> Link:
        with self._lock:
            if self._link is not None:
                return self._link
            if self._closed.is_set():
                raise LinkLost("closed")
            ends = time.monotonic() + _ROOM
            while (link := self._open_somewhere(ends)) is None:
                time.sleep(_AGAIN)
            self._sent = KeyframesSent()
            self._link = link
            # a session that nobody holds any more, and that nobody has closed
            weakref.finalize(self, link.let_go).atexit = False
        if self._closed.is_set():  # meanwhile
            link.let_go()
        return link

    def _open_somewhere(self, ends: float) -> Link | None:
        """A place with the video open; None if that was none, and another one is to be looked for.

        The last place on a worker may have been taken meanwhile, by one who perhaps gives it back:
        it is looked for until `ends`. Or the worker lacks the model, and is not asked again.
        """
        lost = self._lost
        link = self._workers.begin_elsewhere(lost) if lost else self._workers.begin()
        try:
            said = self._video.open_on(link, self._workers.asked)
            self._workers.note_settings(link.worker, said)
        except LinkLost:
            self._lose(link)
            raise
        except LACKING as exc:
            self._workers.leave(link, exc)
            return None
        except NoWorkerError:
            link.let_go()
            if time.monotonic() > ends:
                raise
            return None
        except BaseException:
            link.let_go()
            raise
        return link

    def _lose(self, link: Link | None) -> None:
        """Take note that a worker is gone; nothing if that was done.

        Raises
        ------
        SchedulerLostError
            If it is not the worker's fault.
        """
        with self._lock:
            if link is None or link.worker in self._lost:
                return
            self._link = None
            self._lost.add(link.worker)
        link.drop()
        if self._closed.is_set():
            return
        self._is_anew = True
        try:
            self._workers.check_scheduler()
        except SchedulerLostError:
            self._lost.clear()  # of the next one all workers are new
            raise
        self._workers.tell(f"the worker {link.worker} was lost; going on on another")

    def _call(self, method: str, head: Head, masks: Sequence[ObjectMask] = ()) -> Any:
        message = encode(head, masks)
        n_lost = 0
        while True:
            try:
                link = self._begin()
                said, found = link.call(method, message)
            except LinkLost as exc:
                self._lose(self._link)
                n_lost += 1
                if n_lost == 2:
                    raise WorkerLostError(
                        "two workers were lost, one after the other, at frame "
                        f"{head.get('frame')}; it may need more memory than they have"
                    ) from exc
                continue
            if "first" not in said:
                return said, found
            # a run waits in the tracker's thread for what only the session knows
            questions = self._questions
            if questions is not None and questions.run == said.get("run"):
                questions.answer(link, said["first"])
            else:
                link.call("stop", encode({"run": said.get("run")}))

    # ---------------------------------------------------------------- prompts

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""
        masks = Masks()
        said = prompt_to_head(prompt, masks)
        _, found = self._call("segment", {"frame": frame_index, "prompt": said}, masks)
        return found[0] if found else None

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """Find every object of a concept, the best first (see `VideoTracker.detect`)."""
        said = {"frame": frame_index, "concept": concept_to_head(concept)}
        found: Sequence[ObjectMask] = self._call("detect", said)[1]
        return found

    def prefetch(self, frame_index: int) -> None:
        """Tell the worker which frame is looked at; seldom, and without waiting for it."""
        self._wanted = frame_index
        link, now = self._link, time.monotonic()
        if link is not None and now - self._looked >= _LOOKS:
            self._looked = now
            self._looking = (frame_index, link.send("look_at", encode({"frame": frame_index})))

    @property
    def preparing(self) -> int | None:
        """The frame that the worker was told of and prepares."""
        if self._looking is None:
            return None
        frame_index, answer = self._looking
        return None if answer is None or answer.done() else frame_index

    # ------------------------------------------------------------ propagation

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """Follow the journal's objects over `frames` (see `VideoTracker.propagate`)."""
        try:
            yield from self._follow(journal, frames, new_id)
        finally:
            self._catch_up(is_done=True)

    def _follow(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """The frames, on one worker after the other."""
        ids: list[int] = []
        last: TrackedFrame | None = None
        n_given, died_at = 0, -1 - MOST_AHEAD
        n_ids = 0  # how many were asked for on the way to the last frame given
        self._checkpoint = None
        again, n_before = journal, 0  # what the worker is told, and how many frames it leaves out
        while True:
            try:
                n_come = n_before
                for tracked in self._stream(again, frames[n_before:], ids, new_id):
                    if tracked.objects is not None:
                        n_come += 1
                        if n_come <= n_given:
                            self._catch_up(f" {n_come}/{n_given}")
                            yield TrackedFrame(tracked.frame_index, None)
                            continue
                        self._catch_up(is_done=True)
                        n_given, last, n_ids = n_given + 1, tracked, len(ids)
                        self._remember(journal, tracked)
                        self._given.add(journal, tracked, frames.step)
                    yield tracked
                return
            except CheckpointError:
                if again.checkpoint is journal.checkpoint:
                    raise  # the session's own
                self._checkpoint = None
                again, n_before = _resumed(journal, frames, last, None), 0
            except LinkLost as exc:
                self._lose(self._link)
                # it was some frames ahead, so what killed it lies within these
                if n_given <= died_at + MOST_AHEAD:
                    end = frames[min(n_given + MOST_AHEAD, len(frames)) - 1]
                    raise WorkerLostError(
                        "two workers were lost, one after the other, between frame "
                        f"{frames[min(died_at, len(frames) - 1)]} and frame {end}; what is there "
                        "may need more memory than they have. What came before stays"
                    ) from exc
                died_at = n_given
                left = frames[n_given:]
                kept = None if ids or not left else self._checkpoint
                if journal.note_nearly is not None and not left:
                    return
                if journal.note_nearly is not None and not _is_last(kept, last):
                    known = self._given.before(journal, left)
                    if known:
                        self._say_nearly(journal, left[0])
                        del ids[:n_ids]  # only what is behind the last frame is asked for again
                        n_before, n_ids = n_given, 0
                        again = _resumed(journal, frames, last, None)
                        again = replace(again, known=known, checkpoint=None)
                        continue
                self._catch_up()
                n_before = 0 if kept is None else n_given
                again = _resumed(journal, frames, last, kept)

    def _say_nearly(self, journal: Journal, frame_index: int) -> None:
        """Say, and have noted, that from a frame on results are only near what they would be."""
        assert journal.note_nearly is not None
        journal.note_nearly(frame_index)
        self._workers.tell(
            f"at frame {frame_index} it goes on from what was shown: from there on results may not "
            "be the same as without the loss"
        )

    def _catch_up(self, how_far: str = " …", *, is_done: bool = False) -> None:
        """Say that frames are computed again that were given before, unseen."""
        if not is_done:
            self._workers.tell_progress(f"catching up{how_far}")
        elif self._is_catching_up:
            self._workers.tell_progress("")
        self._is_catching_up = not is_done

    def _stream(
        self, journal: Journal, frames: range, ids: list[int], new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """The frames of one run on one worker; ids are those of `ids`, then new ones."""
        link = self._begin()
        if journal.concepts and journal.recall is None and self._is_anew:
            journal = replace(journal, recall=self._recall)
        run = next(self._numbers)
        kept = b"" if journal.checkpoint is None else journal.checkpoint.to_bytes()
        link.call("start", self._sent.journal_to_message(journal, frames, run=run), kept)
        questions = _Questions(run, ids, new_id, journal.recall)
        self._questions = questions
        is_over = False
        try:
            while True:
                for message in split(link.ask("take", encode({"run": run}))):
                    head, masks = decode(message)
                    if head.get("over") or "error" in head:
                        is_over = True
                        raise_error(head, link.worker)
                        return
                    if "ask" in head:
                        questions.answer(link, head["ask"])
                    else:
                        yield frame_from_head(head, masks)
        finally:
            if self._questions is questions:
                self._questions = None
            if not is_over:
                link.send("stop", encode({"run": run}))

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        """What the worker's tracker remembers after a frame (see `VideoTracker.checkpoint`).

        The session asks where it is to be kept, in a project; there it serves the next worker too.
        """
        link = self._link
        if link is None:
            return None
        try:
            order = encode({"frame": frame_index, "step": step})
            said, *kept = split(link.ask("checkpoint", order))
        except LinkLost:  # the run will hear of it
            return None
        head, _ = decode(said)
        raise_error(head, link.worker)
        if not kept:
            return None
        made = Checkpoint.from_bytes(kept[0])
        if made.frame != frame_index:
            raise WireError(f"a checkpoint came of frame {made.frame}, not of {frame_index}")
        self._checkpoint = made
        return made

    def _remember(self, journal: Journal, tracked: TrackedFrame) -> None:
        if journal.concepts and tracked.objects is not None:
            self._shown[tracked.frame_index] = {
                i: PackedMask.pack(mask) for i, mask in tracked.objects.items()
            }

    def _recall(self, frame_index: int) -> Mapping[int, ObjectMask] | None:
        shown = self._shown.get(frame_index)
        return None if shown is None else {i: packed.unpack() for i, packed in shown.items()}

    def close(self) -> None:
        """Give back all memory, there too."""
        self._closed.set()
        self._shown.clear()
        self._given.clear()
        link, self._link = self._link, None
        if link is not None:
            link.let_go()
        self._video.close()


def _resumed(
    journal: Journal, frames: range, last: TrackedFrame | None, kept: Checkpoint | None
) -> Journal:
    """What another worker is told, of a run that has given frames up to `last`."""
    if last is None:
        return journal
    shows_ahead = any(
        all((f - last.frame_index) * frames.step > 0 for f in journal.objects[obj_id])
        for obj_id in last.objects or ()
        if obj_id in journal.objects
    )
    journal = replace(journal, shows_ahead=journal.shows_ahead or shows_ahead)
    if kept is None:
        return journal
    begun = frames[0] if journal.begun is None else journal.begun
    return replace(journal, checkpoint=kept, known={}, begun=begun)


def _is_last(kept: Checkpoint | None, last: TrackedFrame | None) -> bool:
    """Whether a checkpoint is of the very last frame: then nothing is to be computed again."""
    return kept is not None and last is not None and kept.frame == last.frame_index


class _Questions:
    """What a run asks the session, answered once each and the same when it is run again."""

    def __init__(
        self,
        run: int,
        ids: list[int],
        new_id: Callable[[], int],
        recall: Callable[[int], Mapping[int, ObjectMask] | None] | None,
    ) -> None:
        self.run = run
        self._ids = ids
        self._new_id = new_id
        self._recall = recall
        self._n_ids = 0
        self._answered: set[int] = set()

    def answer(self, link: Link, question: Any) -> None:
        number = whole(question.get("number") if isinstance(question, dict) else None)
        if number in self._answered:
            return
        self._answered.add(number)
        said: Head = {"run": self.run, "ask": number}
        if question.get("kind") == "id":
            if self._n_ids == len(self._ids):
                self._ids.append(self._new_id())
            link.call("give", encode({**said, "id": self._ids[self._n_ids]}))
            self._n_ids += 1
        else:
            frame_index = whole(question.get("frame"))
            shown = None if self._recall is None else self._recall(frame_index)
            link.call("give", objects_to_message(shown, **said))

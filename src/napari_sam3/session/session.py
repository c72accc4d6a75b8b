"""One video, one model, the prompts of one person: what the window, scripts and the API share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from numpy.typing import ArrayLike

from napari_sam3.errors import MissingPromptError, PropagationRunningError, SessionNotFoundError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import load_model
from napari_sam3.session.answering import answer_concept, answer_objects, find_present
from napari_sam3.session.correction import Correction, find_reaches
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.propagation import AnyPropagation, OnePropagation, Propagation, plan_frames
from napari_sam3.session.recovery import Recovery
from napari_sam3.session.saved_prompts import PromptList
from napari_sam3.session.session_state import Said, SessionState
from napari_sam3.session.turn_lock import TurnLock
from napari_sam3.session.validation import (
    check_contrast_limits,
    check_flag,
    check_frame_index,
    check_legs,
    check_object_id,
    check_prompt,
    check_range,
    check_room,
    check_supported,
)
from napari_sam3.values import Concept, Direction, FrameResult, Keyframe, ObjectMask
from napari_sam3.video import NO_CHOICE, PlaneChoice, Video, as_video


class VideoSession:
    """Prompts and results on one video.

    Safe to use from several threads: what touches the model is done one at a time.

    Parameters
    ----------
    video : str, path, Video or array
        As `open_video` takes it. One opened here is closed with the session; a `Video` is not.
    model : str, path or VideoModel
        As `napari_sam3.models.registry.load_model` takes it.
    contrast_limits : (float, float), optional
        Values that the model sees as black and white; for video that is not 8-bit. If left out,
        they are measured once on a few frames.
    hold_back : bool
        For batch work with text or exemplars: let the model take back what the frames after it
        do not confirm. Frames then come late, with SAM 3 by 14 frames.
    choice : PlaneChoice
        Which channel, depth and scene of the video.

    Raises
    ------
    VideoError
        If the video can't be read.
    ModelUnavailableError
        If there is no such model.

    Attributes
    ----------
    recovery : Recovery
        How runs that were stopped are gone on with, and who keeps checkpoints for that.
    """

    def __init__(
        self,
        video: str | Path | Video | ArrayLike,
        model: str | Path | VideoModel = "auto",
        *,
        contrast_limits: tuple[float, float] | None = None,
        hold_back: bool = False,
        choice: PlaneChoice = NO_CHOICE,
    ) -> None:
        check_flag(hold_back, "hold_back")
        check_contrast_limits(contrast_limits)
        self._owns_video = not isinstance(video, Video)
        self.video = as_video(video, choice)
        try:
            self.model = load_model(model)
            self._frames = RgbFrames(self.video, contrast_limits)
            self.recovery = Recovery(self._frames, self.model.name)
            self._tracker = self.model.start(self._frames)
        except BaseException:
            self._close_video()
            raise
        self._lock = TurnLock()
        self._closed = False
        self._propagation = OnePropagation()  # weak: one that its caller has dropped is over
        self._state = SessionState(len(self.video), hold_back)

    # ------------------------------------------------------------- prompts

    def add_prompt(
        self,
        frame_index: int,
        *,
        text: str | None = None,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        boxes: ArrayLike | None = None,
        box_labels: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        obj_id: int | None = None,
        exemplar: bool = False,
        clear_old_points: bool = False,
    ) -> FrameResult:
        """Say what to track, or correct it.

        Parameters
        ----------
        frame_index : int
            0-based frame that the prompt is on.
        text : str, optional
            Find every object that a noun phrase names.
        points : (N, 2) array, optional
            Clicks x, y in px, 0..width and 0..height.
        point_labels : (N,) array, optional
            1 on the object, 0 off it; all 1 if left out.
        boxes : (N, 4) array, optional
            x0, y0, x1, y1 in px. Each makes an object; with `text` or `exemplar` they are examples
            of what to look for.
        box_labels : (N,) array, optional
            1 positive, 0 negative (examples only); all 1 if left out.
        mask : (H, W) array of bool, optional
            The object, painted.
        obj_id : int, optional
            The object meant: a known one is corrected, a new id (from 1) is taken for the new one.
        exemplar : bool
            `boxes` show examples of what to look for.
        clear_old_points : bool
            Replace what was said of the object on this frame, instead of adding to it.

        Returns
        -------
        FrameResult
            All objects known on this frame, not only the one prompted.

        Raises
        ------
        RequestError
            If anything is wrong with the prompt, or the model can't take it; nothing is changed.
        """
        with self._working():
            call = check_prompt(
                self._frames.size,
                len(self._frames),
                frame_index=frame_index,
                text=text,
                points=points,
                point_labels=point_labels,
                boxes=boxes,
                box_labels=box_labels,
                mask=mask,
                obj_id=obj_id,
                exemplar=exemplar,
                clear_old_points=clear_old_points,
            )
            check_supported(self.model, call)
            self._state.check_not_removed(call.obj_id)
            present: Mapping[int, ObjectMask] = {}
            if call.is_concept:
                present = find_present(call.frame_index, self._state, self._tracker)
                draft = answer_concept(call, self._state, self._tracker, present)
            else:
                draft = answer_objects(call, self._state, self._tracker)
            check_room(self.model, {*self.object_ids, *draft.keyframes})
            self._state.commit(call.frame_index, draft, present)
            return self._state.result(call.frame_index)

    @contextmanager
    def trial(self, frame_index: int) -> Iterator[VideoSession]:
        """Look at what prompts on a frame would mean, without saying them.

        What is said to the session that this gives is answered as it would be here, and forgotten
        at the end; no other thread gets a word in meanwhile. A prompt that is said here afterwards
        is answered at once, for the model was asked already.

        Parameters
        ----------
        frame_index : int
            0-based; the only frame that it may be prompted, and asked for results, on.

        Raises
        ------
        FrameIndexError
            If there is no such frame.
        """
        with self._working():
            trial = copy.copy(self)
            trial._state = self._state.trial(check_frame_index(frame_index, len(self._frames)))
            try:
                yield trial
            finally:
                trial._closed = True

    def take_back_prompt(self, frame_index: int, obj_id: int) -> FrameResult:
        """Undo all that was said of an object on a frame.

        An object whose last prompt is taken back is no more; its id may be named again.

        Returns
        -------
        FrameResult
            All objects known on this frame; of this object what was shown before it was corrected.

        Raises
        ------
        UnknownObjectError
            If there is no such object, or nothing was said of it on that frame.
        """
        with self._working():
            frame = check_frame_index(frame_index, len(self._frames))
            number = check_object_id(obj_id)
            self._state.check_prompted(frame, number)
            self._state.take_back(frame, number)
            return self._state.result(frame)

    def remove_object(self, obj_id: int) -> None:
        """Take an object out of every later result; its id is not used again.

        Raises
        ------
        UnknownObjectError
            If there is no such object.
        """
        with self._working():
            number = check_object_id(obj_id)
            self._state.check_known(number)
            self._state.remove(number)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) of every frame, px."""
        return self._frames.size

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects there are, rising."""
        return self._state.object_ids

    @property
    def found_objects(self) -> frozenset[int]:
        """Objects that a concept has found, and nobody has pointed at; from any thread, at once."""
        return self._state.found_objects

    @property
    def first_frames(self) -> dict[int, int]:
        """The first prompted frame of each object that was prompted, by id."""
        ids = set(self.object_ids)
        return {i: min(frames) for i, frames in self._state.keyframes.items() if i in ids}

    @property
    def first_prompted_frame(self) -> int:
        """Where a propagation begins that is told no start; 0 without prompts."""
        return min(self._state.prompted_frames, default=0)

    def prompted_objects(self, frame_index: int) -> frozenset[int]:
        """Objects whose mask on a frame answers a prompt there."""
        with self._lock:
            keyframes = self._state.keyframes
            return frozenset(i for i, frames in keyframes.items() if frame_index in frames)

    def list_prompts(self) -> PromptList:
        """All that was said, and what the model answered, as it can be kept."""
        with self._lock:
            return self._state.list_prompts(self.model.name)

    def prompted_frames(self, obj_id: int) -> frozenset[int]:
        """Frames on which something was said of an object; from any thread, at once."""
        return frozenset(self._state.keyframes.get(obj_id, ()))

    @property
    def was_prompted(self) -> bool:
        """Whether anything was said since the start, or the last reset."""
        return self._state.version > 0

    def restore(
        self,
        keyframes: Mapping[int, Mapping[int, Keyframe]],
        concepts: Sequence[tuple[int, Concept]],
        ids: PromptList,
    ) -> None:
        """Take over what was said to an earlier session; see `session_prompts.restore_prompts`.

        Parameters
        ----------
        keyframes : mapping of object id to mapping of frame index to Keyframe
            What was said of objects, and answered.
        concepts : sequence of (frame index, Concept)
            What was looked for.
        ids : PromptList
            What else makes the ids what they are.
        """
        with self._working():
            self._state.restore(keyframes, concepts, ids)

    def said(self) -> Said:
        """All that it was told and has answered up to now, for `go_back`; nothing is copied."""
        with self._lock:
            return self._state.said()

    def go_back(self, said: Said) -> None:
        """Have been told only what it was told at a moment of this session, as an undo wants it.

        What is on the frames is asked of `recall` from then on (`remember`, `recall_frames`).

        Raises
        ------
        PropagationRunningError
            While a propagation runs.
        """
        with self._working():
            if self.is_propagating:
                raise PropagationRunningError(
                    "a propagation is running on this session; let it end, or cancel it first"
                )
            self._state.go_back(said)

    def recall_frames(
        self,
        recall: Callable[[int], Mapping[int, ObjectMask] | None],
        frames: Iterable[int] = (),
        obj_ids: Iterable[int] = (),
    ) -> None:
        """Read anew what is shown on frames: it was changed by others, as by an undo.

        Parameters
        ----------
        recall : callable
            As of `remember`.
        frames : iterable of int
            Where what this session knew is not true any more; prompts hold all the same.
        obj_ids : iterable of int
            Objects that may be on them.
        """
        with self._working():
            self._state.recall = recall
            self._state.recall_frames(frames, obj_ids)

    # --------------------------------------------------------- propagation

    def propagate(
        self,
        direction: Direction = "forward",
        start_frame_index: int | None = None,
        max_frame_num_to_track: int | None = None,
    ) -> Propagation:
        """Follow the objects through the video.

        Prompts that are added while it runs hold from the next frame on.

        Parameters
        ----------
        direction : "forward", "backward" or "both"
            Forward begins at the start frame, backward at the one before it.
        start_frame_index : int, optional
            0-based; the first (lowest) prompted frame if left out.
        max_frame_num_to_track : int, optional
            At most so many frames in each direction; to the end if left out.

        Returns
        -------
        Propagation
            Iterator of `FrameResult`, each frame computed when it is asked for.

        Raises
        ------
        MissingPromptError
            Before any prompt.
        PropagationRunningError
            If one is running; `cancel` it, or let it end.
        RequestError
            If an argument is wrong.
        """
        with self._working():
            start, limit = check_range(
                len(self.video), direction, start_frame_index, max_frame_num_to_track
            )
            if start is None:
                start = self.first_prompted_frame
            return self.follow(plan_frames(len(self.video), direction, start, limit))

    def follow(self, legs: Sequence[range], whole: Sequence[range] | None = None) -> Propagation:
        """As `propagate`, over given frames: those that are left of an earlier run.

        Parameters
        ----------
        legs : sequence of range
            Frames of the video, one range after the other, each with step 1 or -1.
        whole : sequence of range, optional
            The legs of that run, done and left. If given, the frames are those that it would have
            given (`recovery`); else they may be near them, where that saves computing.
        """
        with self._working():
            legs = check_legs(len(self.video), legs)
            return self._begin(lambda: self._follow(legs, whole))

    def _follow(self, legs: tuple[range, ...], whole: Sequence[range] | None) -> Propagation:
        is_exact = whole is not None and self.recovery.mode == "exact"
        if is_exact and self._state.begun_nearly:
            # what the tracker has computed since is not what it would be
            self._restart()
        return Propagation(self._lock, self._tracker, self._state, legs, self.recovery, whole)

    def _restart(self) -> None:
        """Have the tracker begin anew; what was said stays."""
        self._tracker.close()
        self._tracker = self.model.start(self._frames)
        self._state.begun_nearly.clear()
        self.recovery.forget()

    def propagate_from_here(
        self,
        frame_index: int,
        direction: Direction = "both",
        objects: Collection[int] | None = None,
        *,
        stop_at: Collection[int] = (),
    ) -> Correction:
        """Follow what was corrected, as far as the correction reaches; nothing else is changed.

        Goes, in either direction, until the result no longer changes (see `Correction`), to the
        next keyframe of an object, or to the next frame of `stop_at`. Only the objects are shown
        anew: all others stay what they were, and overlaps are settled as on every frame.

        Parameters
        ----------
        frame_index : int
            0-based; where to begin. It is looked at itself only if nothing was said there.
        direction : "forward", "backward" or "both"
        objects : collection of int, optional
            Those that were corrected; if left out, all whose prompts have changed round that frame,
            and if none have, those of which something is said on it.
        stop_at : collection of int
            Frames that stay as they are: locked ones. Nothing goes beyond them.

        Returns
        -------
        Correction
            Iterator of `FrameResult`; `len` is how many frames it is at most.

        Raises
        ------
        MissingPromptError
            If nothing has changed there that could be followed.
        UnknownObjectError
            If there is no such object.
        PropagationRunningError, RequestError
            As of `propagate`.
        """
        with self._working():
            start, _ = check_range(len(self.video), direction, frame_index, None)
            assert start is not None, "it was given"
            state, n_frames = self._state, len(self.video)
            reaches = find_reaches(state, n_frames, direction, start, objects, stop_at)
            return self._begin(lambda: Correction(self._lock, self._tracker, state, reaches))

    @property
    def stale_frames(self) -> Mapping[int, tuple[range, ...]]:
        """Frames not looked at since the prompts of an object were changed, by object id.

        Callable from any thread; never waits.
        """
        return self._state.stale.of_all()

    def _begin(self, make: Callable[[], AnyPropagation]) -> AnyPropagation:
        if not self._state.prompted_frames:
            raise MissingPromptError(
                "there is nothing to propagate: no prompt has been added; use add_prompt first"
            )
        return self._propagation.begin(make)

    @property
    def is_propagating(self) -> bool:
        """Whether a propagation is under way."""
        return self._propagation.is_running

    def cancel(self) -> bool:
        """Stop the running propagation; what it has given stays.

        The frame under way is given up where the model works on it in pieces, else it is the last.

        Returns
        -------
        bool
            Whether there was one.
        """
        return self._propagation.cancel()

    def prefetch(self, frame_index: int) -> None:
        """Say which frame is looked at; while nothing else is done, the model gets ready for it.

        Returns at once and changes no result. While there is other work it does nothing.

        Raises
        ------
        FrameIndexError
            If there is no such frame.
        """
        number = check_frame_index(frame_index, len(self.video))
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._closed and not self.is_propagating:
                self._tracker.prefetch(number)
        finally:
            self._lock.release()

    @property
    def preparing(self) -> int | None:
        """The frame that the model is getting ready for while nobody works (`prefetch`)."""
        return None if self._closed else self._tracker.preparing

    # ------------------------------------------------------------- results

    def result(self, frame_index: int) -> FrameResult:
        """The newest masks of a frame; empty if it has not been looked at."""
        with self._working():
            number = check_frame_index(frame_index, len(self.video))
            return self._state.result(number)

    def limit_lives(self, is_alive: Callable[[int, int], bool] | None) -> None:
        """Show objects only where they live: mothers end, and daughters begin, with a division.

        Parameters
        ----------
        is_alive : callable or None
            Says it of an object id and a frame index; asked in any thread. None: everywhere.
        """
        with self._lock:
            self._state.is_alive = is_alive

    def remember(
        self,
        recall: Callable[[int], Mapping[int, ObjectMask] | None],
        earlier: Sequence[range] = (),
        stale: Sequence[range] = (),
    ) -> None:
        """Let it know what an earlier session had shown; until `reset`.

        Parameters
        ----------
        recall : callable
            From a frame's index to its masks by object id, or None; asked when needed.
        earlier : sequence of range
            Frames, as they were computed, that are true with the prompts of now: what is asked
            for behind them goes on from there.
        stale : sequence of range
            Frames (with step 1) that were computed with other prompts than those of now.
        """
        with self._working():
            self._state.recall = recall
            self._state.earlier = tuple(earlier)
            self._state.mark_stale(stale)

    def reset(self) -> None:
        """Go back to the state just after the start; a running propagation ends."""
        with self._working():
            self.cancel()
            self._restart()
            state = self._state
            self._state = SessionState(len(self.video), state.hold_back, state.is_alive)

    def close(self) -> None:
        """Give back memory; a running propagation ends. The model stays loaded."""
        with self._lock:
            if self._closed:
                return
            self.cancel()
            self._closed = True
            self._tracker.close()
            self._state = SessionState()
            self._close_video()

    def __enter__(self) -> VideoSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Keep other threads out, of a session that is open."""
        with self._lock:
            if self._closed:
                raise SessionNotFoundError("the session is closed; start a new one")
            yield

    def _close_video(self) -> None:
        if self._owns_video:
            self.video.close()

    def __repr__(self) -> str:
        return f"<VideoSession of {self.video!r} with {self.model.name}>"

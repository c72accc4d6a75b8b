"""What prompts mean, shown as soon as they are drawn and before anybody asks for results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Any

from napari.layers import Points, Shapes
from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Qt, Signal as QtSignal

from napari_sam3.errors import MissingPromptError, Sam3Error
from napari_sam3.labels.object_info import TableChange
from napari_sam3.plugin.controllers.added_layers import add_under_prompts
from napari_sam3.plugin.controllers.resting_cursor import RestingCursor
from napari_sam3.plugin.controllers.screen_decoding import frames_to_come
from napari_sam3.plugin.controllers.session_controller import SessionController, Setup
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.plugin.layers.click_ahead import click_at
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.layer_prompts import (
    LayerPrompt,
    Skipped,
    TargetPrompts,
    is_same_prompt,
)
from napari_sam3.plugin.layers.preview_layer import PreviewLayer
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.model.preview_status import PreviewStatus
from napari_sam3.settings import MODEL_SETTINGS
from napari_sam3.values import FrameResult, ObjectMask

ENTER = "Enter"
NOTICE_MS = 1000
"""A model that is at work on a preview for longer is said to be slow while it is."""
SLOW_S = 1.5
"""Answers that take longer are waited for by nobody: from then on Enter asks for them."""
FIRST_SLOW_S = 4.0
"""The same of the very first answer, which may have had to warm up."""
QUICK_S = 0.75
"""A model that answers sooner is asked what a click would mean, before it is made."""
REST_MS = 150
"""The slider must stand still so long, before prompts on another frame are previewed."""

Key = tuple[int, int]
Read = Callable[[int], tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]]

_FILM_NDIM = 3


class PreviewController(QObject):
    """Shows what is drawn on the frame on screen, as `TrackingController.segment_frame` would.

    What the session was told already is results' business, and is not previewed. The model is
    asked in a thread, one call at a time: what is drawn meanwhile is looked at when that call has
    ended, and what it answered is dropped then. While a propagation runs the model answers between
    two pieces of its work; what is drawn during other jobs is looked at when they have ended. What
    is said of locked objects changes nothing, and is not previewed. Where the cursor rests, a quick
    model is asked ahead what a click would mean: the click itself is answered at once then.
    All methods are called in the window's thread, and none of them waits.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layer of previews, while there is something to show.
    state : AppState
        Told how things stand (`preview`).
    open_session : callable
        Gives the session for the chosen video and model; cheap.
    read : callable
        Gives the session, all prompts and those skipped, for the frame on screen, and takes
        nothing down as known.
    frame_on_screen : callable
        Gives its index.
    """

    shown = Signal(int)
    """A preview is on the screen, on that frame; of nothing, if nothing was found."""

    failed = Signal(str)
    """There is none; the text says why."""

    slow = Signal(float)
    """The model takes seconds; so many, as far as is known."""

    _asked = QtSignal()

    rested = Signal()
    """The model is free: it has answered, or is ready for the first prompt."""

    def __init__(
        self,
        viewer: Any,
        state: AppState,
        open_session: Callable[[], SessionController],
        read: Read,
        frame_on_screen: Callable[[], int],
    ) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state
        self._open_session, self._read, self._frame_on_screen = open_session, read, frame_on_screen
        self._is_on = False
        self._is_closed = False
        self._session: SessionController | None = None  # that was read for last
        self._layer: PreviewLayer | None = None
        # what is shown: the prompts, and what the model made of them
        self._shown: dict[Key, tuple[LayerPrompt, ObjectMask | None]] = {}
        self._run: Run | None = None
        self._after: list[Callable[[], object]] = []  # when the thread has ended
        self._is_due = self._is_asked = self._is_warm = self._is_undrawn = False
        self._n_skipped = 0
        self._locked: tuple[int, ...] = ()  # about whom something new is said
        self._is_frame_locked = False
        self._ahead: tuple[int, LayerPrompt] | None = None  # frame, and what was asked ahead
        self._pace = _Pace()
        self._heard, self._of_layers = Connections(), Connections()
        self._is_soon = self._is_reading = False
        # when the event that tells of a change is dealt with, and before anything is painted
        self._asked.connect(self._look, Qt.ConnectionType.QueuedConnection)
        self._rest = single_shot(self, self._ask, REST_MS)
        self._notice = single_shot(self, self._say_slow, NOTICE_MS)
        self._cursor = RestingCursor(viewer, state)
        self._cursor.rested.connect(self._look_ahead)

    # -------------------------------------------------------------- what is asked

    @property
    def is_on(self) -> bool:
        """Whether everything that is drawn is previewed; a script may still call `show`."""
        return self._is_on

    @is_on.setter
    def is_on(self, is_on: bool) -> None:
        if is_on == self._is_on or self._is_closed:
            return
        self._is_on = is_on
        if is_on:
            events, hear = self._state.events, self._heard.hear
            setup = ("video", "model", "device", "resolution", "compute", *MODEL_SETTINGS)
            hear(self._watch, events.video, events.points, events.boxes, events.masks)
            hear(self._on_setup_changed, *(events[name] for name in setup))
            hear(self._on_catalog_changed, events.catalog)
            hear(self._on_frame_locked, events.n_locked)
            hear(self._on_run_planned, events.frames_planned)
            hear(self._on_step, self._viewer.dims.events.current_step)
            self._watch()
            self._cursor.watch()
            self._on_setup_changed()
        else:
            self._heard.let_go()
            self._of_layers.let_go()
            self._cursor.let_go()
            self.clear()
            self._remove_layer()

    def show(self) -> None:
        """Preview what is drawn on the frame on screen, however long it takes; returns at once."""
        self._is_asked = True
        self._ask()

    def clear(self) -> None:
        """Show nothing; what is under way is dropped."""
        self._is_due = self._is_asked = False
        self._locked, self._is_frame_locked = (), False
        self._is_soon = False
        for timer in (self._rest, self._notice):
            timer.stop()
        if self._run is not None:
            self._run.blockSignals(True)
        self._forget(list(self._shown))
        self._say(PreviewStatus())

    def settle(self) -> None:
        """Take away what the session was told: its results are drawn."""
        session = self._session
        if session is not None:
            self._forget([k for k, (p, _) in self._shown.items() if session.is_told(k, p)])

    def go_on(self) -> None:
        """Nobody works any more: look what there is to preview."""
        self.settle()
        if self._is_on:
            self._watch()  # there may be results now

    def follow_layers(self) -> None:
        """Hear that layers came or went: what was deleted is not drawn again."""
        if self._layer is not None and self._layer.layer not in self._viewer.layers:
            self._layer = None
            self._forget(list(self._shown))

    def after(self, call: Callable[[], object]) -> None:
        """Call something when no thread of previews is inside the model; at once, if none is."""
        if self._run is None:
            call()
        else:
            self._after.append(call)

    def result(self, frame_index: int) -> FrameResult:
        """What is shown of a frame."""
        here = {key[1]: mask for key, (_, mask) in self._shown.items() if key[0] == frame_index}
        return FrameResult(frame_index, {i: mask for i, mask in here.items() if mask is not None})

    @property
    def is_working(self) -> bool:
        """Whether a thread is inside the model, or about to be."""
        return self._run is not None or self._is_soon

    def close(self) -> None:
        """Show nothing any more; it is not used afterwards. See `after` for its thread."""
        self.is_on = False
        self._is_closed = True
        self.clear()
        self._remove_layer()
        self._session = None

    # ------------------------------------------------------------------ what is heard

    def _watch(self, _layer: Any = None) -> None:
        """Hear of everything that is drawn."""
        state, hear = self._state, self._of_layers.hear
        self._of_layers.let_go()
        for layer in state.layers_of_prompts:
            hear(self._on_drawn, layer.events.data, layer.events.features)
            if state.is_prompt_layer(layer):
                layer.bind_key(ENTER, self._on_enter, overwrite=True)
        results = self._results
        if state.masks is not None:
            hear(self._on_drawn, state.masks.events.paint)
        if results is not None:
            hear(self._on_drawn, results.layer.events.paint)
            hear(self._on_objects_changed, table_of(results.layer).changed)
        self._ask()

    @property
    def _results(self) -> ResultsLayer | None:
        current = self._state.current
        return None if current is None else current.results

    def _on_drawn(self, event: Any) -> None:
        # before it has changed, nothing has
        if not str(getattr(event, "action", "")).endswith("ing"):
            self._ask()

    def _on_objects_changed(self, change: TableChange) -> None:
        if "lock" in change.what:
            self._ask()

    def _on_frame_locked(self, _count: int) -> None:
        self._ask()

    def _on_run_planned(self, n_frames: int) -> None:
        if n_frames and self._is_due:
            self._ask()

    def _on_step(self, _event: Any) -> None:
        if self._state.n_prompts:
            self._rest.start()

    def _on_setup_changed(self, _value: Any = None) -> None:
        self._is_warm = False
        self._forget(list(self._shown))
        self._remove_layer()
        self._ask()

    def _on_catalog_changed(self, _catalog: Any) -> None:
        if not self._is_warm:  # the model may have come just now
            self._ask()

    def _on_enter(self, layer: Points | Shapes) -> None:
        """Preview what is drawn here, however long the model takes."""
        napari_does = type(layer).class_keymap.get(ENTER)
        if callable(napari_does):
            napari_does(layer)  # finish what is being drawn
        self.show()

    # ------------------------------------------------------------------- what is done

    def _ask(self) -> None:
        is_wanted = not self._is_closed and (self._is_on or self._is_asked)
        if is_wanted and not self._is_soon and not self._is_reading:
            self._is_soon = True
            self._asked.emit()

    def _look(self) -> None:
        """Preview what is new on the frame on screen, unless somebody works."""
        if not self._is_soon:
            return  # cleared meanwhile
        state, self._is_soon = self._state, False
        if self._run is not None or not (state.is_idle or state.is_following):
            self._is_due = True
            if not state.is_idle and state.has_new_prompts:
                self._say(replace(self._status(), comes_after_run=True))
            return
        is_asked, self._is_asked, self._is_due = self._is_asked, False, False
        if not state.can_change or not state.is_model_ready or state.project.is_busy:
            self._forget(list(self._shown))
            return
        try:
            frame_index = self._frame_on_screen()
            if not is_asked and not state.n_prompts and not self._shown:
                self._warm_up(frame_index)
                return
            self._is_reading = True  # which may name objects: that is no news
            session, target, skipped = self._read(frame_index)
        except Sam3Error as exc:
            self._fail(exc)
            return
        finally:
            self._is_reading = False
        self._session = session
        if session.setup != self._pace.setup:
            self._forget(list(self._shown))
            self._remove_layer()
            self._pace = _Pace(session.setup)
        told = {k: p for k, p in target.objects.items() if not session.is_told(k, p)}
        # what was painted among the results shows itself
        new = [k for k, p in told.items() if k[0] == frame_index and p.sources]
        self._is_frame_locked, locked = self._find_locked(frame_index, new)
        self._locked = tuple(sorted(obj_id for _, obj_id in locked))
        told = {k: p for k, p in told.items() if k not in locked}
        new = [k for k in new if k not in locked]
        self._forget([k for k, (p, _) in self._shown.items() if not _is_still(told.get(k), p)])
        # said once; what else is wrong is told by who is asked for results
        reason = describe_skipped(skipped[-1:]) if len(skipped) > self._n_skipped else ""
        self._n_skipped = len(skipped)
        status = replace(self._status(), failure=reason)
        if all(key in self._shown for key in new):
            if self._is_undrawn and new:
                self._present(frame_index)
            else:
                self._say(status)
            if not new:
                self._warm_up(frame_index)
            return
        expected = self._pace.expect(frame_index)
        if expected and not is_asked:
            self._say(replace(status, waits_for_enter=True, seconds=expected))
            self.slow.emit(expected)
            return
        self._say(status)
        self._notice.start()
        prompts = {key: told[key] for key in new}

        def preview() -> tuple[FrameResult, float]:
            session.begin()
            began = perf_counter()
            result = session.preview(target, frame_index)
            return result, perf_counter() - began

        self._start(preview, lambda answer: self._on_answered(prompts, *answer), self._fail)

    def _find_locked(self, frame_index: int, keys: list[Key]) -> tuple[bool, list[Key]]:
        """Whether a frame is locked, and what results on it do not follow for any such reason."""
        results = self._results
        if results is None:
            return False, []
        if results.planes.is_locked(frame_index):
            return True, keys
        ids = table_of(results.layer).locked_ids
        return False, [key for key in keys if key[1] in ids]

    def _look_ahead(self) -> None:
        """Ask what a click would mean where the cursor rests, if there is nothing else to do."""
        state, points, place = self._state, self._state.points, self._cursor.place
        if self.is_working or not state.is_idle or points is None or place is None:
            return
        if not state.can_change or state.project.is_busy or frames_to_come(self._viewer):
            return
        try:
            frame_index = self._frame_on_screen()
            if not self._pace.is_quick(frame_index):
                return
            self._is_reading = True
            session, target, _ = self._read(frame_index)
        except Sam3Error:  # told when a click is made
            return
        finally:
            self._is_reading = False
        setup = session.setup
        click = click_at(place, points, setup.image_layer, setup.axes, target)
        if session.session is None or setup != self._pace.setup or click is None:
            return
        key = frame_index, click.obj_id
        if self._find_locked(frame_index, [key])[1]:
            return
        self._ahead = frame_index, click
        asked = replace(target, objects={**target.objects, key: click})

        def ask() -> float:
            began = perf_counter()
            session.preview(asked, frame_index)
            return perf_counter() - began

        self._start(ask, lambda seconds: self._pace.note(frame_index, seconds), lambda _error: None)

    def _warm_up(self, frame_index: int) -> None:
        """Load what the first click needs while the person looks for it."""
        current, video = self._state.current, self._state.video
        # which slice or channel is meant is said by the first click, where there are several
        is_settled = current is not None and current.axes is not None
        if self._is_warm or not self._is_on or video is None or not self._state.is_idle:
            return
        if video.ndim > _FILM_NDIM and not is_settled:
            return
        self._is_warm = True
        try:
            session = self._open_session()
        except Sam3Error:  # told when somebody wants something of it
            return
        self._start(lambda: session.warm_up(frame_index), lambda _: None, lambda _: None)

    def _start(
        self,
        call: Callable[[], Any],
        on_done: Callable[[Any], object],
        on_failed: Callable[[Sam3Error], object],
    ) -> None:
        def steps() -> Any:
            yield call()

        def at_end() -> None:
            self._run = None
            after, self._after = self._after, []
            for one in after:
                one()
            if not self._is_closed and isalive(self):  # else Qt may have ended the timers
                self._notice.stop()
                if self._is_due:
                    self._ask()
                else:
                    self.rested.emit()

        run = self._run = Run(steps())
        run.gave.connect(on_done)
        run.failed.connect(on_failed)
        run.at_end = at_end
        run.start()

    def _on_answered(
        self, prompts: dict[Key, LayerPrompt], result: FrameResult, seconds: float
    ) -> None:
        if self._state.is_idle and not self._was_asked_ahead(result.frame_index, prompts):
            self._pace.note(result.frame_index, seconds)
        session = self._session
        is_there = session is not None and session.setup.image_layer in self._viewer.layers
        if not is_there:
            return
        self._shown.update({key: (p, result.objects.get(key[1])) for key, p in prompts.items()})
        self._notice.stop()
        if self._is_due or self._is_asked or self._is_soon:
            self._is_undrawn = True  # the next look keeps what holds still, and asks for the rest
            return
        self._present(result.frame_index)

    def _was_asked_ahead(self, frame_index: int, prompts: dict[Key, LayerPrompt]) -> bool:
        """Whether an answer says nothing of how long the model takes."""
        if self._ahead is None or self._ahead[0] != frame_index:
            return False
        return any(is_same_prompt(p, self._ahead[1]) for p in prompts.values())

    def _present(self, frame_index: int) -> None:
        self._is_undrawn = False
        self._draw(frame_index)
        self._say(replace(self._status(), failure="", is_working=False))
        self.shown.emit(frame_index)

    def _fail(self, error: Sam3Error) -> None:
        if isinstance(error.__cause__, MissingPromptError):
            error = error.__cause__
        self._notice.stop()
        self._say(replace(self._status(), failure=str(error)))
        self.failed.emit(str(error))

    def _say_slow(self) -> None:
        if self._run is not None:
            self._say(replace(self._status(), is_working=True))
            self.slow.emit(NOTICE_MS / 1000)

    # ----------------------------------------------------------------- what is shown

    def _forget(self, keys: list[Key]) -> None:
        for key in keys:
            self._shown.pop(key, None)
        for frame_index in {frame for frame, _ in keys}:
            self._draw(frame_index)
        if keys:
            self._say(self._status())

    def _draw(self, frame_index: int) -> None:
        """Show what there is of a frame; the layer is hidden while there is nothing to show."""
        there = any(mask is not None for _, mask in self._shown.values())
        if self._layer is None and there:
            self._layer = self._make_layer()
        if self._layer is None:
            return
        results = self._results
        chosen = {} if results is None else table_of(results.layer).colors
        self._layer.draw(self.result(frame_index), chosen)
        layer, layers = self._layer.layer, self._viewer.layers
        if there and results is not None and results.layer in layers[layers.index(layer) :]:
            layers.move(layers.index(layer), layers.index(results.layer) + 1)
        if layer.visible != there:
            layer.visible = there  # which draws it
        elif there:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _make_layer(self) -> PreviewLayer:
        assert self._session is not None, "it has answered"
        setup = self._session.setup
        made = PreviewLayer(setup.image_layer, setup.axes)
        self._state.tracked(setup.image_layer).carried.add(made.layer)
        add_under_prompts(self._viewer, made.layer, self._state)
        return made

    def _remove_layer(self) -> None:
        shown, self._layer = self._layer, None
        if shown is not None and shown.layer in self._viewer.layers:
            self._viewer.layers.remove(shown.layer)

    def _status(self) -> PreviewStatus:
        seen = {key[1] for key, (_, mask) in self._shown.items() if mask is not None}
        empty = {key[1] for key, (_, mask) in self._shown.items() if mask is None}
        return PreviewStatus(
            tuple(sorted(seen)),
            tuple(sorted(empty - seen)),
            locked=self._locked,
            is_frame_locked=self._is_frame_locked,
        )

    def _say(self, status: PreviewStatus) -> None:
        self._state.preview = status


class _Pace:
    """How long answers take: on a frame that the model sees for the first time, and later on."""

    def __init__(self, setup: Setup | None = None) -> None:
        self.setup = setup
        self._of_new: list[float] = []
        self._of_frame: dict[int, float] = {}

    def note(self, frame_index: int, seconds: float) -> None:
        """Take note of an answer."""
        if frame_index in self._of_frame:
            self._of_frame[frame_index] = seconds
        else:
            self._of_frame[frame_index] = 0.0
            self._of_new = [*self._of_new[-1:], seconds]

    def is_quick(self, frame_index: int) -> bool:
        """Whether an answer is known to come so soon that one may be wasted."""
        of_new = min(self._of_new, default=QUICK_S)
        return (self._of_frame.get(frame_index) or of_new) < QUICK_S

    def expect(self, frame_index: int) -> float:
        """Seconds that an answer will take, if that is long; 0 where it is not, or not known."""
        if frame_index in self._of_frame:
            expected, limit = self._of_frame[frame_index], SLOW_S
        else:
            expected = min(self._of_new, default=0.0)
            limit = SLOW_S if len(self._of_new) > 1 else FIRST_SLOW_S
        return expected if expected > limit else 0.0


def _is_still(prompt: LayerPrompt | None, before: LayerPrompt) -> bool:
    return prompt is not None and is_same_prompt(prompt, before)

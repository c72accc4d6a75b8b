"""When previews come: ahead of a click, between the frames of a run, late from a slow model."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeModel
from napari_sam3.plugin.controllers import preview_controller
from napari_sam3.plugin.controllers.frame_lock import lock_frame
from napari_sam3.plugin.controllers.session_controller import SessionController
from tests.plugin.conftest import click, disc

from .hands import move
from .test_preview import (
    canvas_place,
    draw_box,
    held,
    press,
    ready,
    results_on,
    settle,
)

pytestmark = pytest.mark.sweep

__all__ = ["held", "ready", "settle"]


# ------------------------------------------------------------------------- before it is clicked


@pytest.fixture
def quick(monkeypatch):
    """On a busy machine, too, the model is quick enough to be asked ahead of a click."""
    monkeypatch.setattr(preview_controller, "QUICK_S", 1000)


def rest_cursor(dock, y, x):
    move(*canvas_place(dock, y, x))


def test_a_click_where_the_cursor_rested_is_answered_already(ready, settle, held, qtbot, quick):
    held.set()
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 20, 20)
    settle(ready)
    ready.prompt_panel.object.value = 2
    rest_cursor(ready, 50, 80)
    qtbot.waitUntil(lambda: len(held.calls) == 2)
    assert list(settle(ready)) == [1]  # nothing is shown of it
    assert len(ready.state.points.data) == 1
    press(ready, 50, 80)
    assert settle(ready)[2][50, 80]
    assert len(held.calls) == 2


def test_a_correction_where_the_cursor_rested_is_answered_already(
    ready, settle, held, qtbot, quick
):
    held.set()
    ready.viewer.window.show()
    QApplication.processEvents()
    draw_box(ready)
    click(ready, 20, 20)
    settle(ready)
    n_calls = len(held.calls)
    ready.prompt_panel.sign.value = "exclude"
    rest_cursor(ready, 35, 45)
    qtbot.waitUntil(lambda: len(held.calls) == n_calls + 1)
    settle(ready)
    press(ready, 35, 45)
    assert not settle(ready)[1][35, 45]
    assert len(held.calls) == n_calls + 1


def test_only_a_click_tool_and_a_quick_model_look_ahead(ready, settle, held, slow, qtbot):
    held.set()
    rested = []
    ready.tracking.preview._cursor.rested.connect(lambda: rested.append(1))
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 20, 20)
    settle(ready)
    rest_cursor(ready, 50, 80)
    qtbot.waitUntil(lambda: len(rested) == 1)
    settle(ready)
    assert len(held.calls) == 1  # it takes seconds
    slow[0] = 0.1
    for _ in range(2):
        click(ready, 30, 30)
        settle(ready)
    n_calls = len(held.calls)
    ready.state.points.mode = "select"
    rest_cursor(ready, 60, 100)
    ready.state.points.mode = "add"
    rest_cursor(ready, 61, 100)
    qtbot.waitUntil(lambda: len(rested) == 2)
    settle(ready)
    assert len(held.calls) == n_calls + 1


# --------------------------------------------------------------------------- while a job is done


def test_what_is_drawn_during_a_run_is_previewed_between_its_frames(
    ready, settle, gate, qtbot, monkeypatch, work
):
    arrived, preview = threading.Event(), SessionController.preview

    def note_and_ask(self, target, frame_index):
        arrived.set()
        return preview(self, target, frame_index)

    click(ready, 30, 40)
    settle(ready)
    arrived.clear()
    monkeypatch.setattr(SessionController, "preview", note_and_ask)
    ready.propagate()
    qtbot.waitUntil(lambda: gate.n_waiting == 1 and ready.state.frames_planned > 0)
    ready.viewer.dims.set_current_step(0, 0)
    click(ready, 60, 90, obj_id=2)
    qtbot.waitUntil(arrived.is_set)
    while ready.state.preview.objects != (2,):
        n_waiting = gate.n_waiting
        gate.let(1)
        qtbot.waitUntil(
            lambda n=n_waiting: gate.n_waiting > n or ready.state.preview.objects == (2,)
        )
    assert ready.is_running
    assert "this run goes on without it" in ready.guidance.text()
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert list(settle(ready)) == [2]
    assert sorted(results_on(ready, 0)) == [1]
    work(ready, ready.segment_frame)
    assert np.array_equal(results_on(ready, 0)[2], disc(0, 60, 90))


def test_what_is_drawn_during_another_job_is_previewed_after_it(ready, settle, held, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    ready.segment_frame()
    click(ready, 60, 90, obj_id=2)
    qtbot.waitUntil(lambda: ready.state.preview.comes_after_run)
    with qtbot.waitSignal(ready.ended):
        held.set()
    assert list(settle(ready)) == [2]
    assert not ready.state.preview.comes_after_run


def test_prompts_on_what_is_locked_say_that_they_change_nothing(ready, settle, work):
    click(ready, 30, 40)
    work(ready, ready.propagate)
    ready.viewer.dims.set_current_step(0, 0)
    results = ready.tracking.results.layer
    ready.tracking.objects.lock(results, [1])
    click(ready, 34, 50)
    assert settle(ready) == {}
    assert ready.guidance.text().startswith("Object 1 is locked: what you draw there changes")
    click(ready, 60, 90, obj_id=2)
    assert list(settle(ready)) == [2]
    ready.tracking.objects.lock(results, [1], False)
    assert sorted(settle(ready)) == [1, 2]
    assert "locked" not in ready.guidance.text()
    lock_frame(ready.tracking, True)
    assert settle(ready) == {}
    assert ready.guidance.text().startswith("This frame is locked")
    lock_frame(ready.tracking, False)
    assert sorted(settle(ready)) == [1, 2]


# --------------------------------------------------------------------------------- slow models


@pytest.fixture
def slow(monkeypatch):
    """The clock of previews: each answer takes as long as is said."""
    taken = [6.0]
    times = iter(range(10**6))
    monkeypatch.setattr(preview_controller, "perf_counter", lambda: taken[0] * next(times))
    return taken


def test_a_slow_model_previews_on_enter(ready, settle, slow, qtbot):
    told = []
    ready.tracking.preview.slow.connect(told.append)
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 30, 40)
    assert list(settle(ready)) == [1]  # nobody knew
    ready.viewer.dims.set_current_step(0, 3)
    click(ready, 50, 50, t=3, obj_id=2)
    assert settle(ready, 3) == {}
    assert told[-1] == 6.0
    assert "press Enter" in ready.guidance.text()
    ready.viewer.layers.selection.active = ready.state.points
    canvas, _ = canvas_place(ready, 0, 0)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert list(settle(ready, 3)) == [2]
    # what the frame needed is known now: more clicks on it are quick
    slow[0] = 0.1
    click(ready, 52, 60, t=3, obj_id=2)
    assert settle(ready, 3)[2][52, 60]


def test_a_model_at_work_for_long_says_so(ready, settle, held, qtbot, monkeypatch):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    qtbot.waitUntil(lambda: ready.state.preview.is_working)
    assert "is at work on the preview" in ready.guidance.text()
    held.set()
    assert list(settle(ready)) == [1]
    assert not ready.state.preview.is_working


def test_a_model_that_got_quick_is_asked_by_itself_again():
    pace = preview_controller._Pace()
    for frame, seconds in ((0, 3.0), (1, 3.0)):
        assert pace.expect(frame) == 0
        pace.note(frame, seconds)
    assert pace.expect(2) == 3.0
    assert pace.expect(1) == 0
    pace.note(2, 0.2)
    assert pace.expect(3) == 0


# ----------------------------------------------------------------------- ready before the click


def test_the_model_is_loaded_while_the_person_looks_for_the_object(open_dock, film, qtbot, notes):
    dock = open_dock()
    assert dock.tracking.session is None
    dock.viewer.add_image(film, name="film")
    qtbot.waitUntil(lambda: dock.tracking.session is not None)
    qtbot.waitUntil(lambda: dock.tracking.session.session is not None)
    assert dock.state.is_idle
    assert notes == []


def test_a_model_that_can_not_be_loaded_is_no_matter_before_it_is_needed(
    open_dock, film, settle, monkeypatch, notes
):
    def fail(*_args, **_kwargs):
        raise OutOfDeviceMemoryError("no room for it")

    with monkeypatch.context() as broken:
        broken.setattr(FakeModel, "__init__", fail)
        dock = open_dock()
        dock.viewer.add_image(film, name="film")
        dock.viewer.dims.set_current_step(0, 0)
        dock.new_prompts()
        settle(dock)
        assert "Click the object" in dock.guidance.text()
        click(dock, 30, 40)
        assert settle(dock) == {}
        assert dock.guidance.text() == "No preview: no room for it"
    click(dock, 30, 44)
    assert list(settle(dock)) == [1]
    assert notes == []


def test_axes_are_not_chosen_for_the_person(open_dock, settle):
    dock = open_dock()
    stack = Image(np.zeros((6, 5, 40, 50), np.uint8), axis_labels=("t", "z", "y", "x"))
    dock.viewer.add_layer(stack)
    settle(dock)
    assert dock.state.tracked(stack).axes is None

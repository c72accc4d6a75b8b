"""What may happen while the window works: stop, errors, deletions, closing, a second widget."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import ModelUnavailableError, SessionNotFoundError
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.plugin.controllers import worker

from .conftest import SHAPE, disc


@pytest.fixture
def ready(open_dock, film):
    """A dock on a film, with prompt layers and one click on object 1."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    return dock


def results_of(dock):
    return dock.tracking.results


def begin(dock, gate, qtbot, n_frames):
    """Propagate until so many frames are done and the next one waits."""
    gate.let(n_frames - 1)
    dock.propagate()
    qtbot.waitUntil(
        lambda: dock.tracking.job is not None and dock.tracking.job.frames_done == n_frames
    )
    qtbot.waitUntil(lambda: gate.n_waiting == n_frames)


def is_ready_again(dock):
    track = dock.tracking_panel
    return (
        not dock.is_running
        and track.propagate.enabled
        and track.segment.enabled
        and not track.stop.enabled
        and dock.video_panel.group.isEnabled()
    )


def test_stop_keeps_what_is_done_and_propagate_goes_on(ready, gate, qtbot):
    begin(ready, gate, qtbot, 5)
    assert ready.tracking_panel.stop.enabled
    assert not ready.tracking_panel.propagate.enabled
    ready.stop()
    assert not ready.tracking_panel.stop.enabled
    with qtbot.waitSignal(ready.ended):
        gate.let(1)
    drawn = results_of(ready).drawn_frames()
    assert drawn[:5] == [0, 1, 2, 3, 4]
    assert len(drawn) <= 6  # the frame that was under way, at most
    assert ready.guidance.text().startswith("Stopped.")
    assert is_ready_again(ready)
    gate.open()
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
    np.testing.assert_array_equal(results_of(ready).planes[19] == 1, disc(19, 30, 40))


def test_window_works_on_while_the_model_works(ready, gate, qtbot):
    begin(ready, gate, qtbot, 2)
    ready.viewer.dims.set_current_step(0, 7)
    ready.prompt_panel.object.value = 2
    ready.prompt_panel.points.value.add([[0, 60, 20]])
    told = "Tracking: 2 of 20 frames. Stop keeps what is done."
    qtbot.waitUntil(lambda: ready.guidance.text() == told)
    assert not ready.tracking_panel.progress.native.isHidden()
    gate.open()
    qtbot.waitSignal(ready.ended).wait()
    assert set(np.unique(results_of(ready).planes[0])) == {0, 1}  # as it was at the start


def test_second_propagate_does_nothing(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    job = ready.tracking.job
    ready.propagate()
    ready.segment_frame()
    ready.reset()
    ready.remove_object()
    assert ready.tracking.job is job
    assert len(worker._alive) == 1
    gate.open()
    qtbot.waitSignal(ready.ended).wait()
    assert results_of(ready).drawn_frames() == list(range(SHAPE[0]))


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_error_in_the_model_is_told_and_leaves_the_buttons(ready, qtbot, notes, monkeypatch, error):
    def fail(*_args):
        raise error("the model broke")

    monkeypatch.setattr(FakeTracker, "step", fail)
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
    assert [severity for severity, _ in notes] == ["error"]
    assert "the model broke" in notes[0][1]
    assert is_ready_again(ready)
    assert results_of(ready).drawn_frames() == [0]
    monkeypatch.undo()
    with qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    assert len(notes) == 1


def test_an_end_that_can_not_be_shown_is_told(ready, qtbot, notes, monkeypatch):
    def fail(live):
        live._timer.stop()  # as refreshing does first
        raise OSError("the results can't be read")

    monkeypatch.setattr("napari_sam3.plugin.controllers.live_drawing.LiveDrawing.refresh", fail)
    with qtbot.capture_exceptions(), qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    assert any("can't be read" in text for _, text in notes)
    assert is_ready_again(ready)


def test_refused_prompt_is_told_with_its_remedy(ready, qtbot, notes):
    points = ready.prompt_panel.points.value
    points.features = points.features.assign(label="exclude")
    with qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    assert notes[-1][0] == "error"
    assert "add a positive point" in notes[-1][1]
    assert "add a positive point" in ready.guidance.text()
    assert is_ready_again(ready)


def test_nothing_prompted_is_told_at_once(open_dock, film, notes):
    dock = open_dock()
    dock.segment_frame()
    assert "no video is open" in notes[-1][1]
    dock.viewer.add_image(film)
    dock.propagate()
    assert "press New prompts" in notes[-1][1]
    assert is_ready_again(dock)


def test_model_that_can_not_be_loaded(ready, qtbot, notes, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ModelUnavailableError("no such model here; choose another")

    monkeypatch.setattr(FakeModel, "__init__", fail)
    ready.models.choose("auto", "cpu")  # another one than is loaded
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
    assert notes[-1] == ("error", "no such model here; choose another")
    assert results_of(ready) is None
    assert is_ready_again(ready)


def test_what_is_no_prompt_is_told(ready, qtbot, notes):
    ready.prompt_panel.points.value.add([[0, 500, 500]])
    with qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    assert notes[-1][0] == "warning"
    assert "point 1" in notes[-1][1]
    assert set(np.unique(results_of(ready).planes[0])) == {0, 1}


@pytest.mark.parametrize("which", ["film", "film objects"])
def test_deleting_the_video_or_the_labels_stops_the_work(ready, gate, qtbot, which):
    begin(ready, gate, qtbot, 3)
    ready.viewer.layers.remove(ready.viewer.layers[which])
    assert not ready.tracking_panel.stop.enabled
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert not ready.is_running
    if which == "film":
        assert ready.tracking.session is None
        assert ready.video_panel.video.value is None
    else:
        with qtbot.waitSignal(ready.ended):
            ready.propagate()
        assert results_of(ready).drawn_frames() == list(range(SHAPE[0]))


def test_deleting_prompt_layers_leaves_the_work_alone(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    ready.viewer.layers.remove(ready.prompt_panel.points.value)
    ready.viewer.layers.remove(ready.prompt_panel.boxes.value)
    assert ready.prompt_panel.points.value is None
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert results_of(ready).drawn_frames() == list(range(SHAPE[0]))


def test_deleting_all_layers(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    ready.viewer.layers.clear()
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert ready.guidance.text().startswith("Open a video")


def test_changing_the_video_while_running(ready, gate, qtbot, film):
    begin(ready, gate, qtbot, 3)
    results = results_of(ready)
    ready.viewer.add_image(film, name="other")
    ready.video_panel.video.value = ready.viewer.layers["other"]
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert results.drawn_frames() == list(range(SHAPE[0]))
    assert results_of(ready) is None


def test_closing_the_dock_while_running(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    ready.viewer.window.remove_dock_widget(ready)
    assert not ready.is_running
    gate.open()
    qtbot.waitUntil(lambda: not worker._alive)
    ready.viewer.layers.clear()  # nobody listens any more


def test_closing_the_viewer_while_running(make_napari_viewer, open_dock, film, gate, qtbot):
    dock = open_dock(make_napari_viewer(show=True))
    dock.viewer.add_image(film)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    begin(dock, gate, qtbot, 3)
    session = dock.tracking.session.session
    dock.viewer.close()
    assert not dock.is_running
    gate.let(1)
    qtbot.waitUntil(lambda: not worker._alive)
    with pytest.raises(SessionNotFoundError):
        session.result(0)


def test_two_widgets_on_one_video(ready, open_dock, gate, qtbot):
    other = open_dock(ready.viewer)
    gate.open()
    other.prompt_panel.points.value = ready.prompt_panel.points.value
    ready.propagate()
    other.propagate()
    qtbot.waitUntil(lambda: not ready.is_running and not other.is_running)
    layers = {results_of(ready).layer.name, results_of(other).layer.name}
    assert layers == {"film objects", "film objects [1]"}
    for dock in (ready, other):
        np.testing.assert_array_equal(results_of(dock).planes[9] == 1, disc(9, 30, 40))


def test_progress_is_shown_in_the_activity_dock_and_can_be_cancelled(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    progress = ready.tracking.job._bar
    qtbot.waitUntil(lambda: progress.n == 3)
    assert progress.total == SHAPE[0]
    assert "frames/s" in ready.tracking_panel.pace.text()
    progress.cancel()
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert len(results_of(ready).drawn_frames()) <= 5
    assert progress not in type(progress)._all_instances


def test_painting_while_the_model_works_is_kept(ready, gate, qtbot):
    begin(ready, gate, qtbot, 3)
    layer = results_of(ready).layer
    layer.data_setitem((np.array([9]), np.array([70]), np.array([100])), 1)
    gate.open()
    qtbot.waitSignal(ready.ended).wait()
    assert results_of(ready).planes[9][70, 100] == 1
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
    assert results_of(ready).planes[9][70, 100] == 1

"""Whatever happens, and in whichever order: nothing is raised, and the window works on.

Each event happens while nothing is done and in the middle of a propagation, alone and, in the
sweep, before every event and behind every one. Afterwards the work on a video must come to its end.
"""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.model.app_state import Outcome
from tests.sweeps import sweep

from .conftest import SHAPE, click, disc, labels_of

pytestmark = pytest.mark.sweep

OTHER = np.zeros((6, 40, 50), np.uint8)


def delete_video(dock, _model):
    dock.viewer.layers.remove(dock.state.video)


def delete_results(dock, _model):
    results = dock.tracking.results
    if results is not None:
        dock.viewer.layers.remove(results.layer)


def delete_prompts(dock, _model):
    if dock.state.points is not None:
        dock.viewer.layers.remove(dock.state.points)


def rename_all(dock, _model):
    for number, layer in enumerate(dock.viewer.layers):
        layer.name = f"renamed {number}"


def replace_data(dock, _model):
    dock.state.video.data = np.array(dock.state.video.data)


def replace_by_shorter(dock, _model):
    dock.state.video.data = np.array(dock.state.video.data[:7])


def rescale(dock, _model):
    dock.state.video.scale = (0.5, 2, 2)


def choose_another_video(dock, _model):
    dock.video_panel.video.value = dock.viewer.add_image(OTHER, name="other")


def choose_another_model(dock, _model):
    dock.state.model = "optical-flow"
    dock.state.model = "fake"


def open_second_dock(dock, model):
    model.open_dock(dock.viewer)


def press_everything(dock, _model):
    for act in (dock.stop, dock.segment_frame, dock.propagate, dock.propagate_from_here):
        act()
    dock.stop()


def break_model(_dock, model):
    model.error = RuntimeError("the model broke")


def run_out_of_memory(_dock, model):
    model.error = MemoryError()


def run_out_of_device_memory(_dock, model):
    model.error = OutOfDeviceMemoryError("the card is full")


EVENTS = {
    f.__name__: f
    for f in (
        delete_video,
        delete_results,
        delete_prompts,
        rename_all,
        replace_data,
        replace_by_shorter,
        rescale,
        choose_another_video,
        choose_another_model,
        open_second_dock,
        press_everything,
        break_model,
        run_out_of_memory,
        run_out_of_device_memory,
    )
}


class Model:
    """What the fake model is made to do, and what opens docks and closes them."""

    def __init__(self, open_dock) -> None:
        self.error: BaseException | None = None
        self._open_dock, self._docks = open_dock, []

    def open_dock(self, viewer):
        self._docks.append(self._open_dock(viewer))

    def close_others(self, dock):
        """Close all docks of its window but this one."""
        while self._docks:
            other = self._docks.pop()
            dock.viewer.window.remove_dock_widget(other)
            other.shut_down()


@pytest.fixture
def model(monkeypatch, gate, open_dock):
    model, step = Model(open_dock), FakeTracker.step

    def maybe_fail(self, *args):
        error, model.error = model.error, None
        if error is not None:
            raise error
        return step(self, *args)

    monkeypatch.setattr(FakeTracker, "step", maybe_fail)
    return model


def begin(dock, gate, qtbot, n_frames=3):
    dock.tracking_panel.direction.value = "forward"
    gate.let(n_frames - 1)
    dock.propagate()
    qtbot.waitUntil(lambda: dock.is_running and dock.tracking.job.frames_done == n_frames)


def let_end(dock, gate, qtbot):
    gate.open()
    qtbot.waitUntil(lambda: not dock.is_running)


def start_over(dock, film):
    """Another video, with a click on it."""
    dock.viewer.layers.clear()
    video = dock.viewer.add_image(film, name="film again")
    dock.video_panel.video.value = video
    dock.new_prompts()
    dock.prompt_panel.object.value = 1
    click(dock, 30, 40)


def works_still(dock, qtbot, film):
    """A new video, a click and a propagation, to the pixel."""
    start_over(dock, film)
    follows_still(dock, qtbot)


def is_whole(video, film):
    """Whether what happened has left the video as it was."""
    return video is not None and np.array_equal(video.data, film) and set(video.scale) == {1}


def follows_still(dock, qtbot):
    dock.propagate()
    qtbot.waitUntil(lambda: not dock.is_running)
    assert dock.state.outcome is Outcome.TRACKED
    np.testing.assert_array_equal(labels_of(dock).data[9] == 1, disc(9, 30, 40))
    assert dock.tracking_panel.propagate.enabled


def happen(dock, model, names):
    for name in names:
        if dock.state.video is not None:
            EVENTS[name](dock, model)


def amid_a_propagation(dock, model, gate, qtbot, names):
    begin(dock, gate, qtbot)
    happen(dock, model, names)
    let_end(dock, gate, qtbot)
    model.error = None


def between_two_propagations(dock, model, gate, qtbot, names):
    gate.open()
    dock.propagate()
    qtbot.waitUntil(lambda: not dock.is_running)
    happen(dock, model, names)
    dock.propagate()
    let_end(dock, gate, qtbot)
    model.error = None


MOMENTS = pytest.mark.parametrize(
    "live", sweep([amid_a_propagation, between_two_propagations], [amid_a_propagation])
)


@MOMENTS
@pytest.mark.parametrize("name", EVENTS)
def test_an_event(ready, model, gate, qtbot, film, name, live):
    live(ready, model, gate, qtbot, [name])
    works_still(ready, qtbot, film)


@pytest.mark.sweep
@MOMENTS
@pytest.mark.parametrize("first", EVENTS)
def test_an_event_before_every_event(ready, model, gate, qtbot, film, first, live):
    """In one window, so that what one pair leaves behind is in the way of the next, too."""
    for second in EVENTS:
        try:
            live(ready, model, gate, qtbot, [first, second])
            model.close_others(ready)
            if is_whole(ready.state.video, film):
                ready.reset()
                ready.new_prompts()
                click(ready, 30, 40)
                follows_still(ready, qtbot)
            else:
                works_still(ready, qtbot, film)
        except BaseException as exc:
            raise AssertionError(f"{first}, then {second}") from exc
        gate.shut()
        click(ready, 30, 40)  # said anew, so that the frames are computed again


def test_the_frame_count_never_exceeds_the_video(ready, gate, qtbot):
    """Two objects, named on different frames, go both ways: some frames are done twice."""
    click(ready, 60, 20, t=12, obj_id=2)
    seen: list[tuple[int, int]] = []
    state = ready.state
    state.events.frames_done.connect(lambda n: seen.append((n, state.frames_planned)))
    ready.tracking_panel.direction.value = "both"
    gate.open()
    ready.propagate()
    qtbot.waitUntil(lambda: not ready.is_running)
    assert {planned for done, planned in seen if done} == {SHAPE[0]}
    assert max(done for done, _ in seen) == state.frames_done == SHAPE[0]
    assert state.steps_planned > SHAPE[0]


@pytest.mark.parametrize("name", sweep(EVENTS, sample=["delete_results"]))
def test_a_window_that_is_closed_after_it(
    make_napari_viewer, open_dock, model, film, gate, qtbot, name
):
    """The thread comes to its end, and nothing is raised on the way."""
    dock = open_dock(make_napari_viewer(show=True))
    dock.viewer.add_image(film)
    dock.new_prompts()
    click(dock, 30, 40)
    begin(dock, gate, qtbot)
    job = dock.tracking.job
    EVENTS[name](dock, model)
    dock.viewer.close()
    gate.open()
    qtbot.waitUntil(lambda: not job._run.is_running)
    assert dock.is_shut_down

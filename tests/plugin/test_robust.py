"""Whatever happens, and in whichever order: nothing is raised, and the window works on.

Each event happens while nothing is done and in the middle of a propagation, alone and, in the
sweep, before three others. Afterwards the work on a video must come to its end.
"""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.model.app_state import Outcome
from tests.sweeps import sweep

from .conftest import SHAPE, click, disc, labels_of

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
STEPS = 1, 4, 9  # each before three others, and behind three: all pairs take a quarter of an hour
PAIRS = [
    f"{one}, {[*EVENTS][(place + step) % len(EVENTS)]}"
    for place, one in enumerate(EVENTS)
    for step in STEPS
]


class Model:
    """What the fake model is made to do, and what opens docks."""

    error: BaseException | None = None


@pytest.fixture
def model(monkeypatch, gate, open_dock):
    model, step = Model(), FakeTracker.step
    model.open_dock = open_dock

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


def works_still(dock, qtbot, film):
    """A new video, a click and a propagation, to the pixel."""
    dock.viewer.layers.clear()
    video = dock.viewer.add_image(film, name="film again")
    dock.video_panel.video.value = video
    dock.new_prompts()
    dock.prompt_panel.object.value = 1
    click(dock, 30, 40)
    dock.propagate()
    qtbot.waitUntil(lambda: not dock.is_running)
    assert dock.state.outcome is Outcome.TRACKED
    np.testing.assert_array_equal(labels_of(dock).data[9] == 1, disc(9, 30, 40))
    assert dock.tracking_panel.propagate.enabled


@pytest.mark.parametrize("names", [*EVENTS, *sweep(PAIRS, sample=())])
def test_in_the_middle_of_a_propagation(ready, model, gate, qtbot, film, names):
    begin(ready, gate, qtbot)
    for name in names.split(", "):
        if ready.state.video is not None:
            EVENTS[name](ready, model)
    let_end(ready, gate, qtbot)
    model.error = None
    works_still(ready, qtbot, film)


@pytest.mark.parametrize("names", [*EVENTS, *sweep(PAIRS, sample=())])
def test_between_two_propagations(ready, model, gate, qtbot, film, names):
    gate.open()
    ready.propagate()
    qtbot.waitUntil(lambda: not ready.is_running)
    for name in names.split(", "):
        if ready.state.video is not None:
            EVENTS[name](ready, model)
    ready.propagate()
    let_end(ready, gate, qtbot)
    model.error = None
    works_still(ready, qtbot, film)


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


@pytest.mark.parametrize("name", ["delete_results", "rescale", "choose_another_video"])
def test_a_window_that_is_closed_after_it(make_napari_viewer, open_dock, film, gate, qtbot, name):
    """The thread comes to its end, and nothing is raised on the way."""
    dock = open_dock(make_napari_viewer(show=True))
    dock.viewer.add_image(film)
    dock.new_prompts()
    click(dock, 30, 40)
    begin(dock, gate, qtbot)
    job = dock.tracking.job
    EVENTS[name](dock, None)
    dock.viewer.close()
    gate.open()
    qtbot.waitUntil(lambda: not job._run.is_running)
    assert dock.is_shut_down

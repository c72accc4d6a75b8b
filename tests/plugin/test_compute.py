"""The window with its model on a worker: as with one here, to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QInputDialog, QMessageBox

from napari_sam3.cluster import Connection
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.plugin.views.compute_panel import OTHER
from tests.cluster.conftest import cluster, module_cluster, watcher  # noqa: F401 - fixtures

from .conftest import SHAPE, disc

pytestmark = pytest.mark.sweep


@pytest.fixture
def ready(open_dock, film, cluster, qtbot, monkeypatch):  # noqa: F811
    """A dock that computes on a worker, with a click on object 1."""
    dock = open_dock()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (f" {cluster.address} ", True))
    dock.models.choose("slow")  # which only the workers know
    dock.viewer.add_image(film, name="film")
    dock.viewer.dims.set_current_step(0, 0)
    dock.compute_panel.compute.value = OTHER
    qtbot.waitUntil(lambda: dock.state.compute_state == "ready")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    return dock


def end_of(dock, qtbot, act):
    with qtbot.waitSignal(dock.ended):
        act()
    QApplication.processEvents()


def assert_tracked(dock, obj_id=1, y=30, x=40):
    planes = dock.tracking.results.planes
    for frame_index in range(SHAPE[0]):
        expected = disc(frame_index, y, x)
        np.testing.assert_array_equal(planes[frame_index] == obj_id, expected)


def test_tracks_on_a_worker(ready, cluster, qtbot):  # noqa: F811
    panel = ready.compute_panel
    assert panel.compute.value == cluster.address
    qtbot.waitUntil(lambda: panel.word.text() == "ready")  # it looks again when the video is sent
    qtbot.waitUntil(lambda: 1 in ready.state.preview.objects)
    end_of(ready, qtbot, ready.segment_frame)
    end_of(ready, qtbot, ready.propagate)
    assert ready.state.outcome is Outcome.TRACKED
    assert_tracked(ready)


def test_offers_the_models_of_the_workers(ready, qtbot):
    qtbot.waitUntil(lambda: ready.state.catalog.n_workers == 2)
    catalog = ready.state.catalog
    assert catalog.format_state("optical-flow") == "✓ there"
    assert catalog.format_state("sam3") == "not there"
    assert catalog.entries["sam3"].capabilities.text
    assert ready.compute_panel.word.text() == "ready"
    ready.compute_panel.compute.value = ""
    assert ready.state.catalog.place == ""


@pytest.mark.sweep
def test_a_worker_that_dies_is_told_and_not_seen(ready, cluster, watcher, qtbot, notes):  # noqa: F811
    ready.propagate()
    qtbot.waitUntil(lambda: ready.state.frames_done >= 4)
    cluster.kill(cluster.holder(watcher))
    with qtbot.waitSignal(ready.ended):
        pass
    assert ready.state.outcome is Outcome.TRACKED
    assert_tracked(ready)
    assert any("was lost; going on on another" in text for _, text in notes)
    qtbot.waitUntil(lambda: ready.state.compute_state == "ready")


def test_stop_and_go_on(ready, cluster, qtbot):  # noqa: F811
    ready.models.choose("held")
    ready.propagate()
    qtbot.waitUntil(lambda: ready.state.frames_done >= 3)

    def stop_and_let_go():
        ready.stop()
        (cluster.home / "go.txt").touch()

    end_of(ready, qtbot, stop_and_let_go)
    assert ready.state.outcome is Outcome.STOPPED
    done = ready.tracking.results.drawn_frames()
    assert 3 <= len(done) < SHAPE[0]
    end_of(ready, qtbot, ready.propagate)
    assert_tracked(ready)


def test_computes_here_again(ready, qtbot):
    end_of(ready, qtbot, ready.propagate)
    ready.models.choose("fake")
    ready.compute_panel.compute.value = ""
    assert ready.compute_panel.word.text() == ""
    ready.prompt_panel.object.value = 2
    ready.prompt_panel.points.value.add([[0, 60, 20]])
    end_of(ready, qtbot, ready.propagate)
    assert_tracked(ready)
    assert_tracked(ready, 2, 60, 20)


def test_an_address_is_offered_the_next_time_and_nobody_is_asked(open_dock, qtbot, notes):
    address = "tcp://127.0.0.1:9"
    first = open_dock()
    first.tracking.compute.choose(address)
    qtbot.waitUntil(lambda: first.state.compute_state == "lost")
    n_notes = len(notes)
    second = open_dock()
    assert address in second.compute_panel.compute.choices
    assert second.state.compute == second.state.compute_state == ""
    assert len(notes) == n_notes


@pytest.mark.parametrize("button", [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes])
def test_an_address_that_is_not_safe_is_taken_if_insisted_on(open_dock, monkeypatch, button):
    asked = []
    dock = open_dock()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("tcp://192.0.2.7:8786", True))
    monkeypatch.setattr(QMessageBox, "warning", lambda *said: asked.append(said) or button)
    monkeypatch.setattr(Connection, "describe", lambda _self: "ready")
    dock.compute_panel.compute.value = OTHER
    ((_, _, text, _, default),) = asked
    assert "neither encrypted nor on this machine" in text
    assert default == QMessageBox.StandardButton.No
    taken = "tcp://192.0.2.7:8786" if button == QMessageBox.StandardButton.Yes else ""
    assert dock.state.compute == taken
    assert dock.compute_panel.compute.value == taken


def test_a_scheduler_that_is_not_there_is_told(open_dock, film, monkeypatch, qtbot, notes):
    dock = open_dock()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("tcp://127.0.0.1:9", True))
    dock.compute_panel.compute.value = OTHER
    qtbot.waitUntil(lambda: dock.state.compute_state == "lost")
    assert any("does not answer" in text for _, text in notes)

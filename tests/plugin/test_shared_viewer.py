"""The viewer that a package's tests share: a clean one is as a new one."""

from __future__ import annotations

import threading

import napari
import numpy as np
import pytest
from napari.layers import Points
from napari.settings import get_settings
from napari.utils import progress
from napari.utils.notifications import notification_manager, show_info
from qtpy.QtWidgets import QDialog, QLabel
from superqt.utils import create_worker

from tests.shared_viewer import look_at


@pytest.fixture
def shared(shared_viewer):
    """The one of the package, cleaned after each test here."""
    yield shared_viewer
    shared_viewer.clean()


def use_all(viewer):
    """Change what a test may change."""
    film = np.zeros((6, 40, 50), np.uint8)
    viewer.add_image(film, name="film", scale=(2, 1, 1))
    viewer.add_labels(film, name="labels")
    points = viewer.add_points([[0, 5, 5]], ndim=3)
    viewer.add_shapes(ndim=3)
    viewer.add_tracks([[1, 0, 0, 0], [1, 1, 1, 1]])
    viewer.layers.selection.active = points
    points.mode = "add"
    viewer.dims.set_current_step(0, 4)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.ndisplay = 3
    camera = getattr(viewer, "scene", viewer).camera  # the viewer's own before napari 0.9
    camera.angles, camera.zoom = (10, 20, 30), 7
    viewer.dims.ndisplay = 2
    viewer.title, viewer.theme = "another", "light"
    viewer.status, viewer.help = "busy", "none"
    viewer.cursor.position = (1.0, 2.0)
    viewer.mouse_drag_callbacks.append(lambda viewer, event: None)
    viewer.mouse_move_callbacks.append(lambda viewer, event: None)
    viewer.mouse_wheel_callbacks.clear()
    viewer.bind_key("F9", lambda viewer: None)
    Points.bind_key("F9", lambda layer: None)
    get_settings().application.playback_fps = 3
    viewer.window.add_dock_widget(QLabel("a dock"), name="a dock")
    show_info("a note")
    progress(total=3, desc="half done").update(1)


def test_a_clean_one_is_as_a_new_one(shared):
    viewer = shared.lend()
    new = look_at(viewer)
    use_all(viewer)
    used = look_at(viewer)
    as_before = {"is shown", "status", "viewers", "workers", "threads", "windows"}
    assert {name for name in new if used[name] == new[name]} <= as_before
    shared.clean()
    assert shared.lend() is viewer
    clean = look_at(viewer)
    clean["threads"] &= new["threads"]
    for name in new:
        assert clean[name] == new[name], name
    assert "F9" not in str(Points.class_keymap)
    assert not notification_manager.records


def test_the_window_is_hidden_again(shared):
    viewer = shared.lend(show=True)
    assert viewer.window._qt_window.isVisible()
    shared.clean()
    assert not viewer.window._qt_window.isVisible()


def test_one_that_is_not_lent_is_not_found(shared):
    viewer = shared.lend()
    assert napari.current_viewer() is viewer
    shared.clean()
    assert napari.current_viewer() is None


@pytest.mark.sweep
def test_one_that_was_used_says_what_a_new_one_says(shared):
    use_all(shared.lend())
    shared.clean()
    clean = look_at(shared.viewer)
    shared.close()
    new = look_at(shared.lend())
    for name in ("layers", "selection", "state", "keys", "docks", "title", "pictures", "settings"):
        assert clean[name] == new[name], name


def test_a_second_one_is_closed_with_the_test(shared):
    first, second = shared.lend(), shared.lend()
    assert first is not second
    second.add_image(np.zeros((5, 6)))
    shared.clean()
    assert not hasattr(second.window, "_qt_window")
    assert shared.lend() is first


def test_what_can_not_be_put_back_is_told(shared, monkeypatch):
    monkeypatch.setattr("tests.shared_viewer.THREADS_MAY_TAKE", 0.2)
    viewer = shared.lend()
    heard, gate = [], threading.Event()
    viewer.dims.events.current_step.connect(heard.append)
    widget = QLabel("stray", parent=viewer.window._qt_window)
    dialog = QDialog()
    threading.Thread(target=gate.wait, name="a stray thread", daemon=True).start()
    create_worker(gate.wait, _start_thread=True)
    with pytest.raises(AssertionError) as told:
        shared.clean()
    gate.set()
    dialog.deleteLater()
    del widget
    lines = dict(line.split(": ", 1) for line in str(told.value).splitlines()[1:])
    assert lines.keys() == {"listeners", "objects of the window", "windows", "threads", "workers"}
    for name, left in (
        ("listeners", "viewer.dims.current_step -> list.append"),
        ("objects of the window", "QLabel"),
        ("windows", "QDialog"),
        ("threads", "a stray thread"),
        ("workers", "FunctionWorker"),
    ):
        assert left in lines[name]
    assert shared.viewer is None  # the next test gets a new one


def test_a_window_that_is_held_after_closing_is_told(shared):
    held = [shared.lend().window._qt_viewer]
    with pytest.raises(AssertionError, match="holds a window"):
        shared.close()
    held.clear()

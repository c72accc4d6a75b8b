"""The window with the fake model, which can be held up frame by frame."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

STEP_XY, RADIUS = (3, 2), 8  # of the fake model
SHAPE = (20, 80, 120)


def disc(frame_index: int, y: float, x: float, size=SHAPE[1:]) -> np.ndarray:
    """(H, W) bool: where the fake model has a disc that was clicked at napari's (0, y, x)."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    x, y = x + STEP_XY[0] * frame_index, y + STEP_XY[1] * frame_index
    return (columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2


@pytest.fixture
def qtbot(qtbot):
    """The same, with patience for a busy machine where a test names none."""
    for wait in ("waitUntil", "waitSignal", "waitSignals"):
        setattr(qtbot, wait, partial(getattr(qtbot, wait), timeout=60_000))
    return qtbot


class Gate:
    """Lets the fake model do so many steps, then holds it until more are allowed."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(0)
        self._is_open = False
        self.n_waiting = 0

    def let(self, n_steps: int) -> None:
        for _ in range(n_steps):
            self._free.release()

    def open(self) -> None:
        self._is_open = True
        self.let(1000)

    def shut(self) -> None:
        """Hold the model again; no step is under way."""
        self._is_open, self.n_waiting = False, 0
        self._free = threading.Semaphore(0)

    def pass_through(self) -> None:
        if not self._is_open:
            self.n_waiting += 1
            assert self._free.acquire(timeout=60), "nobody let the model go on"


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    step = FakeTracker.step

    def held_step(self, *args):
        gate.pass_through()
        return step(self, *args)

    monkeypatch.setattr(FakeTracker, "step", held_step)
    yield gate
    gate.open()


@pytest.fixture
def film() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)


@pytest.fixture
def notes():
    """What napari was asked to tell: (severity, message)."""
    heard: list[tuple[str, str]] = []

    def hear(note) -> None:
        heard.append((str(note.severity), note.message))

    notification_manager.notification_ready.connect(hear)
    yield heard
    notification_manager.notification_ready.disconnect(hear)


@pytest.fixture
def open_dock(open_viewer, qtbot, monkeypatch, weights_home):
    """A function that opens a viewer, or takes one, and docks the widget in it."""
    monkeypatch.setenv("NAPARI_SAM3_MODEL", "fake")
    docks = []

    def open_dock(viewer=None) -> SegmentAndTrackWidget:
        viewer = viewer or open_viewer()
        dock = SegmentAndTrackWidget(viewer)
        viewer.window.add_dock_widget(dock, name=f"Segment and track {len(docks)}")
        docks.append(dock)
        qtbot.waitUntil(lambda: not (dock.models.survey.is_running or dock.is_getting_ready))
        return dock

    yield open_dock
    for dock in docks:
        dock.shut_down()
        with suppress(RuntimeError):  # gone with its viewer
            dock.deleteLater()
    docks.clear()


@pytest.fixture
def close(shared_viewer):
    """A function that ends the work in a dock's window; the next one is as new."""

    def close(dock: SegmentAndTrackWidget) -> None:
        dock.shut_down()
        shared_viewer.take_back(dock.viewer)

    return close


@pytest.fixture
def work(qtbot):
    """A function that starts a piece of work and waits for its end."""

    def work(dock: SegmentAndTrackWidget, start) -> None:
        with qtbot.waitSignal(dock.ended):
            start()

    return work


def click(dock, y, x, *, t=0, obj_id=1, sign="include"):
    dock.prompt_panel.object.value = obj_id
    dock.prompt_panel.sign.value = sign
    dock.prompt_panel.points.value.add([[t, y, x]])


def labels_of(dock):
    return dock.tracking.results.layer


@pytest.fixture
def ready(open_dock, film):
    """A dock on a film, with prompt layers and one click on object 1."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    click(dock, 30, 40)
    return dock

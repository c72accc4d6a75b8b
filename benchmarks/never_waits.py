"""For how long the window holds its breath: opening, stepping, results, saving, undoing, jumping.

usage: python benchmarks/never_waits.py [--only NAME ...]   (with a screen, or by xvfb-run)

A timer of 5 ms ticks in the window's thread. A gap is the time between two ticks; what of it went
into drawing (the window's paint events, canvas and all) is left out, for a machine without a
graphics card draws slowly whatever is shown. In brackets, the same counted in the processor's time
that the window's thread has used, which other programs do not lengthen. `plain` is the same napari
with numpy layers of the same kinds, in the same run. Times in ms.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["NAPARI_SAM3_MODEL"] = "fake"
os.environ["NAPARI_SAM3_PROJECTS"] = tempfile.mkdtemp(prefix="never-waits-")

import napari
import numpy as np
from napari._qt.qt_main_window import _QtMainWindow
from open_video import machine
from qtpy.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.controllers.screen_decoding import frames_to_come
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from napari_sam3.video.video_writer import VideoWriter

_HOME = Path(os.environ["NAPARI_SAM3_PROJECTS"])

TICK_MS = 5
SIZES = {"480p": (480, 854), "1080p": (1080, 1920)}
N_FRAMES = 120
N_OBJECTS = 20
PACE = 1 / 30  # s a frame
N_STEPS = 20
N_LONG = 3000  # frames


# ------------------------------------------------------------------------------------ heartbeat


class Heartbeat:
    """Ticks in the window's thread; a context manager.

    Attributes
    ----------
    gaps : list of (float, float, float)
        Of every gap, ms: in all, beside drawing, and the thread's own time beside drawing.
    """

    drawn = np.zeros(2)
    """For how long the window has drawn: s by the clock, s of the thread's own time."""

    def __init__(self) -> None:
        self.gaps: list[tuple[float, float, float]] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def __enter__(self) -> Heartbeat:
        self._last, self._last_drawn = now(), self.drawn.copy()
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._tick()
        self._timer.stop()

    def _tick(self) -> None:
        # paint events are never cut by a tick: both are in this thread
        passed, drawn = now() - self._last, self.drawn - self._last_drawn
        self._last, self._last_drawn = self._last + passed, self._last_drawn + drawn
        self.gaps.append((1000 * passed[0], *(1000 * (passed - drawn))))

    def __str__(self) -> str:
        whole, beside, own = np.array(self.gaps).T
        return (
            f"longest {beside.max():5.0f} ({own.max():5.0f}), over 100: {(beside > 100).sum():2d} "
            f"({(own > 100).sum():2d}), median {np.median(beside):5.1f}; "
            f"drawing {100 * (1 - beside.sum() / whole.sum()):3.0f} %"
        )


def now() -> np.ndarray:
    """(2,): s by the clock, s of this thread's own."""
    return np.array([time.perf_counter(), time.thread_time()])


def time_drawing() -> None:
    """Have every paint of a napari window noted."""
    event = _QtMainWindow.event

    def timed_event(window: Any, happened: Any) -> bool:
        if happened.type() != QEvent.Type.UpdateRequest:
            return event(window, happened)
        begin = now()
        try:
            return event(window, happened)
        finally:
            Heartbeat.drawn += now() - begin

    _QtMainWindow.event = timed_event


def settle(seconds: float = 0.5) -> None:
    """Let the window live until nothing is left to do, at least so long."""
    ends = time.perf_counter() + seconds
    wait_until(lambda: time.perf_counter() > ends)


def by_hand(action: Callable[[], object]) -> None:
    """Do something as if a person had: from within Qt's event loop."""
    loop = QEventLoop()

    def act() -> None:
        try:
            action()
        finally:
            loop.quit()

    QTimer.singleShot(0, act)
    loop.exec()


# -------------------------------------------------------------------------------------- material


def film(size: tuple[int, int], n_frames: int = N_FRAMES) -> np.ndarray:
    """(T, H, W, 3) uint8: a soft picture that moves."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (size[0] // 8 + 2, size[1] // 8 + 60, 3), dtype=np.uint8)
    picture = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
    return np.stack([picture[: size[0], (2 * i) % 400 :][:, : size[1]] for i in range(n_frames)])


def write_film(path: Path, size: tuple[int, int], gop: int) -> Path:
    with VideoWriter(path, 25.0, crf=28, preset="ultrafast", gop=gop) as writer:
        for frame in film(size, 30):
            for _ in range(N_FRAMES // 30):
                writer.write(frame)
    return path


def places(size: tuple[int, int], n_objects: int) -> np.ndarray:
    """(N, 4, 2): rectangles (y, x), side by side."""
    across = int(np.ceil(np.sqrt(n_objects)))
    step = np.array(size) / (across + 1)
    corners = []
    for number in range(n_objects):
        y, x = step * (np.array(divmod(number, across)) + 0.3)
        h, w = step * 0.6
        corners.append([(y, x), (y, x + w), (y + h, x + w), (y + h, x)])
    return np.array(corners)


@contextmanager
def window() -> Iterator[napari.Viewer]:
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 900)
    settle()
    try:
        yield viewer
    finally:
        viewer.close()
        QApplication.processEvents()


def open_dock(viewer: napari.Viewer) -> SegmentAndTrackWidget:
    dock = SegmentAndTrackWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment and track")
    wait_until(lambda: not dock.models.survey.is_running)
    return dock


def prompt(dock: SegmentAndTrackWidget, size: tuple[int, int], n_objects: int) -> None:
    """A click and a box for each object, on frame 0."""
    dock.new_prompts()
    for obj_id, corners in enumerate(places(size, n_objects), start=1):
        dock.state.object_in_hand = obj_id
        dock.state.boxes.add([np.insert(corners, 0, 0, axis=1)], shape_type="rectangle")
        dock.state.points.add([[0, *corners.mean(axis=0)]])


@contextmanager
def paced() -> Iterator[None]:
    """The fake model gives 30 frames a second."""
    step, due = FakeTracker.step, [0.0]

    def paced_step(self: Any, *args: Any) -> Any:
        due[0] = max(due[0] + PACE, time.perf_counter())
        time.sleep(max(0.0, due[0] - time.perf_counter()))
        return step(self, *args)

    FakeTracker.step = paced_step
    try:
        yield
    finally:
        FakeTracker.step = step


def propagate(dock: SegmentAndTrackWidget) -> None:
    dock.propagate()
    wait_until(lambda: not dock.is_running)
    assert dock.tracking.error is None, dock.tracking.error


# ------------------------------------------------------------------------------------- scenarios


def opening(folder: Path) -> None:
    """A video is opened by hand; beside it the same frames as an array."""
    for name, size in SIZES.items():
        frames = film(size, 30)
        with window() as viewer:
            with Heartbeat() as plain:
                by_hand(lambda viewer=viewer, frames=frames: viewer.add_image(frames))
                settle(1.5)
            report(f"plain: a layer of an array is added, {name}", plain)
        with window() as viewer:
            dock = open_dock(viewer)
            settle()
            with Heartbeat() as ours:
                path = folder / f"{name}.mp4"
                by_hand(lambda viewer=viewer, path=path: viewer.open(path, plugin="napari-sam3"))
                settle(1.5)
            report(f"a video opens, {name}", ours)
            dock.shut_down()


def docking(folder: Path) -> None:
    """The dock is opened beside a video; beside it what napari takes for layers of those kinds."""
    size = SIZES["1080p"]
    frames = film(size, 30)
    with window() as viewer:
        by_hand(lambda: viewer.add_image(frames))
        settle(1.5)
        for kind, add in (
            ("points", lambda: viewer.add_points(ndim=3)),
            ("shapes", lambda: viewer.add_shapes(ndim=3)),
            ("labels", lambda: viewer.add_labels(np.zeros((30, *size), np.uint8))),
        ):
            with Heartbeat() as plain:
                by_hand(add)
                settle(1)
            report(f"plain: a layer of {kind} is added", plain)
    with window() as viewer:
        by_hand(lambda: viewer.open(folder / "1080p.mp4", plugin="napari-sam3"))
        settle(1.5)
        docks = []
        with Heartbeat() as ours:
            by_hand(lambda: docks.append(open_dock(viewer)))
            settle(1.5)
        report("the dock opens beside a video", ours)
        docks[0].shut_down()


def stepping(folder: Path) -> None:
    """Steps of the slider with everything shown, each drawn before the next."""
    for name, size in SIZES.items():
        took = {}
        with window() as viewer:
            frames = film(size, 30)
            viewer.add_image(frames)
            took["plain, the image"] = time_steps(viewer)
            labels = np.zeros((30, *size), np.uint8)
            for obj_id, corners in enumerate(places(size, 2), start=1):
                (y, x), (y1, x1) = corners[[0, 2]].astype(int)
                labels[:, y:y1, x:x1] = obj_id
            viewer.add_labels(labels)
            boxes = [np.insert(c, 0, 0, axis=1) for c in places(size, 2)]
            viewer.add_shapes(boxes, ndim=3)
            viewer.add_points([[0, *c.mean(axis=0)] for c in places(size, 2)], ndim=3)
            took["plain, all"] = time_steps(viewer)
        with window() as viewer:
            viewer.open(folder / f"{name}.mp4", plugin="napari-sam3")
            took["ours, the image"] = time_steps(viewer)
            dock = open_dock(viewer)
            prompt(dock, size, 2)
            propagate(dock)
            viewer.dims.set_current_step(0, 0)
            settle()
            took["ours, all"] = time_steps(viewer)
            dock.shut_down()
        ratio = took["ours, all"] / took["plain, all"]
        told = ", ".join(f"{w} {1000 * t[0]:.0f} ({1000 * t[1]:.0f})" for w, t in took.items())
        print(
            f"{f'a step of the slider, {name}':46} {told}; all: x {ratio[0]:.2f} ({ratio[1]:.2f})",
            flush=True,
        )


def time_steps(viewer: napari.Viewer) -> np.ndarray:
    """(2,) median time of a step until it is drawn, s: by the clock, the thread's own."""
    settle()
    took = []
    for frame_index in range(1, N_STEPS + 1):
        begin = now()
        viewer.dims.set_current_step(0, frame_index)
        QApplication.processEvents()
        took.append(now() - begin)
    return np.median(took, axis=0)


def arriving(folder: Path) -> None:
    """1080p results of 20 objects come at 30 a second; then prompts change, which is saved."""
    size = SIZES["1080p"]
    for follows in (False, True):
        with window() as viewer:
            by_hand(lambda viewer=viewer: viewer.open(folder / "1080p.mp4", plugin="napari-sam3"))
            settle(2)
            dock = open_dock(viewer)
            prompt(dock, size, N_OBJECTS)
            dock.state.is_followed = follows
            settle()
            with paced(), Heartbeat() as beat:
                begin = time.perf_counter()
                propagate(dock)
                seconds = time.perf_counter() - begin
            name = "and is followed" if follows else "another frame is looked at"
            report(f"results of {N_OBJECTS} arrive, {name}", beat)
            print(f"{'':46} {N_FRAMES / seconds:.1f} frames a second", flush=True)
            if follows:
                saving(dock, size)
                folder_of = dock.projects.current.project.folder
            dock.shut_down()
    opening_project(folder_of)


def saving(dock: SegmentAndTrackWidget, size: tuple[int, int]) -> None:
    points = dock.state.points
    rng = np.random.default_rng(0)
    more = np.column_stack([rng.integers(0, N_FRAMES, 1000), rng.random((1000, 2)) * size])
    points.add(more)
    settle(1)
    with Heartbeat() as beat:
        for row in range(10):
            by_hand(lambda row=row: points.add([[row, 5, 5]]))
            settle(0.5)
    report("the project saves, 1000 clicks", beat)
    layer = dock.tracking.results.layer
    with Heartbeat() as beat, tempfile.TemporaryDirectory() as home:
        by_hand(lambda: layer.save(str(Path(home, "out.csv")), plugin="napari-sam3"))
    report("results are saved as a table", beat)


def opening_project(project: Path) -> None:
    with window() as viewer:
        dock = open_dock(viewer)
        with Heartbeat() as beat:
            by_hand(lambda: dock.project_opener.open(project))
            wait_until(lambda: dock.projects.current is not None)
            settle(1.5)
        report(f"a project opens, {N_FRAMES} frames, 1080p", beat)
        dock.shut_down()


def undoing(_folder: Path) -> None:
    """All is forgotten that was found on thousands of frames, brought back, and forgotten again."""
    size = SIZES["480p"]
    with window() as viewer:
        viewer.add_image(np.broadcast_to(film(size, 1), (N_LONG, *size, 3)), rgb=True)
        dock = open_dock(viewer)
        prompt(dock, size, N_OBJECTS)
        labels, notes = np.zeros(size, np.uint16), {}
        for obj_id, corners in enumerate(places(size, N_OBJECTS), start=1):
            (y, x), (y1, x1) = corners[[0, 2]].astype(int)
            labels[y:y1, x:x1] = obj_id
            notes[obj_id] = ObjectNote(0.9, "propagated")
        tracking = dock.tracking
        image_layer = tracking.video()
        planes = tracking.shown.layer_for(image_layer, tracking.axes.pin(image_layer)).planes
        for frame_index in range(N_LONG):
            planes.draw(frame_index, np.roll(labels, frame_index % 100, axis=1), notes)
        settle(3)
        for name, act in (
            ("all is forgotten", dock.reset),
            ("it is undone", tracking.undo),
            ("it is redone", tracking.redo),
        ):
            with Heartbeat() as beat:
                by_hand(act)
                settle(2)
            report(f"{name}, {N_LONG} frames of {N_OBJECTS} objects", beat)
        dock.shut_down()


class Hand(QObject):
    """Moves a viewer's slider as a mouse does: with no script on the stack."""

    moves = Signal(int)

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        slider = viewer.window._qt_viewer.dims.slider_widgets[0].slider
        self.moves.connect(slider.setValue, Qt.ConnectionType.QueuedConnection)


def jumping(folder: Path) -> None:
    """The slider is dragged through a 1080p file with a single keyframe, then let go."""
    with window() as viewer:
        viewer.open(folder / "few_keys.mp4", plugin="napari-sam3")
        settle()
        hand = Hand(viewer)
        pictures: list[int] = []
        drag = iter(np.linspace(N_FRAMES - 1, 10, 40).astype(int).tolist())
        due = [0.0]

        def move() -> bool:
            if time.perf_counter() < due[0]:
                return False
            due[0] = time.perf_counter() + 0.04
            frame_index = next(drag, None)
            if frame_index is not None:
                hand.moves.emit(frame_index)
            return frame_index is None

        def note_picture(_event: Any) -> None:
            picture = int(viewer.layers[0]._slice.image.raw[:4].sum())
            if picture not in pictures:
                pictures.append(picture)

        viewer.layers[0].events.set_data.connect(note_picture)
        with Heartbeat() as beat:
            begin = time.perf_counter()
            wait_until(move)
            dragged = time.perf_counter() - begin
            wait_until(lambda: not frames_to_come(viewer))
            last = time.perf_counter() - begin - dragged
        report("the slider is dragged, one keyframe", beat)
        print(
            f"{'':46} 40 steps in {dragged:.1f} s (1.6 meant), {len(pictures)} pictures; the last "
            f"one {last:.1f} s after",
            flush=True,
        )


def report(name: str, beat: Heartbeat) -> None:
    print(f"{name:46} {beat}", flush=True)


SCENARIOS = {
    "opening": opening,
    "docking": docking,
    "stepping": stepping,
    "arriving": arriving,
    "undoing": undoing,
    "jumping": jumping,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    only = parser.parse_args().only
    print(machine(), flush=True)
    time_drawing()
    try:
        for name, size in SIZES.items():
            write_film(_HOME / f"{name}.mp4", size, gop=25)
        write_film(_HOME / "few_keys.mp4", SIZES["1080p"], gop=10 * N_FRAMES)
        for name in only:
            SCENARIOS[name](_HOME)
    finally:
        shutil.rmtree(_HOME)


if __name__ == "__main__":
    main()

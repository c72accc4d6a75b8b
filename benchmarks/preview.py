"""How soon a click shows what it means, beside what Segment frame takes.

    python benchmarks/preview.py [--model NAME] [--clicks N] [--size 480]

With a screen, or by xvfb-run. The generated time-lapse is scaled to the height given, once grey as
it is and once coloured, written as H.264 and opened as a person does. Then real mouse clicks are
made on cells. Milliseconds of a clock, from the click to the end of the drawing that shows it:

- first, 2 s, or as many as are said, after the dock was opened: the person looks for the object;
- later: the median and the worst of the clicks that follow, each at once where the cursor went;
- rested: the median of clicks where the cursor had stood still for half a second;
- how long the window's own thread was busy with anything at one go, at most, in later ones;
- Segment frame: from pressing it, for a click that was not previewed (previews off).

Beside each clock stands the processor time: of the window's thread, and of the whole process
(drawing without a graphics card, and the model). On a machine that others use too it says more.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import napari
import numpy as np
from qtpy.QtCore import QPointF, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QOpenGLWidget

from napari_sam3.plugin.controllers.screen_decoding import frames_to_come
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from napari_sam3.samples.cells import make_cells
from napari_sam3.samples.ground_truth import inner_points
from napari_sam3.video.video_writer import VideoWriter

FRAMES, CLICKED = 20, 10
"""Of the film, and the one clicked on."""
REST = 0.5
"""Seconds for which the cursor stands still before some of the clicks."""


def make_film(path: Path, height: int, colour: bool) -> list[tuple[float, float]]:
    """Write the film; (y, x) of a place inside each cell of the frame that is clicked on, px."""
    movie = make_cells(frames=FRAMES)
    width = round(height * 16 / 9 / 2) * 2
    with VideoWriter(path, fps=10) as writer:
        for frame in movie.frames:
            grey = cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC)
            rgb = np.repeat(grey[..., None], 3, axis=2)
            if colour:
                rgb = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)
            writer.write(np.ascontiguousarray(rgb))
    down, across = height / movie.frames.shape[1], width / movie.frames.shape[2]
    places = inner_points(movie.labels[CLICKED]).values()
    return [(y * down, x * across) for x, y in places]


class Times(NamedTuple):
    """Of a clock; processor time of the window's thread, and of the process; s."""

    clock: float
    window: float
    process: float

    @classmethod
    def now(cls) -> Times:
        return cls(time.perf_counter(), time.thread_time(), time.process_time())

    def until_now(self) -> Times:
        return Times(*(end - begin for end, begin in zip(Times.now(), self, strict=True)))

    @classmethod
    def median(cls, of: Sequence[Times]) -> Times:
        return cls(*(statistics.median(each) for each in zip(*of, strict=True)))

    def __str__(self) -> str:
        return "{:.0f} ({:.0f}, {:.0f})".format(*(1000 * s for s in self))


class Window:
    """napari with the film and the dock."""

    def __init__(self, film: Path, model: str) -> None:
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1400, 900)
        self.viewer.open(str(film), plugin="napari-sam3")
        self.viewer.dims.set_current_step(0, CLICKED)
        QApplication.processEvents()
        self.dock = SegmentAndTrackWidget(self.viewer)
        self.dock.models.choose(model)
        self.viewer.window.add_dock_widget(self.dock, name="Segment and track")
        self.dock.new_prompts()
        self._number = 0
        self._longest = self._before = 0.0
        self._pressed = Times.now()
        self._clock = QTimer()
        self._clock.timeout.connect(self._tick)
        self._clock.start(2)

    def _tick(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._before)
        self._before = now

    def look(self, seconds: float) -> None:
        """Do nothing but what the window does."""
        end = time.perf_counter() + seconds
        wait_until(lambda: time.perf_counter() > end)

    def take_next(self) -> None:
        """The next click is of an object of its own."""
        self._number += 1
        self.dock.state.object_in_hand = self._number
        QApplication.processEvents()

    def press(self, y: float, x: float, *, rest: float = 0.0) -> None:
        """Click with the mouse on a place of the film, once the cursor has rested there."""
        canvas = self.dock.window().centralWidget().findChild(QOpenGLWidget)
        world = self.dock.state.video.data_to_world((CLICKED, y, x))[-2:]
        middle = np.array(self.viewer.camera.center[-2:])
        down, across = (world - middle) * self.viewer.camera.zoom
        place = QPointF(canvas.width() / 2 + across, canvas.height() / 2 + down).toPoint()
        wait_until(lambda: not frames_to_come(self.viewer))  # until then clicks are refused
        QTest.mouseMove(canvas, place)
        if rest:
            self.look(rest)
        self._longest, self._before = 0.0, time.perf_counter()
        self._pressed = Times.now()
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)

    def time_click(self, y: float, x: float, *, rest: float = 0.0) -> tuple[Times, float]:
        """From the click to the drawn preview, and the longest gap of the window, s."""
        shown: list[int] = []
        preview = self.dock.tracking.preview
        preview.shown.connect(shown.append)
        self.take_next()
        self.press(y, x, rest=rest)
        wait_until(lambda: bool(shown))
        QApplication.processEvents()  # draws
        took = self._pressed.until_now()
        preview.shown.disconnect(shown.append)
        return took, self._longest

    def time_segment(self, y: float, x: float) -> Times:
        """From pressing Segment frame to the drawn result."""
        self.take_next()
        self.press(y, x)
        QApplication.processEvents()
        pressed = Times.now()
        self.dock.segment_frame()
        wait_until(lambda: not self.dock.is_running)
        QApplication.processEvents()
        return pressed.until_now()

    def close(self) -> None:
        self._clock.stop()
        self.dock.shut_down()
        self.viewer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--model", default="optical-flow")
    parser.add_argument("--clicks", type=int, default=7)
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--look", type=float, default=2.0, help="seconds before the first click")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, of which {os.getloadavg()[0]:.1f} are asked for by others\n")
    heads = "film", "first", "later, median", "worst", "rested", "window held"
    print("| " + " | ".join((*heads, "Segment frame, first", "later")) + " |")
    print("|---" * (len(heads) + 2) + "|")
    with tempfile.TemporaryDirectory() as scratch:
        for colour in (False, True):
            name = "coloured" if colour else "grey"
            film = Path(scratch) / f"{name}.mp4"
            cells = make_film(film, args.size, colour)
            clicks = [cells[k % len(cells)] for k in range(args.clicks)]
            window = Window(film, args.model)
            window.look(args.look)
            took = []
            for place in clicks:
                took.append(window.time_click(*place))
                window.look(0.7)
            window.close()
            window = Window(film, args.model)
            window.look(args.look)
            rested = []
            for place in clicks:
                rested.append(window.time_click(*place, rest=REST)[0])
                window.look(0.7)
            window.close()
            window = Window(film, args.model)
            window.dock.tracking.preview.is_on = False
            window.look(args.look)
            pressed = [window.time_segment(*place) for place in clicks[:4]]
            window.close()
            later = [times for times, _ in took[1:]]
            row = (
                took[0][0],
                Times.median(later),
                max(later, key=lambda times: times.clock),
                Times.median(rested[1:]),
                f"{1000 * max(gap for _, gap in took[1:]):.0f}",
                pressed[0],
                Times.median(pressed[1:]),
            )
            print(f"| {name} | " + " | ".join(map(str, row)) + " |", flush=True)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text above as they are."""


if __name__ == "__main__":
    main()

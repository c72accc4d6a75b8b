"""How fast the timeline scrolls, zooms and takes results in, in its real widget.

usage: python benchmarks/timeline.py [lanes] [frames]   (with a screen, or by xvfb-run)

200 lanes of 100,000 frames by default, all noted in a `LabelStack`, one with a correction that made
much of it out of date. Every picture is drawn, into memory, before the next one is asked for: a
screen may leave out what comes too fast, and then nothing is measured. Beside the rate stands what
the window's thread worked for a picture, which hangs less on who else uses the machine. The last
line is of results that come in, three frames between two looks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, thread_time
from typing import Any

os.environ["NAPARI_SAM3_MODEL"] = "fake"

import napari
import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import SOURCES, ObjectNote
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.views.timeline_dock import show_timeline
from napari_sam3.plugin.views.timeline_view import HEAD, RULER, TimelineView

N_LANES, N_FRAMES, SIZE = 200, 100_000, (4, 4)
PICTURES = 60


class NotedStack(LabelStack):
    """Labels of which only the notes are there: nothing here looks at pixels."""

    def fill(self, n_objects: int) -> None:
        """Note all objects on all frames but for gaps, with scores that change slowly."""
        rng = np.random.default_rng(0)
        kind = np.dtype([("id", "<i8"), ("score", "<f8"), ("source", "u1")])
        phases = rng.random(n_objects) * 2 * np.pi
        gone = rng.integers(0, self.shape[0], n_objects)
        rows = np.zeros(n_objects, kind)
        rows["id"] = np.arange(1, n_objects + 1)
        rows["source"] = SOURCES.index("propagated")
        for frame_index in range(self.shape[0]):
            rows["score"] = 0.75 + 0.25 * np.sin(frame_index / 300 + phases)
            is_there = (frame_index < gone) | (frame_index > gone + 500)
            self._notes[frame_index] = rows[is_there].tobytes()
        self._facts["is_processed"] = True


def main(n_lanes: int = N_LANES, n_frames: int = N_FRAMES) -> None:
    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    film = np.broadcast_to(np.uint8(90), (n_frames, *SIZE))
    image = viewer.add_image(film, name="film", contrast_limits=(0, 255))
    tracking = TrackingController(viewer)
    tracking.choose_video(image)
    points, _ = tracking.chosen.new_prompts()
    points.add([[0, 1, 1]])
    stack = NotedStack((n_frames, *SIZE))
    stack.fill(n_lanes)
    axes = tracking.axes.read(image)
    results = tracking.shown.adopt(image, axes, Labels(np.zeros(film.shape, np.uint8)))
    viewer.add_layer(results.layer)
    results.planes = stack
    view = show_timeline(tracking)
    QApplication.processEvents()
    print(f"{n_lanes} lanes, {n_frames:,} frames; {view.surface.width()} px wide")
    takes, is_done = [], False
    while not is_done:
        began = perf_counter()
        is_done = view.controller.update()
        takes.append(perf_counter() - began)
    print(f"  opened in looks of {1000 * median(takes):.1f} ms, at most {1000 * max(takes):.1f}")
    points.add([[n_frames // 3, 1, 1]])
    view.refresh()
    axis = view.axis
    for height in (130, 600):
        view.setMinimumHeight(height)
        QApplication.processEvents()
        lanes = (view.surface.height() - RULER) / 14
        print(f"  {lanes:.0f} lanes in sight:")
        blank = QWidget(view.surface)
        blank.setGeometry(view.surface.rect())
        blank.show()
        QApplication.processEvents()
        _report("a blank in its place", view, lambda _view, _n: None, blank.grab)
        blank.deleteLater()
        QApplication.processEvents()
        for name, frames_in_sight in (("all", n_frames), ("10,000", 10_000), ("500", 500)):
            axis.show_all()
            axis.zoom(np.log(n_frames / frames_in_sight) / np.log(1.25), axis.width / 2)
            _report(f"{name} frames in sight, through lanes", view, _through_lanes)
            if frames_in_sight < n_frames:
                _report(f"{name} frames in sight, through time", view, _through_time)
        axis.show_all()
        _report("zooming in and out", view, _through_scales)
    takes = []
    notes = {i: ObjectNote(0.9, "propagated") for i in range(1, n_lanes + 1)}
    labels = np.zeros(SIZE, np.uint16)
    for frame_index in range(1000, 1000 + 3 * PICTURES, 3):
        for n in range(3):
            stack.draw(frame_index + n, labels, notes)
        takes.append(_timed(view.refresh) + _timed(view.surface.grab))
    print(f"  results coming in: {1000 * median(takes):.1f} ms a look and picture")
    viewer.close()


def _report(
    name: str, view: TimelineView, go_on: Callable[[TimelineView, int], None], draws: Any = None
) -> None:
    takes, began = [], thread_time()
    for n in range(PICTURES):
        go_on(view, n)
        takes.append(_timed(draws or view.surface.grab))
    worked = 1000 * (thread_time() - began) / PICTURES
    rate, slowest = 1 / median(takes), 1 / np.percentile(takes, 95)
    print(
        f"    {name}: {rate:.0f} a second (95% above {slowest:.0f}); {worked:.1f} ms of processor"
    )


def _through_lanes(view: TimelineView, n: int) -> None:
    bar = view.verticalScrollBar()
    bar.setValue((n * 7) % max(1, bar.maximum()))


def _through_time(view: TimelineView, n: int) -> None:
    view.axis.offset = (view.axis.most_offset // 3 + n * 11) % max(1, view.axis.most_offset)


def _through_scales(view: TimelineView, n: int) -> None:
    view.axis.zoom(0.5 if n < PICTURES // 2 else -0.5, (view.axis.width + HEAD) / 3)


def _timed(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

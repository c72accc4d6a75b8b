"""How long the table of objects holds the window: filling, frames that arrive, sorting, filtering.

usage: python benchmarks/objects_table.py [OBJECTS] [FRAMES]   (no screen is needed)

Beside it the plain way, a QTableWidget that is filled anew for each refresh, in the same run.
Frames come 30 a second and hold all objects; a heartbeat in the window's thread tells the longest
gap.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from open_video import machine
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QTableWidget, QTableWidgetItem

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.object_list import ObjectList
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.views.objects_table import ObjectsTable
from napari_sam3.plugin.views.objects_table_model import Column

SECONDS, FPS, SHAPE = 5, 30, (270, 480)


def main() -> None:
    n_objects = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    n_frames = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    app = QApplication.instance() or QApplication([])
    ids = range(1, n_objects + 1)
    frame = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) * n_objects // (SHAPE[0] * SHAPE[1]) + 1
    rng = np.random.default_rng(0)
    planes = LabelStack((n_frames, *SHAPE))

    def draw(n: int) -> None:
        scores = rng.random(n_objects)
        planes.draw(n, frame, {i: ObjectNote(scores[i - 1], "propagated") for i in ids})

    for n in range(n_frames // 2):
        draw(n)
    table = ObjectTable()
    for i in ids:
        table.rename(i, f"name {rng.integers(1000)}")
    viewer = ViewerModel()
    viewer.add_layer(Labels(planes, metadata={"objects": table}))
    tracking = TrackingController(viewer)
    objects = ObjectList(tracking)
    print(f"{machine()}; {n_objects} objects, {n_frames // 2} frames done of {n_frames}")

    began = perf_counter()
    shown = ObjectsTable(tracking, objects, TrackEdits(tracking, lambda: objects.layer))
    shown.resize(330, 220)
    shown.show()
    gaps = beat(app, lambda: objects._tally is not None and objects._tally.is_up_to_date)
    print(f"filled after {perf_counter() - began:.2f} s, longest gap {1000 * max(gaps):.0f} ms")

    plain = QTableWidget(n_objects, len(Column))
    plain.show()
    times = {
        "nothing changed": timed(shown.refresh),
        "one frame more": timed(shown.refresh, lambda: draw(n_frames // 2)),
        "one object renamed": timed(shown.refresh, lambda: table.rename(7, str(rng.random()))),
        "sorted by score": timed(lambda: shown.model.sort(Column.SCORE, Qt.AscendingOrder), reset),
        "filtered": timed(lambda: shown.model.filter("99"), lambda: shown.model.filter("")),
        "plain: filled anew": timed(lambda: fill(plain, shown), lambda: shown.model.filter("")),
    }
    base = times["plain: filled anew"]
    for what, took in times.items():
        print(f"{what:22} {1000 * took:6.1f} ms  {took / base:5.2f}")

    before, n = objects.n_refreshes, n_frames // 2
    timer = QTimer()

    def arrive() -> None:
        nonlocal n
        n += 1
        draw(n)
        shown.note()

    timer.timeout.connect(arrive)
    timer.start(1000 // FPS)
    until = perf_counter() + SECONDS
    gaps = beat(app, lambda: perf_counter() > until)
    timer.stop()
    print(
        f"{n - n_frames // 2} frames in {SECONDS} s: {objects.n_refreshes - before} refreshes, "
        f"median gap {1000 * median(gaps):.0f} ms, longest {1000 * max(gaps):.0f} ms"
    )
    shown.close_down()


def reset() -> None:
    pass


def timed(act: Callable[[], object], prepare: Callable[[], object] = reset, n: int = 15) -> float:
    """Median seconds in the window's thread, what is drawn for it included."""
    taken = []
    for _ in range(n):
        prepare()
        QApplication.processEvents()
        began = perf_counter()
        act()
        QApplication.processEvents()
        taken.append(perf_counter() - began)
    return median(taken)


def fill(plain: QTableWidget, shown: ObjectsTable) -> None:
    for n, obj_id in enumerate(shown.model.ids):
        for column in Column:
            text = shown.model.data(shown.model.place(obj_id, column))
            plain.setItem(n, column, QTableWidgetItem(text))


def beat(app: QApplication, is_over: Callable[[], bool]) -> list[float]:
    """Seconds between turns of the window's loop."""
    gaps, before = [], perf_counter()
    while not is_over():
        app.processEvents()
        now = perf_counter()
        gaps.append(now - before)
        before = now
    return gaps or [0.0]


if __name__ == "__main__":
    main()

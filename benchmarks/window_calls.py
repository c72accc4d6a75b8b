"""How many files and calls of ours one action in the window passes through.

usage: python benchmarks/window_calls.py   (with a screen, or by xvfb-run)

Counted in the window's thread by `sys.setprofile`: calls of functions of this package, and the
files they stand in. "At once" is what is done before the window can do anything else; the rest
(preview, timeline, what is saved) comes from Qt's events, in part by timers, and varies a little.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

os.environ["NAPARI_SAM3_MODEL"] = "fake"

import napari
import numpy as np
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_sam3
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

HOME = str(Path(napari_sam3.__file__).parent)
REST_MS = 1500
"""Before each action, so that nothing of the one before is counted."""


def count(action: Callable[[], object], is_over: Callable[[], bool] | None) -> Counter[str]:
    """Calls of ours by file, in this thread, until `is_over`; those made at once if it is None."""
    calls: Counter[str] = Counter()

    def look(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(HOME):
            calls[frame.f_code.co_filename.removeprefix(HOME + "/")] += 1

    QTest.qWait(REST_MS)
    sys.setprofile(look)
    try:
        action()
        if is_over is not None:
            wait_until(is_over)
            QApplication.processEvents()
    finally:
        sys.setprofile(None)
    return calls


def main() -> None:
    viewer = napari.Viewer()
    film = np.random.default_rng(0).integers(0, 255, (20, 80, 120), dtype=np.uint8)
    viewer.add_image(film, name="film")
    dock = SegmentAndTrackWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment and track")
    wait_until(lambda: not dock.models.survey.is_running)
    viewer.dims.set_current_step(0, 0)
    dock.new_prompts()
    points = dock.state.points
    assert points is not None
    points.add([[0, 30, 40]])
    state = dock.state
    actions = {
        "a click, at once": (lambda: points.add([[0, 60, 80]]), None),
        "a click, until its preview is drawn": (
            lambda: points.add([[0, 40, 20]]),
            lambda: not state.preview.is_working,
        ),
        "another object in hand, at once": (lambda: setattr(state, "object_in_hand", 2), None),
        "a step of the slider, at once": (lambda: viewer.dims.set_current_step(0, 3), None),
        "Segment frame, until it is drawn": (dock.segment_frame, lambda: not dock.is_running),
    }
    for name, (action, is_over) in actions.items():
        calls = count(action, is_over)
        print(f"{name}: {sum(calls.values())} calls in {len(calls)} files")
        for file, number in calls.most_common():
            print(f"    {number:4d}  {file}")
    dock.shut_down()
    viewer.close()


if __name__ == "__main__":
    main()

"""How many files and calls of ours one action in the window passes through.

usage: python benchmarks/window_calls.py   (with a screen, or by xvfb-run)

Counted in the window's thread by `sys.setprofile`, from the action until Qt has nothing left to do:
calls of functions of this package, the files they stand in, and how often each field was written.
The counts hang on no clock and no machine.
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
from qtpy.QtWidgets import QApplication

import napari_sam3
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

HOME = str(Path(napari_sam3.__file__).parent)


def count(action: Callable[[], object], is_over: Callable[[], bool] = lambda: True) -> Counter[str]:
    """Calls of ours by file, in this thread, until `is_over` and no event is left."""
    calls: Counter[str] = Counter()

    def look(frame, event, _argument):
        if event == "call" and frame.f_code.co_filename.startswith(HOME):
            calls[frame.f_code.co_filename.removeprefix(HOME + "/")] += 1

    QApplication.processEvents()
    sys.setprofile(look)
    try:
        action()
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
    actions = {
        "a click (an item is drawn)": (lambda: points.add([[0, 60, 80]]), lambda: True),
        "another object in hand": (lambda: setattr(dock.state, "object_in_hand", 2), lambda: True),
        "a step of the slider": (lambda: viewer.dims.set_current_step(0, 3), lambda: True),
        "Segment frame": (dock.segment_frame, lambda: not dock.is_running),
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

"""A program that ends with its window open, as scripts without `napari.run()` do."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_sam3.projects import Project, list_projects
from napari_sam3.video.video_writer import VideoWriter

pytestmark = pytest.mark.sweep

BEGIN = """
import sys, time
import napari
from qtpy.QtWidgets import QApplication
from napari_sam3.models.fake import FakeTracker

def wait_until(is_so):
    ends = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < ends
        QApplication.processEvents()

viewer = napari.Viewer()
viewer.open(sys.argv[1], plugin="napari-sam3")
_, dock = viewer.window.add_plugin_dock_widget("napari-sam3")
wait_until(lambda: not dock.models.survey.is_running)
dock.new_prompts()
dock.prompt_panel.points.value.add([[0, 20, 30]])
dock.segment_frame()
wait_until(lambda: dock.tracking.job is None)
wait_until(lambda: dock.state.project.saved_at)
layer = dock.tracking.results.layer
layer.selected_label = 5
layer.mode = "paint"
layer.paint((0, 50, 80), 5)
dock.prompt_panel.text.value = "a word"
"""


@pytest.fixture
def end(tmp_path, monkeypatch):
    """A function that runs a script to its end, and opens the project that it leaves."""
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "projects"))
    monkeypatch.setenv("NAPARI_SAM3_MODEL", "fake")
    film = tmp_path / "film.mp4"
    with VideoWriter(film, 10) as writer:
        for _ in range(12):
            writer.write(np.zeros((64, 96, 3), np.uint8))

    def end(script):
        command = [sys.executable, "-c", BEGIN + script, str(film)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        # napari 0.8 itself ends any such program so, when all is saved
        assert done.returncode == 0 or "'StatusChecker' is still running" in done.stderr
        for said in ("was not closed as it should be", "are not saved"):
            assert said not in done.stderr
        return Project.open(*list_projects(tmp_path / "projects"))

    return end


def test_what_was_said_and_painted_last_is_saved(end):
    with end("") as project:
        assert project.state.text == "a word"
        assert project.labels[0][50, 80] == 5
        assert project.labels[0][20, 30] == 1


def test_work_that_goes_on_is_stopped_and_waited_for(end, tmp_path):
    script = f"""
import threading
from pathlib import Path
from napari_sam3.plugin.controllers.session_controller import SessionController
step, cancel = FakeTracker.step, SessionController.cancel
begun, is_cancelled = threading.Event(), threading.Event()

def step_that_takes_long_to_come_out(self, *args):
    begun.set()
    is_cancelled.wait()
    sum(range(20_000_000))
    Path({str(tmp_path / "came out")!r}).touch()
    return step(self, *args)

def cancel_and_tell(self):
    is_cancelled.set()
    return cancel(self)

FakeTracker.step, SessionController.cancel = step_that_takes_long_to_come_out, cancel_and_tell
dock.propagate()
wait_until(begun.is_set)
"""
    with end(script) as project:
        assert (tmp_path / "came out").exists()
        assert project.state.text == "a word"
        assert project.labels[0][50, 80] == 5

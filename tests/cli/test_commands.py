"""The command as a process, and the demo."""

from __future__ import annotations

import re
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

from napari_sam3.cli import demo, display, main
from napari_sam3.cli.salient import find_salient
from napari_sam3.samples import CellMovie, make_cells, sample_files
from napari_sam3.samples.ground_truth import OverlapScore, inner_points
from napari_sam3.values import FrameResult, ObjectMask
from napari_sam3.video import open_video


@pytest.fixture(scope="module")
def movie():
    """The beginning of a small sample."""
    whole = make_cells(size=(240, 320))
    return CellMovie(whole.frames[:10], whole.labels[:10], whole.lineage)


@pytest.fixture
def sample(tmp_path, monkeypatch, movie):
    """In a cache folder of its own."""
    monkeypatch.setattr(sample_files, "make_cells", lambda: movie)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")


def test_demo_tracks_the_sample_and_tells_how_well(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--headless"]) == 0
    out = capsys.readouterr().out
    assert "--headless was given" in out
    assert re.search(r"first tracked frame: [\d.]+ s", out)
    assert "10 of 10 frames" in out
    assert float(re.search(r"overlap .*: ([\d.]+)", out)[1]) > 0.6
    with open_video(tmp_path / "demo-output" / "overlay.mp4") as film:
        assert film.shape == (10, 240, 320, 3)
    with Image.open(tmp_path / "demo-output" / "picture.png") as picture:
        assert picture.size == (3 * 320 + 4 * 6, 2 * 240 + 3 * 6)
    assert main(["demo", "--headless", "--model", "fake"]) == 0  # may be run twice


def test_demo_does_not_replace_what_is_not_its_own(sample, tmp_path, capsys):
    (tmp_path / "picture.png").write_text("precious")
    arguments = ["demo", "--headless", "--model", "fake", "-o", str(tmp_path)]
    assert main(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "picture.png").read_text() == "precious"
    assert main([*arguments, "--overwrite"]) == 0


def test_demo_says_that_there_is_no_display(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["demo", "-o", str(tmp_path / "out"), "--model", "fake"]) == 0
    assert "running headless: there is no display" in capsys.readouterr().out


def test_demo_says_that_there_is_no_qt(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(display, "find_spec", lambda name: name == "napari" or None)
    assert "napari-sam3[all]" in display.why_no_window()


def test_demo_of_a_video_of_the_users_says_what_it_follows(sample, tmp_path, capsys):
    video = sample_files.sample_paths(tmp_path).video
    assert main(["demo", str(video), "--headless", "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"prompt: a box \(\d+, \d+, \d+, \d+\) on frame 0", out)
    assert "overlap" not in out


def test_demo_opens_a_window_where_it_can(sample, tmp_path, monkeypatch):
    calls = []

    def run_demo(path, truth, out, **options):
        calls.append((path, None if truth is None else truth.shape, out, options))
        return 0

    window = types.ModuleType("napari_sam3.plugin.views.demo")
    window.run_demo = run_demo
    monkeypatch.setitem(sys.modules, "napari_sam3.plugin.views.demo", window)
    monkeypatch.setattr(demo, "why_no_window", lambda: None)
    video, out = sample_files.sample_paths(tmp_path).video, tmp_path / "out"
    assert main(["demo", "-o", str(out)]) == 0
    assert main(["demo", str(video), "-o", str(out), "--model", "fake"]) == 0
    (_, shape, folder, first), (path, truth, _, second) = calls
    assert (shape, folder, first["box_xyxy"]) == ((10, 240, 320), out, None)
    assert (path, truth, second["model"]) == (video, None, "fake")
    assert len(second["box_xyxy"]) == 4


def test_demo_of_a_missing_video_is_an_error(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "no.mp4"), "--headless"]) == 2
    assert capsys.readouterr().err.startswith("napari-sam3: error: ")


class Pictures:
    """A square that moves 3 px a frame over a still texture; the camera may move too."""

    size = (120, 160)

    def __init__(self, step: int, camera: int = 0) -> None:
        self._step, self._camera = step, camera
        noise = np.random.default_rng(0).normal(128, 40, (150, 200))
        self._ground = np.kron(noise[::5, ::5], np.ones((5, 5))).clip(0, 255).astype(np.uint8)

    def __len__(self):
        return 5

    def __getitem__(self, frame_index):
        shift = frame_index * self._camera
        frame = np.repeat(self._ground[shift : 120 + shift, 20:180, None], 3, axis=2)
        x = 70 + frame_index * self._step
        texture = self._ground[60:90, 150:180, None] // 2 + 120
        frame[50:80, x : x + 30] = texture
        return frame


@pytest.mark.parametrize("camera", [0, 2])
def test_what_moves_by_itself_is_found(camera):
    salient = find_salient(Pictures(step=3, camera=camera))
    square = np.array([70, 50, 100, 80])
    assert np.abs(np.array(salient.box_xyxy) - square).max() < 15
    assert "moves" in salient.reason


def test_a_still_video_is_followed_in_the_middle():
    salient = find_salient(Pictures(step=0))
    assert salient.box_xyxy == (48, 36, 112, 84)
    assert "middle" in salient.reason


def test_points_lie_well_inside():
    labels = np.zeros((40, 60), int)
    labels[5:15, 0:40] = 3  # touches the picture's edge
    labels[20:31, 30:41] = 5
    points = inner_points(labels)
    assert points[5] == (35.5, 25.5)
    x, y = points[3]
    assert labels[int(y), int(x)] == 3
    assert 4 <= x <= 36


def test_overlap_counts_what_is_missed():
    truth = np.zeros((2, 10, 10), np.uint16)
    truth[:, 0:4, 0:4] = 1
    truth[:, 6:8, 6:8] = 2
    score = OverlapScore(truth, [1])
    half = np.zeros((10, 10), bool)
    half[0:4, 0:2] = True
    score.add(FrameResult(0, {1: ObjectMask.from_mask(half), 2: ObjectMask.from_mask(~half)}))
    assert score.mean == pytest.approx(0.5)
    score.add(FrameResult(1))
    assert score.mean == pytest.approx(0.25)


PROBE = """
import sys
from napari_sam3.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "napari", "qtpy", "PyQt6", "PySide6", "numpy", "cv2", "av"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["track", "--help"], 0), (["track", "film.mp4", "--point", "1,1"], 2)]
)
def test_the_start_imports_nothing_heavy(arguments, code):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "napari-sam3 track" in done.stdout + done.stderr


def test_exit_code_and_message_of_the_process(tmp_path):
    (tmp_path / "a.mp4").write_text("no film")
    command = [sys.executable, "-m", "napari_sam3.cli", "track", str(tmp_path / "a.mp4")]
    done = subprocess.run(
        [*command, "--point", "1,1", "-o", str(tmp_path / "out")],
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("napari-sam3: error: ")
    assert "Traceback" not in done.stderr

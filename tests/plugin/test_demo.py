"""The demo in the window."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_sam3.plugin.views import demo
from napari_sam3.video import open_video
from tests.conftest import N_FRAMES, disc_mask

pytestmark = pytest.mark.sweep


@pytest.fixture
def in_test_viewer(make_napari_viewer, monkeypatch):
    monkeypatch.setattr(demo.napari, "Viewer", make_napari_viewer)


@pytest.mark.usefixtures("in_test_viewer")
def test_demo_clicks_each_true_object_and_measures(disc_folder, tmp_path, capsys):
    truth = np.stack([disc_mask(t) for t in range(N_FRAMES)]).astype(np.uint16)
    code = demo.run_demo(disc_folder, truth, tmp_path / "out", model="fake", close=True)
    said = capsys.readouterr().out
    assert code == 0
    assert "first tracked frame: " in said
    assert f"tracked: {N_FRAMES} of {N_FRAMES} frames" in said
    # the fake model's disc of radius 8 in the true one of radius 14, which moves with it
    overlap = float(said.split("objects): ")[1].split()[0])
    assert overlap == pytest.approx(8**2 / 14**2, abs=0.03)
    with Image.open(tmp_path / "out" / "window.png") as picture:
        assert picture.width > 400
    assert len(open_video(tmp_path / "out" / "overlay.mp4")) == N_FRAMES
    assert (tmp_path / "out" / "picture.png").is_file()


@pytest.mark.usefixtures("in_test_viewer")
def test_demo_without_truth_takes_a_box_and_tells_failure(disc_folder, tmp_path, capsys):
    box = (20.0, 20.0, 50.0, 60.0)
    done = demo.run_demo(disc_folder, None, tmp_path, box_xyxy=box, model="fake", close=True)
    assert done == 0
    assert "overlap" not in capsys.readouterr().out
    failed = demo.run_demo(disc_folder, None, tmp_path, model="nonsense", close=True)
    assert failed == 1

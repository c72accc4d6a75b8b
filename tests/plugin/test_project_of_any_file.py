"""Layers that another reader made of a file get a project too; others say that they get none."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.plugin.model.video_source import NO_FILE, find_source
from napari_sam3.projects import Project, list_projects

from .conftest import disc

pytestmark = pytest.mark.sweep

N_FRAMES, SIZE = 8, (64, 96)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 4000, (N_FRAMES, *SIZE), dtype=np.uint16)


@pytest.fixture(scope="module")
def tif(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("tif") / "stack.tif"
    tifffile.imwrite(path, frames)
    return path


@pytest.fixture(scope="module")
def many_axes(tmp_path_factory, frames):
    """Time, channel, y, x: no video to our own reader."""
    path = tmp_path_factory.mktemp("many") / "channels.tif"
    stack = np.stack([frames, frames[::-1]], axis=1)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TCYX"})
    return path


@pytest.fixture(autouse=True)
def own_projects(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "projects"))
    return tmp_path / "projects"


@pytest.fixture
def open_layer(open_dock, qtbot):
    """A function that opens a file as napari does by itself, beside the dock."""

    def open_layer(path, **kwargs):
        dock = open_dock()
        dock.viewer.open(path, plugin="napari", **kwargs)
        qtbot.waitUntil(lambda: source(dock) is not None)
        return dock

    return open_layer


def source(dock):
    return None if dock.state.current is None else dock.state.current.source


def prompt(dock):
    dock.new_prompts()
    dock.tracking_panel.direction.value = "forward"
    points = dock.prompt_panel.points.value
    points.add([[0] * (points.ndim - 2) + [20, 30]])


def test_a_tiff_that_napari_read_has_a_project(open_layer, work, tif, own_projects, close):
    dock = open_layer(tif)
    assert "make a project" in dock.project_panel.status.text()
    prompt(dock)
    work(dock, dock.propagate)
    assert dock.state.outcome is Outcome.TRACKED
    close(dock)
    (folder,) = list_projects(own_projects)
    with Project.open(folder) as project:
        assert project.find_video() == tif
        assert np.array_equal(project.labels[3] == 1, disc(3, 20, 30, SIZE))


def test_its_project_is_offered_and_goes_on_with_the_same_layer(
    open_layer, work, tif, qtbot, close
):
    dock = open_layer(tif)
    prompt(dock)
    work(dock, dock.propagate)
    close(dock)
    dock = open_layer(tif)
    layer = dock.viewer.layers[0]
    qtbot.waitUntil(lambda: bool(dock.projects.earlier))
    dock.project_opener.open_earlier()
    qtbot.waitUntil(lambda: dock.projects.project is not None)
    assert dock.state.video is layer
    assert np.array_equal(dock.tracking.results.planes[3] == 1, disc(3, 20, 30, SIZE))


def test_more_axes_than_a_video_has_are_kept_as_well(open_layer, work, many_axes, qtbot, close):
    dock = open_layer(many_axes)
    assert not source(dock).is_readable
    prompt(dock)
    work(dock, dock.propagate)
    assert dock.projects.project is not None
    close(dock)
    dock = open_layer(many_axes)
    image = dock.state.video
    qtbot.waitUntil(lambda: bool(dock.projects.earlier))
    dock.project_opener.open_earlier()
    qtbot.waitUntil(lambda: dock.projects.project is not None)
    assert dock.state.current.image_layer is image
    assert dock.state.project.problems == ()
    assert np.array_equal(dock.tracking.results.planes[3] == 1, disc(3, 20, 30, SIZE))


def test_pictures_read_as_one_stack_are_their_folder(open_layer, tmp_path, frames):
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{n}.png" for n in range(N_FRAMES)]
    for path, frame in zip(paths, frames, strict=True):
        Picture.fromarray((frame % 256).astype(np.uint8)).save(path)
    with dask.config.set(scheduler="synchronous"):  # else its threads stay
        dock = open_layer(paths, stack=True)
    assert (source(dock).path, source(dock).is_readable) == (folder, True)


def test_other_pixels_than_the_file_has_are_not_taken_for_it(open_layer, tif):
    """A layer that was changed since: its project is not one of the file's."""
    dock = open_layer(tif)
    layer = dock.state.video
    layer.data = layer.data[::-1]
    axes = dock.tracking.axes.read(layer)
    assert not find_source(layer, axes).is_readable


def test_an_array_says_that_nothing_is_kept_before_anything_is_done(open_dock, frames):
    dock = open_dock()
    dock.viewer.add_image(frames)
    assert dock.project_panel.group.text() == "Project: results are not kept"
    assert NO_FILE.problem in dock.project_panel.status.text()
    assert "Results are not kept" in dock.guidance.text()


def test_an_array_makes_no_project(open_dock, work, frames, own_projects):
    dock = open_dock()
    dock.viewer.add_image(frames)
    prompt(dock)
    work(dock, dock.propagate)
    assert dock.state.outcome is Outcome.TRACKED
    assert list_projects(own_projects) == []


def test_a_file_that_is_gone_says_so_when_results_come(open_layer, work, tif, tmp_path, notes):
    moved = tmp_path / "moved.tif"
    moved.write_bytes(tif.read_bytes())
    dock = open_layer(moved)
    prompt(dock)
    moved.unlink()
    work(dock, dock.propagate)
    assert dock.state.outcome is Outcome.TRACKED
    assert "put it back" in dock.project_panel.status.text()
    assert any("put it back" in text for _, text in notes)

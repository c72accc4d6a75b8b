"""Channels, depth and scenes in the window: layers by name, and projects of what they show."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam3 import track_video
from napari_sam3.plugin.io.video_reader import get_reader, read_layers
from napari_sam3.projects import Project, list_projects, project_for
from napari_sam3.video import PlaneChoice
from tests.video.stacks import CHANNELS, write_ome_zarr

from .conftest import disc

pytestmark = pytest.mark.sweep

SIZE = (64, 96)


@pytest.fixture
def cells(tmp_path):
    """Four frames, two channels, three planes; of a size that the fake model's discs fit in."""
    stack = np.random.default_rng(0).integers(0, 4000, (4, 2, 3, *SIZE)).astype(np.uint16)
    return write_ome_zarr(tmp_path / "cells.zarr", stack=stack), stack


@pytest.fixture(autouse=True)
def own_projects(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "projects"))
    return tmp_path / "projects"


def test_each_channel_is_a_layer_with_its_name(cells):
    path, stack = cells
    assert get_reader(str(path)) is not None
    layers = read_layers(str(path))
    assert [arguments["name"] for _, arguments, _ in layers] == [
        "cells.zarr DAPI, z max",
        "cells.zarr GFP, z max",
    ]
    for channel, (video, arguments, _) in enumerate(layers):
        np.testing.assert_array_equal(video[1], stack[1, channel].max(0))
        assert arguments["scale"] == (2.0, 0.5, 0.5)
        assert arguments["metadata"]["choice"] == {"channel": channel, "z": "max"}
        assert arguments["blending"] == "additive"


def test_what_is_chosen_alone_is_shown(cells):
    path, stack = cells
    ((video, arguments, _),) = read_layers(str(path), PlaneChoice("GFP", 2))
    np.testing.assert_array_equal(video[3], stack[3, 1, 2])
    assert arguments["name"] == "cells.zarr GFP, z 2"


def show(dock, path, channel):
    layers = read_layers(str(path))
    for video, arguments, _ in layers:
        dock.viewer.add_image(video, **arguments)
    dock.state.video = dock.viewer.layers[channel]
    return dock.viewer.layers[channel]


@pytest.fixture
def project(cells, own_projects):
    """The second channel, tracked without a window, where the window looks for it."""
    path, _ = cells
    folder = project_for(path, choice=PlaneChoice(1, "max"))
    click = [{"frame": 0, "points": [[30.5, 20.5]]}]
    track_video(path, click, model="fake", channel=1, z="max", project=folder).close()
    return folder


def test_a_project_opens_its_channel(open_dock, cells, project, qtbot):
    _, stack = cells
    dock = open_dock()
    dock.project_opener.open(project)
    qtbot.waitUntil(lambda: dock.projects.project is not None)
    np.testing.assert_array_equal(dock.state.video.data[2], stack[2, 1].max(0))


def test_a_project_is_offered_for_its_channel_alone(open_dock, cells, project, qtbot):
    dock = open_dock()
    show(dock, cells[0], 0)
    layer = dock.viewer.layers[1]
    qtbot.waitUntil(lambda: dock.state.current.source is not None)
    assert not dock.projects.earlier, "it is of the other channel"
    dock.state.video = layer
    qtbot.waitUntil(lambda: bool(dock.projects.earlier))
    dock.project_opener.open_earlier()
    qtbot.waitUntil(lambda: dock.projects.project is not None)
    assert dock.state.video is layer
    assert np.array_equal(dock.tracking.results.planes[2] == 1, disc(2, 20, 30, SIZE))


@pytest.mark.sweep
def test_a_project_that_the_window_makes_keeps_the_channel(
    open_dock, work, cells, own_projects, close
):
    dock = open_dock()
    show(dock, cells[0], 1)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 20, 30]])
    work(dock, dock.propagate)
    close(dock)
    (folder,) = list_projects(own_projects)
    with Project.open(folder, read_only=True) as project:
        assert project.video.choice == PlaneChoice(1, "max")


def test_the_dock_names_the_channels_of_a_layer_that_napari_read(open_dock, qtbot, tmp_path):
    path = tmp_path / "cells.ome.tif"
    stack = np.zeros((4, 2, *SIZE), np.uint16)
    metadata = {"axes": "TCYX", "Channel": {"Name": CHANNELS}}
    tifffile.imwrite(path, stack, ome=True, metadata=metadata, photometric="minisblack")
    dock = open_dock()
    dock.viewer.open(path, plugin="napari")
    qtbot.waitUntil(lambda: dock.state.channel_names == ("DAPI", "GFP"))
    panel = dock.video_panel
    panel.channel.value = 1
    assert "GFP" in panel.channel.native.text()

"""Files that take long to look through, opened in a window."""

import threading

import napari
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from PIL import Image as Picture
from qtpy.QtCore import QTimer

from napari_sam3.errors import VideoError
from napari_sam3.plugin.io import deferred_video as opening
from napari_sam3.plugin.io.video_reader import read_layers
from napari_sam3.plugin.layers.stack_axes import guess_axes, layer_video
from napari_sam3.plugin.views.open_window import open_window
from napari_sam3.video import PlaneChoice, as_video
from napari_sam3.video.first_frame import FirstFrame
from tests.video.clips import encode, read_number
from tests.video.stacks import CHANNELS, STACK

N_FRAMES = 30


@pytest.fixture
def clip(tmp_path):
    return encode(tmp_path / "clip.mkv", n_frames=N_FRAMES, gop=10, b_frames=2, rate=24)


@pytest.fixture
def gate(monkeypatch):
    """Holds the opening of files until it is set."""
    gate, open_video = threading.Event(), opening.open_video

    def held_open(path):
        assert gate.wait(timeout=60), "nobody let it go on"
        return open_video(path)

    monkeypatch.setattr(opening, "open_video", held_open)
    monkeypatch.setattr(opening, "PATIENCE", 0.01)
    yield gate
    gate.set()


@pytest.fixture
def drop_on(qtbot):
    """Opens a file as dropping it on the window does: from within Qt's event loop."""

    def drop(viewer, path):
        def add():
            ((video, arguments, _),) = read_layers(str(path))
            viewer.add_image(video, **arguments)

        QTimer.singleShot(0, add)
        qtbot.waitUntil(lambda: len(viewer.layers) > 0, timeout=10_000)
        return viewer.layers[0]

    return drop


def test_first_frame_shows_until_the_file_was_looked_through(
    open_viewer, qtbot, clip, gate, drop_on
):
    viewer = open_viewer()
    layer = drop_on(viewer, clip)
    assert isinstance(layer.data, FirstFrame)
    assert layer.data.shape[0] == 1
    assert read_number(np.asarray(layer.data[0])) == 0
    for take in (as_video, lambda data: data.reopen()):
        with pytest.raises(VideoError, match=r"'clip\.mkv' is still being looked through"):
            take(layer.data)
    gate.set()
    qtbot.waitUntil(lambda: not isinstance(layer.data, FirstFrame), timeout=10_000)
    assert viewer.layers == [layer]
    assert len(layer.data) == N_FRAMES
    assert viewer.dims.nsteps[0] == N_FRAMES
    assert layer.metadata["codec"] == "h264"
    assert layer.scale[0] == pytest.approx(1 / 24)
    viewer.dims.set_current_step(0, 17)
    assert read_number(layer.data[17]) == 17
    with layer_video(layer, guess_axes(layer)) as video:
        assert len(video) == N_FRAMES


def test_a_dock_takes_the_first_frame_and_then_the_whole(open_dock, qtbot, clip, gate, drop_on):
    dock = open_dock()
    layer = drop_on(dock.viewer, clip)
    assert dock.state.video is layer
    gate.set()
    qtbot.waitUntil(lambda: not isinstance(layer.data, FirstFrame), timeout=10_000)
    qtbot.waitUntil(lambda: dock.state.n_frames == N_FRAMES, timeout=10_000)


def test_what_opens_quickly_is_whole_at_once(open_viewer, clip, drop_on, monkeypatch):
    monkeypatch.setattr(opening, "PATIENCE", 60)
    assert len(drop_on(open_viewer(), clip).data) == N_FRAMES


def test_scripts_get_all_of_it(open_viewer, clip, gate):
    open_viewer()
    gate.set()
    ((video, _, _),) = read_layers(str(clip))
    assert len(video) == N_FRAMES


def test_layer_that_is_gone_is_not_waited_for(open_viewer, qtbot, clip, gate, drop_on):
    def is_opening():
        return any(t.name == f"opening {clip.name}" for t in threading.enumerate())

    viewer = open_viewer()
    layer = drop_on(viewer, clip)
    assert is_opening()
    viewer.layers.remove(layer)
    del layer
    gate.set()
    qtbot.waitUntil(lambda: not is_opening(), timeout=10_000)
    assert len(viewer.layers) == 0


def test_failure_later_on_is_told_and_takes_the_layer_away(
    open_viewer, qtbot, clip, drop_on, notes, monkeypatch
):
    gate = threading.Event()

    def fail(path):
        gate.wait(timeout=60)
        raise VideoError(f"{path.name!r} has a hole")

    monkeypatch.setattr(opening, "open_video", fail)
    monkeypatch.setattr(opening, "PATIENCE", 0.01)
    viewer = open_viewer()
    assert isinstance(drop_on(viewer, clip), Image)
    gate.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 0, timeout=10_000)
    assert "'clip.mkv' has a hole" in notes[-1][1]


def test_file_that_can_not_be_opened_is_refused_at_once(
    open_viewer, qtbot, tmp_path, gate, monkeypatch
):
    open_viewer()
    path = tmp_path / "text.mkv"
    path.write_text("no video")
    gate.set()
    raised = []

    def read():
        with pytest.raises(VideoError, match=r"text\.mkv"):
            read_layers(str(path))
        raised.append(True)

    QTimer.singleShot(0, read)
    qtbot.waitUntil(lambda: bool(raised), timeout=10_000)


def test_the_command_opens_a_pattern(make_napari_viewer, monkeypatch, tmp_path, qtbot):
    for name, value in (("a0", 1), ("a1", 2), ("b0", 9)):
        Picture.fromarray(np.full((8, 9), value, np.uint8)).save(tmp_path / f"{name}.png")
    monkeypatch.setattr(napari, "Viewer", make_napari_viewer)
    viewer = open_window(tmp_path / "a*.png")
    layer = viewer.layers[0]
    assert [int(frame[0, 0]) for frame in layer.data] == [1, 2]
    viewer.close()
    qtbot.wait(1)  # its dock ends with the next turn


def test_the_command_opens_a_stack_of_channels(make_napari_viewer, monkeypatch, tmp_path, qtbot):
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "TCZYX", "Channel": {"Name": CHANNELS}}
    tifffile.imwrite(path, STACK, ome=True, metadata=metadata, photometric="minisblack")
    monkeypatch.setattr(napari, "Viewer", make_napari_viewer)
    viewer = open_window(path, PlaneChoice(z=1))
    names = [layer.name for layer in viewer.layers if isinstance(layer, Image)]
    assert names == ["cells.ome DAPI, z 1", "cells.ome GFP, z 1"]
    np.testing.assert_array_equal(viewer.layers[1].data[0], STACK[0, 1, 1])
    viewer.close()
    qtbot.wait(1)  # its dock ends with the next turn

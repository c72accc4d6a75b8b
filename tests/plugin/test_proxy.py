"""The menu's "Make scrubbing fast" in a window."""

import threading

import numpy as np
import pytest
from napari._qt.dialogs.qt_notification import NapariQtNotification
from napari.utils._proxies import PublicOnlyProxy
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QLabel, QPushButton

from napari_sam3.plugin.controllers.proxy_controller import (
    ProxyMaking,
    make_scrubbing_fast,
    offer_proxy,
)
from napari_sam3.plugin.io.video_reader import read_layers
from napari_sam3.plugin.layers.stack_axes import guess_axes, layer_video
from napari_sam3.video import proxy
from napari_sam3.video.proxy import ProxyVideo, make_proxy
from tests.video.clips import encode, read_number

pytestmark = pytest.mark.sweep

N_FRAMES = 30


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")
    return tmp_path / "cache" / "proxies"


@pytest.fixture
def clip(tmp_path):
    return encode(tmp_path / "clip.mp4", n_frames=N_FRAMES, gop=250, b_frames=2)


@pytest.fixture
def gate(monkeypatch):
    """Holds the making of a proxy at its first frame until it is set."""
    gate = threading.Event()
    write = proxy.VideoWriter.write

    def held_write(self, *args):
        assert gate.wait(timeout=60), "nobody let the writer go on"
        write(self, *args)

    monkeypatch.setattr(proxy.VideoWriter, "write", held_write)
    yield gate
    gate.set()


def add(viewer, path):
    ((video, arguments, _),) = read_layers(path)
    return viewer.add_image(video, **arguments)


def test_layer_shows_the_proxy_and_reopens_as_the_original(open_viewer, qtbot, clip, notes, gate):
    viewer = open_viewer()
    layer = add(viewer, clip)
    video, scale = layer.data, tuple(layer.scale)
    make_scrubbing_fast(PublicOnlyProxy(viewer))  # as napari calls it
    make_scrubbing_fast(viewer)
    assert "being made" in notes[-1][1]
    gate.set()
    qtbot.waitUntil(lambda: isinstance(layer.data, ProxyVideo), timeout=20_000)
    assert layer.data.original is video
    assert tuple(layer.scale) == scale
    viewer.dims.set_current_step(0, 17)
    assert read_number(np.asarray(layer.data[17])) == 17
    assert "scrubbing is fast" in notes[-1][1]
    with layer_video(layer, guess_axes(layer)) as tracked:
        assert not isinstance(tracked, ProxyVideo)
        assert np.array_equal(tracked[5], video[5])
    make_scrubbing_fast(viewer)
    assert "already" in notes[-1][1]


def test_what_was_made_before_is_shown_at_once(open_viewer, clip, notes):
    viewer = open_viewer()
    layer = add(viewer, clip)
    make_proxy(layer.data)
    make_scrubbing_fast(viewer)
    assert isinstance(layer.data, ProxyVideo)
    assert isinstance(read_layers(clip)[0][0], ProxyVideo)


def test_stopping_it_and_deleting_the_layer(open_viewer, qtbot, clip, folder, gate):
    viewer = open_viewer()
    layer = add(viewer, clip)
    making = ProxyMaking(viewer, layer, layer.data)
    with qtbot.waitSignal(making.run.ended, timeout=20_000):
        making.start()
        making.progress.cancel()
        gate.set()
    assert not isinstance(layer.data, ProxyVideo)
    assert list(folder.glob("*")) == []
    gate.clear()
    making = ProxyMaking(viewer, layer, layer.data)
    with qtbot.waitSignal(making.run.ended, timeout=20_000):
        making.start()
        viewer.layers.remove(layer)
        gate.set()


@pytest.mark.parametrize("what", ["nothing", "array", "grey"])
def test_what_can_have_none_is_told(open_viewer, tmp_path, what, notes):
    viewer = open_viewer()
    if what == "array":
        viewer.add_image(np.zeros((3, 20, 30)))
    elif what == "grey":
        add(viewer, encode(tmp_path / "grey.mkv", "ffv1", "gray16le", n_frames=3))
    make_scrubbing_fast(viewer)
    assert notes[-1][0] == "error"
    told = {"nothing": "no layer", "array": "no video file", "grey": "grey"}
    assert told[what] in notes[-1][1]


def test_a_session_goes_on_when_the_proxy_is_shown(open_viewer, open_dock, work, clip):
    dock = open_dock()
    layer = add(dock.viewer, clip)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    work(dock, dock.propagate)
    controller = dock.tracking.session
    make_proxy(layer.data)
    dock.viewer.layers.selection.active = layer
    make_scrubbing_fast(dock.viewer)
    assert isinstance(layer.data, ProxyVideo)
    work(dock, dock.propagate)
    assert dock.tracking.session is controller


def test_the_offer_is_one_line_and_a_button(open_viewer, clip):
    viewer = open_viewer(show=True)
    layer, canvas = add(viewer, clip), viewer.window._qt_viewer.canvas.native
    shown = []

    def show(note):  # as napari does, but for fading in
        shown.append(NapariQtNotification.from_notification(note, canvas))

    notification_manager.notification_ready.connect(show)
    try:
        offer_proxy(viewer, layer)
    finally:
        notification_manager.notification_ready.disconnect(show)
    (offer,) = shown
    told = [label.text() for label in offer.findChildren(QLabel)]
    assert [text for text in told if text] == ["'clip' is slow to jump in"]
    assert "Make scrubbing fast" in [b.text() for b in offer.findChildren(QPushButton)]
    offer.close()

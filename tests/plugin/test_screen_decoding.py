"""Frames that take long to decode: the window goes on, and what stands in is taken for nothing."""

import gc
import threading
import weakref

import napari
import numpy as np
import pytest
from qtpy.QtCore import QCoreApplication, QObject, QPoint, QPointF, Qt, Signal
from qtpy.QtGui import QMouseEvent

from napari_sam3.errors import VideoError
from napari_sam3.plugin.controllers import screen_decoding
from napari_sam3.plugin.controllers.screen_decoding import (
    frames_to_come,
    let_screen_lead,
    wait_for_picture,
)
from napari_sam3.plugin.controllers.stand_in_mark import text_overlay
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.video import Video, open_video
from tests.video.clips import encode

pytestmark = pytest.mark.sweep

N_FRAMES, SIZE = 30, (40, 60)


class SlowVideo(Video):
    """Frame i has the value i; each but the first is slow, and waits to be let through."""

    def __init__(self):
        super().__init__((N_FRAMES, *SIZE), np.uint8)
        self.gates = {i: threading.Event() for i in range(1, N_FRAMES)}
        self.begun = []
        self.broken = set()

    def _read(self, frame_index):
        if frame_index in self.broken:
            raise VideoError(f"frame {frame_index} is damaged")
        return np.full(SIZE, frame_index, np.uint8)

    def frame_unless(self, frame_index, is_unwanted):
        self.begun.append(frame_index)
        while not self.gates[frame_index].wait(0.01):
            if is_unwanted():
                return None
        return self.frame(frame_index)

    def decoding_cost(self, frame_index):
        return 10**9 if frame_index else 0

    def reopen(self):
        return self

    def let(self, *frame_indices):
        for i in frame_indices:
            self.gates[i].set()


class Hand(QObject):
    """Moves a slider as a mouse does: from Qt's event loop, with no script on the stack."""

    moves = Signal(int)

    def __init__(self, viewer):
        super().__init__()
        self.viewer = viewer
        slider = viewer.window._qt_viewer.dims.slider_widgets[0].slider
        self.moves.connect(slider.setValue, Qt.ConnectionType.QueuedConnection)

    def move_to(self, frame_index):
        self.moves.emit(frame_index)
        assert wait_until(lambda: self.viewer.dims.current_step[0] == frame_index)


@pytest.fixture
def viewer(open_viewer):
    return open_viewer(show=True)


@pytest.fixture
def video():
    video = let_screen_lead(SlowVideo())
    yield video
    video.let(*video.gates)


@pytest.fixture
def layer(viewer, video, monkeypatch):
    # a window that nobody has ever clicked at is no current one
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    layer = viewer.add_image(video, contrast_limits=(0, 255))
    viewer.dims.set_current_step(0, 0)
    return layer


@pytest.fixture
def hand(layer, viewer):
    return Hand(viewer)


def shown(layer):
    """The value of the picture on screen, as napari's cursor reads it."""
    place = layer.data_to_world([float(layer._slice_input.world_slice.point[0]), 5, 5])
    return int(layer.get_value(place, world=True))


def mark(viewer):
    overlay = text_overlay(viewer)
    return overlay.text if overlay.visible else ""


def test_slider_goes_on_and_the_picture_follows(viewer, video, layer, hand):
    hand.move_to(7)
    assert shown(layer) == 0
    assert frames_to_come(viewer) == (7,)
    assert mark(viewer) == "frame 7 is being decoded …"
    video.let(7)
    assert wait_until(lambda: shown(layer) == 7)
    assert frames_to_come(viewer) == ()
    assert mark(viewer) == ""


def test_newest_wins_and_what_came_before_it_stands_in(viewer, video, layer, hand, monkeypatch):
    monkeypatch.setattr(screen_decoding, "REST", 1000.0)
    for frame_index in (7, 9, 11):
        hand.move_to(frame_index)
    video.let(7)
    assert wait_until(lambda: shown(layer) == 7)
    assert mark(viewer) == "frame 11 is being decoded …"
    video.let(11)
    assert wait_until(lambda: shown(layer) == 11)
    assert video.begun == [7, 11]
    assert mark(viewer) == ""


def test_frame_that_the_slider_has_left_for_good_is_given_up(video, layer, hand, monkeypatch):
    monkeypatch.setattr(screen_decoding, "REST", 0.0)
    hand.move_to(7)
    hand.move_to(11)
    video.let(11)
    assert wait_until(lambda: shown(layer) == 11)
    assert not video.gates[7].is_set()


def test_scripts_get_the_true_frame(viewer, video, layer, hand):
    hand.move_to(7)
    assert shown(layer) == 0
    assert np.all(layer.data[7] == 7)
    assert np.all(np.asarray(layer.data)[:, 0, 0] == range(N_FRAMES))
    viewer.dims.set_current_step(0, 9)
    assert shown(layer) == 9
    assert frames_to_come(viewer) == ()
    assert mark(viewer) == ""


def test_wait_for_picture_shows_the_true_frame(viewer, layer, hand):
    hand.move_to(7)
    wait_for_picture(viewer)
    assert shown(layer) == 7
    assert mark(viewer) == ""


def test_text_of_the_person_stays(viewer, video, layer, hand):
    overlay = text_overlay(viewer)
    overlay.text, overlay.visible = "mouse 3", True
    hand.move_to(7)
    assert mark(viewer) == "mouse 3\nframe 7 is being decoded …"
    video.let(7)
    assert wait_until(lambda: shown(layer) == 7)
    assert mark(viewer) == "mouse 3"
    overlay.text, overlay.visible = "", False


def press_canvas(viewer):
    canvas = viewer.window._qt_viewer.canvas.native
    middle = canvas.rect().center()
    for kind in (QMouseEvent.Type.MouseButtonPress, QMouseEvent.Type.MouseButtonRelease):
        event = QMouseEvent(
            kind,
            QPointF(middle),
            QPointF(canvas.mapToGlobal(QPoint(middle))),
            Qt.MouseButton.LeftButton,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QCoreApplication.sendEvent(canvas, event)


def test_clicks_and_strokes_on_a_stand_in_are_refused(viewer, video, layer, hand, notes):
    labels = viewer.add_labels(np.zeros((N_FRAMES, *SIZE), int))
    points = viewer.add_points(ndim=3)
    hand.move_to(7)
    points.mode = "add"
    press_canvas(viewer)
    viewer.layers.selection.active = labels
    labels.mode = "fill"
    press_canvas(viewer)
    assert len(points.data) == 0
    assert not np.any(labels.data)
    assert "frame 7 is not on screen yet" in notes[-1][1]
    video.let(7)
    assert wait_until(lambda: shown(layer) == 7)
    viewer.layers.selection.active = points
    press_canvas(viewer)
    assert [int(t) for t in points.data[:, 0]] == [7]


def test_frame_that_can_not_be_read_is_told_and_stays_marked(viewer, video, layer, hand, notes):
    video.broken.add(7)
    hand.move_to(7)
    video.let(7)
    assert wait_until(lambda: mark(viewer) == "frame 7 can't be shown")
    assert ("error", "frame 7 is damaged") in notes
    hand.move_to(0)
    assert shown(layer) == 0
    assert mark(viewer) == ""


@pytest.mark.parametrize("loss", ["layer deleted", "video replaced", "viewer closed"])
def test_what_is_gone_is_not_waited_for(loss, viewer, video, layer, hand):
    threads = threading.active_count()
    hand.move_to(7)
    if loss == "layer deleted":
        viewer.layers.remove(layer)
        assert mark(viewer) == ""
    elif loss == "video replaced":
        layer.data = np.full((N_FRAMES, *SIZE), 99, np.uint8)
    else:
        viewer.close()
    video.let(7)
    assert wait_until(lambda: threading.active_count() < threads or not video.for_screen._thread)
    if loss == "video replaced":
        assert wait_until(lambda: mark(viewer) == "")
        assert shown(layer) == 99
    assert video.for_screen.pending is None


def test_quick_frames_are_shown_at_once(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    monkeypatch.setattr(screen_decoding, "DIRECT", 1000.0)
    clip = let_screen_lead(open_video(encode(tmp_path / "clip.mp4", n_frames=N_FRAMES, gop=250)))
    layer = viewer.add_image(clip)
    asked = []
    monkeypatch.setattr(type(clip.for_screen), "_ask_for", lambda _self, i: asked.append(i))
    Hand(viewer).move_to(25)
    assert asked == []
    assert np.array_equal(layer._slice.image.raw, clip.frame(25))


def test_file_that_is_slow_to_jump_in_is_offered_a_proxy_once(viewer, tmp_path, notes, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    monkeypatch.setattr(screen_decoding, "DIRECT", 0.0)
    monkeypatch.setattr(screen_decoding, "SLOW", 0.0)
    path = encode(tmp_path / "clip.mp4", n_frames=100, gop=250)
    viewer.add_image(let_screen_lead(open_video(path)), name="clip")
    hand = Hand(viewer)
    for frame_index in (80, 20):
        hand.move_to(frame_index)
        assert wait_until(lambda: frames_to_come(viewer) == ())
    offers = [message for _, message in notes if "slow" in message]
    assert offers == ["'clip' is slow to jump in"]


@pytest.mark.sweep
def test_twenty_videos_opened_and_closed_leave_nothing(viewer, monkeypatch):
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    videos = []
    for _ in range(20):
        video = let_screen_lead(SlowVideo())
        layer = viewer.add_image(video, contrast_limits=(0, 255))
        viewer.dims.set_current_step(0, 0)
        Hand(viewer).move_to(7)
        assert mark(viewer)
        viewer.layers.remove(layer)  # while it is decoded
        assert not mark(viewer)
        videos.append(weakref.ref(video))
        del layer, video
    assert wait_until(lambda: not [t for t in threading.enumerate() if t.name == "screen"])
    viewer.add_image(np.zeros((2, 4, 4)))  # napari holds the layer that was there last
    viewer.layers.clear()
    gc.collect()
    assert [found for found in videos if found() is not None] == []

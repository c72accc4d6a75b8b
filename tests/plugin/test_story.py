"""An afternoon at the window, from a file to the formats, by mouse and keys; the embedded model."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QInputDialog

from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.views import export_dialog
from napari_sam3.plugin.views.compute_panel import OTHER
from napari_sam3.plugin.views.export_dialog import ExportDialog
from napari_sam3.plugin.views.objects_table_model import Column
from napari_sam3.video.video_writer import VideoWriter
from tests.cluster.conftest import cluster, module_cluster, watcher  # noqa: F401 - fixtures

from .hands import CTRL, NOTHING, RIGHT, Hands

N_FRAMES, SIZE = 16, (120, 160)
HIDDEN = range(9, 12)  # frames on which a bar lies over the second disc
SHIFT = Qt.KeyboardModifier.ShiftModifier


def middles(frame_index):
    """(y, x) of the two discs."""
    return (40, 30 + 3 * frame_index), (85, 120 - 4 * frame_index)


def frame(frame_index):
    """(H, W, 3) uint8: two bright, speckled discs on a dark ground."""
    noise = np.random.default_rng(3)
    ground = noise.integers(20, 50, SIZE)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    speckle = noise.integers(-25, 25, (40, 40))
    for (y, x), bright in zip(middles(frame_index), (190, 150), strict=True):
        here = (rows - y) ** 2 + (columns - x) ** 2 <= 15**2
        around = np.roll(np.pad(speckle, ((0, 80), (0, 120))), (y - 20, x - 20), (0, 1))
        ground = np.where(here, bright + around, ground)
    if frame_index in HIDDEN:
        ground[62:108, 60:110] = 35
    return np.repeat(ground.astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def film_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("story") / "film.mp4"
    with VideoWriter(path, 8) as writer:
        for frame_index in range(N_FRAMES):
            writer.write(frame(frame_index))
    return path


class Story:
    """The window of one afternoon, and hands on it."""

    def __init__(self, dock, qtbot):
        self.dock, self.qtbot = dock, qtbot
        self.viewer, self.tracking = dock.viewer, dock.tracking
        self.hands = Hands(dock.viewer)

    def until(self, is_so):
        self.qtbot.waitUntil(is_so)

    def end_of(self, act):
        with self.qtbot.waitSignal(self.dock.ended):
            act()
        QApplication.processEvents()

    def show(self, frame_index):
        """Go to a frame by a click into the timeline's ruler."""
        timeline = self.dock.timeline
        timeline.refresh()
        x = timeline.place_of(timeline.controller.ids[0], frame_index).x()
        QTest.mouseClick(timeline.surface, Qt.MouseButton.LeftButton, NOTHING, _at(x, 5))
        self.until(lambda: self.tracking.frame_on_screen() == frame_index)

    def key(self, key, held=NOTHING):
        QTest.keyClick(self.hands.canvas, key, held)
        QApplication.processEvents()

    def previewed(self):
        return set(self.dock.state.preview.objects)

    def labels(self, frame_index):
        return set(np.unique(self.tracking.results.planes[frame_index]).tolist()) - {0}

    def overlap(self, frame_index, obj_id):
        (y, x) = middles(frame_index)[obj_id - 1]
        rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
        true = (rows - y) ** 2 + (columns - x) ** 2 <= 15**2
        found = self.tracking.results.planes[frame_index] == obj_id
        return (true & found).sum() / (true | found).sum()

    def choose(self, obj_id, held=NOTHING):
        table = self.dock.objects_panel.table
        table.refresh()
        place = table.view.visualRect(table.model.place(obj_id, Column.ID)).center()
        QTest.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, held, place)

    def press(self, name):
        self.hands.press(self.dock.objects_panel.table.buttons[name])

    def all_labels(self):
        planes = self.tracking.results.planes
        return np.stack([planes[t] for t in range(N_FRAMES)])


def _at(x, y):
    from qtpy.QtCore import QPoint

    return QPoint(x, y)


@pytest.fixture
def story(open_dock, open_viewer, film_path, tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "projects"))
    open_viewer()
    viewer = open_viewer(show=True)  # of its own: what a brush leaves can't be cleaned off
    viewer.window.resize(1366, 768)
    viewer.open(str(film_path), plugin="napari-sam3")
    viewer.dims.set_current_step(0, 0)
    monkeypatch.setenv("NAPARI_SAM3_MODEL", "optical-flow")
    dock = open_dock(viewer)
    dock.state.model = "optical-flow"
    QApplication.processEvents()
    return Story(dock, qtbot)


@pytest.fixture
def elsewhere(story, monkeypatch, request):
    """The cluster on whose workers the window computes from now on, chosen as a person does."""
    workers = request.getfixturevalue("cluster")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (workers.address, True))
    story.dock.compute_panel.compute.value = OTHER
    story.until(lambda: story.dock.state.compute_state == "ready")
    return workers


@pytest.mark.sweep
def test_an_afternoon_with_a_worker_that_dies(story, elsewhere, watcher, tmp_path, monkeypatch):  # noqa: F811
    def kill():
        story.until(lambda: story.dock.state.frames_done >= 3)
        elsewhere.kill(elsewhere.holder(watcher))

    tell_the_story(story, tmp_path, monkeypatch, amid_propagation=kill)


@pytest.mark.sweep
def test_an_afternoon(story, tmp_path, monkeypatch):
    tell_the_story(story, tmp_path, monkeypatch)


def tell_the_story(story, tmp_path, monkeypatch, amid_propagation=lambda: None):
    dock, hands, state = story.dock, story.hands, story.dock.state
    # two objects on different frames, by click and box; previews come by themselves
    hands.click(*middles(0)[0])
    story.until(lambda: story.previewed() == {1})
    hands.type("n")
    story.show(2)
    hands.type("r")
    y, x = middles(2)[1]
    hands.drag([(y - 17, x - 17), (y, x), (y + 17, x + 17)])
    story.until(lambda: 2 in story.previewed())
    hands.type("c")
    hands.click(y - 17, x - 20, RIGHT)  # not the ground beside it
    story.until(lambda: not state.preview.is_working)

    def propagate():
        hands.press(dock.tracking_panel.propagate)
        amid_propagation()

    story.end_of(propagate)
    assert story.overlap(6, 1) > 0.6
    assert story.overlap(4, 2) > 0.6
    assert hands.has_canvas

    # the doubtful place: where the second one is hidden
    review = dock.review
    story.until(lambda: (review.look(), bool(review.places and not review.is_looking))[1])
    hands.type(".")
    place = review.current
    assert place.obj_id == state.object_in_hand
    story.show(10)
    state.object_in_hand = 2
    before = story.all_labels()
    hands.type("p")
    y, x = middles(10)[1]
    hands.drag([(y, x - 6), (y, x), (y, x + 6)])
    assert story.tracking.results.planes[10][y, x] == 2
    story.end_of(lambda: hands.press(dock.tracking_panel.from_here))
    corrected = story.all_labels()
    np.testing.assert_array_equal(corrected == 1, (before == 1) & (corrected != 2))

    # merge and split
    story.choose(2)
    story.choose(1, CTRL)  # in hand: its number stays
    story.press("Merge")
    story.until(lambda: not any(2 in story.labels(t) for t in range(N_FRAMES)))
    story.show(8)
    story.choose(1)
    story.press("Split")
    story.until(lambda: 1 not in story.labels(10))
    split = story.all_labels()

    # undo all of it, redo
    history = state.current.history
    n_done = len(history.done)
    for _ in range(n_done):
        story.key(Qt.Key.Key_Z, CTRL)
    assert not history.done
    assert not story.all_labels().any()
    assert len(state.points.data) == len(state.boxes.data) == 0
    for _ in range(n_done):
        story.key(Qt.Key.Key_Z, CTRL | SHIFT)
    assert not history.undone
    np.testing.assert_array_equal(story.all_labels(), split)

    # lock, divide
    hands.canvas.setFocus()
    hands.type("k")
    assert story.tracking.results.planes.is_locked(8)
    state.object_in_hand = 1
    dock.objects_panel.divide([7, 8])
    assert table_of(dock.tracking.results.layer).divisions

    # two formats
    for name, place in (("csv", tmp_path / "a.csv"), ("ctc", tmp_path / "ctc")):
        monkeypatch.setattr(export_dialog, "ask_for_place", lambda *_a, p=place: p)
        dialog = ExportDialog(dock.tracking, dock)
        names = [
            dialog.formats.item(row, 0).data(Qt.ItemDataRole.UserRole)
            for row in range(dialog.formats.rowCount())
        ]
        dialog.formats.selectRow(names.index(name))
        hands.press(dialog.choose)
        assert place.exists()

    # close, open again
    folder = dock.projects.project.folder
    dock.shut_down()
    story.viewer.layers.clear()
    story.viewer.open(str(folder), plugin="napari-sam3")
    labels = next(one for one in story.viewer.layers if "objects" in one.name)
    np.testing.assert_array_equal(np.stack([labels.data[t] for t in range(N_FRAMES)]), split)
    assert labels.data.is_locked(8)

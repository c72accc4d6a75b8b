"""The timeline under the canvas, used by mouse, wheel and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_sam3.plugin.model.timeline import ABSENT, LOCKED, PAINTED, PRESENT, STALE, UNPROCESSED
from napari_sam3.plugin.views.timeline_dock import show_timeline
from napari_sam3.plugin.views.timeline_view import HEAD, LANE, RULER

from .conftest import SHAPE, click

LEFT, SHIFT = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ShiftModifier
NONE, CONTROL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
LAST = SHAPE[0] - 1


class Hand:
    """Acts on a timeline as a person does; places are frames and objects."""

    def __init__(self, view, qtbot):
        self.view, self.qtbot = view, qtbot

    def lane(self, obj_id, frame_index):
        self.view.refresh()
        return self.view.place_of(obj_id, frame_index)

    def ruler(self, frame_index):
        self.view.refresh()
        return QPoint(round(HEAD + self.view.axis.x_of(frame_index + 0.5)), RULER // 2)

    def click(self, place, modifiers=NONE):
        self.qtbot.mouseClick(self.view.surface, LEFT, modifiers, place)
        QApplication.processEvents()

    def drag(self, start, end, modifiers=NONE):
        surface = self.view.surface
        self.qtbot.mousePress(surface, LEFT, modifiers, start)
        for part in (0.5, 1.0):
            place = QPointF(start) + part * QPointF(end - start)
            event = _mouse(QEvent.Type.MouseMove, place, surface, modifiers)
            QApplication.sendEvent(surface, event)
        self.qtbot.mouseRelease(surface, LEFT, modifiers, end)
        QApplication.processEvents()

    def wheel(self, place, notches, modifiers=NONE, sideways=0):
        surface = self.view.surface
        event = QWheelEvent(
            QPointF(place),
            QPointF(surface.mapToGlobal(place)),
            QPoint(),
            QPoint(120 * sideways, 120 * notches),
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(surface, event)

    def key(self, key, modifiers=NONE):
        self.qtbot.keyClick(self.view, key, modifiers)
        QApplication.processEvents()


def _mouse(kind, place, surface, modifiers):
    where = QPointF(surface.mapToGlobal(place.toPoint()))
    return QMouseEvent(kind, place, where, Qt.MouseButton.NoButton, LEFT, modifiers)


@pytest.fixture
def hand(ready, qtbot):
    ready.timeline.setMinimumWidth(HEAD + 600)
    ready.timeline.resize(HEAD + 600, 130)
    ready.timeline.grab()  # so that Qt tells it its size, though the window is not shown
    assert ready.timeline.axis.px_per_frame > 20
    return Hand(ready.timeline, qtbot)


@pytest.fixture
def tracked(ready, work, hand):
    """Objects 1 and 2, clicked on frame 0 and followed to the end."""
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    hand.view.refresh()
    return ready


def on_screen(dock):
    return dock.tracking.frame_on_screen()


def timeline_of(dock):
    dock.timeline.refresh()
    return dock.timeline.controller.timeline


# --------------------------------------------------------------------------- what is seen


def test_lanes_show_where_objects_are_while_a_propagation_runs(ready, gate, qtbot, hand):
    gate.let(4)
    ready.propagate()
    qtbot.waitUntil(lambda: ready.is_running and ready.tracking.job.frames_done == 5)
    timeline = timeline_of(ready)
    flags = [timeline.flags_at(1, f) for f in (0, 4, 5)]
    assert flags == [PRESENT, PRESENT, UNPROCESSED]
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert timeline_of(ready).n_present(1) == SHAPE[0]


def test_pixels_tell_states_apart(tracked, hand):
    def look(obj_id, frame_index):
        """What is drawn of a frame, right of its middle, where there may be a mark."""
        place, picture = hand.lane(obj_id, frame_index), hand.view.grab().toImage()
        top = place.y() - LANE // 2
        return [picture.pixel(place.x() + x, top + y) for y in range(LANE) for x in range(7, 13)]

    planes = tracked.tracking.results.planes
    looks = [look(1, 5)]
    planes.lock(5)
    looks.append(look(1, 5))
    planes.lock(5, False)
    click(tracked, 45, 50, t=14)
    looks.append(look(1, 5))
    planes[5, 70, 110] = 1
    looks.append(look(1, 5))
    planes[5] = 0
    looks.append(look(1, 5))
    assert len(set(map(tuple, looks))) == 5  # sure, locked, out of date, painted, wiped off


def test_says_what_lies_under_the_cursor(tracked, hand):
    view = hand.view
    tracked.tracking.objects.rename(tracked.tracking.results.layer, 2, "left one")
    said = view.describe(hand.lane(2, 7))
    assert "frame 7" in said
    assert "'left one'" in said
    assert "score" in said
    assert "Delete takes it back" in view.describe(hand.lane(1, 0))
    assert "Propagate" in view.describe(hand.ruler(3))
    assert "in hand" in view.describe(QPoint(10, hand.lane(2, 0).y()))


def test_a_lane_is_taken_in_hand_by_its_head(tracked, hand):
    hand.click(QPoint(40, hand.lane(1, 0).y()))
    assert tracked.state.object_in_hand == 1
    hand.click(QPoint(40, hand.lane(2, 0).y()))
    assert tracked.state.object_in_hand == 2


def test_follows_the_chosen_video(tracked, hand, film):
    other = tracked.viewer.add_image(film[:8], name="other")
    first = tracked.state.video
    tracked.tracking.choose_video(other)
    timeline = timeline_of(tracked)
    assert timeline.n_frames == 8
    assert timeline.ids == ()
    tracked.tracking.choose_video(first)
    assert timeline_of(tracked).n_present(1) == SHAPE[0]


# ------------------------------------------------------------------------- seek and zoom


def test_click_and_drag_seek(tracked, hand):
    hand.click(hand.lane(1, 7))
    assert on_screen(tracked) == 7
    hand.drag(hand.lane(2, 3), hand.lane(1, 15))
    assert on_screen(tracked) == 15
    hand.click(hand.ruler(2))
    assert on_screen(tracked) == 2


def test_wheel_zooms_about_the_cursor_and_pans(tracked, hand):
    place, axis = hand.lane(1, 12), hand.view.axis
    before = axis.px_per_frame
    hand.wheel(place, 2)
    assert axis.px_per_frame > before
    assert axis.frame_at(place.x() - HEAD) == 12
    offset = axis.offset
    hand.wheel(place, -1, SHIFT)
    assert axis.offset > offset
    hand.wheel(place, 0, sideways=1)
    assert axis.offset < axis.most_offset
    hand.wheel(place, -40)
    assert (axis.px_per_frame, axis.offset) == (before, 0)


def test_keys_step_and_jump(tracked, hand):
    hand.click(hand.lane(1, 7))
    for key, modifiers, frame_index in (
        (Qt.Key.Key_Right, NONE, 8),
        (Qt.Key.Key_Left, NONE, 7),
        (Qt.Key.Key_Right, SHIFT, 17),
        (Qt.Key.Key_End, NONE, LAST),
        (Qt.Key.Key_Right, NONE, LAST),
        (Qt.Key.Key_Home, NONE, 0),
        (Qt.Key.Key_PageDown, NONE, 1),
        (Qt.Key.Key_PageUp, NONE, 0),
    ):
        hand.key(key, modifiers)
        assert on_screen(tracked) == frame_index
    hand.key(Qt.Key.Key_Up)
    assert tracked.state.object_in_hand == 1
    hand.key(Qt.Key.Key_Down)
    assert tracked.state.object_in_hand == 2


def test_keys_jump_from_mark_to_mark(tracked, hand):
    click(tracked, 70, 60, t=13, obj_id=2)
    hand.click(hand.lane(1, 7))
    hand.key(Qt.Key.Key_Right, CONTROL)
    assert on_screen(tracked) == 13
    hand.key(Qt.Key.Key_Left, CONTROL)
    assert on_screen(tracked) == 0
    hand.key(Qt.Key.Key_Left, CONTROL)
    assert on_screen(tracked) == 0


# ------------------------------------------------------------------------------- stretch


def test_a_band_is_what_propagate_means(tracked, hand, work):
    hand.drag(hand.ruler(5), hand.ruler(9))
    assert tracked.state.band == (5, 9)
    click(tracked, 70, 60, t=7, obj_id=2)
    work(tracked, tracked.propagate)
    timeline = timeline_of(tracked)
    assert timeline.stale_frames(2).tolist() == [*range(1, 5), *range(10, SHAPE[0])]
    hand.key(Qt.Key.Key_Escape)
    assert tracked.state.band is None
    hand.drag(hand.lane(1, 12), hand.lane(1, 3), SHIFT)
    assert tracked.state.band == (3, 12)
    hand.click(hand.ruler(6))
    assert tracked.state.band is None


def test_a_band_ends_with_its_video(tracked, hand, film):
    hand.drag(hand.ruler(5), hand.ruler(9))
    tracked.tracking.choose_video(tracked.viewer.add_image(film[:8]))
    assert tracked.state.band is None


# --------------------------------------------------------------------------------- marks


def test_a_prompt_is_dragged_to_another_frame_and_back_by_undo(tracked, hand):
    points = tracked.state.points
    hand.drag(hand.lane(2, 0), hand.lane(2, 6))
    assert points.data[:, 0].tolist() == [0, 6]
    np.testing.assert_array_equal(points.data[1, 1:], [60, 20])
    assert hand.view.selected.frame_index == 6
    assert len(timeline_of(tracked).stale_frames(2)) == SHAPE[0]
    tracked.state.current.history.undo()
    assert points.data[:, 0].tolist() == [0, 0]
    assert len(timeline_of(tracked).stale_frames(2)) == 0


def test_a_prompt_is_deleted_by_key_and_back_by_undo(tracked, hand):
    hand.click(hand.lane(2, 0))
    hand.key(Qt.Key.Key_Delete)
    points = tracked.state.points
    assert points.features["object"].tolist() == [1]
    hand.key(Qt.Key.Key_Delete)  # none is chosen any more
    tracked.state.current.history.undo()
    assert points.features["object"].tolist() == [1, 2]


def test_a_division_is_marked_moved_and_taken_back(tracked, hand):
    layer = tracked.tracking.results.layer
    tracked.tracking.objects.divide(layer, 1, [5, 6], 8)
    hand.drag(hand.lane(1, 8), hand.lane(1, 11))
    table = layer.metadata["objects"]
    assert table.division_of(1).frame_index == 11
    hand.click(hand.lane(1, 11))
    hand.key(Qt.Key.Key_Backspace)
    assert table.division_of(1) is None


def test_a_frame_painted_by_hand_is_marked_and_stays_where_it_is(tracked, hand, notes):
    layer = tracked.tracking.results.layer
    layer.data_setitem((np.array([9]), np.array([70]), np.array([110])), 1)
    place = hand.lane(1, 9)
    assert timeline_of(tracked).flags_at(1, 9) == PRESENT | PAINTED
    hand.drag(place, hand.lane(1, 12))
    assert "belongs to its frame" in notes[-1][1]
    assert timeline_of(tracked).flags_at(1, 9) == PRESENT | PAINTED


def test_what_was_painted_on_a_frame_is_given_back_to_the_model(tracked, hand, work):
    layer = tracked.tracking.results.layer
    layer.data_setitem((np.array([9]), np.array([70]), np.array([110])), 1)
    hand.click(hand.lane(1, 9))
    hand.key(Qt.Key.Key_Delete)
    assert timeline_of(tracked).flags_at(1, 9) & (PRESENT | PAINTED) == 0
    work(tracked, tracked.propagate)
    planes = tracked.tracking.results.planes
    assert timeline_of(tracked).flags_at(1, 9) == PRESENT
    assert planes[9, 70, 110] == 0


def test_escape_drops_a_mark_where_it_was(tracked, hand, qtbot):
    surface = hand.view.surface
    start, end = hand.lane(2, 0), hand.lane(2, 9)
    qtbot.mousePress(surface, LEFT, NONE, start)
    QApplication.sendEvent(surface, _mouse(QEvent.Type.MouseMove, QPointF(end), surface, NONE))
    hand.key(Qt.Key.Key_Escape)
    qtbot.mouseRelease(surface, LEFT, NONE, end)
    assert tracked.state.points.data[:, 0].tolist() == [0, 0]


# --------------------------------------------------------------------------- out of date


def test_a_correction_is_hatched_until_propagated_again(tracked, hand, work):
    planes = tracked.tracking.results.planes
    planes.lock(10)
    click(tracked, 70, 60, t=7, obj_id=2)
    timeline = timeline_of(tracked)
    assert timeline.stale_frames(2).tolist() == [*range(1, 10), *range(11, SHAPE[0])]
    assert timeline.flags_at(2, 10) & (LOCKED | STALE) == LOCKED
    assert len(timeline.stale_frames(1)) == 0
    work(tracked, tracked.propagate)
    assert len(timeline_of(tracked).stale_frames(2)) == 0


def test_an_object_that_left_is_absent(tracked, hand):
    timeline = timeline_of(tracked)
    frames = np.flatnonzero([not (p == 1).any() for p in tracked.tracking.results.planes[:]])
    assert [f for f in range(SHAPE[0]) if timeline.flags_at(1, f) == ABSENT] == frames.tolist()


# ---------------------------------------------------------------------------- its lifetime


def test_closes_with_the_dock(ready, hand):
    view = ready.timeline
    assert show_timeline(ready.tracking) is view
    assert view in [getattr(w, "native", w) for w in ready.viewer.window.dock_widgets.values()]
    ready.shut_down()
    assert view.is_shut_down
    assert "Timeline" not in ready.viewer.window.dock_widgets


def test_its_own_dock_can_be_closed_and_shown_again(ready, hand):
    ready.viewer.window.remove_dock_widget(ready.timeline)
    assert ready.timeline.is_shut_down
    view = show_timeline(ready.tracking)
    assert not view.is_shut_down
    ready.viewer.window.remove_dock_widget(view)
    assert view.is_shut_down


def test_following_a_correction_from_its_frame_clears_all_that_it_made_stale(tracked, hand, work):
    click(tracked, 70, 60, t=7, obj_id=2)
    hand.click(hand.lane(1, 7))
    assert len(timeline_of(tracked).stale_frames(2)) > 0
    work(tracked, lambda: tracked.tracking.propagate_from_here("both"))
    assert len(timeline_of(tracked).stale_frames(2)) == 0
    assert len(timeline_of(tracked).stale_frames(1)) == 0

"""Going through what is doubtful, in the window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam3.errors import LayerError
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.review import CheckFile
from napari_sam3.video.video_writer import VideoWriter

from .conftest import SHAPE, disc

LOW = {6: 0.2, 7: 0.15, 8: 0.2, 9: 0.25}


@pytest.fixture
def ready(open_dock, film, qtbot):
    """A dock on a film: object 1 was followed, and is badly outlined on some frames."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 20, 30]])
    with qtbot.waitSignal(dock.ended):
        dock.propagate()
    spoil(dock, 1, LOW)
    return dock


def spoil(dock, obj_id, scores):
    """Draw results as a model does that is not sure of an object on some frames."""
    planes = dock.tracking.results.planes
    for t, score in scores.items():
        notes = {**planes.notes(t), obj_id: ObjectNote(score, "propagated")}
        planes.draw(t, planes[t], notes)


def settle(dock, qtbot, is_so=lambda review: True):
    """Wait until all is looked at; the review."""
    review = dock.review
    review.look()
    qtbot.waitUntil(lambda: (review.look(), bool(not review.is_looking and is_so(review)))[1])
    return review


def press(dock, qtbot, key):
    """A key on the picture."""
    canvas = dock.viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(canvas, key)


def test_a_doubtful_stretch_is_in_the_queue_with_its_reason(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    place = review.places[0]
    assert place.obj_id == 1
    assert place.frame_index in LOW
    assert place.reasons[0].kind == "score"
    assert {p.obj_id for p in review.places} == {1}


def test_next_shows_the_frame_and_takes_the_object_in_hand(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    ready.state.object_in_hand = 5
    place = review.next()
    assert place == review.current == review.places[0]
    assert ready.tracking.frame_on_screen() == place.frame_index
    assert ready.state.object_in_hand == 1
    assert str(place) in ready.review_panel.why.text()


def test_a_place_out_of_sight_is_brought_into_sight(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    camera = ready.viewer.camera
    camera.zoom = 40
    camera.center = (0, 70, 110)
    place = review.next()
    y, x = camera.center[-2:]
    assert (x, y) == pytest.approx((place.xy[0] - 0.5, place.xy[1] - 0.5))


def test_a_place_in_sight_leaves_the_picture_where_it_is(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    ready.viewer.camera.zoom = 0.1
    before = tuple(ready.viewer.camera.center)
    review.next()
    assert tuple(ready.viewer.camera.center) == before


def test_what_is_found_right_falls_out_and_is_counted(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    place = review.next()
    review.right()
    settle(ready, qtbot, lambda r: r.n_checked == 1)
    assert place.frame_index not in {p.frame_index for p in review.places}
    assert ready.review_panel.bar.text().startswith("1 of ")


def test_finding_right_can_be_undone_and_done_again(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    before = review.places
    history = ready.state.current.history
    review.next()
    review.right()
    settle(ready, qtbot, lambda r: r.n_checked == 1)
    history.undo()
    settle(ready, qtbot, lambda r: r.n_checked == 0)
    assert review.places == before
    history.redo()
    settle(ready, qtbot, lambda r: r.n_checked == 1)
    assert before[0] not in review.places


def test_right_without_a_place_is_refused(ready, qtbot):
    settle(ready, qtbot, lambda r: r.places)
    with pytest.raises(LayerError, match="go to the next one first"):
        ready.review.right()


def test_a_place_that_is_corrected_by_paint_falls_out(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    place = review.next()
    layer = ready.tracking.results.layer
    layer.selected_label = 1
    layer.data_setitem(tuple(np.array([i]) for i in (place.frame_index, 40, 60)), 1)
    settle(ready, qtbot, lambda r: place.frame_index not in {p.frame_index for p in r.places})
    assert review.n_checked == 1


def test_new_places_come_with_new_results(ready, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    spoil(ready, 1, {15: 0.1, 16: 0.05, 17: 0.05, 18: 0.1})
    settle(ready, qtbot, lambda r: any(p.first >= 12 or p.last >= 16 for p in r.places))
    assert any(15 <= p.frame_index <= 18 for p in review.places)


def test_keys_go_on_check_off_and_go_back(ready, qtbot):
    spoil(ready, 1, {15: 0.1, 16: 0.05, 17: 0.05, 18: 0.1})
    review = settle(ready, qtbot, lambda r: len(r.places) > 1)
    first, second = review.places[:2]
    press(ready, qtbot, Qt.Key.Key_Period)
    assert review.current == first
    press(ready, qtbot, Qt.Key.Key_Period)
    assert review.current == second
    press(ready, qtbot, Qt.Key.Key_Comma)
    assert review.current == first
    press(ready, qtbot, Qt.Key.Key_Y)
    assert first not in review.places
    assert ready.state.current.history.done[-1].label == (
        f"object 1 is right on frame {first.frame_index}"
    )


def test_buttons_do_the_same(ready, qtbot):
    panel, review = ready.review_panel, settle(ready, qtbot, lambda r: r.places)
    assert not panel.right.isEnabled()
    qtbot.mouseClick(panel.next, Qt.MouseButton.LeftButton)
    place = review.current
    assert place == review.places[0]
    qtbot.mouseClick(panel.right, Qt.MouseButton.LeftButton)
    assert place not in review.places


def test_a_film_without_results_has_nothing_to_check(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    assert dock.review.places == ()
    assert not dock.review_panel.next.isEnabled()
    assert dock.review.next() is None


def test_another_film_has_a_queue_of_its_own(ready, film, qtbot):
    settle(ready, qtbot, lambda r: r.places)
    other = ready.viewer.add_image(film[:, ::-1], name="other")
    ready.tracking.choose_video(other)
    assert ready.review.places == ()
    ready.tracking.choose_video(ready.viewer.layers["film"])
    settle(ready, qtbot, lambda r: r.places)


def test_a_mark_outlives_a_turn_to_another_film(ready, film, qtbot):
    review = settle(ready, qtbot, lambda r: r.places)
    review.next()
    review.right()
    settle(ready, qtbot, lambda r: r.n_checked == 1)
    ready.tracking.choose_video(ready.viewer.add_image(film[:, ::-1], name="other"))
    ready.tracking.choose_video(ready.viewer.layers["film"])
    settle(ready, qtbot, lambda r: r.n_checked == 1)


def test_reset_empties_the_queue_until_it_is_undone(ready, qtbot):
    before = settle(ready, qtbot, lambda r: r.places).places
    ready.reset()
    settle(ready, qtbot, lambda r: not r.places)
    ready.state.current.history.undo()
    settle(ready, qtbot, lambda r: r.places == before)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small video file."""
    path = tmp_path_factory.mktemp("clip") / "film.mp4"
    with VideoWriter(path, 5) as writer:
        for t in range(12):
            writer.write(np.full((*SHAPE[1:], 3), 10 * t, np.uint8))
    return path


def test_checks_are_kept_in_the_project(open_dock, clip, tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path))
    dock = open_dock()
    dock.viewer.open(str(clip), plugin="napari-sam3")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 20, 30]])
    with qtbot.waitSignal(dock.ended):
        dock.propagate()
    spoil(dock, 1, LOW)
    review = settle(dock, qtbot, lambda r: r.places)
    place = review.next()
    review.right()
    folder = dock.projects.project.folder
    qtbot.waitUntil(lambda: (folder / "review.json").exists())
    (check,) = CheckFile(folder).load()
    assert (check.obj_id, check.frame_index) == (1, place.frame_index)
    assert check.area == np.count_nonzero(disc(place.frame_index, 20, 30))
    dock.shut_down()
    dock.viewer.close()
    again = open_dock()
    again.viewer.open(str(folder), plugin="napari-sam3")
    settle(again, qtbot, lambda r: r.n_checked == 1)
    assert place.frame_index not in {p.frame_index for p in again.review.places}

"""What is painted among the results corrects them, and lasts."""

from __future__ import annotations

import numpy as np

from .conftest import SHAPE, click, disc, labels_of


def test_painting_among_the_results_corrects_and_lasts(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    layer, square = labels_of(ready), np.zeros(SHAPE[1:], bool)
    square[4:14, 80:95] = True
    layer.data_setitem((np.full(square.sum(), 5), *np.nonzero(square)), 1)
    work(ready, ready.propagate)
    np.testing.assert_array_equal(layer.data[5] == 1, disc(5, 30, 40) | square)
    moved = np.roll(disc(5, 30, 40) | square, (4, 6), (0, 1))
    np.testing.assert_array_equal(layer.data[7] == 1, moved)
    np.testing.assert_array_equal(layer.data[7] == 2, disc(7, 60, 20))
    layer.undo()
    work(ready, ready.propagate)
    np.testing.assert_array_equal(layer.data[7] == 1, disc(7, 30, 40))


def test_object_wiped_off_a_frame_stays_off_it_until_it_is_clicked_there(ready, work):
    work(ready, ready.propagate)
    layer = labels_of(ready)
    layer.data_setitem((np.full(disc(5, 30, 40).sum(), 5), *np.nonzero(disc(5, 30, 40))), 0)
    ready.prompt_panel.points.value.data = [[0, 32, 42]]
    work(ready, ready.propagate)
    assert not np.any(layer.data[5])
    np.testing.assert_array_equal(layer.data[6] == 1, disc(6, 32, 42))
    click(ready, 20, 90, t=5)
    work(ready, ready.propagate)
    assert layer.data[5][20, 90] == 1


def test_other_labels_painted_over_an_object_stay(ready, work):
    work(ready, ready.propagate)
    layer = labels_of(ready)
    layer.data_setitem((np.array([3, 3]), np.array([36, 37]), np.array([49, 49])), 40)
    ready.prompt_panel.points.value.data = [[0, 31, 40]]
    work(ready, ready.propagate)
    assert layer.data[3][36, 49] == layer.data[3][37, 49] == 40
    assert layer.data[3][36, 48] == 1


def test_removed_object_leaves_nothing_that_was_painted(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    layer = labels_of(ready)
    layer.data_setitem((np.array([5]), np.array([5]), np.array([5])), 1)
    ready.prompt_panel.object.value = 1
    work(ready, ready.remove_object)
    work(ready, ready.propagate)
    assert set(np.unique(layer.data[5])) == {0, 2}


def test_brush_and_bucket_change_the_frame_on_screen_alone(ready, work, notes):
    work(ready, ready.propagate)
    layer = labels_of(ready)
    before = np.asarray(layer.data)
    ready.viewer.dims.set_current_step(0, 5)
    layer.brush_size, layer.n_edit_dimensions = 11, 3
    assert layer.n_edit_dimensions == 2
    assert any("the frame on screen alone" in text for _, text in notes)
    layer.paint((5, 60, 100), 1)
    layer.fill((5, 5, 5), 7)
    changed = np.flatnonzero((np.asarray(layer.data) != before).any(axis=(1, 2)))
    assert changed.tolist() == [5]


def test_what_is_erased_of_a_lasso_stays_erased(ready, work):
    """Whatever is segmented, propagated or drawn later."""

    def draw_lasso(x0, x1):
        corners = [[0, 50, x0], [0, 50, x1], [0, 70, x1], [0, 70, x0]]
        ready.state.boxes.add_polygons(corners)
        features = ready.state.boxes.features
        ready.state.boxes.features = features.assign(object=2)

    draw_lasso(10, 50)
    work(ready, ready.segment_frame)
    layer = labels_of(ready)
    drawn = np.asarray(layer.data[0]) == 2
    erased = drawn.copy()
    erased[:, 30:] = False
    gone = drawn & ~erased
    layer.data_setitem((np.zeros(gone.sum(), int), *np.nonzero(gone)), 0)
    for start in (ready.segment_frame, ready.propagate, ready.segment_frame):
        work(ready, start)
        np.testing.assert_array_equal(layer.data[0] == 2, erased)
    draw_lasso(70, 90)
    for start in (ready.segment_frame, ready.propagate):
        work(ready, start)
        now = np.asarray(layer.data[0]) == 2
        np.testing.assert_array_equal(now[:, :60], erased[:, :60])
        assert now[60, 80]

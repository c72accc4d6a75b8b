"""The main job through the window, with the fake model: what is clicked is what is labelled."""

from __future__ import annotations

import numpy as np
import pytest

from .conftest import SHAPE, click, disc, labels_of


def test_segment_frame_shows_the_prompts_on_the_frame_on_screen(ready, work):
    ready.viewer.dims.set_current_step(0, 0)
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.segment_frame)
    layer = labels_of(ready)
    expected = np.zeros(SHAPE[1:], int)
    expected[disc(0, 30, 40)] = 1
    expected[disc(0, 60, 20)] = 2
    np.testing.assert_array_equal(layer.data[0], expected)
    assert not np.any(layer.data[1])
    assert layer.name == "film objects"


def test_propagate_labels_every_frame_by_object_id(ready, work):
    click(ready, 20, 100, t=4, obj_id=5)
    ready.tracking_panel.direction.value = "forward"
    work(ready, ready.propagate)
    data = labels_of(ready).data
    for t in range(SHAPE[0]):
        np.testing.assert_array_equal(data[t] == 1, disc(t, 30, 40))
        late = disc(t - 4, 20, 100) if t >= 4 else np.zeros(SHAPE[1:], bool)
        np.testing.assert_array_equal(data[t] == 5, late)
    assert ready.guidance.text().startswith("20 frames done, in the layer 'film objects'")


def test_excluding_click_cuts_out_of_the_object(ready, work):
    click(ready, 30, 46, sign="exclude")
    work(ready, ready.segment_frame)
    frame = labels_of(ready).data[0]
    assert frame[30, 46] == 0
    assert frame[30, 36] == 1


def test_box_and_painted_mask_are_prompts(ready, work):
    ready.prompt_panel.object.value = 2
    corners = np.array([[0, 49.5, 59.5], [0, 49.5, 79.5], [0, 69.5, 79.5], [0, 69.5, 59.5]])
    ready.prompt_panel.boxes.value.add_rectangles(corners)
    painted = np.zeros(SHAPE, int)
    painted[0, 5:12, 90:110] = 7
    layer = ready.viewer.add_labels(painted, name="mine")
    ready.prompt_panel.masks.value = layer
    ready.viewer.dims.set_current_step(0, 0)
    work(ready, ready.propagate)
    data = labels_of(ready).data
    rows, columns = np.nonzero(data[0] == 2)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 69, 60, 79)
    np.testing.assert_array_equal(data[2] == 7, np.roll(painted[0] == 7, (4, 6), (0, 1)))
    # on another frame, the mask that was read before still holds
    ready.viewer.dims.set_current_step(0, 9)
    work(ready, ready.propagate)
    np.testing.assert_array_equal(labels_of(ready).data[0] == 7, painted[0] == 7)


def test_direction_start_and_number_of_frames(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    click(dock, 40, 60, t=10)
    dock.tracking_panel.direction.value = "both"
    dock.tracking_panel.start.value = 10
    dock.tracking_panel.length.value = 3
    work(dock, dock.propagate)
    drawn = [t for t in range(SHAPE[0]) if np.any(labels_of(dock).data[t])]
    assert drawn == [7, 8, 9, 10, 11, 12]


def test_each_new_gives_every_click_an_object_of_its_own(ready, work):
    click(ready, 60, 20, obj_id=0)
    click(ready, 60, 100, obj_id=0)
    work(ready, ready.segment_frame)
    frame = labels_of(ready).data[0]
    assert (frame[30, 40], frame[60, 20], frame[60, 100]) == (1, 2, 3)
    assert list(ready.prompt_panel.points.value.features["object"]) == [1, 2, 3]


def test_text_finds_objects_and_is_taken_back(ready, work):
    ready.viewer.dims.set_current_step(0, 0)
    ready.prompt_panel.text.value = "person"
    work(ready, ready.segment_frame)
    assert set(np.unique(labels_of(ready).data[0])) == {0, 1, 2, 3}
    ready.prompt_panel.text.value = ""
    work(ready, ready.segment_frame)
    assert set(np.unique(labels_of(ready).data[0])) == {0, 1}


def test_boxes_as_examples_of_what_to_look_for(ready, work, notes):
    """The fake finds all its discs by an example, but for those that a counterexample holds."""
    fields, boxes = ready.prompt_panel, ready.prompt_panel.boxes.value
    ready.viewer.dims.set_current_step(0, 0)
    fields.object.value = 5
    fields.exemplars.value = True
    boxes.add_rectangles(np.array([[0, 32, 22], [0, 32, 38], [0, 48, 38], [0, 48, 22]]))
    assert list(boxes.features["label"]) == ["example"]
    work(ready, ready.segment_frame)
    assert set(np.unique(labels_of(ready).data[0])) == {0, 1, 2, 3, 4}  # 1 was clicked
    assert list(boxes.features["object"]) == [0]  # it is no object
    fields.sign.value = "exclude"
    boxes.add_rectangles(np.array([[0, 32, 82], [0, 32, 98], [0, 48, 98], [0, 48, 82]]))
    assert list(boxes.features["label"]) == ["example", "counterexample"]
    work(ready, ready.segment_frame)
    frame = labels_of(ready).data[0]
    assert frame[40, 90] == 0
    assert len(set(np.unique(frame))) == 4
    fields.text.value = "dog"  # with a text they say what is meant by it
    work(ready, ready.segment_frame)
    assert set(np.unique(labels_of(ready).data[0])) == {0, 1}
    boxes.add_ellipses(np.array([[0, 5, 5], [0, 5, 25], [0, 25, 25], [0, 25, 5]]))
    work(ready, ready.segment_frame)
    assert "only a rectangle can be an example" in notes[-1][1]
    fields.exemplars.value = False
    boxes.add_rectangles(np.array([[0, 50, 10], [0, 50, 30], [0, 70, 30], [0, 70, 10]]))
    assert (boxes.features["object"].iloc[-1], boxes.features["label"].iloc[-1]) == (5, "exclude")


def test_moved_prompt_takes_the_place_of_the_old_one(ready, work):
    work(ready, ready.propagate)
    points = ready.prompt_panel.points.value
    points.data = [[0, 60, 20]]
    work(ready, ready.propagate)
    data = labels_of(ready).data
    for t in (0, 7):
        np.testing.assert_array_equal(data[t] == 1, disc(t, 60, 20))


def test_deleted_prompt_is_gone_and_ids_stay(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    points = ready.prompt_panel.points.value
    points.selected_data = {0}
    points.remove_selected()
    work(ready, ready.propagate)
    data = labels_of(ready).data
    assert set(np.unique(data[3])) == {0, 2}
    np.testing.assert_array_equal(data[3] == 2, disc(3, 60, 20))
    click(ready, 20, 90, obj_id=1)  # the number may be used again
    work(ready, ready.propagate)
    np.testing.assert_array_equal(data[3] == 1, disc(3, 20, 90))


def test_correction_on_a_tracked_frame_holds_from_there_on(ready, work):
    work(ready, ready.propagate)
    click(ready, 30 + 2 * 10, 40 + 3 * 10 + 6, t=10, sign="exclude")
    work(ready, ready.propagate)
    data = labels_of(ready).data
    np.testing.assert_array_equal(data[9] == 1, disc(9, 30, 40))
    assert data[10][50, 76] == 0
    assert data[12][54, 82] == 0
    assert data[12][54, 72] == 1


def test_hand_edits_stay(ready, work):
    work(ready, ready.propagate)
    layer = labels_of(ready)
    frame = layer.data[2]
    frame[70:75, 5:10] = 40
    layer.data[2] = frame
    edited = layer.data[15].copy()
    edited[:] = 9
    layer.data[15] = edited
    ready.tracking_panel.length.value = 5
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    assert labels_of(ready) is layer
    assert np.all(layer.data[2][70:75, 5:10] == 40)
    assert set(np.unique(layer.data[2])) == {0, 1, 2, 40}
    assert np.all(layer.data[15] == 9)


def test_other_labels_of_the_same_name_are_left_alone(ready, work):
    mine = ready.viewer.add_labels(np.full(SHAPE, 3), name="film objects")
    work(ready, ready.segment_frame)
    assert labels_of(ready) is not mine
    assert np.all(mine.data == 3)


def test_scaled_and_moved_layers(open_dock, film, work):
    dock = open_dock()
    place = {
        "scale": (0.5, 0.25, 0.25),
        "translate": (3, 100, -40),
        "units": ("s", "um", "um"),
        "axis_labels": ("t", "y", "x"),
    }
    dock.viewer.add_image(film, name="film", **place)
    dock.new_prompts()
    # a layer of the person's own, in world coordinates: frame 4, row 30, column 40
    mine = dock.viewer.add_points(
        [[3 + 4 * 0.5, 100 + 30 * 0.25, -40 + 40 * 0.25]], units=place["units"]
    )
    dock.prompt_panel.points.value = mine
    dock.tracking_panel.direction.value = "forward"
    work(dock, dock.propagate)
    layer = labels_of(dock)
    np.testing.assert_array_equal(layer.data[6] == 1, disc(2, 30, 40))
    assert not np.any(layer.data[3])
    np.testing.assert_allclose(layer.scale, place["scale"])
    np.testing.assert_allclose(layer.translate, place["translate"])
    assert layer.axis_labels == place["axis_labels"]
    assert [str(u) for u in layer.units] == ["second", "micrometer", "micrometer"]


@pytest.mark.parametrize(
    ("shape", "labels", "time", "channel"),
    [((2, *SHAPE), "ctyx", 1, 0), ((SHAPE[0], 2, *SHAPE[1:]), "tcyx", 0, 1)],
)
def test_stack_with_channels(open_dock, work, shape, labels, time, channel):
    dock = open_dock()
    dock.viewer.add_image(np.zeros(shape, np.uint16), axis_labels=labels, name="stack")
    axes = dock.tracking.axes.read(dock.video_panel.video.value)
    assert (axes.time, axes.channel) == (time, channel)
    dock.video_panel.channel.value = 1
    dock.new_prompts()
    points = dock.prompt_panel.points.value
    place = np.zeros(points.ndim)
    place[-2:] = 30, 40
    if points.ndim == 4:
        place[1] = 1
    points.add([place])
    work(dock, dock.propagate)
    found = np.asarray(dock.tracking.results.planes[5])
    np.testing.assert_array_equal(found == 1, disc(5, 30, 40))


def test_time_axis_is_asked_for_where_it_is_not_clear(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film, name="plain")
    assert dock.video_panel.time_axis.native.isHidden()
    dock.viewer.add_image(np.zeros((4, 9, 30, 30)), axis_labels="zayx", name="stack")
    dock.video_panel.video.value = dock.viewer.layers["stack"]
    assert not dock.video_panel.time_axis.native.isHidden()
    dock.video_panel.time_axis.value = 1
    axes = dock.tracking.axes.read(dock.viewer.layers["stack"])
    assert axes.time == 1
    assert set(axes.fixed) == {0}


def test_remove_object_takes_prompts_results_and_id(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    ready.prompt_panel.object.value = 1
    work(ready, ready.remove_object)
    data = labels_of(ready).data
    assert all(set(np.unique(data[t])) <= {0, 2} for t in range(SHAPE[0]))
    assert list(ready.prompt_panel.points.value.features["object"]) == [2]
    work(ready, ready.propagate)
    assert set(np.unique(data[1])) == {0, 2}


def test_reset_begins_anew_in_the_same_layer_and_can_be_undone(ready, work):
    work(ready, ready.propagate)
    layer = labels_of(ready)
    ready.tracking.objects.rename(layer, 1, "Ann")
    ready.reset()
    assert len(ready.prompt_panel.points.value.data) == 0
    assert not np.any(layer.data)
    assert ready.tracking.results.drawn_frames() == []
    click(ready, 60, 20)
    work(ready, ready.segment_frame)
    assert labels_of(ready) is layer  # none is drawn over another
    np.testing.assert_array_equal(layer.data[0] == 1, disc(0, 60, 20))
    for _ in range(3):
        ready.tracking.undo()
    np.testing.assert_array_equal(layer.data[5] == 1, disc(5, 30, 40))
    assert len(ready.prompt_panel.points.value.data) == 1
    work(ready, ready.propagate)
    np.testing.assert_array_equal(layer.data[5] == 1, disc(5, 30, 40))


def test_follow_turns_the_viewer_and_else_it_stays(ready, work):
    ready.viewer.dims.set_current_step(0, 3)
    work(ready, ready.propagate)
    assert ready.viewer.dims.current_step[0] == 3
    ready.tracking_panel.follow.value = True
    work(ready, ready.propagate)
    assert ready.viewer.dims.current_step[0] == SHAPE[0] - 1


def test_two_videos_keep_their_prompts_and_labels_apart(ready, film, work):
    work(ready, ready.propagate)
    first = labels_of(ready)
    ready.viewer.add_image(film, name="other")
    ready.video_panel.video.value = ready.viewer.layers["other"]
    assert ready.prompt_panel.points.value is None
    ready.new_prompts()
    click(ready, 60, 20)
    work(ready, ready.propagate)
    second = labels_of(ready)
    assert second is not first
    ready.video_panel.video.value = ready.viewer.layers["film"]
    assert ready.prompt_panel.points.value.name == "film clicks"
    work(ready, ready.propagate)
    assert labels_of(ready) is first
    np.testing.assert_array_equal(first.data[5] == 1, disc(5, 30, 40))
    np.testing.assert_array_equal(second.data[5] == 1, disc(5, 60, 20))


def test_a_single_picture(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film[0], name="picture")
    dock.new_prompts()
    click(dock, 30, 40)
    work(dock, dock.propagate)
    np.testing.assert_array_equal(labels_of(dock).data[0] == 1, disc(0, 30, 40))


def test_first_click_in_the_middle_is_followed_to_both_ends(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    click(dock, 40, 60, t=10)
    work(dock, dock.propagate)
    assert dock.tracking.results.drawn_frames() == list(range(20))


def test_new_prompts_pressed_again_keeps_what_was_drawn(ready, work):
    ready.viewer.layers.selection.active = ready.viewer.layers["film"]
    ready.new_prompts()
    points = ready.prompt_panel.points.value
    assert len(points.data) == 1
    assert ready.viewer.layers.selection.active is points
    assert len(ready.viewer.layers) == 3


def test_results_go_on_in_a_new_layer_when_the_data_were_replaced(ready, work):
    work(ready, ready.propagate)
    mine = labels_of(ready)
    mine.data = np.zeros(SHAPE, int)
    work(ready, ready.propagate)
    assert labels_of(ready) is not mine
    assert not np.any(mine.data)
    np.testing.assert_array_equal(labels_of(ready).data[5] == 1, disc(5, 30, 40))


def test_other_data_in_the_video_layer_are_another_video(ready, work):
    work(ready, ready.propagate)
    old = labels_of(ready)
    ready.viewer.layers["film"].data = np.zeros((8, 60, 70), np.uint8)
    work(ready, ready.propagate)
    assert labels_of(ready) is not old
    assert labels_of(ready).data.shape == (8, 60, 70)
    assert ready.tracking_panel.length.max == 8
    np.testing.assert_array_equal(labels_of(ready).data[5] == 1, disc(5, 30, 40, (60, 70)))


def test_four_lines_of_guidance_are_seen_without_scrolling(open_dock, open_viewer, qtbot):
    guidance = open_dock(open_viewer(show=True)).guidance
    for text, scrolls in (("one\ntwo\nthree\nfour\nfive", True), ("one\ntwo\nthree\nfour", False)):
        guidance.widget().setText(text)
        qtbot.waitUntil(lambda: (guidance.verticalScrollBar().maximum() > 0) is scrolls)  # noqa: B023

import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.layer_prompts import LayerPrompts, Source, read_object_id
from napari_sam3.plugin.layers.prompt_reader import prompts_from_labels, prompts_from_layers
from napari_sam3.plugin.layers.prompt_snapshot import read_prompts
from napari_sam3.plugin.layers.stack_axes import StackAxes, guess_axes

SIZE = (60, 80)


def _video(**place):
    return Image(np.zeros((10, *SIZE), np.uint8), contrast_limits=(0, 255), **place)


def _read(image, points=None, shapes=None, axes=None, **options):
    """What the layers say, once items without an object have got one."""
    axes = guess_axes(image) if axes is None else axes
    target, skipped = read_prompts(image, axes, points, shapes, **options)
    return LayerPrompts(tuple(target.objects[key] for key in sorted(target.objects)), skipped)


def _box(t, top, left, bottom, right):
    return np.array([[t, top, left], [t, top, right], [t, bottom, right], [t, bottom, left]], float)


def _reasons(read):
    return {s.source: s.reason for s in read.skipped}


# ------------------------------------------------------------------- points


def test_pixel_centre_is_half_a_pixel_in():
    (prompt,) = _read(_video(), Points([[3, 10, 20]]))
    assert prompt.frame_index == 3
    assert prompt.points_xy.tolist() == [[20.5, 10.5]]
    assert prompt.point_labels.tolist() == [True]


def test_points_go_through_both_worlds():
    image = _video(scale=(0.04, 2, 2), translate=(1, 10, 20))
    points = Points([[0, 0, 0], [28, 5, 5]], scale=(0.01, 4, 4), translate=(1, 10, 20))
    first, second = _read(image, points)
    assert (first.frame_index, second.frame_index) == (0, 7)
    assert first.points_xy.tolist() == [[0.5, 0.5]]
    assert second.points_xy.tolist() == [[10.5, 10.5]]


def test_time_is_rounded_to_the_nearest_frame():
    read = _read(_video(), Points([[2.4, 1, 1], [2.6, 1, 1]]))
    assert [p.frame_index for p in read] == [2, 3]


def test_points_come_by_frame_and_object():
    points = Points(
        [[5, 1, 1], [2, 2, 2], [5, 3, 3], [5, 4, 4]],
        features={"object": [7, 7, 2, 7], "label": [1, 1, 1, 0]},
    )
    read = _read(_video(), points)
    assert [(p.frame_index, p.obj_id) for p in read] == [(2, 7), (5, 2), (5, 7)]
    assert read[2].points_xy.tolist() == [[1.5, 1.5], [4.5, 4.5]]
    assert read[2].point_labels.tolist() == [True, False]
    assert read[2].sources == (Source("points", 0), Source("points", 3))


@pytest.mark.parametrize("nothing", [0, float("nan"), "", None])
def test_each_point_without_an_object_makes_one(nothing):
    points = Points([[5, 1, 1], [5, 2, 2], [5, 3, 3]])
    points.features = {"object": np.array([nothing, nothing, 4], object)}
    assert [p.obj_id for p in _read(_video(), points)] == [4, 5, 6]


def test_points_of_a_plain_layer_belong_to_the_current_object():
    points = Points([[5, 1, 1], [5, 2, 2], [6, 3, 3]])
    image = _video()
    read, _ = read_prompts(image, guess_axes(image), points, current_object=3)
    assert {key: len(p.points_xy) for key, p in read.objects.items()} == {(5, 3): 2, (6, 3): 1}


def test_each_point_of_a_plain_layer_makes_an_object_where_none_is_current():
    read = _read(_video(), Points([[5, 1, 1], [5, 2, 2]]))
    assert [(p.obj_id, len(p.points_xy)) for p in read] == [(1, 1), (2, 1)]


def test_items_that_name_no_object_are_left_out_until_they_do():
    image, points = _video(), Points([[5, 1, 1], [5, 2, 2]], features={"object": [0, 3]})
    read = prompts_from_layers(image, guess_axes(image), points)
    assert [p.obj_id for p in read] == [3]
    assert read.skipped == ()


@pytest.mark.parametrize(
    ("word", "include"),
    [("include", True), ("exclude", False), (1, True), (0, False), (1.0, True), (False, False)],
)
def test_label_may_be_a_word_or_a_number(word, include):
    points = Points([[5, 1, 1], [5, 9, 9]])
    points.features = {"object": [1, 1], "label": np.array([1, word], object)}
    assert _read(_video(), points)[0].point_labels.tolist() == [True, include]


def test_flat_points_speak_of_the_current_frame():
    (prompt,) = _read(_video(scale=(0.1, 1, 1)), Points([[10, 20]]), current_frame=4)
    assert prompt.frame_index == 4
    assert prompt.points_xy.tolist() == [[20.5, 10.5]]


@pytest.mark.parametrize("kind", ["points", "shapes"])
def test_flat_layers_keep_the_frame_they_were_first_read_on(kind):
    video = _video()
    layer = Points([[10, 20]]) if kind == "points" else Shapes([[[2, 2], [2, 9], [8, 9], [8, 2]]])
    place = {kind: layer}
    assert [_read(video, **place, current_frame=n)[0].frame_index for n in (4, 2, 0)] == [4] * 3
    # another video, and what is drawn anew, are another matter
    assert _read(_video(), **place, current_frame=3)[0].frame_index == 3
    drawn = list(layer.data)
    layer.data = []
    assert len(_read(video, **place, current_frame=1)) == 0
    layer.add(drawn)
    assert _read(video, **place, current_frame=5)[0].frame_index == 5


def test_what_is_no_prompt_is_handed_back_with_the_reason():
    points = Points(
        [[3, 5, 5], [10, 5, 5], [-1, 5, 5], [3, -0.6, 5], [3, 5, 79.6], [np.nan, 5, 5], [3, 6, 6]],
        shown=[True] * 6 + [False],
    )
    read = _read(_video(), points)
    assert len(read) == 1
    reasons = _reasons(read)
    assert sorted(s.index for s in reasons) == [1, 2, 3, 4, 5, 6]
    assert "frame 10 is outside the video (0 to 9)" in reasons[Source("points", 1)]
    assert "(5.5, -0.1) is outside the picture (80 x 60 px)" in reasons[Source("points", 3)]
    assert "not finite" in reasons[Source("points", 5)]
    assert "hidden" in reasons[Source("points", 6)]


def test_rim_of_the_picture_belongs_to_it():
    assert len(_read(_video(), Points([[0, -0.5, -0.5], [0, 59.4, 79.4]])).skipped) == 0


def test_unreadable_features_are_reported():
    points = Points([[3, 5, 5]] * 4)
    points.features = {
        "object": np.array([1, 2.5, -3, 1], object),
        "label": ["include", "include", "include", "maybe"],
    }
    read = _read(_video(), points)
    assert len(read) == 1
    reasons = _reasons(read)
    assert "'object' is 2.5" in reasons[Source("points", 1)]
    assert "'object' is -3" in reasons[Source("points", 2)]
    assert "'label' is 'maybe'" in reasons[Source("points", 3)]


# ------------------------------------------------------------------- shapes


def test_rectangle_is_a_box_between_the_pixel_borders_it_is_drawn_on():
    (prompt,) = _read(_video(), shapes=Shapes(_box(4, 9.5, 19.5, 29.5, 39.5)))
    assert (prompt.frame_index, prompt.obj_id, prompt.mask) == (4, 1, None)
    assert prompt.box_xyxy.tolist() == [20, 10, 40, 30]


def test_box_goes_through_both_worlds():
    image = _video(scale=(0.5, 2, 2), translate=(0, 4, 6))
    (prompt,) = _read(image, shapes=Shapes(_box(2, 4, 6, 24, 26)))
    assert prompt.frame_index == 4
    assert prompt.box_xyxy.tolist() == [0.5, 0.5, 10.5, 10.5]


def test_box_is_cut_at_the_rim():
    read = _read(_video(), shapes=Shapes([_box(0, -9, -9, 10, 10), _box(0, 70, 10, 90, 20)]))
    assert [p.box_xyxy.tolist() for p in read] == [[0, 0, 10.5, 10.5]]
    assert "nothing of the picture" in _reasons(read)[Source("shapes", 1)]


def test_every_rectangle_without_an_object_makes_one():
    read = _read(_video(), shapes=Shapes([_box(0, 1, 1, 9, 9), _box(0, 20, 20, 30, 30)]))
    assert [p.obj_id for p in read] == [1, 2]


def test_later_box_of_an_object_holds():
    shapes = Shapes([_box(0, 1, 1, 9, 9), _box(0, 20, 20, 30, 30)], features={"object": [2, 2]})
    read = _read(_video(), shapes=shapes)
    assert [p.box_xyxy.tolist() for p in read] == [[20.5, 20.5, 30.5, 30.5]]
    assert read[0].sources == (Source("shapes", 1),)
    assert "later box" in _reasons(read)[Source("shapes", 0)]


def test_ellipse_is_filled():
    (prompt,) = _read(_video(), shapes=Shapes(_box(1, 10, 20, 30, 60), shape_type="ellipse"))
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    inside = ((rows - 20) / 10) ** 2 + ((columns - 40) / 20) ** 2 < 1
    assert prompt.box_xyxy is None
    assert np.count_nonzero(prompt.mask ^ inside) < 0.03 * inside.sum()


@pytest.mark.parametrize("shape_type", ["polygon", "path"])
def test_closed_outline_is_filled_at_pixel_centres(shape_type):
    corners = [(9.6, 9.6), (9.6, 30.4), (20.4, 30.4), (20.4, 9.6), (9.6, 9.7)]
    shapes = Shapes([[(2, *c) for c in corners]], shape_type=shape_type)
    (prompt,) = _read(_video(), shapes=shapes)
    expected = np.zeros(SIZE, bool)
    expected[10:21, 10:31] = True
    assert np.array_equal(prompt.mask, expected)


def test_turned_rectangle_is_a_mask():
    diamond = np.array([[0, 10, 30], [0, 30, 50], [0, 50, 30], [0, 30, 10]], float)
    (prompt,) = _read(_video(), shapes=Shapes([diamond], shape_type="rectangle"))
    assert prompt.box_xyxy is None
    assert prompt.mask.sum() == pytest.approx(800, rel=0.06)
    assert prompt.mask[30, 30]
    assert not prompt.mask[12, 12]


def test_rectangle_in_a_turned_layer_is_a_mask():
    shapes = Shapes(_box(0, 5, 25, 15, 45), rotate=30, translate=(0, 25, 0))
    (prompt,) = _read(_video(), shapes=shapes)
    assert prompt.box_xyxy is None
    assert prompt.mask.sum() == pytest.approx(200, rel=0.1)


def test_scribble_is_clicks_along_it():
    shapes = Shapes([[(6, 10, 10), (6, 10, 70)]], shape_type="path", features={"object": [1]})
    (prompt,) = _read(_video(), shapes=shapes)
    assert 2 <= len(prompt.points_xy) <= 16
    assert prompt.points_xy[0].tolist() == [10.5, 10.5]
    assert prompt.points_xy[-1].tolist() == [70.5, 10.5]
    assert np.allclose(np.diff(prompt.points_xy[:, 0]), 60 / (len(prompt.points_xy) - 1))
    assert prompt.point_labels.all()


def test_excluding_line_is_negative_clicks():
    shapes = Shapes(
        [[(6, 10, 10), (6, 10, 20)]],
        shape_type="line",
        features={"object": [1], "label": ["exclude"]},
    )
    assert not _read(_video(), shapes=shapes)[0].point_labels.any()


def test_areas_of_one_object_are_joined_and_cut():
    shapes = Shapes(
        [_box(0, 10, 10, 30, 30), _box(0, 20, 20, 40, 40), _box(0, 24, 24, 26, 26)],
        shape_type="polygon",
        features={"object": [1, 1, 1], "label": ["include", "include", "exclude"]},
    )
    (prompt,) = _read(_video(), shapes=shapes)
    assert prompt.mask[12, 12]
    assert prompt.mask[38, 38]
    assert not prompt.mask[25, 25]
    assert len(prompt.points_xy) == 0


def test_excluded_area_without_a_mask_is_a_click_in_its_middle():
    shapes = Shapes(_box(0, 10, 10, 20, 20), features={"object": [1], "label": ["exclude"]})
    (prompt,) = _read(_video(), Points([[0, 30, 30]], features={"object": [1]}), shapes)
    assert prompt.mask is None
    assert dict(zip(map(tuple, prompt.points_xy), prompt.point_labels, strict=True)) == {
        (30.5, 30.5): True,
        (15.5, 15.5): False,
    }


def test_shape_over_several_frames_is_reported():
    read = _read(_video(), shapes=Shapes([[(2, 10, 10), (5, 20, 20)]], shape_type="path"))
    assert "frames 2 to 5" in read.skipped[0].reason


def test_shape_too_thin_to_hold_a_pixel_is_reported():
    thin = [[(0, 10.2, 5), (0, 10.4, 5), (0, 10.4, 40)]]
    read = _read(_video(), shapes=Shapes(thin, shape_type="polygon"))
    assert "no pixel" in read.skipped[0].reason


def test_points_and_shapes_of_one_object_make_one_prompt():
    points = Points([[0, 5, 5]], features={"object": [1], "label": [0]})
    shapes = Shapes(_box(0, 10, 10, 30, 30), features={"object": [1]})
    (prompt,) = _read(_video(), points, shapes)
    assert prompt.box_xyxy is not None
    assert prompt.point_labels.tolist() == [False]


# --------------------------------------------------------------- more axes


def _volume():
    return Image(
        np.zeros((6, 5, *SIZE), np.uint8), contrast_limits=(0, 255), axis_labels=tuple("tzyx")
    )


def test_points_on_other_slices_are_reported():
    points = Points([[2, 3, 8, 9], [2, 4, 8, 9]])
    read = _read(_volume(), points, axes=StackAxes(0, None, {1: 3}))
    assert [p.frame_index for p in read] == [2]
    assert "slice 3 of axis 'z'" in read.skipped[0].reason


def test_points_on_other_channels_count():
    image = Image(np.zeros((6, 2, *SIZE), np.uint8), contrast_limits=(0, 255))
    read = _read(image, Points([[2, 1, 8, 9]]), axes=StackAxes(0, 1, {1: 0}))
    assert [(p.frame_index, p.points_xy.tolist()) for p in read] == [(2, [[9.5, 8.5]])]


def test_picture_takes_prompts_on_its_one_frame():
    image = Image(np.zeros(SIZE, np.uint8), contrast_limits=(0, 255))
    assert [p.frame_index for p in _read(image, Points([[8, 9]]))] == [0]


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(LayerError, match="stands still"):
        prompts_from_layers(_volume(), StackAxes(0), Points([[2, 3, 8, 9]]))


# ------------------------------------------------------------ painted labels


def _painted(shape=(10, *SIZE)):
    labels = np.zeros(shape, np.uint16)
    labels[..., 4, 10:20, 10:20] = 3
    labels[..., 4, 30:40, 30:50] = 9
    labels[..., 5, 0:5, 0:5] = 1
    return labels


def test_painted_labels_are_masks_of_the_objects_of_their_ids():
    image = _video()
    read = prompts_from_labels(image, guess_axes(image), Labels(_painted()), 4)
    assert [(p.frame_index, p.obj_id) for p in read] == [(4, 3), (4, 9)]
    assert np.array_equal(read[1].mask, _painted()[4] == 9)


def test_labels_of_another_scale_are_read_at_the_videos_pixels():
    image = _video(scale=(0.1, 1, 1), translate=(0, 5, 5))
    coarse = Labels(_painted()[:, ::2, ::2], scale=(0.1, 2, 2), translate=(0, 5.5, 5.5))
    read = prompts_from_labels(image, guess_axes(image), coarse, 4)
    assert np.array_equal(read[0].mask, _painted()[4] == 3)
    assert np.array_equal(read[1].mask, _painted()[4] == 9)


def test_labels_beside_the_video_are_background_there():
    image = _video()
    moved = Labels(_painted(), translate=(2, 0, 15))
    read = prompts_from_labels(image, guess_axes(image), moved, 6)
    assert [p.obj_id for p in read] == [3, 9]
    assert np.array_equal(read[0].mask[:, 15:], (_painted()[4] == 3)[:, :-15])
    assert not read[0].mask[:, :15].any()
    assert len(prompts_from_labels(image, guess_axes(image), moved, 0)) == 0


def test_flat_labels_speak_of_any_frame():
    image = _video()
    read = prompts_from_labels(image, guess_axes(image), Labels(_painted()[4]), 7)
    assert [(p.frame_index, p.obj_id) for p in read] == [(7, 3), (7, 9)]


def test_painted_masks_join_what_is_drawn():
    points = Points([[4, 50, 50]], features={"object": [3], "label": [0]})
    image, painted = _video(), Labels(_painted())
    read, _ = read_prompts(image, guess_axes(image), points, None, painted, current_frame=4)
    assert sorted(read.objects) == [(4, 3), (4, 9)]
    assert read.objects[4, 3].mask is not None
    assert read.objects[4, 3].point_labels.tolist() == [False]


def test_object_ids_are_read_as_numbers():
    assert [read_object_id(v) for v in (1, "2", 3.0, np.int64(4))] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="inf"):
        read_object_id(float("inf"))


def square(y0, y1, x0, x1):
    mask = np.zeros(SIZE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_what_is_erased_of_a_result_stays_erased_and_what_is_drawn_later_is_added():
    image = _video()
    axes, key = guess_axes(image), (4, 3)

    def lasso(*boxes):
        corners = [
            [[4, y - 0.5, x - 0.5] for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))]
            for y0, y1, x0, x1 in boxes
        ]
        return Shapes(
            corners, shape_type="polygon", ndim=3, features={"object": [3] * len(corners)}
        )

    def read(shapes, painted, told):
        found, _ = read_prompts(
            image,
            axes,
            shapes_layer=shapes,
            painted={} if painted is None else {key: painted},
            told=lambda _key: told,
        )
        return found.objects[key]

    first, second = (10, 30, 10, 40), (10, 30, 50, 70)
    told = read(lasso(first), None, None)
    assert np.array_equal(told.mask, square(*first))
    left = square(10, 30, 10, 25)  # the rest is erased
    for _ in range(2):
        told = read(lasso(first), left, told)
        assert np.array_equal(told.mask, left)
    for _ in range(2):  # a second shape
        told = read(lasso(first, second), left, told)
        assert np.array_equal(told.mask, left | square(*second))
    less = left | square(10, 30, 50, 60)  # and a part of that is erased too
    for _ in range(2):
        told = read(lasso(first, second), less, told)
        assert np.array_equal(told.mask, less)
    # painted before anything was drawn: both count
    assert np.array_equal(read(lasso(first), less, None).mask, less | square(*first))

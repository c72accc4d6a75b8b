"""What clicks, boxes, masks and corrections become on one frame."""

import numpy as np
import pytest
from skimage.graph import MCP_Geometric

from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.models.optical_flow.box_segmentation import way_from_outside
from napari_sam3.values import ObjectMask, ObjectPrompt
from tests.models.optical_flow.scenes import (
    Film,
    cells,
    click,
    disc,
    overlap,
    segment,
    texture,
)

SIZE = (160, 200)


@pytest.mark.parametrize(
    ("level", "ground"), [(200, 20), (30, 180), (70, 50)], ids=["bright", "dark", "faint"]
)
@pytest.mark.parametrize("radius", [6, 14, 30])
def test_a_click_takes_the_cell(level, ground, radius):
    truth = disc(SIZE, 90, 80, radius)
    frame = cells(SIZE, [truth], level, ground)
    assert overlap(segment(frame, **click((90 - radius / 3, 80))), truth) > 0.75


@pytest.mark.parametrize(("level", "ground"), [(50, 0), (255, 0), (10, 200)])
def test_a_drawn_cell_is_taken_to_the_pixel(level, ground):
    truth = disc(SIZE, 90, 80, 8)
    frame = np.where(truth, level, ground).astype(np.uint8)[..., None].repeat(3, axis=-1)
    assert np.array_equal(segment(frame, **click((90, 80))).mask, truth)


def test_a_click_takes_one_of_two_touching_cells():
    left, right = disc(SIZE, 78, 80, 15), disc(SIZE, 106, 80, 15)
    frame = cells(SIZE, [left, right], 180, 20)
    found = segment(frame, **click((76, 80)))
    assert overlap(found, left) > 0.75
    assert (found.mask & right & ~left).sum() < 0.1 * right.sum()


def test_a_click_takes_a_coloured_thing():
    truth = disc(SIZE, 100, 80, 30)
    frame = texture(SIZE, 1, (60, 110, 60))
    frame[truth] = texture(SIZE, 2, (200, 60, 50))[truth]
    assert overlap(segment(frame, **click((100, 80))), truth) > 0.7


@pytest.mark.parametrize("frame", ["constant", "noise"])
def test_a_click_on_nothing_is_small_but_not_empty(frame):
    picture = (
        np.full((*SIZE, 3), 100, np.uint8)
        if frame == "constant"
        else np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    )
    found = segment(picture, **click((50, 60)))
    assert found.holds(50, 60)
    assert found.area < 0.5 * picture.shape[0] * picture.shape[1]


@pytest.mark.parametrize("level", [200, 90])
def test_a_box_takes_what_fills_it(level):
    truth = disc(SIZE, 90, 80, 25)
    frame = cells(SIZE, [truth, disc(SIZE, 150, 80, 20)], level, 40)
    found = segment(frame, box_xyxy=np.array([65.0, 55, 115, 105]))
    assert overlap(found, truth) > 0.75
    assert not found.mask[:, :64].any()
    assert not found.mask[:, 116:].any()


def test_a_box_holds_to_its_clicks():
    frame = texture(SIZE, 1, (90, 100, 110))
    found = segment(
        frame, box_xyxy=np.array([40.0, 40, 120, 120]), **click((45, 45), against=((80, 80),))
    )
    assert found.holds(45, 45)
    assert not found.holds(80, 80)


def moving_pair(step):
    """Two frames of a disc of one texture on a ground of the same kind: only motion shows it."""
    ground, skin = texture(SIZE, 21, (120, 110, 90)), texture(SIZE, 22, (120, 110, 90))
    frames, truths = [], []
    for t in range(2):
        truth = disc(SIZE, 90 + step * t, 80, 26)
        frame = ground.copy()
        frame[truth] = np.roll(skin, step * t, axis=1)[truth]
        frames.append(frame)
        truths.append(truth)
    return frames, truths


@pytest.mark.parametrize("frame_index", [0, 1])
@pytest.mark.parametrize(
    "prompt",
    [click((88, 80)), {"box_xyxy": np.array([62.0, 52, 120, 108])}],
    ids=["click", "box"],
)
def test_what_moves_apart_from_its_ground_is_taken_whole(frame_index, prompt):
    frames, truths = moving_pair(4)
    tracker = OpticalFlowModel().start(Film(frames))
    found = tracker.segment(frame_index, ObjectPrompt(**prompt))
    assert overlap(found, truths[frame_index]) > 0.75


@pytest.mark.parametrize(("step", "water_step"), [(5, 2), (4, -4)])
def test_what_moves_otherwise_beside_the_clicked_thing_is_left_out(step, water_step):
    size = (200, 260)
    bank, water, skin = (texture(size, seed, (120, 110, 90)) for seed in (31, 32, 33))
    frames, truths = [], []
    for t in range(2):
        truth = disc(size, 120 + step * t, 80, 26)
        frame = bank.copy()
        frame[90:150] = np.roll(water, water_step * t, axis=1)[90:150]
        frame[truth] = np.roll(skin, step * t, axis=1)[truth]
        frames.append(frame)
        truths.append(truth)
    found = OpticalFlowModel().start(Film(frames)).segment(0, ObjectPrompt(**click((120, 76))))
    assert overlap(found, truths[0]) > 0.75


@pytest.mark.parametrize(("fast", "slow"), [(6, 2), (4, 1)])
def test_half_a_thing_that_lags_behind_the_clicked_half_is_taken_as_well(fast, slow):
    size = (200, 260)
    ground, skin = texture(size, 41, (80, 120, 90)), texture(size, 42, (170, 70, 60))
    rows, columns = np.mgrid[: size[0], : size[1]]
    tall = np.abs(rows - 100) <= 24
    frames, truths = [], []
    for t in range(2):
        frame, truth = ground.copy(), np.zeros(size, bool)
        for step, start, end in ((slow, 80, 120), (fast, 112, 160)):
            half = tall & (columns >= start + step * t) & (columns < end + step * t)
            frame[half] = np.roll(skin, step * t, axis=1)[half]
            truth |= half
        frames.append(frame)
        truths.append(truth)
    found = OpticalFlowModel().start(Film(frames)).segment(0, ObjectPrompt(**click((145, 100))))
    assert overlap(found, truths[0]) > 0.85


def test_motion_across_a_cut_is_not_asked():
    frames, _ = moving_pair(4)
    frames[1] = np.zeros_like(frames[0])
    tracker = OpticalFlowModel().start(Film(frames))
    assert tracker.motion_near(0) is None
    assert tracker.segment(0, ObjectPrompt(**click((88, 80)))).holds(88, 80)


def test_a_mask_is_taken_as_it_is():
    painted = np.zeros(SIZE, bool)
    painted[20:50, 30:90] = True
    assert np.array_equal(segment(texture(SIZE, 1, (90, 90, 90)), mask=painted).mask, painted)


def test_a_positive_click_adds_the_part_it_is_in_and_leaves_the_rest():
    one, two, three = (disc(SIZE, x, 80, 14) for x in (40, 100, 160))
    frame = cells(SIZE, [one, two, three], 190, 20)
    prior = ObjectMask.from_mask(one)
    found = segment(frame, prior=prior, **click((100, 80)))
    assert overlap(found, one | two) > 0.8
    assert np.array_equal(found.mask[:, :60], one[:, :60])
    assert not (found.mask & three).any()


def test_a_negative_click_takes_away_the_part_it_is_in():
    one, two = disc(SIZE, 40, 80, 14), disc(SIZE, 100, 80, 14)
    frame = cells(SIZE, [one, two], 190, 20)
    found = segment(frame, prior=ObjectMask.from_mask(one | two), **click(against=((100, 80),)))
    assert overlap(found, one) > 0.8


def test_a_negative_click_on_all_there_is_leaves_nothing():
    one = disc(SIZE, 40, 80, 14)
    frame = cells(SIZE, [one], 190, 20)
    assert segment(frame, prior=ObjectMask.from_mask(one), **click(against=((40, 80),))) is None


@pytest.mark.parametrize("place", [(46, 80), (70, 62), (100, 108)])
def test_a_negative_click_near_the_edge_of_an_even_thing_takes_its_side_only(place):
    one = disc(SIZE, 70, 80, 30) | disc(SIZE, 100, 80, 30)
    frame = cells(SIZE, [one], 190, 20)
    found = segment(frame, prior=ObjectMask.from_mask(one), **click(against=(place,)))
    assert not found.holds(*place)
    assert 0.5 < overlap(found, one) < 0.95


@pytest.mark.parametrize("gap", [3, 60])
def test_a_positive_click_on_the_ground_does_not_swallow_it(gap):
    one = disc(SIZE, 60, 80, 14)
    frame = cells(SIZE, [one], 190, 20)
    place = (60 + 14 + gap, 80)
    found = segment(frame, prior=ObjectMask.from_mask(one), **click(place))
    assert found.holds(*place)
    assert not (one & ~found.mask).any()
    assert found.area < 2 * one.sum()


def test_every_click_ends_on_its_side():
    rng = np.random.default_rng(3)
    frame = texture(SIZE, 4, (120, 100, 90))
    prior = ObjectMask.from_mask(disc(SIZE, 100, 80, 40))
    points = np.floor(rng.uniform((0, 0), (200, 160), (12, 2))) + 0.5
    labels = rng.random(12) < 0.5
    found = segment(frame, prior=prior, points_xy=points, point_labels=labels)
    assert [found.holds(*p) for p in points] == labels.tolist()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 8), (3, 200), (200, 3)])
def test_pictures_of_any_size_are_taken(size):
    frame = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    height, width = size
    assert segment(frame, **click((width, height))) is not None
    assert segment(frame, box_xyxy=np.array([0, 0, width, height], float)) is not None
    assert segment(frame, mask=np.ones(size, bool)).area == height * width


@pytest.mark.parametrize("box", [(5, 6, 30, 25), (0, 6, 30, 40), (0, 0, 1, 1), (39, 0, 50, 40)])
def test_the_ways_into_a_box_are_those_from_everywhere_outside(box):
    steep = np.random.default_rng(0).random((40, 50)).astype(np.float32) + 0.01
    x0, y0, x1, y1 = box
    inside = np.zeros(steep.shape, bool)
    inside[y0:y1, x0:x1] = True
    expected, _ = MCP_Geometric(steep).find_costs(np.argwhere(~inside))
    assert np.array_equal(way_from_outside(steep, inside)[inside], expected[inside])

"""Objects from frame to frame."""

import numpy as np
import pytest

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.models.optical_flow.motion import WorkingFrame, estimate_motion
from napari_sam3.models.optical_flow.pixel_classifier import describe_pixels
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt
from tests.models.optical_flow.scenes import (
    Film,
    cells,
    disc,
    follow,
    overlap,
    texture,
    thing_as_its_ground,
)

SIZE = (160, 220)


def coloured(place, *, seed=0, cover=None):
    """A textured disc on textured ground; `cover` hides what lies under it."""
    frame = texture(SIZE, 11, (70, 120, 70))
    truth = np.zeros(SIZE, bool)
    if place is not None:
        truth = disc(SIZE, *place, 26)
        skin = texture((60, 60), 12 + seed, (200, 80, 60))
        x, y = int(place[0]) - 30, int(place[1]) - 30
        whole = np.pad(skin, ((300, 300), (300, 300), (0, 0)))
        frame[truth] = whole[300 - y : 300 - y + SIZE[0], 300 - x : 300 - x + SIZE[1]][truth]
    if cover is not None:
        frame[cover] = texture(SIZE, 13, (60, 60, 160))[cover]
        truth &= ~cover
    return frame, truth


def test_a_textured_thing_is_followed():
    frames, truths = zip(*(coloured((50 + 5 * t, 80 + t)) for t in range(16)), strict=True)
    found = follow(frames, {1: truths[0]})
    assert min(overlap(f.get(1), t) for f, t in zip(found, truths, strict=True)) > 0.75


def test_a_thing_that_turns_another_colour_is_followed():
    """Red at first, at the end as blue as the ground was on the prompted frame at another place."""
    frames, truths = [], []
    for t in range(30):
        frame = texture(SIZE, 11, (70, 120, 70))
        frame[:40] = texture(SIZE, 13, (90, 120, 120))[:40]
        truth = disc(SIZE, 50 + 2 * t, 95, 34)
        frame[truth] = texture(SIZE, 12, (200 - 4 * t, 80, 60 + 4 * t))[truth]
        frames.append(frame)
        truths.append(truth)
    found = follow(frames, {1: truths[0]})
    assert min(overlap(f.get(1), t) for f, t in zip(found, truths, strict=True)) > 0.65


def test_a_thing_that_was_learnt_while_it_moved_is_followed_where_it_stands_still():
    ways = np.cumsum([8, 7, 6, 5, 4, 3, 2, 1, *[0] * 10])
    frames, truths = thing_as_its_ground([(60 + x, 80) for x in ways])
    found = follow(frames, {1: truths[0]})
    assert min(overlap(f.get(1), t) for f, t in zip(found, truths, strict=True)) > 0.6


def test_a_thing_is_followed_though_it_turns_round():
    angles = np.arange(18) * 2 * np.pi / 18
    steps = 6 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    frames, truths = thing_as_its_ground(np.array((84, 50)) + np.cumsum(steps, axis=0))
    found = follow(frames, {1: truths[0]})
    assert overlap(found[-1].get(1), truths[-1]) > 0.5


def test_a_frame_that_is_given_up_half_way_leaves_no_trace():
    """Wherever it is given up, the frames come out the same the next time."""
    frames, firsts = [], {1: disc(SIZE, 50, 80, 26), 2: disc(SIZE, 170, 120, 20)}
    for t in range(4):
        frame, _ = coloured((50 + 5 * t, 80))
        frame[disc(SIZE, 170 - 3 * t, 120, 20)] = (30, 60, 220)
        frames.append(frame)
    journal = Journal(
        {i: {0: Keyframe(ObjectPrompt(mask=m), ObjectMask.from_mask(m))} for i, m in firsts.items()}
    )

    def run(tracker):
        return tracker.propagate(journal, range(4), lambda: 9)

    def masks(found):
        return [
            {i: (m.bbox, m.score, m.crop.tobytes()) for i, m in f.objects.items()}
            for f in found
            if f.objects is not None
        ]

    tracker = OpticalFlowModel().start(Film(frames))
    told = [(f.frame_index, f.objects is None) for f in run(tracker)]
    expected = masks(run(tracker))
    pauses = [k for k, (_, is_pause) in enumerate(told) if is_pause]
    assert {told[k][0] for k in pauses} == {1, 2, 3}
    tracker = OpticalFlowModel().start(Film(frames))
    for k in pauses:
        found = run(tracker)
        for told_now in found:
            if told_now == (told[k][0], None):
                break
        found.close()
    assert masks(run(tracker)) == expected


def test_what_comes_in_at_the_border_was_not_there_before():
    """The camera goes 12 px to the right."""
    wide = texture((96, 160), 3, (120, 120, 120))
    before, here = (WorkingFrame.of(wide[:, x : x + 128]) for x in (0, 12))
    is_new = estimate_motion(before, here).is_new
    assert is_new[10:-10, -8:].all()
    assert not is_new[:, 10:-20].any()


def test_a_thing_that_leaves_is_absent():
    frames, truths = zip(
        *(coloured((150 + 12 * t, 80) if t < 9 else None) for t in range(14)), strict=True
    )
    found = follow(frames, {1: truths[0]})
    assert 1 in found[3]
    assert all(1 not in f for f in found[10:])


def test_a_thing_that_was_hidden_comes_back():
    cover = np.zeros(SIZE, bool)
    cover[:, 95:165] = True
    frames, truths = zip(*(coloured((40 + 8 * t, 80), cover=cover) for t in range(21)), strict=True)
    found = follow(frames, {1: truths[0]})
    assert all(1 not in f for f, t in zip(found, truths, strict=True) if not t.any())
    assert overlap(found[-1].get(1), truths[-1]) > 0.6


def one_goes_two_come():
    """A striped thing leaves the picture; then two like it stand on the other side."""
    stripes = np.where(np.arange(SIZE[1])[:, None] // 9 % 2, (220, 60, 60), (60, 60, 220))
    frames = []
    for t in range(17):
        frame = texture(SIZE, 11, (70, 120, 70))
        places = [(150 + 12 * t, 80)] if t < 9 else [(45, 40), (45, 120)] if t > 10 else []
        for x, y in places:
            there = disc(SIZE, x, y, 34)
            moved = np.roll(stripes, int(x), axis=0)
            frame[there] = np.broadcast_to(moved, (*SIZE, 3))[there]
        frames.append(frame)
    return frames, disc(SIZE, 150, 80, 34)


def test_another_one_far_away_is_not_taken_for_what_was_lost():
    frames, truth = one_goes_two_come()
    found = follow(frames, {1: truth})
    assert 1 in found[3]
    assert all(1 not in objects for objects in found[10:])


def test_what_was_lost_is_looked_for_far_away_if_asked_for():
    frames, truth = one_goes_two_come()
    tracker = OpticalFlowModel(goes_far=True).start(Film(frames))
    prompt = ObjectPrompt(mask=truth)
    journal = Journal({1: {0: Keyframe(prompt, tracker.segment(0, prompt))}})
    found = list(tracker.propagate(journal, range(len(frames)), lambda: 0))
    seen = found[-1].objects[1]
    assert max(overlap(seen, disc(SIZE, 45, y, 34)) for y in (40, 120)) > 0.4


def test_scores_are_probabilities_and_fall_where_the_object_is_lost():
    frames, truths = zip(*(coloured((60 + 4 * t, 80)) for t in range(8)), strict=True)
    scores = [f[1].score for f in follow(frames, {1: truths[0]})]
    assert all(0 <= s <= 1 for s in scores)
    assert min(scores) > 0.6


@pytest.mark.parametrize(("level", "ground"), [(200, 20), (40, 170), (66, 50)])
def test_cells_are_followed_and_do_not_leak_into_each_other(level, ground):
    def scene(t):
        return [disc(SIZE, 60 + 2 * t, 70, 15), disc(SIZE, 90 + 2 * t, 72, 15)]

    frames = [cells(SIZE, scene(t), level, ground, seed=t) for t in range(12)]
    found = follow(frames, dict(enumerate(scene(0), 1)))
    for obj_id, truth in enumerate(scene(11), 1):
        assert overlap(found[-1].get(obj_id), truth) > 0.75
    assert not (found[-1][1].mask & found[-1][2].mask).any()


def test_a_neighbour_that_nobody_named_is_not_swallowed():
    def scene(t):
        return [disc(SIZE, 60 + t, 70, 15), disc(SIZE, 89 + t, 70, 15)]

    frames = [cells(SIZE, scene(t), 190, 20, seed=t) for t in range(15)]
    found = follow(frames, {1: scene(0)[0]})
    assert overlap(found[-1].get(1), scene(14)[0]) > 0.75


def test_a_cell_that_jumps_is_found():
    places = [(40, 60), (46, 60), (76, 74), (80, 76)]
    truths = [disc(SIZE, *p, 14) for p in places]
    frames = [cells(SIZE, [t], 190, 20, seed=i) for i, t in enumerate(truths)]
    assert overlap(follow(frames, {1: truths[0]})[-1].get(1), truths[-1]) > 0.75


def test_two_cells_that_cross_stay_two():
    def scene(t):
        return [disc(SIZE, 40 + 6 * t, 70, 12), disc(SIZE, 180 - 6 * t, 84, 12)]

    frames = [cells(SIZE, scene(t), 190, 20, seed=t) for t in range(20)]
    last = follow(frames, dict(enumerate(scene(0), 1)))[-1]
    areas = {i: m.area for i, m in last.items()}
    assert all(area < 1.6 * scene(0)[0].sum() for area in areas.values())


def test_a_flash_is_survived():
    truths = [disc(SIZE, 60 + 3 * t, 70, 15) for t in range(8)]
    frames = [cells(SIZE, [m], 120, 30, seed=t) for t, m in enumerate(truths)]
    frames[4] = np.clip(frames[4].astype(int) + 70, 0, 255).astype(np.uint8)
    assert overlap(follow(frames, {1: truths[0]})[-1].get(1), truths[-1]) > 0.75


@pytest.mark.parametrize("gain", [0.4, 2.5])
def test_a_neighbour_as_bright_as_a_cell_was_before_the_light_jumped_is_not_taken_for_it(gain):
    def scene(t):
        return [disc(SIZE, 90 + t, 115, 15), disc(SIZE, 92 + t, 75, 15)]

    frames = []
    for t in range(6):
        light = 1.0 if t < 3 else gain
        pair = zip(scene(t), (80, 80 / gain), strict=True)
        both = [cells(SIZE, [m], round(level * light), round(10 * light), t) for m, level in pair]
        frames.append(np.maximum(*both))
    assert overlap(follow(frames, {1: scene(0)[0]})[-1].get(1), scene(5)[0]) > 0.75


def test_nothing_is_seen_after_a_cut():
    frame, truth = coloured((100, 80))
    other = np.random.default_rng(0).integers(0, 2, (20, 28, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    other = (other[: SIZE[0], : SIZE[1]] * np.array([20, 60, 255])).astype(np.uint8)
    found = follow([frame, frame, other, other], {1: truth})
    assert 1 in found[1]
    assert 1 not in found[2]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 8), (3, 200), (200, 3), (40, 50)])
@pytest.mark.parametrize("kind", ["noise", "constant"])
def test_hostile_pictures_do_no_harm(size, kind):
    rng = np.random.default_rng(0)
    frames = [
        rng.integers(0, 255, (*size, 3), np.uint8)
        if kind == "noise"
        else np.full((*size, 3), 90, np.uint8)
        for _ in range(3)
    ]
    corner = np.zeros(size, bool)
    corner[0, 0] = True
    for objects in follow(frames, {1: np.ones(size, bool), 2: corner})[1:]:
        for mask in objects.values():
            assert mask.size == size
            assert 0 <= mask.score <= 1


def test_a_mask_of_the_whole_frame_stays_on_a_constant_picture():
    frames = [np.full((*SIZE, 3), 90, np.uint8)] * 3
    assert follow(frames, {1: np.ones(SIZE, bool)})[-1][1].area == SIZE[0] * SIZE[1]


def test_a_single_pixel_is_followed():
    places = [(50 + t, 60) for t in range(6)]
    masks = []
    for x, y in places:
        mask = np.zeros(SIZE, bool)
        mask[y, x] = True
        masks.append(mask)
    frames = [np.where(m[..., None], 255, np.full((1, 1, 3), 10)).astype(np.uint8) for m in masks]
    last = follow(frames, {1: masks[0]})[-1].get(1)
    assert last is None or (last.area < 30 and abs(last.bbox[0] - places[-1][0]) < 12)


def test_the_same_prompts_give_the_same_masks():
    frames, truths = zip(*(coloured((60 + 5 * t, 80)) for t in range(4)), strict=True)
    runs = [follow(frames, {1: truths[0]}) for _ in range(2)]
    for a, b in zip(*runs, strict=True):
        assert np.array_equal(a[1].mask, b[1].mask)
        assert a[1].score == b[1].score


def test_a_picture_is_described_the_same_wherever_it_lies_in_memory():
    picture = texture((60, 70), 5, (120, 100, 90))
    first = describe_pixels(picture)
    kept = [np.empty(1 + 7 * k, np.uint8) for k in range(40)]  # what is made between is moved
    assert all(np.array_equal(describe_pixels(picture.copy()), first) for _ in kept)


def test_the_model_says_what_it_takes():
    model = OpticalFlowModel()
    assert (model.name, model.device) == ("optical-flow", "cpu")
    assert not model.capabilities.text
    assert not model.capabilities.exemplars
    assert model.start(Film([np.zeros((4, 4, 3), np.uint8)])) is not None
    with pytest.raises(ModelUnavailableError, match="cuda"):
        OpticalFlowModel(device="cuda")

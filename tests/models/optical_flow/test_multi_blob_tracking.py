"""Cells that touch their like: dense colonies that drift, grow and divide."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.models.optical_flow import blobs, tracker
from napari_sam3.models.optical_flow.division import Form, one_daughter
from napari_sam3.models.optical_flow.motion import Motion
from napari_sam3.values import ObjectMask
from tests.models.optical_flow.scenes import (
    COLONY as SIZE,
    cells,
    disc,
    follow,
    overlap,
    phase_contrast,
    rod,
)


def colony(t):
    """Three rows of touching rods: each frame they drift more than their width, turn and grow."""
    outer, inner = [], []
    growth, turn = 1 + 0.04 * t, np.deg2rad(6 * t)
    for row in range(3):
        for column in range(4):
            x, y = 14.2 * (column - 1.5), 37 * (row - 1) + (6 if column % 2 else 0)
            x, y = growth * x, growth * y
            x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
            mask = rod(160 - 17 * t + x, 80 + y, 90 + 6 * t, 35 * growth)
            (inner if row == 1 and column in (1, 2) else outer).append(mask)
    return outer, inner


@pytest.mark.parametrize("channels", [(1, 1, 1), (0, 0, 1)])
def test_the_rods_of_a_drifting_colony_are_followed_each(channels):
    """In grey, and in the one channel that a microscope's picture may have."""
    scenes = [colony(t) for t in range(6)]
    frames = [
        phase_contrast(o, t, i) * np.array(channels, np.uint8) for t, (o, i) in enumerate(scenes)
    ]
    truths = [[*outer, *inner] for outer, inner in scenes]
    found = follow(frames, dict(enumerate(truths[0], 1)))
    for t, masks in enumerate(truths):
        overlaps = [overlap(found[t].get(i), m) for i, m in enumerate(masks, 1)]
        assert min(overlaps) > 0.7, t


def test_of_a_rod_that_divides_one_daughter_is_followed():
    def scene(t):
        """It grows, and from frame 3 on its halves part."""
        length = 44 + 3 * t
        if t < 3:
            return [rod(100 - 4 * t, 70, 10, length)]
        gap = length / 2 + 0.6 * (t - 3)
        turn = np.deg2rad(10)
        return [
            rod(
                100 - 4 * t + side * gap / 2 * np.cos(turn),
                70 + side * gap / 2 * np.sin(turn),
                10,
                length / 2,
            )
            for side in (-1, 1)
        ]

    scenes = [scene(t) for t in range(8)]
    found = follow([phase_contrast(s, t) for t, s in enumerate(scenes)], {1: scenes[0][0]})
    assert overlap(found[2].get(1), scenes[2][0]) > 0.75
    for t in (4, 5, 6, 7):
        shares = sorted(overlap(found[t].get(1), daughter) for daughter in scenes[t])
        assert shares[1] > 0.75, t
        assert shares[0] < 0.05, t


def test_daughters_at_an_angle_are_told_apart_if_their_mother_had_grown():
    """Too wide a neck to tell of a division by itself, as in a cell that only bends."""
    left, right = rod(80, 70, 0, 44), rod(110.5, 90, 55, 44)
    both, young = left | right, Form.of(left)
    old = replace(young, area=int(both.sum()))
    assert overlap(one_daughter(both, both, left, young), left) > 0.85
    assert np.array_equal(one_daughter(both, both, left, old), both)


def test_of_a_nucleus_in_mitosis_one_daughter_is_found():
    """It rounds up, is two small bright plates apart a frame later, and two nuclei after that."""

    def scene(t):
        if t < 3:
            return [disc(SIZE, 90 + t, 80, 13)], 50
        apart, radius, level = (13, 5, 170) if t == 3 else (15 + t, 8 + 0.4 * t, 60)
        return [disc(SIZE, 93 + t + side * apart, 80 + side * 4, radius) for side in (-1, 1)], level

    scenes = [scene(t) for t in range(8)]
    frames = [cells(SIZE, masks, level, 20, seed=t) for t, (masks, level) in enumerate(scenes)]
    found = follow(frames, {1: scenes[0][0][0]})
    for t in range(3, 8):
        shares = sorted(overlap(found[t].get(1), daughter) for daughter in scenes[t][0])
        assert shares[1] > 0.6, t
        assert shares[0] < 0.05, t


def test_a_nucleus_just_above_the_noise_is_followed():
    truths = [disc(SIZE, 60 + 2 * t, 70 + t, 12) for t in range(8)]
    frames = [cells(SIZE, [m], 12, 8, seed=t) for t, m in enumerate(truths)]
    found = follow(frames, {1: truths[0]})
    assert min(overlap(f.get(1), m) for f, m in zip(found, truths, strict=True)) > 0.75


def test_two_rods_that_jump_a_hundred_px_keep_their_names():
    """As the stage does between two frames; alike as they are, neither takes the other's place."""

    def scene(t):
        x = 45 + (100 if t > 1 else 0)
        return [rod(x, 70, 80, 34), rod(x + 15, 76, 80, 34)]

    scenes = [scene(t) for t in range(4)]
    found = follow([phase_contrast(s, t) for t, s in enumerate(scenes)], dict(enumerate(scenes[0])))
    for objects, masks in zip(found, scenes, strict=True):
        assert min(overlap(objects.get(i), m) for i, m in enumerate(masks)) > 0.75


def test_inner_rods_that_slide_onto_each_others_places_are_told_apart(monkeypatch):
    """The outer ones stay; the flow sees the inner ones go less far than they do, nor turn."""
    outer = [rod(x, y, 90, 44) for x in (70, 135) for y in (50, 100)]

    def inner(t):
        places = ((90, 52), (100, 86), (112, 118))
        return [rod(x - 6 * t, y - 22 * t, 72 - 15 * t, 36) for x, y in places]

    def motion(source, target):
        flow = np.zeros((*SIZE, 2), np.float32)
        flow[np.any(inner(1), axis=0)] = 4, 16  # scripted: each release of OpenCV has its own
        assert target.grey.shape == SIZE
        return Motion(flow, np.zeros(SIZE, np.float32), target.scale)

    monkeypatch.setattr(tracker, "estimate_motion", motion)
    frames = [phase_contrast(outer, t, inner(t)) for t in range(2)]
    found = follow(frames, dict(enumerate([*outer, *inner(0)])))[1]
    for i, mask in enumerate([*outer, *inner(1)]):
        assert overlap(found.get(i), mask) > 0.75, i


def refine(prompted, expected, picture, prompted_on=None):
    """Find a rod in a picture of like rods where it is expected."""
    levels = blobs.Levels.measure(
        picture if prompted_on is None else prompted_on, ObjectMask.from_mask(prompted)
    )
    value = blobs.value_of(picture, levels)
    found, _ = blobs.refine(value, value, expected, np.zeros(SIZE, np.int32), levels)
    return found


@pytest.mark.parametrize(("along", "across"), [(20, 0), (0, 6)])
def test_a_rod_that_the_flow_half_missed_is_found_whole_and_its_neighbour_is_not(along, across):
    """Nothing but a faint valley parts the two, who lie side by side."""
    turn = np.deg2rad(80)
    own, neighbour = rod(100, 80, 80, 60), rod(113.5, 82, 80, 60)
    expected = rod(100 - along * np.cos(turn) + across, 80 - along * np.sin(turn), 80, 60)
    found = refine(own, expected, phase_contrast([own, neighbour]))
    assert overlap(found, own) > 0.75
    assert overlap(found & neighbour, neighbour) < 0.15


def test_of_daughters_side_by_side_one_is_followed():
    """Where they slid past each other there is no neck to tell of the division."""
    mother, daughters = rod(100, 80, 80, 36), [rod(92.5, 77, 80, 36), rod(107.5, 83, 80, 36)]
    expected = daughters[0] | daughters[1]
    found = refine(mother, expected, phase_contrast(daughters), phase_contrast([mother]))
    shares = sorted(overlap(found, daughter) for daughter in daughters)
    assert shares[1] > 0.8
    assert shares[0] < 0.05


def test_holes_in_a_textured_nucleus_make_no_neck():
    """Beside a neighbour that it touches, and expected where it is."""
    nucleus, neighbour = disc(SIZE, 90, 80, 14), disc(SIZE, 90, 106, 13)
    picture = cells(SIZE, [nucleus, neighbour], 90, 20)
    for x in (84, 90, 96):
        picture[disc(SIZE, x, 82, 2.2)] = 50
    assert overlap(refine(nucleus, nucleus, picture), nucleus) > 0.85

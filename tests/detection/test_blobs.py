"""Things brighter or darker than their ground, found by themselves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_sam3.detection import detect_objects
from napari_sam3.samples import make_cells
from napari_sam3.values import ObjectMask
from tests.sweeps import sweep

SIZE = (200, 280)


def grid_of_discs(radius=12, step=40):
    """Labels of discs that do not touch, (H, W)."""
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, int)
    for y in range(step // 2 + 4, SIZE[0] - radius, step):
        for x in range(step // 2 + 4, SIZE[1] - radius, step):
            labels[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = labels.max() + 1
    return labels


def picture_of(labels, step, *, slope=0.0, noise=0.0):
    """Grey 8-bit: things `step` over a ground that slopes from left to right."""
    ground = 120 + slope * np.linspace(-0.5, 0.5, labels.shape[1])
    sharp = (ground + step * (labels > 0)).astype(np.float32)
    grains = np.random.default_rng(3).normal(0, noise, labels.shape)
    return (cv2.GaussianBlur(sharp, (0, 0), 1.2) + grains).clip(0, 255).astype(np.uint8)


def count_matches(found, labels):
    """How many labels one of the masks found has half in common with."""
    true = [ObjectMask.from_mask(labels == i) for i in np.unique(labels[labels > 0])]
    return sum(any(mask.overlap(one) > 0.5 for mask in found) for one in true)


@pytest.fixture(scope="module")
def movie():
    return make_cells(frames=7, size=(240, 320))


@pytest.mark.parametrize("frame_index", sweep(range(7), [0, 3]))
def test_finds_the_cells_of_the_sample(movie, frame_index):
    found = detect_objects(movie.frames[frame_index])
    labels = movie.labels[frame_index]
    n_true = len(np.unique(labels)) - 1
    assert 2 * count_matches(found, labels) / (len(found) + n_true) > 0.92  # the F1 score
    assert sorted((m.score for m in found), reverse=True) == [m.score for m in found]


@pytest.mark.parametrize("step", [70, -70], ids=["bright", "dark"])
def test_finds_all_things_on_uneven_noisy_ground(step):
    labels = grid_of_discs()
    found = detect_objects(picture_of(labels, step, slope=70, noise=6))
    assert len(found) == labels.max() == count_matches(found, labels)
    assert all(mask.score > 0.7 for mask in found)


def test_faint_things_are_found_whole_among_bright_ones():
    labels = grid_of_discs()
    bright, faint = picture_of(labels, 100, noise=5), picture_of(labels, 40, noise=5)
    frame = np.where(labels % 4 == 0, faint, bright)
    found = detect_objects(frame)
    assert len(found) == labels.max() == count_matches(found, labels)


def test_what_is_looked_for_can_be_said():
    labels = grid_of_discs()
    frame = picture_of(labels, 60)
    dark = (slice(0, 44), slice(0, 124))
    frame[dark] = picture_of(labels, -60)[dark]
    names = {n: detect_objects(frame, n) for n in ("blobs:bright", "blobs:dark")}
    here = labels * 0
    here[dark] = labels[dark]
    n_dark = len(np.unique(here)) - 1
    assert count_matches(names["blobs:dark"], here) == n_dark
    assert count_matches(names["blobs:bright"], labels) == labels.max() - n_dark


def test_things_that_touch_are_parted():
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, int)
    for number, x in enumerate((80, 114, 148), 1):
        labels[(columns - x) ** 2 + (rows - 100) ** 2 <= 18**2] = number
    found = detect_objects(picture_of(labels, 80, noise=3))
    assert len(found) == 3 == count_matches(found, labels)


def test_the_best_alone():
    found = detect_objects(picture_of(grid_of_discs(), 70), n_most=4)
    assert len(found) == 4


@pytest.mark.parametrize("depth", ["16 bits", "floats", "colour"])
def test_takes_pictures_of_any_kind(depth):
    labels = grid_of_discs()
    grey = picture_of(labels, 70)
    frame = {
        "16 bits": grey.astype(np.uint16) * 13,
        "floats": grey / 255 - 0.3,
        "colour": np.stack([grey // 4, grey, grey // 2], axis=2),
    }[depth]
    assert count_matches(detect_objects(frame), labels) == labels.max()


@pytest.mark.parametrize("noise", [0.0, 12.0])
def test_where_nothing_is_nothing_is_found(noise):
    assert detect_objects(picture_of(np.zeros(SIZE, int), 0, noise=noise)) == []


def test_a_thing_alone_is_found_however_large():
    labels = np.zeros(SIZE, int)
    labels[50:150, 80:200] = 1
    (found,) = detect_objects(picture_of(labels, 90, noise=2))
    assert count_matches([found], labels) == 1

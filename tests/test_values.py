"""The values that rooms hand to each other."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.values import MAX_OBJECT_ID, ObjectMask, PackedMask, label_image, without_overlap


def box_mask(x0, y0, x1, y1, score=1.0):
    mask = np.zeros((20, 30), bool)
    mask[y0:y1, x0:x1] = True
    return ObjectMask.from_mask(mask, score)


def test_mask_is_kept_as_its_tight_crop():
    found = box_mask(3, 5, 9, 7, 0.5)
    assert found.bbox == (3, 5, 9, 7)
    assert found.crop.shape == (2, 6)
    assert found.area == 12
    assert found.mask[5:7, 3:9].all()
    assert found.mask.sum() == 12
    assert found.score == 0.5


def test_no_pixel_is_no_object():
    assert ObjectMask.from_mask(np.zeros((4, 4))) is None
    assert ObjectMask.from_crop(np.zeros((2, 2)), 1, 1, (4, 4)) is None


def test_loose_crop_is_tightened():
    crop = np.zeros((4, 4), bool)
    crop[1, 2] = True
    assert ObjectMask.from_crop(crop, 10, 5, (20, 30)).bbox == (12, 6, 13, 7)


def test_packing_gives_back_the_same():
    rng = np.random.default_rng(0)
    found = ObjectMask.from_mask(rng.random((33, 47)) > 0.7, 0.25)
    back = PackedMask.pack(found).unpack()
    assert np.array_equal(back.mask, found.mask)
    assert (back.bbox, back.size, back.score) == (found.bbox, found.size, found.score)


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(3, 5, True), (8.99, 6.99, True), (9, 5, False), (2.99, 5, False)]
)
def test_holds_the_pixel_under_the_point(x, y, inside):
    assert box_mask(3, 5, 9, 7).holds(x, y) is inside


def test_overlap_is_intersection_over_union():
    a = box_mask(0, 0, 10, 10)
    assert a.overlap(a) == 1
    assert a.overlap(box_mask(5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert a.overlap(box_mask(10, 0, 20, 10)) == 0


def test_higher_score_keeps_the_pixel_then_the_lower_id():
    a, b = box_mask(0, 0, 10, 10, 0.5), box_mask(5, 0, 15, 10, 0.9)
    kept = without_overlap({1: a, 2: b})
    assert (kept[1].bbox, kept[2].bbox) == ((0, 0, 5, 10), (5, 0, 15, 10))
    tie = without_overlap({2: box_mask(5, 0, 15, 10, 0.5), 1: a})
    assert list(tie) == [1, 2]
    assert (tie[1].bbox, tie[2].bbox) == ((0, 0, 10, 10), (10, 0, 15, 10))
    assert list(without_overlap({1: a, 2: box_mask(2, 2, 4, 4, 0.1)})) == [1]


def test_label_image():
    labels = label_image({1: box_mask(0, 0, 2, 2), 300: box_mask(5, 5, 6, 6)}, (20, 30))
    assert labels.dtype == np.uint16
    assert sorted(np.unique(labels)) == [0, 1, 300]
    greatest = label_image({MAX_OBJECT_ID: box_mask(0, 0, 2, 2)}, (20, 30))
    assert greatest.max() == MAX_OBJECT_ID
    with pytest.raises(ValueError, match="300 does not fit into uint8"):
        label_image({300: box_mask(0, 0, 1, 1)}, (20, 30), np.uint8)

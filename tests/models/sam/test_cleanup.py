"""The clean-up of masks, against slow plain references of what upstream's kernel does."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from transformers.models.sam3_video import modeling_sam3_video as upstream

from napari_sam3.models.sam.cleanup import (
    clean_masks,
    component_areas,
    drop_doubles,
    mask_overlaps,
)
from tests.models.sam.tiny import draw_normal


def plain_areas(mask):
    """Flood fill, a pixel at a time."""
    height, width = mask.shape
    areas = np.zeros(mask.shape, int)
    for start in zip(*np.nonzero(mask), strict=True):
        if areas[start]:
            continue
        component, queue = {start}, deque([start])
        while queue:
            row, column = queue.popleft()
            for r in range(max(0, row - 1), min(height, row + 2)):
                for c in range(max(0, column - 1), min(width, column + 2)):
                    if mask[r, c] and (r, c) not in component:
                        component.add((r, c))
                        queue.append((r, c))
        for pixel in component:
            areas[pixel] = len(component)
    return areas


def plain_nms(overlap, scores, most):
    """Take the best, strike out what overlaps it, and so on."""
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if not float(overlap[best][i]) > most]
    return kept


class PlainKernel:
    """What `kernels-community/cv-utils` offers, written plainly, in the slot of transformers."""

    @staticmethod
    def generic_nms(overlap, scores, most, use_iou_matrix):
        assert use_iou_matrix
        return torch.tensor(plain_nms(overlap, scores.tolist(), most), device=scores.device)

    @staticmethod
    def cc_2d(masks, get_counts):
        assert get_counts
        assert masks.shape[2] % 2 == masks.shape[3] % 2 == 0
        counts = torch.zeros(masks.shape, dtype=torch.int32)
        for i, mask in enumerate(masks[:, 0].numpy()):
            counts[i, 0] = torch.from_numpy(plain_areas(mask))
        return (counts > 0).int(), counts


@pytest.fixture
def plain_kernel(monkeypatch):
    monkeypatch.setattr(upstream, "cv_utils_kernel", PlainKernel)


def blobs(seed, count, size=(24, 31), smooth=3):
    """Random logits with holes and specks of several sizes."""
    noise = draw_normal(np.random.default_rng(seed), count, 1, *size)
    return torch.nn.functional.avg_pool2d(noise, smooth, 1, smooth // 2)[:, 0] * 5


@pytest.mark.parametrize("density", [0.2, 0.45, 0.7])
def test_component_areas(density):
    mask = np.random.default_rng(1).random((23, 18)) < density
    assert np.array_equal(component_areas(mask), plain_areas(mask))


def test_corners_connect():
    areas = component_areas(np.eye(7, dtype=bool))
    assert np.array_equal(areas, np.eye(7, dtype=int) * 7)


@pytest.mark.parametrize("max_area", [1, 6, 16])
def test_holes_and_specks_are_as_upstream_with_its_kernel(plain_kernel, max_area):
    logits = blobs(2, 6)
    logits[4] = -1  # empty
    logits[5] = 1  # full
    expected = upstream.fill_holes_in_mask_scores(logits[:, None], max_area)[:, 0]
    assert not torch.equal(expected, logits)
    assert torch.equal(clean_masks(logits, max_area), expected)


def test_a_hole_is_filled_and_a_speck_dropped_but_a_small_object_stays():
    logits = torch.full((2, 20, 20), -3.0)
    logits[0, 2:12, 2:12] = 3
    logits[0, 5:7, 5:7] = -3  # hole
    logits[0, 16, 16] = 3  # speck
    logits[1, 4:6, 4:6] = 3  # all there is
    cleaned = clean_masks(logits, 16) > 0
    assert cleaned[0, 2:12, 2:12].all()
    assert not cleaned[0, 16, 16]
    assert torch.equal(cleaned[1], logits[1] > 0)


def test_no_area_no_change():
    logits = blobs(3, 2)
    assert clean_masks(logits, 0) is logits


@pytest.mark.parametrize("most", [0.1, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_doubles_are_as_upstream_with_its_kernel(plain_kernel, seed, most):
    masks = blobs(seed, 20, smooth=9)
    scores = torch.from_numpy(np.random.default_rng(seed).random(20, np.float32))
    scores[7] = scores[3]  # of equals the first
    expected = upstream.nms_masks(scores, masks, 0.0, most)
    assert 0 < int(expected.sum()) < 20
    assert torch.equal(drop_doubles(masks, scores, most), expected)


def test_overlaps_are_as_upstream():
    masks = blobs(5, 6) > 0
    masks[2] = False
    assert torch.equal(mask_overlaps(masks), upstream.mask_iou(masks, masks))


def test_no_threshold_keeps_all():
    masks = torch.ones(3, 4, 4)
    assert drop_doubles(masks, torch.ones(3), 0.0).all()
    assert drop_doubles(masks, torch.ones(3), 0.5).tolist() == [True, False, False]
    assert drop_doubles(masks[:0], torch.ones(0), 0.5).shape == (0,)

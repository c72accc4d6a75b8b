"""What is done to SAM 3's raw masks: doubles dropped, small holes filled, specks taken away.

Transformers leaves these steps to a CUDA kernel that it fetches from a hub
(`kernels-community/cv-utils`), and skips them without a word where that is missing. Here they run
on every device and give the kernel's answers: greedy suppression by the masks' overlap, components
that also hang together by corners.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_FILLED, _EMPTIED = 0.1, -0.1  # upstream's scores of pixels that were changed


def drop_doubles(masks: Tensor, scores: Tensor, max_overlap: float) -> Tensor:
    """Say which detections stay: of two that overlap too much, the one of higher score.

    Parameters
    ----------
    masks : (N, H, W) float tensor
        Logits; positive is inside.
    scores : (N,) float tensor
        Of equal scores the first one comes first.
    max_overlap : float
        Intersection over union above which two are doubles; 0 or less: all stay.

    Returns
    -------
    (N,) bool tensor
        On the device of `masks`.
    """
    count = len(masks)
    if max_overlap <= 0 or count < 2:
        return torch.ones(count, dtype=torch.bool, device=masks.device)
    # float64: the kernel compares the float32 overlap with the threshold as it was written
    overlap = mask_overlaps((masks > 0).cpu()).numpy().astype(np.float64)
    keep = np.zeros(count, bool)
    order = scores.detach().cpu().sort(descending=True, stable=True).indices.tolist()
    for index in order:
        if not (overlap[index] > max_overlap)[keep].any():
            keep[index] = True
    return torch.from_numpy(keep).to(masks.device)


def mask_overlaps(masks: Tensor) -> Tensor:
    """Intersection over union of every two masks.

    Parameters
    ----------
    masks : (N, H, W) bool tensor

    Returns
    -------
    (N, N) float32 tensor
        0 where both are empty.
    """
    flat = masks.flatten(1).float()  # products of 0 and 1: exact up to 2^24 pixels
    common = flat @ flat.T
    area = common.diagonal()
    return common / (area[:, None] + area[None, :] - common).clamp(min=1)


def clean_masks(logits: Tensor, max_area: int) -> Tensor:
    """Fill small holes, then take small specks away.

    A hole is a component of what is outside, of at most `max_area` pixels; a speck one of what is
    inside, of at most `max_area` and at most half of the mask, so that small objects stay.

    Parameters
    ----------
    logits : (N, H, W) float tensor
        Positive is inside.
    max_area : int
        px of the mask as the model gives it; 0 or less: nothing is done.

    Returns
    -------
    (N, H, W) float tensor
        A new one where anything changed.
    """
    if max_area <= 0 or not len(logits):
        return logits
    inside = (logits > 0).cpu().numpy()
    filled = np.zeros_like(inside)
    emptied = np.zeros_like(inside)
    for mask, holes, specks in zip(inside, filled, emptied, strict=True):
        holes[:] = ~mask & (component_areas(~mask) <= max_area)
        whole = mask | holes
        most = min(max_area, int(np.count_nonzero(whole)) // 2)
        specks[:] = whole & (component_areas(whole) <= most)
    if filled.any():
        logits = logits.masked_fill(torch.from_numpy(filled).to(logits.device), _FILLED)
    if emptied.any():
        logits = logits.masked_fill(torch.from_numpy(emptied).to(logits.device), _EMPTIED)
    return logits


def component_areas(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """For each pixel the area of the component it is in, 0 outside; corners connect.

    Parameters
    ----------
    mask : (H, W) bool

    Returns
    -------
    (H, W) int32
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    areas: NDArray[np.int32] = stats[:, cv2.CC_STAT_AREA].astype(np.int32)
    areas[0] = 0
    result: NDArray[np.int32] = areas[labels]
    return result

"""The masks that a decoder offers for an object on a frame, of which upstream shows the best one.

A SAM 2-like decoder gives three, each with the overlap that it expects. Where things that look the
same are near each other, they are often those things, or both together: what the other masks are
tells whether the one that was taken is in doubt (`look_alikes`), and a better one may be among them
(`motion_prior`).

An `Offer` is on the device still; what it comes to is asked for all objects of a frame at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.models.sam.upscale import pack_bits, unpack_bits

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 on the decoder's masks, px."""

_MASKS, _QUALITY, _TOKENS, _PRESENCE = range(4)  # what a decoder gives


class Alternatives(NamedTuple):
    """What a decoder offers for an object on a frame.

    Attributes
    ----------
    masks : (n, h, w) bool array
        Without a pixel where the object is rather not there.
    quality : tuple of n floats
        The overlap expected of each.
    chosen : int
        The one that is shown and remembered.
    """

    masks: NDArray[np.bool_]
    quality: tuple[float, ...]
    chosen: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The chosen one."""
        mask: NDArray[np.bool_] = self.masks[self.chosen]
        return mask

    @property
    def area(self) -> int:
        """Of the chosen one, px."""
        return int(self.mask.sum())

    @property
    def others(self) -> list[NDArray[np.bool_]]:
        """Those that were not chosen."""
        return [mask for i, mask in enumerate(self.masks) if i != self.chosen]


Choose = Callable[[Alternatives], int]
"""Says which one is taken; gets them with upstream's choice."""


class Offer(NamedTuple):
    """What a decoder offers for an object on a frame, on the device.

    Attributes
    ----------
    masks : (n, h, w) bool tensor
        Without a pixel where the object is rather not there.
    quality : (n,) float32 tensor
        The overlap expected of each.
    """

    masks: Tensor
    quality: Tensor


@contextmanager
def offers_of(
    decoder: torch.nn.Module, place_of: Callable[[Offer], int | None] | None = None
) -> Iterator[list[Offer]]:
    """Collect what a decoder offers while it is called, and have another mask taken.

    Upstream takes the mask of the best expected overlap. Where `place_of` names one, that is all
    that upstream is given: what follows of it, pointer and memory, is made by upstream's steps.
    """
    heard: list[Offer] = []

    def listen(_decoder: Any, _inputs: Any, output: Any) -> Any:
        heard.append(offer_of(output))
        place = None if place_of is None else place_of(heard[-1])
        return None if place is None else only(output, place)

    handle = decoder.register_forward_hook(listen)
    try:
        yield heard
    finally:
        handle.remove()


def bring_over(offers: Sequence[Offer]) -> list[Alternatives]:
    """What decoders offer, from the device in one piece; the best one of each is chosen."""
    if not offers:
        return []
    quality = torch.cat([offer.quality for offer in offers])
    numbers = quality.view(torch.uint8)  # as bytes, beside the masks' bits
    told = torch.cat([numbers, pack_bits([offer.masks for offer in offers])]).cpu().numpy()
    qualities = told[: len(numbers)].view(np.float32).tolist()
    masks = unpack_bits(told[len(numbers) :], [tuple(offer.masks.shape) for offer in offers])
    alternatives, begin = [], 0
    for each in masks:
        own = tuple(qualities[begin : begin + len(each)])
        begin += len(each)
        alternatives.append(Alternatives(each, own, int(np.argmax(own))))
    return alternatives


def box_of(mask: NDArray[np.bool_]) -> Box | None:
    """The box round a mask; None if it has no pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def largest_piece(mask: NDArray[np.bool_]) -> Box | None:
    """The box round the largest connected piece of a mask; None if it has no pixel."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8
    )
    if count < 2:  # 0 is the ground
        return None
    x, y, width, height = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), :4].tolist()
    return float(x), float(y), float(x + width), float(y + height)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (box_area(one) + box_area(other) - shared)


def box_area(box: Box) -> float:
    """Of a box, px."""
    return (box[2] - box[0]) * (box[3] - box[1])


def offer_of(output: Any) -> Offer:
    """What a decoder's answer offers."""
    masks: Tensor = output[_MASKS][0, 0]
    is_there = output[_PRESENCE].flatten()[0] > 0
    return Offer((masks > 0) & is_there, output[_QUALITY][0, 0].float())


def only(output: Any, place: int) -> tuple[Any, ...]:
    """What a decoder gave, as if it had offered one mask."""
    one = list(output)
    for part in (_MASKS, _QUALITY, _TOKENS):
        if output[part].shape[2] > 1:  # all masks may share a token
            one[part] = output[part][:, :, place : place + 1]
    return tuple(one)

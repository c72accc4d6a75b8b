"""From a tracker's logits to a mask at the video's size, and back.

Enlarging computes only where the object is. It is equal to
`interpolate(logits, size, mode="bilinear") > 0`, which is what upstream's processors do, but a
200 x 200 object on a 4K frame costs what 200 x 200 pixels cost.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from napari_sam3.values import ObjectMask

SURE = 10.0
"""Logit of what is certain, as upstream has it."""

_LARGE = 1 / 8  # part of the frame from which on PyTorch's own loop over all of it is faster


def mask_at_size(logits: Tensor, size: tuple[int, int], score: float) -> ObjectMask | None:
    """Enlarge logits to a frame's size and take what is above 0.

    Parameters
    ----------
    logits : (h, w) float tensor
    size : (height, width)
        Of the frame, px.
    score : float

    Returns
    -------
    ObjectMask or None
        None where nothing is above 0.
    """
    inside = logits > 0
    rows, columns = (
        torch.nonzero(inside.any(dim=1 - axis)).flatten().cpu().numpy() for axis in (0, 1)
    )
    if rows.size == 0:
        return None
    top, y_low, y_high, y_part = _reach(int(rows[0]), int(rows[-1]), logits.shape[0], size[0])
    left, x_low, x_high, x_part = _reach(
        int(columns[0]), int(columns[-1]), logits.shape[1], size[1]
    )
    if len(y_part) * len(x_part) > _LARGE * size[0] * size[1]:
        enlarged = interpolate(logits[None, None], size, mode="bilinear")[0, 0]
        return ObjectMask.from_mask((enlarged > 0).cpu().numpy(), score)
    y_first, x_first = int(y_low[0]), int(x_low[0])
    part = logits[y_first : int(y_high[-1]) + 1, x_first : int(x_high[-1]) + 1]
    device = logits.device
    x_part, y_part = x_part.to(device), y_part.to(device)[:, None]
    # along x first, then along y, as PyTorch does it: the sums shall round alike
    wide = part[:, x_low.to(device) - x_first] * (1 - x_part)
    wide += part[:, x_high.to(device) - x_first] * x_part
    whole = wide[y_low.to(device) - y_first] * (1 - y_part)
    whole += wide[y_high.to(device) - y_first] * y_part
    return ObjectMask.from_crop((whole > 0).cpu().numpy(), left, top, size, score)


def shrink_mask(mask: ObjectMask, side: int, device: torch.device) -> Tensor:
    """Make a mask (1, 1, side, side) of 0 and 1, as upstream's processor does it."""
    whole = torch.from_numpy(mask.mask)[None, None].to(device, torch.float32)
    if whole.shape[-2:] == (side, side):
        return whole
    part = interpolate(whole, (side, side), mode="bilinear", antialias=True)
    # a few pixels of a large frame never fill half a pixel of the model's: what fills it most
    threshold = min(0.5, 0.5 * float(part.max()))
    return (part >= threshold).float()


def _reach(first: int, last: int, small: int, large: int) -> tuple[int, Tensor, Tensor, Tensor]:
    """Where the cells first..last of `small` reach to, of `large`.

    Returns the first pixel reached, and for it and all further ones the two cells that it lies
    between and the part of the second.
    """
    scale = small / large
    begin = max(0, int((first - 0.5) / scale - 0.5) - 1)
    end = min(large, int((last + 1.5) / scale + 0.5) + 1)
    place = (torch.arange(begin, end, dtype=torch.float32) + 0.5) * torch.tensor(
        scale, dtype=torch.float32
    ) - 0.5
    place = place.clamp(min=0)
    low = place.long().clamp(max=small - 1)
    high = (low + 1).clamp(max=small - 1)
    return begin, low, high, (place - low).clamp(0, 1)

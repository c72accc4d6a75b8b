"""The image encoder compiled by PyTorch, where a person wants that."""

from __future__ import annotations

import logging
from typing import Protocol

import torch

from napari_sam3.models.sam.features import ImageEncoder

logger = logging.getLogger(__name__)


class Compilable(ImageEncoder, Protocol):
    """An image encoder that can be compiled.

    Attributes
    ----------
    part : module
        What its time is spent in.
    resolution : int
        Side of the pictures that it takes, px.
    """

    part: torch.nn.Module
    resolution: int


def compile_encoder(encoder: Compilable) -> bool:
    """Compile an encoder for pictures of its size, and run it once, for that is when it is done.

    What a compiled encoder gives is rounded otherwise, so its `key` changes. Where compiling fails
    (it takes a compiler of the machine's own, such as Triton's) the encoder stays as it was, and
    the log says so.

    Returns
    -------
    bool
        Whether it is compiled.
    """
    part, side = encoder.part, encoder.resolution
    blank = torch.zeros(1, 3, side, side, device=encoder.device.torch)
    part.forward = torch.compile(part.forward, dynamic=False)
    try:
        with encoder.device.computing():
            encoder.encode(blank)
    except Exception as exc:  # whatever compilers fail with
        del part.forward  # that of its class is there again
        reason = str(exc).strip().partition("\n")[0]
        logger.warning("the image encoder runs as it is, for it can't be compiled: %s", reason)
        return False
    encoder.key += "-compiled"
    return True

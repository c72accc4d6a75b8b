"""Weights kept in the precision that they are computed in.

Autocast brings a layer's weights from float32 into half precision each time that the layer is
called: its cache is for weights with gradients, of which a tracker has none. A layer that autocast
computes in half precision in any case may have its weights in it from the beginning: they are
rounded once and not each time, the results are the same to the bit, and the weights take half the
memory.
"""

from __future__ import annotations

import torch
from torch import nn

HELD = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
"""Layers that do nothing with their weights but what autocast does in half precision.

Of these types exactly: what is derived from them may do more.
"""


def hold_weights(network: nn.Module, dtype: torch.dtype) -> int:
    """Bring the weights of a network's layers into half precision, in place.

    From then on the network computes under autocast to `dtype` alone.

    Returns
    -------
    int
        How many tensors were brought there.
    """
    layers = [module for module in network.modules() if type(module) in HELD]
    held = {id(p) for layer in layers for p in layer.parameters(recurse=False)}
    others = (m for m in network.modules() if type(m) not in HELD)
    # a table of words may be a layer's weights too: it is looked up as it is
    held -= {id(p) for module in others for p in module.parameters(recurse=False)}
    count = 0
    for layer in layers:
        for parameter in layer.parameters(recurse=False):
            if id(parameter) in held and parameter.dtype == torch.float32:
                parameter.data = parameter.data.to(dtype)
                count += 1
    return count

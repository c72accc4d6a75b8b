"""What a step of a SAM model costs: waits for the device, casts, operations, seconds by part.

On an accelerator, computing runs ahead of Python until something is wanted from it, or is sent to
it out of ordinary memory: then Python waits for all that is under way. A frame should have few such
waits, and no more for many objects. They are counted where Python asks, so that they can be counted
on a CPU too, where every tensor is taken for one of an accelerator.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

PARTS = ("memory_attention", "mask_decoder", "memory_encoder", "spatial_perceiver")
"""Of a tracker's network, those that take time on a frame that was encoded."""

_TO_HOST = {
    Tensor.cpu,
    Tensor.item,
    Tensor.numpy,
    Tensor.tolist,
    Tensor.__bool__,
    Tensor.__float__,
    Tensor.__int__,
    Tensor.__index__,
}
_ANSWERED = {torch.equal, Tensor.equal, torch.nonzero, Tensor.nonzero, torch.argwhere}
_SENT = {torch.tensor, torch.as_tensor}
_CASTING = {torch.ops.aten.to, torch.ops.aten._to_copy}


@dataclass
class StepCosts:
    """What was counted.

    Attributes
    ----------
    waits : int
        Times that Python waited for the device, or would have on an accelerator.
    bytes_to_host : int
        What came from the device.
    casts, weight_casts : int
        Tensors that were brought into another precision; those of them that are weights.
    operations : int
        Of tensors, views left out: an accelerator starts at least one kernel for each.
    """

    waits: int = 0
    bytes_to_host: int = 0
    casts: int = 0
    weight_casts: int = 0
    operations: int = 0


@contextmanager
def counting(device: torch.device) -> Iterator[StepCosts]:
    """Count what this thread does on a device."""
    costs = StepCosts()
    with _Waits(costs, device), _Operations(costs):
        yield costs


@dataclass
class PartTimes:
    """Seconds of each part of a network, by its name."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))


@contextmanager
def timing(network: Any, device: torch.device) -> Iterator[PartTimes]:
    """Time a network's parts. The device is waited for at each part's ends, so the whole is slower.

    Parameters
    ----------
    network : module
        A tracker's, or SAM 3's, which has a `tracker_model`.
    """
    times = PartTimes()
    tracker = getattr(network, "tracker_model", network)
    with ExitStack() as stack:
        for name in PARTS:
            part = getattr(tracker, name, None)
            if isinstance(part, torch.nn.Module):
                _time_part(times, name, part, device, stack)
        yield times


def _time_part(
    times: PartTimes, name: str, part: torch.nn.Module, device: torch.device, stack: ExitStack
) -> None:
    begun: list[float] = []

    def begin(_module: Any, _inputs: Any) -> None:
        wait_for(device)
        begun.append(time.perf_counter())

    def end(_module: Any, _inputs: Any, _output: Any) -> None:
        wait_for(device)
        times.seconds[name] += time.perf_counter() - begun.pop()

    stack.callback(part.register_forward_pre_hook(begin).remove)
    stack.callback(part.register_forward_hook(end).remove)


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class _Waits(TorchFunctionMode):
    """Hears what Python asks of tensors."""

    def __init__(self, costs: StepCosts, device: torch.device) -> None:
        super().__init__()
        self._costs = costs
        self._device = device
        self._pretends = device.type == "cpu"
        self._landed: dict[int, Tensor] = {}  # what came over, which is waited for no second time

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        first: Any = args[0] if args else None
        if func in _TO_HOST and self._is_away(first):
            self._count(first.nbytes)
        elif func in _ANSWERED and self._is_away(first):
            self._count(first.element_size())
        elif func is Tensor.__getitem__ and self._picks_by_mask(args[1]):
            self._count(1)
        elif func in _SENT and self._is_accelerators(kwargs.get("device")):
            self._count(0)
        elif func is Tensor.to and self._moves(args, kwargs):
            self._count(0 if first.device.type == "cpu" else first.nbytes)
        result = func(*args, **kwargs)
        if func is Tensor.cpu and self._pretends:
            result = result.clone()  # there it would be another tensor
            self._landed[id(result)] = result
        return result

    def _count(self, nbytes: int) -> None:
        self._costs.waits += 1
        self._costs.bytes_to_host += nbytes

    def _is_away(self, tensor: Any) -> bool:
        if not isinstance(tensor, Tensor):
            return False
        if self._pretends:
            return id(tensor) not in self._landed
        return tensor.device.type == self._device.type

    def _is_accelerators(self, device: Any) -> bool:
        return device is not None and (self._pretends or torch.device(device).type != "cpu")

    def _picks_by_mask(self, index: Any) -> bool:
        parts = index if isinstance(index, tuple) else (index,)
        return any(self._is_away(p) and p.dtype == torch.bool for p in parts)

    def _moves(self, args: tuple[Any, ...], kwargs: Any) -> bool:
        """Whether a tensor goes over; on a CPU it can't be seen which ones would."""
        target = kwargs.get("device", args[1] if len(args) > 1 else None)
        if self._pretends or kwargs.get("non_blocking"):
            return False
        if isinstance(target, str | torch.device):
            return bool(torch.device(target).type != args[0].device.type)
        return False


class _Operations(TorchDispatchMode):
    """Sees what PyTorch computes in the end, autocast's casts included."""

    def __init__(self, costs: StepCosts) -> None:
        super().__init__()
        self._costs = costs

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        first = next((a for a in args if isinstance(a, Tensor)), None)
        made = result[0] if isinstance(result, list | tuple) and result else result
        if func._schema.is_mutable or not _is_same_memory(made, first):
            self._costs.operations += 1
        if func.overloadpacket in _CASTING and isinstance(made, Tensor) and first is not None:
            both_float = made.is_floating_point() and first.is_floating_point()
            if both_float and made.dtype != first.dtype:
                self._costs.casts += 1
                self._costs.weight_casts += isinstance(first, torch.nn.Parameter)
        return result


def _is_same_memory(made: Any, source: Tensor | None) -> bool:
    """Whether a result is but its source in another form."""
    if not isinstance(made, Tensor) or source is None:
        return False
    return made.untyped_storage().data_ptr() == source.untyped_storage().data_ptr()

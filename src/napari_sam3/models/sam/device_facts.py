"""The devices of this machine as a report tells them, and how much memory a run took."""

from __future__ import annotations

from typing import NamedTuple

import torch

from napari_sam3.models.sam.device import Device, available_devices
from napari_sam3.settings import read_settings


class DeviceFacts(NamedTuple):
    """A device.

    Attributes
    ----------
    name : str
        "cuda:0", "mps" or "cpu".
    title : str
        What its maker calls it.
    free_bytes, total_bytes : int or None
        Its own memory; None on the CPU, which has the machine's.
    precision : str
        What models compute in there.
    """

    name: str
    title: str
    free_bytes: int | None
    total_bytes: int | None
    precision: str


def device_facts() -> tuple[DeviceFacts, ...]:
    """Every device, the best first; a card once, under its number."""
    names = available_devices()
    return tuple(_facts(name) for name in names if name != "cuda")


def torch_build() -> str:
    """Which kind of accelerator this PyTorch was built for."""
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return "Metal and CPU" if torch.backends.mps.is_built() else "CPU only"


def reset_peak(name: str) -> None:
    """Begin to measure a device's peak memory anew, where it can be measured."""
    if name.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(name)


def peak_bytes(name: str) -> int | None:
    """Most memory of a CUDA device that was in use since `reset_peak`.

    MPS keeps no peak: what is in use now. None on the CPU.
    """
    if name.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(name))
    if name == "mps":
        return int(torch.mps.driver_allocated_memory())
    return None


def _facts(name: str) -> DeviceFacts:
    device = Device(name, read_settings().precision)
    memory = device.memory()
    if name.startswith("cuda"):
        card = torch.cuda.get_device_properties(device.torch)
        title = f"{card.name}, compute capability {card.major}.{card.minor}"
    elif name == "mps":
        title = "Apple GPU (Metal)"
    else:
        title = f"{torch.get_num_threads()} threads"
    free, total = (None, None) if memory is None else (memory.free, memory.total)
    return DeviceFacts(name, title, free, total, device.precision)

"""Choosing a device, taking turns on it, and giving memory back."""

from __future__ import annotations

import threading

import pytest
import torch

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.sam.device import Device, available_devices, is_out_of_memory


def pretend(monkeypatch, *, cuda: int = 0, bfloat16: bool = True, mps: bool = False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("machine", "names", "precision"),
    [
        ({}, ("cpu",), "float32"),
        ({"mps": True}, ("mps", "cpu"), "float32"),
        ({"cuda": 2}, ("cuda", "cuda:0", "cuda:1", "cpu"), "bfloat16"),
        ({"cuda": 1, "bfloat16": False}, ("cuda", "cuda:0", "cpu"), "float32"),
    ],
)
def test_the_best_device_is_taken_and_its_precision(monkeypatch, machine, names, precision):
    pretend(monkeypatch, **machine)
    assert available_devices() == names
    for wish in (None, "auto", names[0]):
        device = Device(wish)
        assert (device.name, device.precision) == (names[0], precision)
    assert Device("cpu").precision == "float32"


def test_a_device_that_is_not_here(monkeypatch):
    pretend(monkeypatch, mps=True)
    with pytest.raises(ModelUnavailableError, match="no device 'cuda:3' here; choose one of: mps"):
        Device("cuda:3")


def test_computing_is_without_gradients_and_one_thread_at_a_time():
    device = Device("cpu")
    inside, others = [], []

    def work():
        with Device("cpu").computing():
            others.append(list(inside))

    with device.computing():
        with device.computing():
            assert torch.is_inference_mode_enabled()
        worker = threading.Thread(target=work)
        worker.start()
        while not device.is_waited_for:
            pass
        inside.append("done")
    worker.join(20)
    assert others == [["done"]]
    assert not device.is_waited_for
    assert not torch.is_inference_mode_enabled()


def test_bfloat16_is_autocast(monkeypatch):
    device = Device("cpu")
    device.precision = "bfloat16"
    layer = torch.nn.Linear(4, 4)
    with device.computing():
        assert layer(torch.zeros(1, 4)).dtype == torch.bfloat16
    assert layer.weight.dtype == torch.float32


def test_what_is_out_of_memory_and_what_is_not():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_memory_goes_back_to_the_accelerator(monkeypatch, kind):
    emptied = []
    device = Device("cpu")
    device.torch = torch.device(kind)
    monkeypatch.setattr(torch.cuda, "device", lambda device: torch.inference_mode())
    monkeypatch.setattr(getattr(torch, kind), "empty_cache", lambda: emptied.append(kind))
    device.give_back_memory()
    assert emptied == [kind]
    assert Device("cpu").memory() is None

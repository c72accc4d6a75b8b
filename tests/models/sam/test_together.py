"""How many objects are recalled at once: as many as there is room for."""

from __future__ import annotations

import pytest
import torch

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.sam.device import Device, DeviceMemory
from napari_sam3.models.sam.network import TOGETHER
from tests.conftest import make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours, differing_pixels

N_OBJECTS = 6
GIB = 2**30


@pytest.fixture(scope="module")
def network():
    return tiny.make_sam2()


@pytest.fixture(scope="module")
def film():
    return make_disc_film(4)


def follow(network, film, monkeypatch, *, room, together=TOGETHER, fails_above=99):
    """Masks, and how many objects went into each call of the memory attention."""
    ours = Ours(network, film, "sam2")
    ours.tracker.network.together = together
    monkeypatch.setattr(Device, "room", lambda device: room)
    for obj_id in range(1, N_OBJECTS + 1):
        ours.click(0, obj_id, [(15.0 + 15 * obj_id, 30.0 + 10 * obj_id)], [1])
    counts = []
    forward = network.memory_attention.forward

    def attend(*args, memory, **kwargs):
        counts.append(memory.shape[1])
        if memory.shape[1] > fails_above:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, memory=memory, **kwargs)

    monkeypatch.setattr(network.memory_attention, "forward", attend)
    masks = ours.track(range(3))
    monkeypatch.setattr(network.memory_attention, "forward", forward)
    return masks, counts


@pytest.fixture
def one_by_one(network, film, monkeypatch):
    masks, counts = follow(network, film, monkeypatch, room=None, together=1)
    assert counts == [1] * N_OBJECTS * 2
    return masks


def test_with_much_room_all_go_together(network, film, monkeypatch, one_by_one):
    masks, counts = follow(network, film, monkeypatch, room=80 * GIB)
    assert counts == [N_OBJECTS, N_OBJECTS]
    assert differing_pixels(masks, one_by_one) == 0


def test_with_little_room_fewer_do(network, film, monkeypatch, one_by_one):
    # 64 cells look at 64 of their own and at 64 of a memory with 2 tokens of its pointer, then at
    # 132 in the second step: 4 bytes * 130 * (8 * 128 + 2 * 64) at least
    least = 4 * 130 * (8 * 128 + 2 * 64)
    masks, counts = follow(network, film, monkeypatch, room=2 * 4 * least)
    assert counts == [4, 2, 2, 2, 2]
    assert differing_pixels(masks, one_by_one) == 0
    masks, counts = follow(network, film, monkeypatch, room=0)
    assert counts == [1] * N_OBJECTS * 2


def test_where_memory_is_used_up_half_as_many_go_together(network, film, monkeypatch, one_by_one):
    masks, counts = follow(network, film, monkeypatch, room=80 * GIB, fails_above=2)
    # six fail, so do three; of those one and two; from then on one at once
    assert counts[:2] == [6, 3]
    assert counts[-N_OBJECTS:] == [1] * N_OBJECTS
    assert differing_pixels(masks, one_by_one) == 0


def test_one_object_that_does_not_fit_is_an_error(network, film, monkeypatch):
    with pytest.raises(OutOfDeviceMemoryError, match="follow fewer objects"):
        follow(network, film, monkeypatch, room=80 * GIB, fails_above=0)


def test_what_pytorch_holds_in_store_is_room_too(monkeypatch):
    device = Device("cpu")
    assert device.room() is None
    device.torch = torch.device("cuda")
    monkeypatch.setattr(Device, "memory", lambda device: DeviceMemory(2 * GIB, 5 * GIB, 16 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 6 * GIB)
    assert device.room() == 9 * GIB
    device.torch = torch.device("mps")
    assert device.room() == 5 * GIB

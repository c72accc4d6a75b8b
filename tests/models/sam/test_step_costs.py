"""What a step asks of an accelerator: no more for many objects than for one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.models.sam.bank import Bank, moved_together
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.memory import Memory, MemoryRules
from napari_sam3.models.sam.step_costs import counting, timing
from napari_sam3.models.sam.upscale import cut_masks, find_cells, mask_at_size, masks_at_size
from tests.conftest import make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours, make_tracker

CPU = torch.device("cpu")


def step_of(network, family, n_objects, *, precision="float32", rules=None):
    """Objects that have been followed for two frames, and what the third one costs."""
    film = make_disc_film(4)
    ours = Ours(network, film, family)
    ours.tracker = make_tracker(network, film, family, rules)
    ours.tracker.network.device.precision = precision
    for obj_id in range(1, n_objects + 1):
        ours.click(0, obj_id, [(20.0 + 15 * obj_id, 30.0 + 10 * obj_id)], [1])
    ours.track(range(2))
    ours.tracker.features.get(2)  # encoded: not what is counted
    with counting(CPU) as costs:
        shown = ours.track(range(2, 3))[2]
    assert all(mask.any() for mask in shown.values())
    return costs


@pytest.fixture(scope="module", params=["sam2", "edgetam", "sam3_tracker"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def network(family):
    return tiny.MAKERS[family]()


def test_a_frame_waits_as_often_for_many_objects_as_for_one(network, family):
    one, many = (step_of(network, family, n) for n in (1, 5))
    # ages of pointers go there; numbers and masks come back
    assert one.waits == many.waits == 3


@pytest.mark.parametrize("motion", [False, True])
def test_what_the_decoder_offers_for_all_objects_comes_at_once(network, family, motion):
    rules = MemoryRules(anchors=True, motion=motion)
    one, many = (step_of(network, family, n, rules=rules) for n in (1, 5))
    assert one.waits == many.waits == 4


def test_counted_is_what_waits_and_what_is_cast():
    tensor = torch.zeros(2, 2)
    with counting(CPU) as costs:
        float(tensor[0, 0])
        bool(torch.equal(tensor, tensor))
        tensor.nonzero()
        tensor[tensor > 0].sum()
        tensor.cpu().tolist()
        torch.tensor([1.0], device=CPU)
        tensor.view(4)
    assert costs.waits == 6
    assert costs.casts == 0
    layer = torch.nn.Linear(2, 2).requires_grad_(False)
    device = Device("cpu")
    device.precision = "bfloat16"
    with device.computing(), counting(CPU) as costs:
        layer(tensor)
    assert (costs.casts, costs.weight_casts) == (3, 2)
    assert costs.waits == 0


def test_views_are_no_operations():
    tensor = torch.zeros(2, 2)
    with counting(CPU) as costs:
        tensor.view(4).reshape(2, 2).permute(1, 0)
        assert costs.operations == 0
        tensor += 1
        tensor.exp()
    assert costs.operations == 2


def test_parts_are_timed():
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mask_decoder = torch.nn.Linear(2, 2)
            self.other = torch.nn.Linear(2, 2)

    network = Network()
    with timing(network, CPU) as times:
        network.mask_decoder(network.other(torch.zeros(1, 2)))
    before = dict(times.seconds)
    assert list(before) == ["mask_decoder"]
    assert before["mask_decoder"] > 0
    network.mask_decoder(torch.zeros(1, 2))
    assert dict(times.seconds) == before


def test_masks_of_all_objects_come_as_each_by_itself():
    logits = tiny.draw_normal(np.random.default_rng(0), 5, 16, 16)
    logits[1] = -1.0
    logits[2] = 1.0
    logits[3] = -1.0
    logits[3, 7, 3] = 2.0
    size, scores = (90, 131), [0.1, 0.2, 0.3, 0.4, 0.5]
    masks = masks_at_size(logits, size, scores)
    assert masks[1] is None
    assert masks[2].area == 90 * 131
    for some, mask, score in zip(logits, masks, scores, strict=True):
        alone = mask_at_size(some, size, score)
        if mask is None:
            assert alone is None
            continue
        assert (mask.bbox, mask.score) == (alone.bbox, score)
        whole = torch.nn.functional.interpolate(some[None, None], size, mode="bilinear")[0, 0] > 0
        assert np.array_equal(mask.mask, whole.numpy())
    assert masks_at_size(torch.full((1, 16, 16), -1.0), size, [1.0]) == [None]


def test_cells_are_where_it_is_above_zero():
    logits = torch.full((3, 6, 8), -1.0)
    logits[0, 2:4, 1] = 1.0
    logits[2, 5, 7] = logits[2, 0, 3] = 0.5
    assert find_cells(logits).tolist() == [[2, 3, 1, 1], [-1] * 4, [0, 5, 3, 7]]
    assert cut_masks(logits[1:2], [[-1] * 4], (12, 16), [0.5]) == [None]


def test_banks_move_together_and_stay_what_they_are():
    rng = np.random.default_rng(0)

    def memory(has_map):
        features = tiny.draw_normal(rng, 4, 1, 3).to(torch.bfloat16) if has_map else None
        return Memory(features, None, tiny.draw_normal(rng, 1, 6), 0.25)

    banks = [Bank(3, {1: memory(False), 2: memory(True)}), Bank(3, {}), Bank(3, {3: memory(True)})]
    # there is no other device here; what is told of the first move is what the second one makes
    assert all(a is b for a, b in zip(moved_together(banks, CPU), banks, strict=True))
    away = moved_together(banks, torch.device("meta"))
    assert [list(bank.recent) for bank in away] == [[1, 2], [], [3]]
    for bank, other in zip(banks, away, strict=True):
        assert (other.frame_index, other.nbytes) == (bank.frame_index, bank.nbytes)
        for index, kept in bank.recent.items():
            moved = other.recent[index]
            assert moved.score == kept.score
            assert moved.pointer.device.type == "meta"
            assert moved.pointer.shape == kept.pointer.shape
            assert (moved.features is None) == (kept.features is None)

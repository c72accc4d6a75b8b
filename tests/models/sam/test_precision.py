"""What models compute in: chosen by the device and by what is set; weights are rounded once."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from napari_sam3.errors import ModelError
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.folder import load_network
from napari_sam3.models.sam.half_weights import hold_weights
from napari_sam3.models.sam.step_costs import counting
from napari_sam3.settings import settings_said
from tests.conftest import make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours, differing_pixels
from tests.models.sam.test_device import pretend

CPU = torch.device("cpu")
TRACKERS = ("sam2", "edgetam", "sam3_tracker")


@pytest.mark.parametrize(
    ("has_bfloat16", "wish", "precision"),
    [
        (True, "auto", "bfloat16"),
        (True, "float32", "float32"),
        (True, "float16", "float16"),
        (False, "auto", "float32"),
        (False, "bfloat16", "float32"),
        (False, "float16", "float16"),
    ],
)
def test_a_card_computes_in_what_is_wished_for_if_it_can(
    monkeypatch, has_bfloat16, wish, precision
):
    pretend(monkeypatch, cuda=1, bfloat16=has_bfloat16)
    device = Device("cuda", wish)
    assert device.precision == precision
    assert device.half == {"float32": None}.get(precision, getattr(torch, precision))


@pytest.mark.parametrize("wish", ["auto", "bfloat16", "float16"])
def test_half_precision_is_for_cuda_alone(monkeypatch, wish):
    pretend(monkeypatch, mps=True)
    assert Device("mps", wish).precision == Device("cpu", wish).precision == "float32"


def test_a_loaded_model_has_the_precision_that_is_set(tmp_path, monkeypatch):
    folder = tiny.save(tiny.make_sam2(), tmp_path)
    assert load_network(folder, "cpu").network.dtype == torch.float32
    wishes = []

    class Half(Device):
        def __init__(self, name, precision="auto"):
            super().__init__(name, precision)
            wishes.append(precision)
            self.precision = precision

    monkeypatch.setattr("napari_sam3.models.sam.folder.Device", Half)
    with settings_said(precision="bfloat16"):
        loaded = load_network(folder, "cpu")
    assert wishes == ["bfloat16"]
    assert loaded.network.mask_decoder.conv_s0.weight.dtype == torch.bfloat16
    assert loaded.network.mask_decoder.iou_token.weight.dtype == torch.float32  # looked up
    assert loaded.network.memory_attention.layer_norm.weight.dtype == torch.float32


def followed(network, family):
    """Masks and memories in bfloat16, and what a step of one object costs."""
    ours = Ours(network, make_disc_film(4), family)
    tracker = ours.tracker
    tracker.network.device.precision = "bfloat16"
    ours.click(0, 1, [(50.0, 40.0)], [1])
    masks = ours.track(range(3))
    tracker.features.get(3)
    with counting(CPU) as costs:
        masks |= ours.track(range(3, 4))
    return masks, tracker._tracks[1, 1].bank, costs


@pytest.mark.parametrize("family", TRACKERS)
def test_weights_that_are_rounded_once_give_the_same_to_the_bit(family):
    network = tiny.MAKERS[family]()
    masks, bank, before = followed(network, family)
    assert any(mask.any() for objects in masks.values() for mask in objects.values())
    assert hold_weights(network, torch.bfloat16) > 0
    again, other, after = followed(network, family)
    assert differing_pixels(again, masks) == 0
    for index, memory in bank.recent.items():
        assert torch.equal(memory.features, other.recent[index].features)
        assert torch.equal(memory.pointer, other.recent[index].pointer)
        assert memory.score == other.recent[index].score
    assert before.weight_casts > 100
    assert after.weight_casts == 0
    assert after.casts <= before.casts - before.weight_casts


def test_a_detector_of_rounded_weights_is_the_same_to_the_bit():
    model = tiny.make_sam3().detector_model
    held = copy.deepcopy(model)
    hold_weights(held, torch.bfloat16)
    rng = np.random.default_rng(0)
    given = {
        "pixel_values": tiny.draw_normal(rng, 1, 3, tiny.SIZE3, tiny.SIZE3),
        "input_ids": torch.tensor([[0, 5, 9, 1]]),
        "attention_mask": torch.ones(1, 4, dtype=torch.long),
    }
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected, found = model(**given), held(**given)
    for name in ("pred_logits", "pred_boxes", "pred_masks"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name


def test_what_is_looked_up_or_derived_is_left_as_it_is():
    class Scaled(torch.nn.Linear):
        def forward(self, values):
            return values * self.weight

    network = torch.nn.Module()
    network.words = torch.nn.Embedding(4, 2)
    network.tied = torch.nn.Linear(2, 4, bias=False)
    network.tied.weight = network.words.weight
    network.scaled = Scaled(2, 2)
    network.plain = torch.nn.Linear(2, 2)
    assert hold_weights(network, torch.float16) == 2
    assert {n for n, p in network.named_parameters() if p.dtype == torch.float16} == {
        "plain.weight",
        "plain.bias",
    }
    assert hold_weights(network, torch.float16) == 0


def test_numbers_that_float16_can_not_hold_are_an_error_and_no_empty_mask():
    network = tiny.make_sam2()
    ours = Ours(network, make_disc_film(2), "sam2")
    ours.tracker.network.device.precision = "float16"
    with torch.no_grad():
        network.mask_decoder.iou_prediction_head.proj_out.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"float16 can't hold.*set the precision to float32"):
        ours.click(0, 1, [(50.0, 40.0)], [1])

"""Nothing is asked of MPS that PyTorch 2.6 lacks there.

No Mac takes part: a device is said to lack what MPS lacks, and who asks for it is refused.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.smooth_resize import resize_by_products
from napari_sam3.values import Concept, ObjectMask, ObjectPrompt
from tests.conftest import make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours
from tests.models.sam.concept_kit import Finds, OurConcepts, make_film

aten = torch.ops.aten
LACKING = {aten._upsample_bilinear2d_aa, aten._upsample_bicubic2d_aa}
TRACKERS = ("sam2", "edgetam", "sam3_tracker")


class Refusing(TorchDispatchMode):
    """Refuses what MPS lacks; numbers of 64 bits with a fraction too, if they are looked for."""

    def __init__(self, *, refuses_double=True):
        super().__init__()
        self.refuses_double = refuses_double

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in LACKING:
            raise NotImplementedError(f"{func} is not implemented for the MPS device")
        result = func(*args, **(kwargs or {}))
        is_double = isinstance(result, torch.Tensor) and result.dtype == torch.float64
        if is_double and result.ndim and self.refuses_double:
            raise TypeError(f"{func}: the MPS framework doesn't support float64")
        return result


def as_on_mps(ours):
    ours.tracker.network.device.resizes_smoothly = False
    return ours


def work(ours):
    """Clicks, a correction, a painted mask, and following them."""
    ours.click(0, 1, [(50.0, 40.0)], [1])
    painted = np.zeros(ours.size, bool)
    painted[20:60, 70:110] = True
    ours.prompt(0, 2, ObjectPrompt(np.zeros((0, 2)), np.zeros(0, bool), mask=painted))
    shown = ours.track(range(2))
    prior = ObjectMask.from_mask(shown[1][1])
    assert prior is not None
    point = np.array([[52.0, 42.0]])
    ours.prompt(1, 1, ObjectPrompt(point, np.array([True]), prior=prior))
    return ours.track(range(4))


@pytest.mark.parametrize("family", TRACKERS)
def test_a_tracker_asks_for_nothing_that_mps_lacks(family):
    network, film = tiny.MAKERS[family](), make_disc_film(4)
    expected = work(Ours(network, film, family))
    work(as_on_mps(Ours(network, film, family)))  # what the CPU tells once is known from here on
    ours = as_on_mps(Ours(network, film, family))
    for index in range(4):
        ours.tracker.features.get(index)  # pictures are made on the CPU
    with Refusing():
        found = work(ours)
    # that it is the same but for rounding is shown below: in networks of random weights a rounding
    # on one frame may turn the masks of the next ones over
    assert found.keys() == expected.keys() == set(range(4))


def concepts_on_mps(film):
    """Ours, whose detector does its work, and then finds a thing, and later one more."""
    network = tiny.make_sam3(recondition_every_nth_frame=2, fill_hole_area=6)
    detect = network.run_detection
    one, two = [(2, 2, 6, 6)], [(2, 2, 6, 6), (20, 20, 6, 6)]
    finds = Finds(network, [one, one, two, two, two])  # first where it is asked

    def work_and_find(**given):
        detect(**given)
        return finds.detect(**given)

    network.run_detection = work_and_find
    rules = MemoryRules(nearest=2, selects=True, anchors=True, motion=True)
    ours = OurConcepts(network, film, rules=rules)
    ours.tracker._device.resizes_smoothly = False
    for index in range(len(film)):
        ours.features.get(index)  # pictures are made on the CPU
    return ours


@pytest.mark.parametrize(
    "concept",
    [
        Concept("dog"),
        Concept(None, np.array([[8.0, 8, 30, 30], [40, 40, 60, 60]]), np.array([True, False])),
    ],
    ids=["text", "examples"],
)
def test_what_is_looked_for_asks_for_nothing_that_mps_lacks(concept):
    film = make_film(4, (64, 64))
    expected = concepts_on_mps(film)
    found = expected.ask(0, concept)
    expected.track(range(4))  # what the CPU tells once is known from here on
    ours = concepts_on_mps(film)
    with Refusing():
        assert ours.ask(0, concept) == found
        shown = ours.track(range(4))
    assert shown.keys() == set(range(4))
    assert shown[0]


def test_what_is_refused_is_asked_for_elsewhere():
    """Else the test before this one would see nothing."""
    ours = Ours(tiny.make_sam3_tracker(), make_disc_film(4), "sam3_tracker")
    with Refusing(), pytest.raises(NotImplementedError, match="_upsample_bilinear2d_aa"):
        work(ours)
    with Refusing(), pytest.raises(TypeError, match="float64"):
        torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 9), (16, 40), (50, 20)])
def test_products_resize_as_pytorch_does(mode, size):
    values = tiny.draw_normal(np.random.default_rng(0), 2, 3, 24, 31)
    expected = torch.nn.functional.interpolate(values, size, mode=mode, antialias=True)
    found = resize_by_products(values, size, mode)
    assert torch.allclose(found, expected, atol=1e-5)
    half = resize_by_products(values.to(torch.bfloat16), size, mode)
    assert half.dtype == torch.bfloat16

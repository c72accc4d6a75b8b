"""Our masks of clicked, boxed and painted objects are those of transformers' own loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.models.sam.upscale import mask_at_size
from napari_sam3.values import ObjectMask, ObjectPrompt
from tests.conftest import CENTRES, N_FRAMES, disc_mask, make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Bare, Ours, differing_pixels

TRACKERS = ("sam2", "edgetam", "sam3_tracker")
CLICK = [list(CENTRES[1])]


@pytest.fixture(scope="module")
def models():
    return {family: tiny.MAKERS[family]() for family in TRACKERS}


@pytest.fixture(scope="module")
def film():
    return make_disc_film()


@pytest.fixture(params=TRACKERS)
def both(request, models, film):
    """Upstream and ours, on the same model and film."""
    family = request.param
    return Bare(models[family], film), Ours(models[family], film, family)


def assert_telling(tracked):
    """Masks that are empty, full or always the same prove nothing."""
    shares = [mask.mean() for masks in tracked.values() for mask in masks.values()]
    assert min(shares) > 0.02
    assert max(shares) < 0.99
    assert len({round(float(share), 4) for share in shares}) > len(shares) / 2


PROMPTS = {
    "click": (
        {"input_points": [[CLICK]], "input_labels": [[[1]]]},
        ObjectPrompt(np.array(CLICK), np.array([True])),
    ),
    "clicks": (
        {"input_points": [[[*CLICK, [80.5, 76.25]]]], "input_labels": [[[1, 0]]]},
        ObjectPrompt(np.array([*CLICK, (80.5, 76.25)]), np.array([True, False])),
    ),
    "box": (
        {"input_boxes": [[[20, 26, 48.5, 54]]]},
        ObjectPrompt(box_xyxy=np.array([20, 26, 48.5, 54])),
    ),
    "box and click": (
        {"input_boxes": [[[20, 26, 48, 54]]], "input_points": [[CLICK]], "input_labels": [[[1]]]},
        ObjectPrompt(np.array(CLICK), np.array([True]), np.array([20.0, 26, 48, 54])),
    ),
}


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("frames", [range(N_FRAMES), range(N_FRAMES - 1, -1, -1)])
def test_prompts_and_what_follows(both, kind, frames):
    bare, ours = both
    theirs, prompt = PROMPTS[kind]
    shown = bare.prompt(frames[0], 1, **theirs)
    assert np.array_equal(ours.prompt(frames[0], 1, prompt), shown)
    tracked = bare.track(frames)
    assert_telling(tracked)
    assert differing_pixels(ours.track(frames), tracked) == 0


@pytest.mark.parametrize("frames", [range(N_FRAMES), range(N_FRAMES - 1, -1, -1)])
def test_a_painted_mask(both, frames):
    bare, ours = both
    painted = disc_mask(frames[0])
    bare.prompt(frames[0], 1, input_masks=painted)
    ours.prompt(frames[0], 1, ObjectPrompt(mask=painted))
    rest = frames[1:]  # on its own frame a painted mask is ours to the pixel, theirs resampled
    tracked = bare.track(frames[:1]) and bare.track(rest)
    assert_telling(tracked)
    assert differing_pixels(ours.track(rest), tracked) == 0


def test_clicks_on_two_frames(both):
    """Prompted where the loop arrives: upstream's way of correcting while it runs."""
    bare, ours = both
    bare.click(0, 1, CLICK, [1])
    tracked = bare.track(range(6))
    second = bare.click(6, 1, [(52, 52), (98, 88)], [1, 0])
    tracked |= bare.track(range(6, N_FRAMES))
    ours.click(0, 1, CLICK, [1])
    assert np.array_equal(ours.click(6, 1, [(52, 52), (98, 88)], [1, 0]), second)
    assert differing_pixels(ours.track(range(N_FRAMES)), tracked) == 0


def uncouple(monkeypatch, model):
    """Make upstream encode each object's memory by itself, as it does all else."""
    if not hasattr(model, "_batch_encode_memories"):
        return  # EdgeTAM does

    def encode(
        inference_session,
        frame_idx,
        objects_needing_memory_encoding,
        high_res_masks_for_memory,
        object_score_logits_for_memory,
        is_mask_from_pts_per_obj,
    ):
        for parts in zip(
            objects_needing_memory_encoding,
            high_res_masks_for_memory,
            object_score_logits_for_memory,
            is_mask_from_pts_per_obj,
            strict=True,
        ):
            together(inference_session, frame_idx, *([part] for part in parts))

    together = model._batch_encode_memories
    monkeypatch.setattr(model, "_batch_encode_memories", encode)


def test_several_objects_prompted_on_different_frames(both, monkeypatch):
    """Bit by bit, once upstream is kept from letting objects touch each other's memories."""
    bare, ours = both
    uncouple(monkeypatch, bare.model)
    bare.click(0, 1, [CENTRES[1]], [1])
    bare.click(0, 2, [CENTRES[2]], [1])
    tracked = bare.track(range(4))
    bare.click(4, 3, [(120, 30)], [1])
    tracked |= bare.track(range(4, N_FRAMES))
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.click(0, 2, [CENTRES[2]], [1])
    ours.click(4, 3, [(120, 30)], [1])
    assert_telling(tracked)
    found = ours.track(range(N_FRAMES))
    assert not any(found[index].pop(3).any() for index in range(4))
    assert differing_pixels(found, tracked) == 0


def test_memories_are_not_coupled(both):
    """Deliberate: where one object is prompted, upstream makes the memories of all binary."""
    bare, ours = both
    for each in both:
        each.click(0, 1, [CENTRES[1]], [1])
    alone = ours.track(range(N_FRAMES))
    ours.click(4, 2, [CENTRES[2]], [1])
    beside = ours.track(range(N_FRAMES))
    assert all(np.array_equal(alone[i][1], beside[i][1]) for i in alone)
    alone = bare.track(range(N_FRAMES))
    other = Bare(bare.model, make_disc_film())
    other.click(0, 1, [CENTRES[1]], [1])
    other.track(range(4))
    other.prompt(4, 2, input_points=[[[list(CENTRES[2])]]], input_labels=[[[1]]])
    beside = other.track(range(5, N_FRAMES))
    coupled = hasattr(bare.model, "_batch_encode_memories")
    assert any((alone[i][1] != beside[i][1]).any() for i in beside) == coupled


@pytest.mark.parametrize("size", [(120, 160), (37, 1031), (300, 200), (64, 64)])
@pytest.mark.parametrize("shape", ["blob", "noise", "edge", "all"])
def test_masks_are_enlarged_as_upstream_does(size, shape):
    logits = tiny.draw_normal(np.random.default_rng(0), 1, 1, 64, 64)
    if shape != "noise":
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
        y, x, radius = {"blob": (40, 20, 6), "edge": (0, 63, 9), "all": (32, 32, 99)}[shape]
        logits = radius - ((rows - y) ** 2 + (columns - x) ** 2).sqrt() + 0.1 * logits
    upstream = torch.nn.functional.interpolate(logits, size, mode="bilinear") > 0
    mask = mask_at_size(logits[0, 0], size, 0.5)
    assert np.array_equal(mask.mask, upstream[0, 0].numpy())
    assert mask.score == 0.5


def test_no_mask_where_nothing_is_above_zero():
    assert mask_at_size(torch.full((8, 8), -3.0), (20, 30), 1.0) is None


def test_a_few_pixels_of_a_large_frame_are_remembered(models, monkeypatch):
    """Deliberate: upstream resamples such a mask to nothing, and the object is lost at once."""
    film = np.random.default_rng(0).integers(0, 255, (3, 600, 800, 3), dtype=np.uint8)
    painted = np.zeros((600, 800), bool)
    painted[300:302, 400:402] = True
    ours = Ours(models["sam2"], film, "sam2")
    given = ours.tracker.network._mask_input(ObjectMask.from_mask(painted))
    assert given.sum() >= 1
    bare = Bare(models["sam2"], film)
    bare.prompt(0, 1, input_masks=painted)
    assert bare.session.mask_inputs_per_obj[0][0].sum() == 0

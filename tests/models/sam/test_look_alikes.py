"""Frames that tell an object from what looks the same are looked at for good."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError
from napari_sam3.models.sam.alternatives import Alternatives, bring_over, offers_of
from napari_sam3.models.sam.bank import Bank
from napari_sam3.models.sam.look_alikes import is_anchor, shows_a_look_alike
from napari_sam3.models.sam.memory import Memory, MemoryRules, Past, Reach, look_back
from napari_sam3.values import Journal
from tests.models.sam import tiny
from tests.models.sam.scripted import LOOK_ALIKE, NEITHER, OBJECT, Scene, ScriptedTracker

REMEMBERING = MemoryRules(anchors=True)
REACH = Reach(6, 15)
FAMILIES = ["sam2", "edgetam", "sam3_tracker"]


def mask(*boxes):
    """(32, 32) bool, filled in boxes (x0, y0, x1, y1)."""
    filled = np.zeros((32, 32), bool)
    for x0, y0, x1, y1 in boxes:
        filled[y0:y1, x0:x1] = True
    return filled


def offer(chosen, *others, quality=0.9):
    return Alternatives(np.stack([chosen, *others]), (quality, *[0.5] * len(others)), 0)


THING = mask((4, 4, 12, 12))
BESIDE = mask((20, 4, 28, 12))
EMPTY = mask()


# ------------------------------------------------------------- what a frame shows


@pytest.mark.parametrize(
    ("others", "is_seen"),
    [
        ([BESIDE], True),
        ([THING | mask((20, 4, 27, 12))], False),  # its largest piece is the thing
        ([mask((4, 4, 12, 11), (20, 4, 28, 12))], True),
        ([mask((4, 4, 12, 11)), BESIDE], True),
        ([THING, mask((3, 3, 13, 12))], False),  # the same thing a bit larger
        ([THING | mask((30, 30, 31, 31))], False),  # a stray pixel is no thing
        ([EMPTY, EMPTY], False),
        ([], False),
    ],
)
def test_a_look_alike_is_what_another_mask_holds_beside_the_chosen_one(others, is_seen):
    assert shows_a_look_alike(offer(THING, *others)) == is_seen


def test_nothing_is_beside_what_is_not_there():
    assert not shows_a_look_alike(offer(EMPTY, BESIDE))


STEADY = (64.0,) * 10


@pytest.mark.parametrize(
    ("areas", "anchors", "quality", "is_taken"),
    [
        (STEADY, [], 0.9, True),
        (STEADY, [], 0.8, False),  # not sure
        ((50.0,) * 10, [], 0.9, False),  # suddenly larger
        ((80.0,) * 10, [], 0.9, True),  # 20 % less is usual
        ((64.0, 64.0, 64.0, 10.0, 10.0), [], 0.9, True),  # the median counts
        ((0.0,) * 10, [], 0.9, False),  # come back just now
        (STEADY, [96], 0.9, False),  # too near to the one before
        (STEADY, [95], 0.9, True),
        (STEADY, [104], 0.9, False),  # going backward
        ((64.0,) * 3, [], 0.9, False),  # too near to the prompt
        ((64.0,) * 4, [], 0.9, True),
    ],
)
def test_an_anchor_is_sure_steady_and_not_next_to_another(areas, anchors, quality, is_taken):
    assert is_anchor(100, offer(THING, BESIDE, quality=quality), areas, anchors) == is_taken


def test_without_a_look_alike_no_frame_is_an_anchor():
    assert not is_anchor(100, offer(THING, THING), STEADY, [])


# ------------------------------------------------------------------ what is kept


def memory(index):
    return Memory(torch.tensor([index]), torch.zeros(1), torch.tensor([index]))


def bank_after(frames, prompted=(0,), rules=REMEMBERING):
    bank = Bank(frames[0])
    for index in frames:
        seen = None if index in prompted else memory(index)
        bank = bank.after(index, seen, REACH, rules, offer(THING, BESIDE))
    return bank


@pytest.mark.parametrize("step", [1, -1])
def test_the_newest_three_stay_however_long_ago(step):
    bank = bank_after([i * step for i in range(33)])
    assert list(bank.anchors) == [20 * step, 25 * step, 30 * step]
    for index in range(33, 90):  # out of sight
        bank = bank.after(index * step, memory(index * step), REACH, REMEMBERING, offer(EMPTY))
    assert list(bank.anchors) == [20 * step, 25 * step, 30 * step]
    assert all(m.features is not None for m in bank.anchors.values())


def test_what_led_to_a_correction_is_no_anchor():
    assert bank_after(range(20)).anchors
    assert not bank_after(range(20), prompted=(0, 19)).anchors
    assert list(bank_after(range(26), prompted=(0, 19)).anchors) == [24]


def test_off_nothing_is_kept():
    bank = bank_after(range(40), rules=MemoryRules())
    assert (dict(bank.anchors), bank.areas) == ({}, ())


def test_anchors_are_looked_at_as_prompted_frames_and_only_once():
    recent = {i: memory(i) for i in range(1, 21)}
    anchors = {i: memory(i) for i in (9, 18)}
    past = Past({0: memory(0)}, recent, anchors)
    seen = look_back(past, 21, 1, REMEMBERING, REACH, -1)
    maps = [(place, int(m.features)) for place, m in seen.maps]
    assert maps == [(0, 0), (0, 9), (0, 18), (6, 15), (5, 16), (4, 17), (2, 19), (1, 20)]
    pointers = [(age, int(m.pointer)) for age, m in seen.pointers]
    assert pointers[:3] == [(21, 0), (12, 9), (3, 18)]
    assert sorted(i for _, i in pointers) == [0, *range(6, 21)]


def test_with_memory_selection_an_anchor_takes_no_place_among_the_good_ones():
    recent = {i: memory(i) for i in range(1, 21)}
    past = Past({0: memory(0)}, recent, {i: memory(i) for i in (18, 20)})
    rules = MemoryRules(selects=True, anchors=True)
    seen = look_back(past, 21, 1, rules, REACH, -1)
    maps = [(place, int(m.features)) for place, m in seen.maps]
    # the last frame's place stays empty, as where it is a prompted one
    assert maps == [(0, 0), (0, 18), (0, 20), (6, 14), (5, 15), (4, 16), (3, 17), (2, 19)]


# ------------------------------------------------------------------ in trackers


def hidden_together(frame_index):
    """Two things go by each other, both are hidden for longer than is remembered, and come back."""
    if frame_index < 6:
        return (2.0 + frame_index / 2, 4.0), None
    if 16 <= frame_index < 28:
        return None, None
    return (2.0 + frame_index / 2, 4.0), (22.0 - frame_index / 2, 20.0)


HIDDEN = Scene(36, hidden_together)


@pytest.mark.parametrize("family", FAMILIES)
def test_after_both_were_hidden_the_object_is_told_from_its_look_alike(family):
    before, hidden = [OBJECT] * 16, [NEITHER] * 12
    lost = ScriptedTracker(family, HIDDEN, MemoryRules()).track()
    assert lost == before + hidden + [LOOK_ALIKE] * 8
    kept = ScriptedTracker(family, HIDDEN, REMEMBERING).track()
    assert kept == before + hidden + [OBJECT] * 8


def test_goes_on_from_a_checkpoint_with_what_it_remembers_of_look_alikes():
    first = ScriptedTracker("sam2", HIDDEN, REMEMBERING)
    first.track(range(25))
    made = Checkpoint.from_bytes(first.tracker.checkpoint(24, 1).to_bytes())
    journal = Journal(first.journal.objects, checkpoint=made)
    second = ScriptedTracker("sam2", HIDDEN, REMEMBERING)
    assert second.follow(journal, range(25, 36)) == [NEITHER] * 3 + [OBJECT] * 8
    spoilt = Checkpoint.from_bytes(made.to_bytes())
    ((_, told),) = spoilt.header["objects"]
    told["areas"] = ["wide"]
    with pytest.raises(CheckpointError):
        ScriptedTracker("sam2", HIDDEN, REMEMBERING).follow(
            Journal(first.journal.objects, checkpoint=spoilt), range(25, 36)
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_listening_to_the_decoder_changes_nothing(family):
    model = tiny.MAKERS[family]()
    side = 4 * 8
    draw = np.random.default_rng(0)
    maps = [
        tiny.draw_normal(draw, 1, channels, size, size)
        for channels, size in (
            (tiny.HIDDEN // 8, side),
            (tiny.HIDDEN // 4, side // 2),
            (tiny.HIDDEN, 8),
        )
    ]

    def decode():
        return model._single_frame_forward(image_embeddings=list(maps), multimask_output=True)

    with torch.no_grad():
        plain = decode()
        with offers_of(model.mask_decoder) as heard:
            listened = decode()
        others = {}
        for place in range(3):
            with offers_of(model.mask_decoder, lambda _offer, place=place: place):
                others[place] = decode()
    (offered,) = bring_over(heard)
    assert len(offered.quality) == 3
    for part in ("pred_masks", "high_res_masks", "object_pointer", "iou_scores"):
        assert torch.equal(getattr(plain, part), getattr(listened, part))
    assert torch.equal(others[offered.chosen].pred_masks, plain.pred_masks)
    for place, other in others.items():
        assert np.array_equal((other.pred_masks[0, 0] > 0).numpy(), offered.masks[place])
        assert torch.equal(other.object_pointer, plain.object_pointer) == (place == offered.chosen)

"""Of the masks that are offered, one where the object was going is preferred."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError
from napari_sam3.models.sam.alternatives import Alternatives, overlap
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.motion_prior import STEADY, Motion, choice_by, motion_after
from napari_sam3.values import Journal
from tests.models.sam.scripted import LOOK_ALIKE, OBJECT, Scene, ScriptedTracker
from tests.sweeps import sweep

FORETELLING = MemoryRules(motion=True)
FAMILIES = ["sam2", "edgetam", "sam3_tracker"]


def box_at(x, y=20.0, side=10.0):
    return x, y, x + side, y + side


def mask_at(x, y=20, side=10):
    filled = np.zeros((64, 64), bool)
    filled[y : y + side, x : x + side] = True
    return filled


def followed(places, side=10.0):
    motion = Motion.begun(box_at(places[0], side=side))
    for x in places[1:]:
        motion = motion.met(box_at(x, side=side))
    return motion


def test_what_stands_is_expected_where_it_stands():
    assert followed([12.0] * 8).expected == pytest.approx(box_at(12.0))


@pytest.mark.parametrize("speed", [1.0, -2.0])
def test_what_goes_is_expected_further_on(speed):
    motion = followed([30.0 + speed * i for i in range(20)])
    assert motion.expected == pytest.approx(box_at(30.0 + speed * 20), abs=0.2)


def test_what_grows_is_expected_to_be_larger():
    motion = Motion.begun(box_at(10.0, side=10.0))
    for i in range(1, 25):
        motion = motion.met(box_at(10.0, side=10.0 + i / 2))
    x0, _, x1, _ = motion.expected
    assert x1 - x0 == pytest.approx(22.5, abs=0.5)


def test_one_jump_is_half_believed():
    steady = followed([20.0] * 20)
    x0 = steady.met(box_at(26.0)).expected[0]
    assert 20.0 < x0 < 26.0


def test_the_filter_becomes_as_sure_as_it_can_and_no_surer():
    spreads = [followed([20.0] * n).spread[0] for n in (2, 60, 120)]
    assert spreads[0] > spreads[1] == pytest.approx(spreads[2])
    assert spreads[2] > 0


def offer(*pairs):
    masks, qualities = zip(*pairs, strict=True)
    return Alternatives(np.stack(masks), qualities, int(np.argmax(qualities)))


def test_a_mask_where_the_object_goes_wins_over_one_that_is_a_little_better():
    choose = choice_by(followed([10.0 + i for i in range(20)]))
    near, far = mask_at(30), mask_at(50)
    assert choose(offer((near, 0.85), (far, 0.9))) == 0
    # 0.15 of the overlap make up for 0.85 of 0.176
    assert choose(offer((near, 0.74), (far, 0.9))) == 0
    assert choose(offer((near, 0.70), (far, 0.9))) == 1


def test_what_is_not_there_is_chosen_as_the_decoder_has_it():
    choose = choice_by(followed([10.0] * 20))
    empty = np.zeros((64, 64), bool)
    assert choose(offer((empty, 0.2), (empty, 0.3))) == 1


def test_motion_counts_once_the_object_was_followed_for_some_frames():
    assert choice_by(None) is None
    assert choice_by(followed([10.0] * (STEADY - 1))) is None
    assert choice_by(followed([10.0] * STEADY)) is not None


def test_where_the_object_is_lost_the_filter_begins_anew():
    motion = followed([10.0] * 20)
    assert motion_after(motion, offer((mask_at(10), 0.9))).n_frames == 21
    assert motion_after(motion, offer((mask_at(10), 0.3))) is None
    assert motion_after(motion, offer((np.zeros((64, 64), bool), 0.9))) is None
    assert motion_after(None, offer((mask_at(30), 0.9))) == Motion.begun(box_at(30.0))


def test_boxes_overlap_by_what_they_share():
    assert overlap(box_at(0.0), box_at(0.0)) == 1.0
    assert overlap(box_at(0.0), box_at(5.0)) == pytest.approx(1 / 3)
    assert overlap(box_at(0.0), box_at(10.0)) == 0.0


# ------------------------------------------------------------------ in trackers


def crossing(frame_index):
    """Two things go through each other."""
    look_alike = (25.0 - frame_index / 2, 14.0)
    return (1.0 + frame_index / 2, 10.0), None if frame_index < 3 else look_alike


CROSSING = Scene(40, crossing, misled=range(22, 31))


@pytest.mark.parametrize("family", sweep(FAMILIES, ["sam2"]))
def test_where_two_like_things_cross_the_object_goes_on_where_it_went(family):
    lost = ScriptedTracker(family, CROSSING, MemoryRules()).track()
    assert lost == [OBJECT] * 22 + [LOOK_ALIKE] * 18
    kept = ScriptedTracker(family, CROSSING, FORETELLING).track()
    assert kept == [OBJECT] * 40
    both = ScriptedTracker(family, CROSSING, MemoryRules(anchors=True, motion=True)).track()
    assert both == [OBJECT] * 40


def test_goes_on_from_a_checkpoint_with_the_motion():
    first = ScriptedTracker("sam2", CROSSING, FORETELLING)
    first.track(range(22))
    made = Checkpoint.from_bytes(first.tracker.checkpoint(21, 1).to_bytes())
    journal = Journal(first.journal.objects, checkpoint=made)
    second = ScriptedTracker("sam2", CROSSING, FORETELLING)
    assert second.follow(journal, range(22, 40)) == [OBJECT] * 18
    ((_, told),) = made.header["objects"]
    for motion in ([1.0], [*told["motion"][:-1], -1], ["fast", *told["motion"][1:]], 3):
        told["motion"] = motion
        with pytest.raises(CheckpointError):
            ScriptedTracker("sam2", CROSSING, FORETELLING).follow(journal, range(22, 40))

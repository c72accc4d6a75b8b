"""The last frames of a run, for a worker that goes on from them: which of them hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.cluster.given_frames import GivenFrames
from napari_sam3.models.base import TrackedFrame
from napari_sam3.session.session_state import MOST_KNOWN
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt

MASK = ObjectMask(np.ones((2, 2), bool), (1, 1, 3, 3), (8, 8), 1.0)


def keyframe():
    return Keyframe(ObjectPrompt(np.ones((1, 2)), np.ones(1, bool)), MASK)


@pytest.fixture
def journal():
    return Journal({1: {0: keyframe()}}, note_nearly=lambda frame: None)


def given(journal, frames):
    kept = GivenFrames()
    for frame in frames:
        kept.add(journal, TrackedFrame(frame, {1: MASK}), frames.step)
    return kept


@pytest.mark.parametrize("step", [1, -1])
def test_the_newest_on_the_way_are_known(journal, step):
    journal = replace(journal, objects={1: {10: keyframe()}})
    kept = given(journal, range(10, 10 + 10 * step, step))
    known = kept.before(journal, range(10 + 10 * step, 10 + 12 * step, step))
    assert list(known) == [10 + n * step for n in range(10 - MOST_KNOWN, 10)]
    assert known[10 + 9 * step] == {1: MASK}


def test_nothing_is_known_of_the_other_direction_or_of_what_lies_ahead(journal):
    assert given(journal, range(20)).before(journal, range(19, 0, -1)) == {}
    assert list(given(journal, range(20)).before(journal, range(15, 30))) == [12, 13, 14]


def test_frames_hold_as_far_as_the_prompts_before_them_are_the_same(journal):
    corrected = replace(journal, objects={1: {**journal.objects[1], 15: keyframe()}})
    assert list(given(journal, range(20)).before(corrected, range(20, 30))) == [12, 13, 14]
    told_anew = replace(journal, objects={1: {0: keyframe()}})
    assert given(journal, range(20)).before(told_anew, range(20, 30)) == {}


def test_a_later_run_of_the_same_prompts_goes_on_from_the_one_before(journal):
    kept = given(journal, range(20))
    again = replace(journal)
    kept.add(again, TrackedFrame(20, {1: MASK}), 1)
    assert list(kept.before(again, range(21, 30))) == list(range(13, 21))


@pytest.mark.parametrize("changed", [{"note_nearly": None}, {"only": frozenset({1})}])
def test_nothing_is_kept_where_it_is_not_to_be_used(journal, changed):
    kept = given(replace(journal, **changed), range(20))
    assert kept.before(journal, range(20, 30)) == {}

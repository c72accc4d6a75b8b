"""What is looked at of the past of objects that a concept found, where rules say otherwise."""

from __future__ import annotations

from copy import deepcopy
from itertools import count

import pytest
import torch

from napari_sam3.models.sam.memory import MemoryRules
from tests.models.sam.concept_kit import (
    Finds,
    OurConcepts,
    Script,
    assert_same_masks,
    make_film,
    make_seeing,
)
from tests.sweeps import sweep

N = 14
SELECTING = MemoryRules(selects=True)
A, B, C = (2, 2, 6, 6), (20, 20, 6, 6), (12, 2, 6, 6)
NEVER = 0  # frames from one that the detector confirms to the next
PRESENCE, QUALITY, MASKS = 3, 1, 0


@pytest.fixture(scope="module")
def film():
    return make_film(N)


@pytest.fixture(scope="module")
def seeing(film):
    return make_seeing(film)


class Played:
    """Ours on a script, where it is also written which objects the decoder sees, and when.

    A memory's map holds the number of its frame, so that it can be told what is looked at.

    Parameters
    ----------
    boxes : sequence of sequences of boxes
        Found by the detector, frame by frame in the order gone.
    unseen : dict of object to frames
        Where the decoder rather does not see an object, by its place in the order found.
    confirms_every : int
        Frames from one on which the detector's finds become prompted frames to the next.
    """

    def __init__(self, network, film, boxes, rules=None, unseen=None, step=1, confirms_every=NEVER):
        self.frame = 0
        self.looked_at = {}  # of the frame, by object: places and frames
        unseen = unseen or {}
        network = deepcopy(network)
        network.recondition_every_nth_frame = confirms_every
        tracker = network.tracker_model
        self._object = -1
        Script(network, [boxes[0]] * (1 if step > 0 else 2) + boxes)
        follow, build = network.run_tracker_propagation, tracker._build_memory_attention_inputs
        encode = tracker._encode_new_memory

        def follow_noting(session, frame_idx, reverse):
            self.frame, self._object = frame_idx, -1
            self.looked_at = {}
            result = follow(session, frame_idx, reverse)
            self._object = None  # what is asked after this was asked before
            return result

        def build_noting(outputs, device):
            if self._object is not None:
                self._object += 1
                self.looked_at[self._object] = [
                    (place, int(output["maskmem_features"].flatten()[0]))
                    for place, output in outputs
                    if output is not None
                ]
            return build(outputs, device)

        def encode_number(**given):
            features, position = encode(**given)
            return torch.full_like(features, self.frame), position

        def see(_decoder, _inputs, output):
            if self._object is None or self.frame not in unseen.get(self._object, ()):
                return output
            return (*output[:PRESENCE], torch.full_like(output[PRESENCE], -5.0))

        network.run_tracker_propagation = follow_noting
        tracker._build_memory_attention_inputs = build_noting
        tracker._encode_new_memory = encode_number
        tracker.mask_decoder.register_forward_hook(see)
        self.ours = OurConcepts(network, film, rules=rules)
        self.frames = range(N)[::step]
        self.ours.ask(self.frames[0], "dog")

    def until(self, frame_index):
        """What is looked at on a frame, of each object."""
        place = self.frames.index(frame_index)
        self.ours.track(self.frames[: place + 1])
        return self.looked_at


def test_as_long_as_all_frames_are_good_the_newest_are_looked_at(seeing, film):
    newest = [(0, 0), *((age, 9 - age) for age in range(6, 0, -1))]
    boxes = [[A, B]] * N
    assert Played(seeing, film, boxes).until(9) == {0: newest, 1: newest}
    assert Played(seeing, film, boxes, SELECTING).until(9) == {0: newest, 1: newest}


@pytest.mark.parametrize("step", sweep([1, -1], [1]))
def test_frames_without_the_object_are_passed_over_but_for_the_last(seeing, film, step):
    """Each object by itself: the other one was seen all the time."""
    frames = range(N)[::step]
    at = frames.__getitem__
    unseen = {0: [at(i) for i in (5, 6, 7, 8)]}
    played = Played(seeing, film, [[A, B]] * N, SELECTING, unseen, step)
    looked_at = played.until(at(9))
    seen = [4, 3, 2, 1]
    passed = [(0, at(0)), *((rank, at(i)) for rank, i in reversed([*enumerate(seen, 2)]))]
    assert looked_at[0] == [*passed, (1, at(8))]
    assert looked_at[1] == [(0, at(0)), *((age, at(9 - age)) for age in range(6, 0, -1))]
    # upstream looks at what was not there
    plain = Played(seeing, film, [[A, B]] * N, None, unseen, step).until(at(9))
    assert plain[0] == plain[1] == looked_at[1]


def test_what_the_detector_confirms_counts_as_prompted_and_nothing_is_forgotten(seeing, film):
    boxes = [[A, B]] * N
    played = Played(seeing, film, boxes, SELECTING, confirms_every=4)
    looked_at = played.until(11)
    told = [(0, 0), (0, 4), (0, 8)]
    tracked = list(enumerate([10, 9, 7, 6, 5, 3], 1))
    assert looked_at == dict.fromkeys((0, 1), told + tracked[::-1])


def test_of_many_confirmed_frames_the_nearest_and_the_first_are_looked_at(seeing, film):
    boxes = [[A, B]] * N
    played = Played(seeing, film, boxes, MemoryRules(nearest=1), confirms_every=2)
    for maps in played.until(9).values():
        assert [frame for place, frame in maps if place == 0] == [0, 8]
        assert [frame for place, frame in maps if place] == [3, 4, 5, 6, 7]


def test_who_comes_and_goes_leaves_the_memories_of_others(seeing, film):
    boxes = [[A, B]] * 5 + [[A, B, C]] * (N - 5)
    played = Played(seeing, film, boxes, SELECTING, {0: [3]})
    looked_at = played.until(7)
    assert looked_at[0] == [(0, 0), *reversed([*enumerate([6, 5, 4, 2, 1], 1)])]
    assert looked_at[2] == [(0, 5), (1, 6)]
    (search,) = played.ours.tracker._searches.values()
    session = search.serving(1, 0)._session
    for outputs in session.output_dict_per_obj.values():
        assert not any(outputs.values())  # kept once
    search.serving(1, 0).end()
    assert not search.serving(1, 0)._memory._known


@pytest.mark.parametrize("frames", sweep([range(8), range(7, -1, -1)], [range(7, -1, -1)]))
def test_rules_that_choose_as_upstream_does_change_nothing(seeing, film, frames):
    found = []
    # more prompted frames than there are
    for rules in (None, MemoryRules(nearest=15)):
        ours = OurConcepts(deepcopy(seeing), film, rules=rules)
        ours.ask(frames[0], "dog")
        found.append(ours.track(frames))
    expected, masks = found
    assert any(expected.values())
    assert_same_masks(masks, expected)


def test_what_an_earlier_process_showed_is_gone_on_with_by_the_rules(seeing, film):
    first = OurConcepts(deepcopy(seeing), film, rules=SELECTING)
    first.ask(0, "dog")
    shown = first.propagate(range(8))
    second = OurConcepts(deepcopy(seeing), film, rules=SELECTING)
    second.go_on_from(first)
    second.known = {7: shown[7]}
    assert set(shown[7]) <= set(second.propagate(range(8, 10))[8])


# ------------------------------------------------------------------ look-alikes

SURE = [0.95, 0.6, 0.5]
MISLED = [0.85, 0.9, 0.3]
STEADY = 16  # frames followed until the decoder is misled


def offering(network, qualities_on):
    """Have the decoder offer what is in A, what is in B, and both, with qualities by call."""
    calls = count(1)

    def offer(_decoder, _inputs, output):
        if output[MASKS].shape[2] < 3:
            return output  # of a new object only the pointer is wanted
        masks = torch.full_like(output[MASKS], -10.0)
        for mask, boxes in zip(masks[0, 0], ([A], [B], [A, B]), strict=True):
            for x, y, width, height in boxes:
                mask[y : y + height, x : x + width] = 10.0
        quality = torch.tensor(qualities_on(next(calls)))[None, None].to(output[QUALITY])
        return masks, quality, output[2], torch.full_like(output[PRESENCE], 10.0)

    network.tracker_model.mask_decoder.register_forward_hook(offer)
    return network


def test_frames_that_show_a_look_alike_are_looked_at_for_good(seeing, film):
    network = offering(deepcopy(seeing), lambda call: SURE)
    looked_at = Played(network, film, [[A]] * N, MemoryRules(anchors=True)).until(12)
    assert looked_at[0][:3] == [(0, 0), (0, 5), (0, 10)]


@pytest.mark.parametrize(("rules", "taken"), [(None, B), (MemoryRules(motion=True), A)])
def test_motion_decides_where_the_decoder_hesitates(seeing, rules, taken):
    film = make_film(STEADY + 2, (64, 64))
    network = deepcopy(seeing)
    network.recondition_every_nth_frame = NEVER
    offering(network, lambda call: SURE if call <= STEADY else MISLED)
    Finds(network, [[A]] * (STEADY + 3))
    ours = OurConcepts(network, film, rules=rules)
    (found,) = ours.ask(0, "dog")
    mask = ours.track(range(STEADY + 2))[STEADY + 1][found]
    scale = len(mask) / network.config.low_res_mask_size
    x, y, width, height = (round(n * scale) for n in taken)
    assert mask[y : y + height, x : x + width].all()
    assert mask.sum() == width * height

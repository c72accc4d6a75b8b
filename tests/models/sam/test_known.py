"""Going on from the masks of an earlier process: nothing before them is computed, ids stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.values import Journal
from tests.conftest import CENTRES, make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours
from tests.sweeps import sweep

N_FRAMES = 12
STOP = 9  # frames that the earlier process computed
SPATIAL = 6  # frames that the memory looks at


@pytest.fixture(scope="module")
def film():
    return make_disc_film(N_FRAMES)


@pytest.fixture(scope="module")
def network():
    return tiny.make_sam2()


def watch(ours, monkeypatch):
    """Frames that were looked at, and those that an object was followed on."""
    looked, followed = [], []
    get, follow = ours.tracker.features.get, ours.tracker.network.follow

    def counted_get(frame_index):
        looked.append(frame_index)
        return get(frame_index)

    def counted_follow(view, pasts, **kwargs):
        followed.extend([view.frame_index] * len(pasts))
        return follow(view, pasts, **kwargs)

    monkeypatch.setattr(ours.tracker.features, "get", counted_get)
    monkeypatch.setattr(ours.tracker.network, "follow", counted_follow)
    return looked, followed


def propagate(tracker, objects, frames, known=None):
    """Objects by frame, and the frames that were given without."""
    journal = Journal({i: dict(k) for i, k in objects.items()}, known=known or {})
    given = list(tracker.propagate(journal, frames, lambda: 99))
    found = {t.frame_index: t.objects for t in given if t.objects is not None}
    return found, [t.frame_index for t in given if t.objects is None]


def click_both(ours, frame_index):
    for obj_id, (x, y) in CENTRES.items():
        ours.click(frame_index, obj_id, [(x + 3 * frame_index, y + 2 * frame_index)], [1])


def likeness(bank, other):
    """Mean cosine between the memories of two banks."""
    pairs = [(bank.recent[i].features, other.recent[i].features) for i in bank.recent]
    assert len(pairs) == SPATIAL
    return np.mean([torch.cosine_similarity(a.flatten(), b.flatten(), 0).item() for a, b in pairs])


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("family", sweep(["sam2", "edgetam", "sam3_tracker"], ["sam2"]))
def test_goes_on_from_the_newest_known_frames(family, step, film, monkeypatch):
    network = tiny.MAKERS[family]()
    frames = range(N_FRAMES)[::step]
    whole = Ours(network, film, family)
    click_both(whole, frames[0])
    shown, _ = propagate(whole.tracker, whole.objects, frames[:STOP])
    assert all(objects.keys() == {1, 2} for objects in shown.values())
    bank = whole.tracker._tracks[1, step].bank

    def resume(known):
        resumed = Ours(network, film, family)
        looked, followed = watch(resumed, monkeypatch)
        rest, on_the_way = propagate(resumed.tracker, whole.objects, frames[STOP:], known)
        assert on_the_way == [frames[0], frames[0], *frames[STOP - SPATIAL : STOP]]
        assert set(followed) == set(frames[STOP:])
        assert set(looked) == {frames[0], *frames[STOP - SPATIAL :]}
        assert all(objects.keys() == {1, 2} for objects in rest.values())
        return resumed.tracker._tracks[1, step].checkpoints[frames[STOP - 1]]

    known = {i: shown[i] for i in frames[2:STOP]}
    # random weights make nothing of small differences: so it is the memories that are compared
    near = likeness(resume(known), bank)
    assert near > 0.85
    swapped = {i: {1: objects[2], 2: objects[1]} for i, objects in known.items()}
    assert near > likeness(resume(swapped), bank)
    assert near > likeness(resume({i: {} for i in known}), bank) + 0.1


def test_computes_a_way_that_is_as_short(film, network, monkeypatch):
    """To remember six frames costs what following through six costs, and that is exact."""
    whole = Ours(network, film, "sam2")
    click_both(whole, 2)
    shown, _ = propagate(whole.tracker, whole.objects, range(2, N_FRAMES))
    resumed = Ours(network, film, "sam2")
    _, followed = watch(resumed, monkeypatch)
    known = {i: shown[i] for i in range(3, STOP)}
    rest, _ = propagate(resumed.tracker, whole.objects, range(STOP, N_FRAMES), known)
    assert set(followed) == set(range(3, N_FRAMES))
    for frame, objects in rest.items():
        assert all(np.array_equal(m.mask, shown[frame][i].mask) for i, m in objects.items())


def test_prompts_behind_the_known_frames_hold_and_those_before_forget_them(
    film, network, monkeypatch
):
    whole = Ours(network, film, "sam2")
    click_both(whole, 0)
    shown, _ = propagate(whole.tracker, whole.objects, range(N_FRAMES))
    known = {i: shown[i] for i in range(4, STOP)}
    resumed = Ours(network, film, "sam2")
    resumed.objects = {i: dict(k) for i, k in whole.objects.items()}
    first, _ = propagate(resumed.tracker, resumed.objects, range(STOP, N_FRAMES), known)
    corrected = resumed.click(10, 1, [(100, 100)], [1])
    _, followed = watch(resumed, monkeypatch)
    second, _ = propagate(resumed.tracker, resumed.objects, range(STOP, N_FRAMES), known)
    assert np.array_equal(second[10][1].mask, corrected)
    assert np.array_equal(second[9][1].mask, first[9][1].mask)
    assert followed == [9, 11]  # from the checkpoint at the stop
    # the session hands over no frame that a correction reaches
    resumed.click(2, 2, [(100, 100)], [1])
    propagate(resumed.tracker, resumed.objects, range(STOP, N_FRAMES))
    assert followed[2:] == [1, *range(3, N_FRAMES)]


def test_leads_in_from_known_frames_that_lie_further_back(film, network, monkeypatch):
    whole = Ours(network, film, "sam2")
    click_both(whole, 0)
    shown, _ = propagate(whole.tracker, whole.objects, range(STOP))
    resumed = Ours(network, film, "sam2")
    _, followed = watch(resumed, monkeypatch)
    known = {i: shown[i] for i in range(5, 8)}
    rest, _ = propagate(resumed.tracker, whole.objects, range(10, 12), known)
    assert list(rest) == [10, 11]
    assert sorted(set(followed)) == [8, 9, 10, 11]
    again, on_the_way = propagate(resumed.tracker, whole.objects, range(6, 9), known)
    assert np.array_equal(again[6][1].mask, shown[6][1].mask)
    assert not on_the_way

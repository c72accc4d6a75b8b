"""With another one's checkpoint a tracker gives what that one would have given, to the pixel."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError
from napari_sam3.models.sam.bank import Bank
from napari_sam3.models.sam.load import load_sam
from napari_sam3.models.sam.memory import Memory, MemoryRules, Reach
from napari_sam3.models.sam.network import TrackerNetwork
from napari_sam3.models.saved_states import StateReader, StateWriter
from napari_sam3.projects import Project, ProjectSession, continue_run, open_session
from napari_sam3.session import recovery
from napari_sam3.session.session import VideoSession
from napari_sam3.values import Journal
from tests.conftest import CENTRES, disc_mask, make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours
from tests.models.sam.concept_kit import make_film, make_seeing
from tests.models.sam.test_known import watch
from tests.models.sam.words import save_tokenizer
from tests.sweeps import sweep

pytestmark = pytest.mark.sweep

N_FRAMES = 24
STOP = 19  # frames that the earlier process gave


@pytest.fixture(scope="module")
def film():
    return make_disc_film(N_FRAMES)


@pytest.fixture(scope="module")
def network():
    return tiny.make_sam2()


def prompt_both(ours, frames):
    """One clicked, and corrected on the way; one that comes in later."""
    for obj_id, at in ((1, 0), (2, 3), (1, 9)):
        index = frames[at]
        x, y = CENTRES[obj_id]
        ours.click(index, obj_id, [(x + 3 * index, y + 2 * index)], [1])


def follow(ours, frames, checkpoint=None, objects=None):
    journal = Journal(
        {i: dict(k) for i, k in (objects or ours.objects).items()}, checkpoint=checkpoint
    )
    given = list(ours.tracker.propagate(journal, frames, lambda: 99))
    masks = {
        t.frame_index: {i: (m.mask.tobytes(), m.score) for i, m in t.objects.items()}
        for t in given
        if t.objects is not None
    }
    return masks, [t.frame_index for t in given if t.objects is None]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("family", sweep(["sam2", "edgetam", "sam3_tracker"], ["sam2"]))
def test_goes_on_to_the_pixel(film, family, step, monkeypatch):
    network = tiny.MAKERS[family]()
    frames = range(N_FRAMES)[::step]
    whole = Ours(network, film, family)
    prompt_both(whole, frames)
    expected, _ = follow(whole, frames)
    stopped = Ours(network, film, family)
    stopped.objects = whole.objects
    follow(stopped, frames[:STOP])
    made = stopped.tracker.checkpoint(frames[STOP - 1], step)
    kept = Checkpoint.from_bytes(made.to_bytes())
    resumed = Ours(network, film, family)
    _, followed = watch(resumed, monkeypatch)
    rest, on_the_way = follow(resumed, frames[STOP + 2 :], kept, whole.objects)
    assert rest == {f: expected[f] for f in frames[STOP + 2 :]}
    assert all(objects.keys() == {1, 2} for objects in rest.values())
    assert set(followed) == set(frames[STOP:])  # two of them unseen
    assert set(on_the_way) == {frames[0], frames[3], frames[9], *frames[STOP : STOP + 2]}


def test_gives_none_of_a_frame_that_it_does_not_remember(film, network):
    ours = Ours(network, film, "sam2")
    assert ours.tracker.checkpoint(5, 1) is None
    prompt_both(ours, range(N_FRAMES))
    follow(ours, range(12))
    assert ours.tracker.checkpoint(11, 1).frame == 11
    assert ours.tracker.checkpoint(8, 1).frame == 8
    assert ours.tracker.checkpoint(10, 1) is None
    assert ours.tracker.checkpoint(11, -1) is None
    ours.tracker.close()
    assert ours.tracker.checkpoint(11, 1) is None


def spoilt(made):
    state = dict(made.header)
    (obj_id, memories), *others = state["objects"]
    (index, features, pointer, score), *older = memories
    yield replace(made, header={**state, "kind": "another"})
    yield replace(made, header={**state, "step": -1})
    yield replace(made, header={**state, "objects": others})
    for memory in (
        [index + 50, features, pointer, score],
        [index, pointer, features, score],
        [index, features, pointer, 2.0],
        [index],
        None,
    ):
        yield replace(made, header={**state, "objects": [[obj_id, [memory, *older]], *others]})
    yield replace(made, arrays={})
    yield replace(made, arrays={n: np.full_like(a, np.nan) for n, a in made.arrays.items()})
    yield replace(made, arrays={n: a.astype(np.float64) for n, a in made.arrays.items()})


def test_refuses_what_is_damaged_or_of_others(film, network):
    ours = Ours(network, film, "sam2")
    prompt_both(ours, range(N_FRAMES))
    follow(ours, range(13))
    made = ours.tracker.checkpoint(12, 1)
    expected, _ = follow(ours, range(13, 14))
    for wrong in spoilt(made):
        resumed = Ours(network, film, "sam2")
        with pytest.raises(CheckpointError):
            follow(resumed, range(13, 14), wrong, ours.objects)
        rest, _ = follow(resumed, range(13, 14), None, ours.objects)  # nothing of it is left
        assert rest[13] == expected[13]
    other = tiny.make_sam2()
    with torch.no_grad():
        next(iter(other.parameters())).flatten()[3] += 1
    with pytest.raises(CheckpointError):
        follow(Ours(other, film, "sam2"), range(13, 14), made, ours.objects)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_bank_is_what_it_was(dtype):
    draw = torch.Generator().manual_seed(0)

    def tensor(*shape):
        return torch.randn(shape, generator=draw).to(dtype)

    position = tensor(9, 1, 4)
    whole = {i: Memory(tensor(9, 1, 4), position, tensor(1, 8)) for i in (20, 21)}
    bank = Bank(21, {15: Memory(None, None, tensor(1, 8), 0.25), **whole})
    writer = StateWriter()
    made = Checkpoint(21, {"bank": bank.save(writer)}, writer.arrays)
    kept = Checkpoint.from_bytes(made.to_bytes())
    reader = StateReader(kept, (4, 4))
    again = Bank.load(kept.header["bank"], 21, 1, whole[20], Reach(6, 15), MemoryRules(), reader)
    assert list(again.recent) == list(bank.recent)
    for index, memory in bank.recent.items():
        assert memory.score == again.recent[index].score
        for one, other in zip(memory[:3], again.recent[index][:3], strict=True):
            assert (one is None) == (other is None)
            assert one is None or (one.dtype == other.dtype and torch.equal(one, other))


def stop_and_go_on(folder, model, film, say, stop_at, n_frames):
    """Frames of a run that is never stopped, those of one in a project that was, and its notes."""
    with VideoSession(film, model) as session:
        say(session)
        whole = list(session.propagate("forward", 0, n_frames))
    with (
        Project.create(folder, None, film.shape[:3]) as project,
        VideoSession(film, model) as session,
    ):
        say(session)
        kept = ProjectSession(project, session)
        kept.save_prompts()
        propagation = kept.propagate("forward", 0, n_frames)
        for _, result in zip(range(stop_at), propagation, strict=False):
            kept.keep(result)
    with Project.open(folder) as project, open_session(project, model, video=film) as session:
        rest = list(continue_run(project, session))
        assert project.checkpoints.problems == []
        assert project.run.nearly == ()
    assert [r.frame_index for r in rest] == list(range(stop_at, n_frames))
    return whole[stop_at:], rest


def assert_equal(whole, rest):
    for one, other in zip(whole, rest, strict=True):
        assert one.objects.keys() == other.objects.keys(), one.frame_index
        for obj_id, mask in one.objects.items():
            assert np.array_equal(mask.mask, other.objects[obj_id].mask)
            assert mask.score == other.objects[obj_id].score


def test_a_project_with_sam_goes_on_to_the_pixel(film, tmp_path, monkeypatch):
    """Clicks, a correction of what was tracked, a painted mask: with what JSON keeps of them."""
    monkeypatch.setattr(recovery, "EVERY", 8)
    with closing(load_sam(tiny.save(tiny.make_sam2(), tmp_path / "tiny"), "cpu")) as model:

        def say(session):
            session.add_prompt(0, points=[CENTRES[1]], obj_id=1)
            list(session.propagate("forward", 0, 6))
            session.add_prompt(5, points=[[50.5, 52.25]], obj_id=1)
            session.add_prompt(3, mask=disc_mask(3, 2), obj_id=2)

        followed = count_followed(monkeypatch)
        whole, rest = stop_and_go_on(tmp_path / "a.sam3", model, film, say, 19, N_FRAMES)
    assert_equal(whole, rest)
    assert any(r.objects for r in rest)
    again = followed[-2 * (N_FRAMES - 17) :]  # two objects from the checkpoint at 16 on
    assert sorted(set(again)) == list(range(17, N_FRAMES))


def count_followed(monkeypatch):
    """Frames that an object was followed on, by the order."""
    frames = []
    follow_on = TrackerNetwork.follow

    def counted(self, view, pasts, **kwargs):
        frames.extend([view.frame_index] * len(pasts))
        return follow_on(self, view, pasts, **kwargs)

    monkeypatch.setattr(TrackerNetwork, "follow", counted)
    return frames


def test_a_project_with_a_text_goes_on_to_the_pixel(tmp_path):
    """Without a checkpoint: the way is computed again, and what was found on it has its ids."""
    film = make_film(10)
    folder = save_tokenizer(tiny.save(make_seeing(film), tmp_path / "tiny"))
    with closing(load_sam(folder, "cpu")) as model:

        def say(session):
            session.add_prompt(0, text="dog")
            session.add_prompt(1, points=[[60, 45]])

        whole, rest = stop_and_go_on(tmp_path / "a.sam3", model, film, say, 6, 10)
    assert_equal(whole, rest)
    assert any(r.objects for r in rest)

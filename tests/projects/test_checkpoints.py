"""A run that was stopped goes on as if it had not been: from a checkpoint, or from its prompts."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache
from types import MappingProxyType

import numpy as np
import pytest

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects import Project, ProjectRun, continue_run, open_session
from napari_sam3.projects.checkpoints import BEFORE, NEWEST
from napari_sam3.projects.session import ProjectSession
from napari_sam3.session import recovery
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.session.session import VideoSession
from tests.models.optical_flow.scenes import THINGS, changing_things
from tests.sweeps import sweep

SHAPE = T, H, W = 24, 60, 90
FILM = np.zeros(SHAPE, np.uint8)


@pytest.fixture
def often(monkeypatch):
    """A checkpoint every fourth frame."""
    monkeypatch.setattr(recovery, "EVERY", 4)


def told(*prompts, film=FILM, model=None):
    session = VideoSession(film, model or FakeModel(step_xy=(2, 1)))
    for frame_index, prompt in prompts:
        session.add_prompt(frame_index, **prompt)
    return session


TWO = (0, {"points": [[20, 20]], "obj_id": 1}), (3, {"boxes": [[30, 20, 50, 40]], "obj_id": 2})


def stop_after(folder, session, n_frames, *run, shape=SHAPE):
    """Keep the first frames of a run, as a process that is killed does."""
    with Project.create(folder, None, shape) as project, session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        propagation = kept.propagate(*(run or ("forward",)))
        for _, result in zip(range(n_frames), propagation, strict=False):
            kept.keep(result)
        project.flush()


def go_on(folder, model=None, film=FILM, before=None, **options):
    """What comes out of the frames that were left, and what was told."""
    with (
        Project.open(folder) as project,
        open_session(project, model or FakeModel(step_xy=(2, 1)), video=film, **options) as session,
    ):
        if before is not None:
            before(project, session)
        kept = ProjectSession(project, session)
        results = []
        for result in continue_run(project, session):
            kept.keep(result)
            results.append(result)
        project.end_run()
        return as_masks(results), project.checkpoints.problems, project.run.nearly


def as_masks(results):
    return {
        r.frame_index: {i: (m.mask.tobytes(), m.score) for i, m in r.objects.items()}
        for r in results
    }


def rest_of(whole, rest):
    return {frame: whole[frame] for frame in rest}


@pytest.mark.parametrize(("direction", "start"), [("forward", 0), ("backward", 20), ("both", 9)])
@pytest.mark.parametrize("stop_at", [2, 5, 9, 14, 17])
def test_goes_on_from_the_newest_checkpoint(tmp_path, steps, often, direction, start, stop_at):
    prompts = tuple((start + (n if direction != "backward" else -n), p) for n, p in TWO)
    with told(*prompts) as session:
        whole = as_masks(session.propagate(direction, start))
    stop_after(tmp_path / "a.sam3", told(*prompts), stop_at, direction, start)
    steps.clear()
    rest, problems, nearly = go_on(tmp_path / "a.sam3")
    assert len(rest) == len(whole) - stop_at
    assert rest == rest_of(whole, rest)
    assert (problems, nearly) == ([], ())
    first = next(iter(rest))
    step = 1 if len(rest) == 1 or list(rest)[1] > first else -1
    way = [source for source, target in steps if target - source == step]
    again = [f for f in way if (first - f) * step > 1]
    assert len(again) < 4  # from there on, unseen


def test_the_last_two_are_kept_while_the_run_is_not_over(tmp_path, often):
    folder = tmp_path / "a.sam3"
    stop_after(folder, told(*TWO), 14)
    frames = {n: Checkpoint.from_bytes((folder / n).read_bytes()).frame for n in (NEWEST, BEFORE)}
    assert frames == {NEWEST: 12, BEFORE: 8}
    go_on(folder)
    assert not list(folder.glob("*checkpoint*"))


def test_one_that_is_ahead_of_the_frames_on_disk_is_passed_over(tmp_path, often, steps):
    """The process was killed when the checkpoint was on disk, and the frames were not yet."""
    folder = tmp_path / "a.sam3"
    with told(*TWO) as session:
        whole = as_masks(session.propagate())
    with Project.create(folder, None, SHAPE) as project, told(*TWO) as session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        for result in kept.propagate("forward"):
            if result.frame_index < 11:
                kept.keep(result)
            if result.frame_index == 13:
                break
    steps.clear()
    rest, _, _ = go_on(folder)
    assert rest == rest_of(whole, range(11, T))
    assert min(steps)[0] == 8


def test_a_run_that_came_to_its_end_was_not_cancelled():
    with told(*TWO) as session:
        propagation = session.propagate()
        assert len(list(propagation)) == T
        assert not propagation.is_cancelled


def test_a_run_that_is_stopped_has_nothing_to_compute_again(tmp_path, steps):
    folder = tmp_path / "a.sam3"
    with Project.create(folder, None, SHAPE) as project, told(*TWO) as session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        for result in kept.propagate("forward"):
            kept.keep(result)
            if result.frame_index == 13:
                session.cancel()
    steps.clear()
    rest, _, _ = go_on(folder)
    assert rest.keys() == set(range(14, T))
    assert min(steps)[0] == 13


def test_a_correction_between_stop_and_going_on_holds(tmp_path, often, steps):
    """The checkpoint behind it is of other prompts; the one before it still holds."""
    correction = (10, {"points": [[60, 30]], "obj_id": 1})
    with told(*TWO) as session:
        list(session.propagate("forward", 0, 18))
        session.add_prompt(correction[0], **correction[1])
        whole = as_masks(session.propagate("forward", 10))
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)

    def correct(project, session):
        session.add_prompt(correction[0], **correction[1])
        project.save_prompts(session.list_prompts())
        steps.clear()

    rest, problems, _ = go_on(tmp_path / "a.sam3", before=correct)
    assert rest == rest_of(whole, range(10, T))
    assert problems == []
    assert min(steps)[0] == 8


def test_a_correction_while_it_ran_holds_when_it_goes_on(tmp_path, often, steps):
    """The frames before it are stale and done again; those behind go on from a checkpoint."""
    correction = (6, {"points": [[60, 30]], "obj_id": 1})
    with told(*TWO) as session:
        list(session.propagate("forward", 0, 10))
        session.add_prompt(correction[0], **correction[1])
        whole = as_masks(session.propagate("forward", 0))
    folder = tmp_path / "a.sam3"
    with Project.create(folder, None, SHAPE) as project, told(*TWO) as session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        for result in kept.propagate("forward"):
            kept.keep(result)
            if result.frame_index == 9:
                session.add_prompt(correction[0], **correction[1])
                kept.save_prompts()
            if result.frame_index == 14:
                break
    steps.clear()
    rest, problems, nearly = go_on(folder)
    assert list(rest) == [*range(6, 10), *range(15, T)]
    assert rest == rest_of(whole, rest)
    assert (problems, nearly) == ([], ())
    assert min(source for source, _ in steps if source > 8) == 12


def test_a_removed_object_makes_it_of_others(tmp_path, often, steps):
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)

    def remove(project, session):
        session.remove_object(2)
        steps.clear()

    rest, _, _ = go_on(tmp_path / "a.sam3", before=remove)
    assert all(objects.keys() == {1} for objects in rest.values())
    assert min(steps)[0] == 0


def test_locked_frames_stay_and_change_nothing_of_the_others(tmp_path, often):
    with told(*TWO) as session:
        whole = as_masks(session.propagate())
    folder = tmp_path / "a.sam3"
    stop_after(folder, told(*TWO), 13)
    with Project.open(folder) as project:
        painted = np.zeros((H, W), np.uint32)
        painted[50:, :9] = 1
        for frame_index in (11, 12, 13, 17):
            project.labels.draw(frame_index, painted)
        for frame_index in range(11, 18):
            project.labels.lock(frame_index)
    rest, _, _ = go_on(folder)
    assert rest == rest_of(whole, range(18, T))
    with Project.open(folder) as project:
        assert np.array_equal(project.labels[17], painted)


LATE = (2, {"points": [[20, 20]], "obj_id": 1}), (18, {"points": [[60, 40]], "obj_id": 2})


@pytest.mark.parametrize("stop_at", [1, 6, 20])
def test_what_is_named_further_on_is_shown_as_it_would_have_been(tmp_path, stop_at):
    """A run that begins where nothing is named yet shows what comes back from ahead."""
    with told(*LATE) as session:
        whole = as_masks(session.propagate("forward", 0))
    assert whole[10].keys() == {1, 2}
    stop_after(tmp_path / "a.sam3", told(*LATE), stop_at, "forward", 0)
    rest, _, _ = go_on(tmp_path / "a.sam3")
    assert rest == rest_of(whole, range(stop_at, T))


def test_what_an_earlier_run_followed_back_is_shown_still(tmp_path):
    """As the window does it: first backward from the last one named, then forward."""
    folder = tmp_path / "a.sam3"
    with told(*LATE) as session:
        list(session.propagate("backward", 18))
        whole = as_masks(session.propagate("forward", 2))
    assert whole[10].keys() == {1, 2}
    with Project.create(folder, None, SHAPE) as project, told(*LATE) as session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        for result in kept.propagate("backward", 18):
            kept.keep(result)
        for result in kept.propagate("forward", 2):
            kept.keep(result)
            if result.frame_index == 7:
                break
    rest, _, _ = go_on(folder)
    assert rest == rest_of(whole, range(8, T))


def spoil(folder, change):
    """Change what both files say; their digests are right."""
    for name in (NEWEST, BEFORE):
        made = Checkpoint.from_bytes((folder / name).read_bytes())
        state = dict(made.header["state"])
        state["objects"] = [list(one) for one in state["objects"]]
        changed = change(made, state)
        header = {**made.header, "state": state}
        (folder / name).write_bytes(replace(changed or made, header=header).to_bytes())


def no_number(made, state):
    state["objects"][0][1] = [*state["objects"][0][1][:2], float("nan")]


def box_outside(made, state):
    state["objects"][0][1][1] = [0, 0, W + 50, H + 50]


def object_missing(made, state):
    del state["objects"][0]


def object_unknown(made, state):
    state["objects"][0][0] = [5]


def array_missing(made, state):
    return replace(made, arrays=MappingProxyType({}))


def array_wrong(made, state):
    return replace(made, arrays={n: a.astype(np.float32) for n, a in made.arrays.items()})


def kind_other(made, state):
    state["kind"] = "another"


SPOILT = [
    no_number,
    box_outside,
    object_missing,
    object_unknown,
    array_missing,
    array_wrong,
    kind_other,
]


@pytest.mark.parametrize("change", SPOILT)
def test_one_that_cannot_be_read_is_told_and_not_used(tmp_path, often, steps, change):
    with told(*TWO) as session:
        whole = as_masks(session.propagate())
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    spoil(tmp_path / "a.sam3", change)
    steps.clear()
    rest, problems, nearly = go_on(tmp_path / "a.sam3")
    assert rest == rest_of(whole, range(15, T))
    assert len(problems) == 2
    assert nearly == ()
    assert min(steps)[0] == 0


@pytest.mark.parametrize("content", [b"", b"nothing", b"sam3 checkpoint 1\n" + b"\0" * 999])
def test_a_damaged_file_is_told_and_not_used(tmp_path, often, content):
    with told(*TWO) as session:
        whole = as_masks(session.propagate())
    folder = tmp_path / "a.sam3"
    stop_after(folder, told(*TWO), 15)
    (folder / NEWEST).write_bytes(content)
    rest, (problem,), _ = go_on(folder)
    assert NEWEST in problem
    assert rest == rest_of(whole, range(15, T))


def test_killed_between_two_files_there_is_the_one_before(tmp_path, often, steps):
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    (tmp_path / "a.sam3" / NEWEST).unlink()
    (tmp_path / "a.sam3" / ".checkpoint-0123456789abcdef.bin").write_bytes(b"half")
    steps.clear()
    _, problems, _ = go_on(tmp_path / "a.sam3")
    assert problems == []
    assert min(steps)[0] == 8
    assert not list((tmp_path / "a.sam3").glob(".checkpoint*"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_its_place_is_not_followed(tmp_path, often):
    folder, elsewhere = tmp_path / "a.sam3", tmp_path / "elsewhere"
    stop_after(folder, told(*TWO), 15)
    (folder / NEWEST).rename(elsewhere)
    (folder / NEWEST).symlink_to(elsewhere)
    content = elsewhere.read_bytes()
    rest, (problem,), _ = go_on(folder)
    assert "link" in problem
    assert rest.keys() == set(range(15, T))
    assert elsewhere.read_bytes() == content


def test_one_of_another_video_is_told_and_not_used(tmp_path, often, steps):
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    other = FILM.copy()
    other[8], other[12] = 3, 4
    steps.clear()
    _, problems, _ = go_on(tmp_path / "a.sam3", film=other)
    assert len(problems) == 2
    assert "of the video" in problems[0]
    assert min(steps)[0] == 0


def test_one_of_a_model_set_otherwise_is_not_used(tmp_path, often):
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    with told(*TWO, model=FakeModel(step_xy=(1, 0))) as session:
        whole = as_masks(session.propagate())
    rest, problems, _ = go_on(tmp_path / "a.sam3", FakeModel(step_xy=(1, 0)))
    assert len(problems) == 2
    assert rest == rest_of(whole, range(15, T))


def test_a_full_disk_keeps_no_run_from_going_on(tmp_path, often, full_disk):
    folder = tmp_path / "a.sam3"
    with Project.create(folder, None, SHAPE) as project, told(*TWO) as session:
        kept = ProjectSession(project, session)
        kept.save_prompts()
        propagation = kept.propagate("forward")
        undo = full_disk(folder)
        frames = [result.frame_index for result in propagation]
        project.checkpoints.flush()
        undo()
        assert frames == list(range(T))
        assert project.checkpoints.problems
        assert not (folder / NEWEST).exists()


def test_too_far_from_anything_it_goes_on_nearly_and_says_so(tmp_path, monkeypatch, steps):
    monkeypatch.setattr(recovery, "FARTHEST", 8)
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    for name in (NEWEST, BEFORE):
        (tmp_path / "a.sam3" / name).unlink(missing_ok=True)
    steps.clear()
    _, _, nearly = go_on(tmp_path / "a.sam3")
    assert nearly == (15,)
    assert min(steps)[0] == 14
    with Project.open(tmp_path / "a.sam3") as project:
        assert project.run.nearly == (15,)


def test_quick_computes_nothing_again_and_says_so(tmp_path, often, steps):
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)
    steps.clear()
    _, _, nearly = go_on(tmp_path / "a.sam3", recover="quick")
    assert nearly == (15,)
    assert min(steps)[0] == 14


def test_what_went_on_nearly_in_the_same_session_is_computed_again(tmp_path, often, steps):
    """A correction goes on from what was shown; the run that is gone on with after it does not."""
    with told(*TWO) as session:
        whole = as_masks(session.propagate())
    stop_after(tmp_path / "a.sam3", told(*TWO), 15)

    def look_quickly(project, session):
        next(session.propagate("forward", 7))
        assert min(steps)[0] == 6
        steps.clear()

    steps.clear()
    rest, _, nearly = go_on(tmp_path / "a.sam3", before=look_quickly)
    assert nearly == ()
    assert min(steps)[0] == 12
    assert rest == rest_of(whole, range(15, T))


# ------------------------------------------------------- the embedded default

N_THINGS = 84


@cache
def things():
    return changing_things(N_THINGS)


@cache
def followed(n_frames, *, backward=False):
    """What a run that is never stopped gives."""
    with told_things(backward=backward, n_frames=n_frames) as session:
        start = n_frames - 1 if backward else 0
        return as_masks(session.propagate("backward" if backward else "forward", start, n_frames))


def told_things(n_frames, *, backward=False):
    film = things()[n_frames - 1 :: -1] if backward else things()
    prompted = n_frames - 1 if backward else 0
    boxes = [(prompted, {"boxes": [box], "obj_id": i}) for i, box in THINGS.items()]
    return told(*boxes, film=film, model="optical-flow")


@pytest.mark.parametrize(
    "case",
    sweep([(3, False), (9, False), (21, False), (9, True), (21, True)], [(21, False)]),
)
def test_the_embedded_default_goes_on_to_the_pixel(tmp_path, monkeypatch, case):
    stop_at, backward = case
    monkeypatch.setattr(recovery, "EVERY", 8)
    n_frames = 27
    whole = followed(n_frames, backward=backward)
    session = told_things(n_frames, backward=backward)
    film = session.video
    run = ("backward", n_frames - 1) if backward else ("forward", 0, n_frames)
    folder = tmp_path / "a.sam3"
    stop_after(folder, session, stop_at, *run, shape=film.shape[:3])
    again = things()[n_frames - 1 :: -1] if backward else things()
    if stop_at == 21:
        made = Checkpoint.from_bytes((folder / NEWEST).read_bytes())
        assert made.nbytes < 50_000
        with Project.open(folder) as project:
            copy = tmp_path / "b.sam3"
            project.carry_to(copy)
        near, _, _ = go_on(copy, "optical-flow", again, recover="quick")
        assert near != rest_of(whole, near)  # it is no matter of course
    rest, problems, nearly = go_on(folder, "optical-flow", again)
    assert len(rest) == len(whole) - stop_at
    assert rest == rest_of(whole, rest)
    assert (problems, nearly) == ([], ())


KILLED = """
import sys
import numpy as np
from tests.projects.test_checkpoints import PROMPTS, things
from napari_sam3.projects import Project, ProjectRun

with Project.open(sys.argv[1]) as project:
    limit = int(sys.argv[2])
    with ProjectRun(project, "optical-flow", PROMPTS, limit=limit, video=things()) as run:
        for result in run:
            project.flush()
            print(result.frame_index, flush=True)
"""
PROMPTS = [SavedPrompt(0, i, box_xyxy=np.array(box, float)) for i, box in THINGS.items()]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.sweep
@pytest.mark.parametrize("case", [(3, 14), (9, 14), (40, 56), (70, 84)])
def test_a_process_that_was_killed_is_gone_on_with_to_the_pixel(tmp_path, case):
    """A real process, and a real end; twice in a row."""
    killed_at, n_frames = case
    folder = tmp_path / "a.sam3"
    Project.create(folder, None, things().shape[:3]).close()
    for stop_at in (killed_at - 2, killed_at):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(n_frames)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            for line in process.stdout:
                if int(line) == stop_at:
                    process.kill()
                    break
        assert process.returncode == -signal.SIGKILL
    with (
        Project.open(folder) as project,
        ProjectRun(project, "optical-flow", PROMPTS, limit=n_frames, video=things()) as run,
    ):
        assert run.is_resumed
        rest = as_masks(run)
        assert project.checkpoints.problems == []
        assert project.run.nearly == ()
    assert 0 < len(rest) < n_frames - killed_at
    assert rest == rest_of(followed(n_frames), rest)

"""Work that was stopped goes on: nothing is computed twice, and the result is the same."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.models.fake import FakeModel
from napari_sam3.models.sequential import SequentialTracker
from napari_sam3.projects import Project, continue_run, open_session
from napari_sam3.samples.cells import make_cells
from napari_sam3.session.session import VideoSession

SHAPE = T, H, W = 16, 60, 90
FILM = np.zeros(SHAPE, np.uint8)


def prompt(session):
    """Two objects that overlap, one corrected; one that leaves; a hidden one."""
    session.add_prompt(5, points=[[20, 20]])
    session.add_prompt(5, boxes=[[22, 12, 40, 30]])
    session.add_prompt(7, points=[[80, 50]])
    list(session.propagate("forward", 5, 5))
    session.add_prompt(8, points=[[26, 20]], point_labels=[0], obj_id=2)


def run_and_stop(project, session, direction, start, n_frames, limit=None):
    """Keep the first frames of a run, as a process that is killed does."""
    project.save_prompts(session.list_prompts())
    project.begin_run(direction, start, limit)
    for _, result in zip(range(n_frames), session.propagate(direction, start, limit), strict=False):
        told = session.prompted_objects(result.frame_index)
        project.keep(result, prompted=told, of_run=True)


def as_labels(results):
    return {
        r.frame_index: {i: (m.mask.tobytes(), m.score) for i, m in r.objects.items()}
        for r in results
    }


@pytest.mark.parametrize("recover", ["exact", "quick"])
@pytest.mark.parametrize("stop_at", [0, 1, 6, 11, 12, 15])
def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path, steps, stop_at, recover):
    with VideoSession(FILM, FakeModel()) as session:
        prompt(session)
        whole = as_labels(session.propagate("both", 5))
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        prompt(session)
        run_and_stop(project, session, "both", 5, stop_at)
    steps.clear()
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, FakeModel(), video=FILM, recover=recover) as session,
    ):
        assert project.problems == ()
        assert session.object_ids == (1, 2, 3)
        rest = as_labels(continue_run(project, session))
    done = [*range(5, T), *range(4, -1, -1)][:stop_at]
    assert sorted([*rest, *done]) == list(range(T))
    assert rest == {f: whole[f] for f in rest}
    forward = [target for source, target in steps if target > source]
    if 0 < stop_at < T - 5:
        # from the prompt again, unseen; or no frame before the stop
        assert min(forward) == (6 if recover == "exact" else 5 + stop_at)


@pytest.mark.parametrize("frame_index", [3, 9])
def test_a_frame_that_was_done_is_shown_and_corrected_as_it_was(tmp_path, frame_index):
    def correct(session):
        result = session.add_prompt(frame_index, points=[[40, 25]], point_labels=[0], obj_id=2)
        return as_labels([result])

    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        prompt(session)
        run_and_stop(project, session, "both", 5, 13)
        shown = as_labels([session.result(frame_index)])
        corrected = correct(session)
        undone = as_labels([session.take_back_prompt(frame_index, 2)])
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        assert as_labels([session.result(frame_index)]) == shown
        assert correct(session) == corrected
        assert as_labels([session.take_back_prompt(frame_index, 2)]) == undone == shown
        assert session.result(0).objects == {}


def test_what_a_correction_changes_is_computed_again_and_no_more(tmp_path, steps):
    """Corrected after the stop, closed before anything was tracked with it."""
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        session.add_prompt(0, points=[[20, 20]])
        run_and_stop(project, session, "forward", 0, 13)
        session.add_prompt(10, points=[[60, 30]], obj_id=1)
        project.save_prompts(session.list_prompts())
        whole = as_labels(session.propagate("forward", 10))
    steps.clear()
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, FakeModel(), video=FILM, recover="quick") as session,
    ):
        assert project.frames_left == (range(13, T),)
        assert project.frames_to_do == (range(10, 13), range(13, T))
        assert project.fresh_frames == (range(10),)
        assert as_labels(continue_run(project, session)) == whole
    assert steps == [(f, f + 1) for f in range(10, T - 1)]


def test_a_correction_while_it_runs_leaves_what_follows_true(tmp_path, steps):
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        session.add_prompt(0, points=[[20, 20]])
        project.save_prompts(session.list_prompts())
        project.begin_run("forward", 0)
        propagation = session.propagate("forward", 0)
        for result in propagation:
            project.keep(result, of_run=True)
            if result.frame_index == 6:
                session.add_prompt(3, points=[[60, 30]], obj_id=1)
                project.save_prompts(session.list_prompts())
            if result.frame_index == 10:
                break
    with Project.open(tmp_path / "a.sam3") as project:
        assert project.run.stale == ((3, 6),)
        assert project.fresh_frames == (range(3), range(7, 11))
        assert project.frames_to_do == (range(3, 7), range(11, T))
        steps.clear()
        with open_session(project, FakeModel(), video=FILM, recover="quick") as session:
            for result in continue_run(project, session):
                project.keep(result, of_run=True)
                if result.frame_index == 4:
                    break  # stopped once more
        assert steps == [(3, 4)]
    with Project.open(tmp_path / "a.sam3") as project:
        assert project.frames_to_do == (range(5, 7), range(11, T))
        with open_session(project, FakeModel(), video=FILM) as session:
            for result in continue_run(project, session):
                project.keep(result, of_run=True)
        project.end_run()
        assert project.run.is_over
        assert project.run.stale == ()
        shown = np.asarray(project.labels)
    with VideoSession(FILM, FakeModel()) as session:
        session.add_prompt(0, points=[[20, 20]])
        list(session.propagate("forward", 0, 4))
        session.add_prompt(3, points=[[60, 30]], obj_id=1)
        for result in session.propagate("forward", 0):
            assert ((shown[result.frame_index] == 1) == result.objects[1].mask).all()


def test_a_new_propagation_goes_on_from_what_was_shown(tmp_path, steps):
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        prompt(session)
        run_and_stop(project, session, "forward", 5, 8)
        whole = as_labels(session.propagate("forward", 10))
    steps.clear()
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        assert as_labels(session.propagate("forward", 10)) == whole
        assert min(steps)[0] == 9
        session.add_prompt(12, points=[[50, 40]])
        steps.clear()
        list(session.propagate("forward", 12))
        assert min(steps)[0] == 11


def test_ids_found_by_text_and_removed_ones_stay_what_they_were(tmp_path):
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, FakeModel()) as session,
    ):
        session.add_prompt(2, points=[[10, 10]], obj_id=7)
        session.add_prompt(0, text="person")
        session.remove_object(8)
        run_and_stop(project, session, "forward", 0, 6)
        whole = as_labels(session.propagate("forward", 6))
        shown = as_labels([session.result(3)])
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        assert session.object_ids == (7, 9)
        assert as_labels([session.result(3)]) == shown
        assert as_labels(continue_run(project, session)) == whole
        session.add_prompt(1, text="person")
        assert session.object_ids == (7, 9)  # known ones are found again, the removed one is not
        assert session.add_prompt(1, points=[[70, 10]]).objects.keys() >= {10}


def test_what_a_concept_found_on_the_way_is_known_again(tmp_path, model):
    """The process died before anybody had saved that there is an object 5."""
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, model) as session,
    ):
        session.add_prompt(0, text="dog")
        project.save_prompts(session.list_prompts())
        result = session.add_prompt(3, points=[[10, 50]], obj_id=5)
        project.keep(result, of_run=True)
    with Project.open(tmp_path / "a.sam3") as project:
        assert project.prompts.found == {1, 5}
        assert project.prompts.next_id == 6
        with open_session(project, model, video=FILM) as session:
            assert 5 in session.result(3).objects


def test_another_model_answers_anew_under_the_same_ids(tmp_path, model):
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, model) as session,
    ):
        session.add_prompt(0, text="person")
        session.add_prompt(4, points=[[40, 40]], obj_id=6)
        session.add_prompt(4, points=[[70, 10]], obj_id=9)
        session.remove_object(9)
        project.save_prompts(session.list_prompts())
    other = FakeModel(radius=4)
    other.name = "other"
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, other, video=FILM) as session,
    ):
        assert project.problems == ()
        assert session.object_ids == (6, 10, 11)
        assert session.result(4).objects[6].area < 60


def test_a_long_project_is_not_loaded_whole(tmp_path, model):
    n_frames = 10_000
    film = np.broadcast_to(np.uint8(0), (n_frames, 20, 20))
    looked = []
    with Project.create(tmp_path / "a.sam3", None, film.shape) as project:
        square = np.zeros((20, 20), np.uint16)
        square[3:9, 3:9] = 1
        with VideoSession(film, model) as session:
            session.add_prompt(0, boxes=[[3, 3, 9, 9]])
            project.save_prompts(session.list_prompts())
        number = project.begin_run("forward", 0)
        for t in range(60):
            project.labels.draw(t, square, run=number)
        read = project.labels.__class__._load
        project.flush()
    with Project.open(tmp_path / "a.sam3") as project:

        def note(self, frame_index):
            looked.append(frame_index)
            return read(self, frame_index)

        project.labels.__class__._load, kept = note, read
        try:
            with open_session(project, model, video=film) as session:
                assert looked == []
                next(continue_run(project, session))
                assert set(looked) <= set(range(50, 60))
        finally:
            project.labels.__class__._load = kept


def test_a_tracker_is_told_of_a_handful_of_frames(tmp_path, model, monkeypatch):
    told = []
    propagate = SequentialTracker.propagate

    def note(self, journal, frames, new_id):
        told.append(sorted(journal.known))
        return propagate(self, journal, frames, new_id)

    monkeypatch.setattr(SequentialTracker, "propagate", note)
    with (
        Project.create(tmp_path / "a.sam3", None, SHAPE) as project,
        VideoSession(FILM, model) as session,
    ):
        session.add_prompt(14, points=[[60, 40]])
        run_and_stop(project, session, "backward", 14, 10)
    told.clear()
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, model, video=FILM, recover="quick") as session,
    ):
        list(continue_run(project, session))
        assert project.run.nearly == (3,)
    assert told == [list(range(4, 12))]


@pytest.mark.parametrize(
    ("recover", "stop_at"),
    [("exact", 1), ("exact", 5), ("exact", 18), ("quick", 1), ("quick", 5)],
)
def test_the_embedded_default_goes_on_exactly(tmp_path, recover, stop_at):
    """Blobs; that things which are learnt do so too `test_checkpoints` sees."""
    movie = make_cells(frames=22, size=(120, 160))
    film, labels = movie.frames, movie.labels[0]

    def begin():
        session = VideoSession(film, "optical-flow")
        for obj_id in np.unique(labels[labels != 0])[:3].tolist():
            session.add_prompt(0, mask=labels == obj_id, obj_id=obj_id)
        return session

    with begin() as session:
        whole = as_labels(session.propagate())
    with Project.create(tmp_path / "a.sam3", None, film.shape) as project, begin() as session:
        run_and_stop(project, session, "forward", 0, stop_at)
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, "optical-flow", video=film, recover=recover) as session,
    ):
        rest = as_labels(continue_run(project, session))
    if recover == "exact":
        assert rest == {f: whole[f] for f in rest}
    else:  # what is known since the prompt tells all but the last digits of scores
        for frame, objects in rest.items():
            masks = {i: mask for i, (mask, _) in objects.items()}
            assert masks == {i: mask for i, (mask, _) in whole[frame].items()}


def test_divisions_hold_in_a_session_that_is_gone_on_with(tmp_path, model):
    with Project.create(tmp_path / "a.sam3", None, SHAPE) as project:
        with VideoSession(FILM, model) as session:
            session.add_prompt(0, points=[[20, 20]])
            session.add_prompt(6, points=[[50, 40]])
            run_and_stop(project, session, "forward", 0, 4)
        project.objects.mark_division(1, [2], 6)
        project.save_objects(project.objects)
    with (
        Project.open(tmp_path / "a.sam3") as project,
        open_session(project, model, video=FILM) as session,
    ):
        seen = {r.frame_index: set(r.objects) for r in continue_run(project, session)}
    assert seen == {t: {1} if t < 6 else {2} for t in range(4, T)}

"""The session behind the window, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sam3.models.fake import FakeModel
from napari_sam3.models.registry import LoadedModel
from napari_sam3.plugin.controllers.session_controller import SessionController, Setup
from napari_sam3.plugin.layers.layer_prompts import LayerPrompt, TargetPrompts
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.model.events import ModelReady, Planned, Renumbered, TextMissed, Tracked


def wanted(*clicks, texts=()):
    """Prompts from (frame, object, x, y, sign) tuples."""
    said: dict[tuple[int, int], list] = {}
    for frame, obj_id, x, y, sign in clicks:
        said.setdefault((frame, obj_id), []).append((x, y, sign))
    objects = {
        key: LayerPrompt(
            *key,
            np.array([p[:2] for p in points], float),
            np.array([p[2] for p in points], bool),
        )
        for key, points in said.items()
    }
    return TargetPrompts(objects, texts, 0)


@pytest.fixture
def controller():
    models = LoadedModel()
    film = Image(np.zeros((20, 80, 120), np.uint8))
    controller = SessionController(Setup(film, StackAxes(0), "fake"), models)
    yield controller
    controller.close()
    models.close()


def bring(controller, prompts):
    return list(controller.sync_prompts(prompts))


def centre(controller, frame, obj_id):
    x0, y0, x1, y1 = controller.session.result(frame).objects[obj_id].bbox
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_steps_of_a_track(controller):
    steps = list(controller.track(wanted((0, 1, 30, 30, 1)), "forward", None, 4))
    assert steps[0] == ModelReady("fake", "cpu")
    assert Planned(4, 4) in steps
    assert [s.result.frame_index for s in steps if isinstance(s, Tracked)] == [0, 1, 2, 3]


def test_both_ways_reaches_both_ends_for_an_object_named_late(controller):
    prompts = wanted((2, 1, 30, 30, 1), (6, 2, 60, 40, 1), (9, 1, 10, 10, 1))
    steps = list(controller.track(prompts, "both", None, None))
    # backward from the last one named, then forward from the first: some frames twice
    assert Planned(20, 6 + 18) in steps
    tracked = {s.result.frame_index: s.result for s in steps if isinstance(s, Tracked)}
    assert sorted(tracked) == list(range(20))
    assert all(set(result.objects) == {1, 2} for result in tracked.values())
    # between its prompts an object follows from the earlier one
    assert centre(controller, 8, 1) == (30 + 6 * 3, 30 + 6 * 2)


def test_cancelling_the_first_way_does_not_begin_the_second(controller):
    prompts = wanted((2, 1, 30, 30, 1), (6, 2, 90, 60, 1))
    steps = controller.track(prompts, "both", None, None)
    for step in steps:
        if isinstance(step, Tracked):
            controller.cancel()
            break
    assert list(steps) == []


def test_same_prompts_are_told_once(controller):
    prompts = wanted((0, 1, 30, 30, 1))
    bring(controller, prompts)
    version = controller.session.result(0).objects[1]
    assert bring(controller, wanted((0, 1, 30, 30, 1))) == []
    assert controller.session.result(0).objects[1].bbox == version.bbox


def test_moved_and_deleted_prompts(controller):
    bring(controller, wanted((0, 1, 30, 30, 1), (0, 2, 90, 50, 1), (5, 2, 60, 60, 1)))
    bring(controller, wanted((0, 1, 40, 40, 1), (0, 2, 90, 50, 1)))
    assert controller.object_ids == (1, 2)
    assert centre(controller, 0, 1) == (40, 40)
    list(controller.session.propagate())
    assert centre(controller, 5, 2) == (105, 60)
    bring(controller, wanted((0, 1, 40, 40, 1)))
    assert controller.object_ids == (1,)


def test_removed_object_may_be_named_again(controller):
    bring(controller, wanted((0, 1, 30, 30, 1), (0, 2, 90, 50, 1)))
    list(controller.remove_object(1, []))
    assert controller.object_ids == (2,)
    bring(controller, wanted((0, 1, 60, 20, 1), (0, 2, 90, 50, 1)))
    assert centre(controller, 0, 1) == (60, 20)


def test_text_does_not_take_a_number_that_was_given(controller):
    bring(controller, wanted((0, 1, 90, 60, 1), texts=("person",)))
    assert controller.object_ids == (1, 2, 3)
    assert centre(controller, 0, 1) == (90, 60)


def test_correction_survives_when_a_text_is_taken_back(controller):
    bring(controller, wanted((0, 1, 20, 20, 1), texts=("person",)))
    list(controller.session.propagate())
    # off the object as it is on frame 4: known only by what was tracked
    prompts = ((0, 1, 20, 20, 1), (4, 1, 38, 28, 0))
    bring(controller, wanted(*prompts, texts=("person",)))
    corrected = controller.session.result(4).objects[1].area
    bring(controller, wanted(*prompts))
    assert controller.object_ids == (1,)
    assert controller.session.result(4).objects[1].area == corrected


def test_new_numbers_of_found_objects_are_told(controller):
    bring(controller, wanted(texts=("dog", "person")))
    assert controller.object_ids == (1, 2, 3)
    steps = bring(controller, wanted(texts=("person",)))
    assert Renumbered((1, 2, 3), (1, 2)) in steps
    assert steps[steps.index(Renumbered((1, 2, 3), (1, 2)))].same == {2: 1, 3: 2}


def test_model_is_kept_until_another_is_asked_for(monkeypatch):
    made = []
    init = FakeModel.__init__
    monkeypatch.setattr(
        FakeModel, "__init__", lambda self, *a, **k: (made.append(self), init(self, *a, **k))[1]
    )
    models = LoadedModel()
    one = models.get("fake", "auto")
    assert models.get("fake", "auto") is one
    assert models.get("fake", "cpu") is not one
    assert len(made) == 2


def test_text_that_found_nothing_is_told_and_asked_again_on_another_frame(controller):
    def ask(frame, *texts):
        said = TargetPrompts({}, texts, frame)
        return [e for e in controller.segment(said, frame) if isinstance(e, TextMissed)]

    bring(controller, wanted())
    controller.session.model.places = {}
    assert ask(3, "dog") == [TextMissed("dog", 3)]
    assert ask(3, "dog") == []  # not twice the same
    controller.session.model.places = {"dog": ((0.2, 0.2),)}
    assert ask(5, "dog") == []
    assert controller.object_ids == (1,)
    assert list(controller.session.result(5).objects) == [1]
    assert ask(9, "dog") == []  # found: asked no more
    assert controller.session.result(9).objects == {}


@pytest.mark.parametrize(
    ("clicks", "frames"),
    [
        # known before the stretch: forward through it
        ([(2, 1, 30, 30, 1)], [5, 6, 7, 8]),
        # within: to both ends; what comes forward also shows what was named late
        ([(6, 1, 30, 30, 1)], [5, 6, 7, 8]),
        # only behind it: backward
        ([(12, 1, 30, 30, 1)], [8, 7, 6, 5]),
        ([(0, 1, 30, 30, 1), (7, 2, 60, 40, 1)], [6, 5, 5, 6, 7, 8]),
        ([(0, 1, 30, 30, 1), (15, 2, 60, 40, 1)], [8, 7, 6, 5, 5, 6, 7, 8]),
    ],
)
def test_a_stretch_is_followed_and_nothing_else(controller, clicks, frames):
    steps = list(controller.track_within(wanted(*clicks), 5, 8))
    assert [s.result.frame_index for s in steps if isinstance(s, Tracked)] == frames
    assert Planned(4, len(frames)) in steps
    objects = {c[1] for c in clicks}
    assert all(controller.session.result(f).objects.keys() == objects for f in range(5, 9))
    assert not controller.session.result(10).objects


@pytest.mark.parametrize("band", [(0, 19), (19, 19), (0, 0)])
def test_a_stretch_may_reach_the_ends_of_the_video(controller, band):
    steps = controller.track_within(wanted((9, 1, 30, 10, 1)), *band)
    done = {s.result.frame_index for s in steps if isinstance(s, Tracked)}
    assert done == set(range(band[0], band[1] + 1))


def test_a_preview_is_the_answer_and_tells_the_session_nothing(controller):
    list(controller.segment(wanted((0, 1, 30, 30, 1)), 0))
    prompts = wanted((0, 1, 30, 30, 1), (0, 2, 36, 30, 1), (3, 3, 60, 60, 1))
    previewed = controller.preview(prompts, 0)
    assert list(previewed.objects) == [2]
    assert controller.object_ids == (1,)
    *_, told = controller.segment(prompts, 0)
    assert np.array_equal(told.result.objects[2].mask, previewed.objects[2].mask)
    assert controller.preview(prompts, 0).objects == {}


def test_a_preview_of_what_was_taken_back_and_said_anew(controller):
    list(controller.segment(wanted((0, 1, 30, 30, 1)), 0))
    moved = wanted((0, 1, 60, 40, 1))
    assert controller.preview(moved, 0).objects[1].holds(60, 40)
    assert centre(controller, 0, 1) == (30, 30)

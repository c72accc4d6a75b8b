"""What a window works on, without a window."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from napari.layers import Image

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import guess_axes
from napari_sam3.plugin.model.app_state import AppState, Phase, split_text
from napari_sam3.plugin.model.project_status import ProjectStatus
from napari_sam3.plugin.model.tracked_video import check_owner, disown_video, own_video


@pytest.fixture
def video():
    return Image(np.zeros((4, 20, 30), np.uint8), name="film")


def test_a_field_tells_of_its_changes_once(video):
    state, heard = AppState(), []
    state.events.video.connect(heard.append)
    state.video = video
    state.video = video
    assert heard == [video]


def test_fields_that_change_together_are_all_there_when_it_is_told():
    state, heard = AppState(), []
    state.events.phase.connect(lambda phase: heard.append((phase, state.frames_done)))
    state.events.frames_done.connect(lambda n: heard.append((state.phase, n)))
    state.update(phase=Phase.TRACKING, frames_done=3, frames_planned=0)
    assert heard == [(Phase.TRACKING, 3), (Phase.TRACKING, 3)]


def test_a_video_has_one_state_of_its_own_which_does_not_keep_it():
    state = AppState(video=Image(np.zeros((4, 20, 30), np.uint8)))
    assert state.current is state.tracked(state.video)
    assert len(state.videos) == 1
    state.video = None
    gc.collect()
    assert state.videos == ()


def test_it_knows_its_own_layers(video):
    state, axes = AppState(), guess_axes(video)
    points, shapes = make_prompt_layers(video, axes)
    results = ResultsLayer(video, axes)
    assert not state.is_prompt_layer(points)
    tracked = state.tracked(video)
    tracked.prompt_layers, tracked.results, tracked.results_axes = (points, shapes), results, axes
    assert state.is_prompt_layer(points)
    assert state.is_prompt_layer(shapes)
    assert state.is_results(results.layer)
    assert tracked.prompt_layers_in([points]) is None  # one of them was deleted
    assert tracked.results_in([results.layer], axes) is results
    assert tracked.results_in([]) is None


def test_what_can_be_changed(video):
    state = AppState()
    assert not state.can_change
    state.video = video
    assert state.can_change
    state.project = ProjectStatus(why_read_only="another has it")
    assert not state.can_change


def test_a_device_that_the_model_can_not_run_on_is_a_mere_wish():
    state = AppState(model="optical-flow", device="cuda")
    assert state.usable_device == "cuda"  # nothing is known yet
    state.catalog = type(state.catalog)(state.catalog.entries, devices={"optical-flow": ("cpu",)})
    assert state.usable_device == "auto"
    assert state.device == "cuda"


def test_what_a_model_elsewhere_takes_is_not_known_unless_it_is_named():
    state = AppState(model="optical-flow", compute="tls://gpu:8786")
    assert "takes no text" in state.why_not_taken("text")
    assert not state.takes_text
    entries = state.catalog.entries
    state.update(model="auto", catalog=type(state.catalog)(entries, auto=entries["optical-flow"]))
    assert state.why_not_taken("text") == ""  # the best one there may take it
    assert state.takes_text
    state.compute = ""
    assert "takes no text" in state.why_not_taken("text")


def test_one_at_a_time_owns_a_video(video):
    one, other = AppState(), AppState()
    own_video(video, one)
    check_owner(video, one)
    with pytest.raises(LayerError, match="a script works on the layer 'film'"):
        check_owner(video, other)
    copy = Image(video.data, metadata=dict(video.metadata))
    check_owner(copy, other)  # a copy of a layer is nobody's
    disown_video(video)
    check_owner(video, other)


def test_an_owner_that_is_gone_owns_nothing(video):
    own_video(video, AppState())
    gc.collect()
    check_owner(video, AppState())


def test_texts_are_parted_by_commas():
    assert split_text(" cell, nucleus ,, cell") == ("cell", "nucleus")

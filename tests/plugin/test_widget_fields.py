"""The fields: what they offer, explain and pass on to the layers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.plugin.model.status import Outcome, Phase, State
from napari_sam3.plugin.views.status_text import guide
from napari_sam3.plugin.views.widgets.layer_combo import shorten


def fields_of(dock):
    video, prompts, track = dock.video_fields, dock.prompt_fields, dock.track_fields
    return {
        "video": video.video.box,
        "time axis": video.time_axis,
        "channel": video.channel,
        "model": video.model,
        "get": video.get,
        "device": dock.settings_fields.device,
        "resolution": dock.settings_fields.resolution,
        "memory": dock.settings_fields.memory,
        "disk": dock.settings_fields.disk,
        "empty": dock.settings_fields.empty,
        "new": prompts.new,
        "points": prompts.points.box,
        "boxes": prompts.boxes.box,
        "masks": prompts.masks.box,
        "text": prompts.text,
        "object": prompts.object,
        "sign": prompts.sign,
        "direction": track.direction,
        "start": track.start,
        "length": track.length,
        "follow": track.follow,
        "segment": track.segment,
        "propagate": track.propagate,
        "stop": track.stop,
        "remove": dock.object_controls.fields.remove,
        "reset": dock.object_controls.fields.reset,
    }


def test_choices_follow_the_layers_of_the_viewer(open_dock, make_napari_viewer, film):
    viewer = make_napari_viewer()
    before = viewer.add_image(film, name="before")
    dock = open_dock(viewer)
    assert dock.video_fields.video.value is before
    assert dock.track_fields.start.max == len(film) - 1
    mine = viewer.add_points(ndim=3, name="mine")
    dock.prompt_fields.points.value = mine
    mine.name = "renamed"
    assert dock.prompt_fields.points.value is mine
    assert dock.prompt_fields.points.box.current_choice == "renamed"
    viewer.layers.remove(mine)
    assert dock.prompt_fields.points.value is None
    viewer.layers.remove(before)
    assert dock.video_fields.video.value is None
    assert not dock.track_fields.propagate.enabled


def test_results_are_no_masks_to_choose(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_fields.points.value.add([[0, 30, 40]])
    work(dock, dock.segment_frame)
    assert "film objects" in dock.viewer.layers
    assert list(dock.prompt_fields.masks.box.choices) == [None]


def test_every_field_has_a_tooltip_and_the_dock_is_narrow(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film, name="a name that is much too long for any dock " * 4)
    dock.new_prompts()
    without = [name for name, field in fields_of(dock).items() if not field.native.toolTip()]
    assert without == []
    assert dock.sizeHint().width() <= 400
    dock.settings_fields.group.open()
    groups = (
        dock.video_fields,
        dock.prompt_fields,
        dock.track_fields,
        dock.object_controls.fields,
        dock.settings_fields,
    )
    assert max(g.group.minimumSizeHint().width() for g in groups) <= 340


def test_text_is_closed_where_the_model_takes_none(open_dock, film):
    dock = open_dock()
    text = dock.prompt_fields.text
    assert text.enabled  # auto is the fake model here, which takes text
    dock.video_fields.model.value = "optical-flow"
    assert not text.enabled
    assert "optical-flow takes no text" in text.tooltip
    dock.video_fields.model.value = "auto"
    assert text.enabled


def test_model_is_chosen_by_name(open_dock, film, work, notes):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    dock.prompt_fields.points.value.add([[0, 30, 40]])
    dock.model_choice.choose("nonsense")
    work(dock, dock.segment_frame)
    assert "no model is called 'nonsense'" in notes[-1][1]
    dock.model_choice.choose("fake", "cpu")
    work(dock, dock.segment_frame)
    assert dock.bench.controller.session.model.name == "fake"


def test_new_items_say_the_current_object_and_sign(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    points, shapes = dock.prompt_fields.points.value, dock.prompt_fields.boxes.value
    keys = {str(key): act for key, act in points.keymap.items()}
    keys["N"](points)
    keys["W"](points)
    assert dock.prompt_fields.object.value == 2
    points.add([[0, 1, 1]])
    shapes.add_rectangles([[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]])
    for layer in (points, shapes):
        said = layer.features.iloc[0]
        assert (said["object"], said["label"]) == (2, "exclude")


@pytest.mark.parametrize(("label", "expected"), [(np.array([1]), 0), (np.array(["1"]), "exclude")])
def test_own_layer_keeps_its_way_of_saying_the_sign(open_dock, film, label, expected):
    dock = open_dock()
    dock.viewer.add_image(film)
    mine = dock.viewer.add_points([[0, 30, 40]], features={"label": label, "note": ["x"]})
    dock.prompt_fields.points.value = mine
    dock.prompt_fields.sign.value = "exclude"
    mine.add([[0, 5, 5]])
    assert mine.features["label"].iloc[1] == expected
    assert mine.features["note"].iloc[0] == "x"


def test_own_points_without_features_belong_to_the_current_object(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film)
    mine = dock.viewer.add_points([[0, 30, 40]])
    dock.prompt_fields.points.value = mine
    dock.prompt_fields.object.value = 4
    work(dock, dock.segment_frame)
    dock.prompt_fields.object.value = 5
    mine.add([[0, 60, 90]])
    work(dock, dock.segment_frame)
    frame = dock.bench.results_of(dock.video_fields.video.value).planes[0]
    assert (frame[30, 40], frame[60, 90]) == (4, 5)


def test_numbers_outside_the_video_are_refused(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film)
    with pytest.raises(ValueError, match="outside -1 to 19"):
        dock.track_fields.start.value = 20


@pytest.mark.parametrize(
    ("state", "begins"),
    [
        (State(), "Open a video"),
        (State(has_video=True), "Press New prompts, then click the object."),
        (State(has_video=True, takes_text=True), "Press New prompts, then click the object, or"),
        (State(has_video=True, has_prompt_layers=True), "Click the object in the picture"),
        (State(has_video=True, n_prompts=2), "2 prompts set."),
        (State(phase=Phase.LOADING, model="auto"), "Loading the model (auto)"),
        (State(has_video=True, ending=Outcome.FAILED, failure="no."), "no."),
        (
            State(has_video=True, n_prompts=1, ending=Outcome.EMPTY, has_text=True),
            "Nothing was found",
        ),
        (
            State(has_video=True, n_prompts=1, ending=Outcome.STOPPED),
            "Stopped before the first frame.",
        ),
    ],
)
def test_guidance(state, begins):
    assert guide(state).startswith(begins)


def test_long_names_keep_both_ends():
    assert shorten("short") == "short"
    short = shorten("experiment_2026-11-22_position_04_clicks", 20)
    assert len(short) == 20
    assert short.startswith("experimen")
    assert short.endswith("_clicks")

"""The fields: what they offer, explain and pass on to the layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Points
from qtpy.QtWidgets import QAbstractButton, QApplication, QCheckBox, QStyle

from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase
from napari_sam3.plugin.views.guidance import guide
from napari_sam3.plugin.views.widgets.groups import FoldedGroup
from napari_sam3.plugin.views.widgets.layer_combo import shorten

FILM = Image(np.zeros((3, 20, 30), np.uint8))


def fields_of(dock):
    video, prompts, track = dock.video_panel, dock.prompt_panel, dock.tracking_panel
    return {
        "video": video.video,
        "time axis": video.time_axis,
        "channel": video.channel,
        "model": dock.model_panel.model,
        "get": dock.model_panel.get,
        "device": dock.settings_panel.device,
        "resolution": dock.settings_panel.resolution,
        "memory": dock.settings_panel.memory,
        "disk": dock.settings_panel.disk,
        "empty": dock.settings_panel.empty,
        "new": prompts.new,
        "points": prompts.points,
        "boxes": prompts.boxes,
        "masks": prompts.masks,
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
        "reset": dock.objects_panel.fields.reset,
    }


def test_choices_follow_the_layers_of_the_viewer(open_dock, open_viewer, film):
    viewer = open_viewer()
    before = viewer.add_image(film, name="before")
    dock = open_dock(viewer)
    assert dock.video_panel.video.value is before
    assert dock.tracking_panel.start.max == len(film) - 1
    mine = viewer.add_points(ndim=3, name="mine")
    dock.prompt_panel.points.value = mine
    mine.name = "renamed"
    assert dock.prompt_panel.points.value is mine
    assert dock.prompt_panel.points.current_choice == "renamed"
    viewer.layers.remove(mine)
    assert dock.prompt_panel.points.value is None
    viewer.layers.remove(before)
    assert dock.video_panel.video.value is None
    assert not dock.tracking_panel.propagate.enabled


def test_results_are_no_masks_to_choose(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    work(dock, dock.segment_frame)
    assert "film objects" in dock.viewer.layers
    assert list(dock.prompt_panel.masks.choices) == [None]


def test_every_field_has_a_tooltip_and_the_dock_is_narrow(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film, name="a name that is much too long for any dock " * 4)
    dock.new_prompts()
    without = [name for name, field in fields_of(dock).items() if not field.native.toolTip()]
    assert without == []
    assert dock.sizeHint().width() <= 400
    dock.settings_panel.group.expand(animate=False)
    groups = (
        dock.video_panel,
        dock.prompt_panel,
        dock.tracking_panel,
        dock.objects_panel.fields,
        dock.settings_panel,
    )
    assert max(g.group.minimumSizeHint().width() for g in groups) <= 340


def test_text_is_closed_where_the_model_takes_none(open_dock, film):
    dock = open_dock()
    text = dock.prompt_panel.text
    assert text.enabled  # auto is the fake model here, which takes text
    dock.model_panel.model.value = "optical-flow"
    assert not text.enabled
    assert "optical-flow takes no text" in text.tooltip
    dock.model_panel.model.value = "auto"
    assert text.enabled


def test_model_is_chosen_by_name(open_dock, film, work, notes):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    dock.models.choose("nonsense")
    work(dock, dock.segment_frame)
    assert "no model is called 'nonsense'" in notes[-1][1]
    dock.models.choose("fake", "cpu")
    work(dock, dock.segment_frame)
    assert dock.tracking.session.session.model.name == "fake"


def test_new_items_say_the_current_object_and_sign(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    points, shapes = dock.prompt_panel.points.value, dock.prompt_panel.boxes.value
    keys = {str(key): act for key, act in points.keymap.items()}
    keys["N"](points)
    keys["W"](points)
    assert dock.prompt_panel.object.value == 2
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
    dock.prompt_panel.points.value = mine
    dock.prompt_panel.sign.value = "exclude"
    mine.add([[0, 5, 5]])
    assert mine.features["label"].iloc[1] == expected
    assert mine.features["note"].iloc[0] == "x"


def test_own_points_without_features_belong_to_the_current_object(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film)
    mine = dock.viewer.add_points([[0, 30, 40]])
    dock.prompt_panel.points.value = mine
    dock.prompt_panel.object.value = 4
    work(dock, dock.segment_frame)
    dock.prompt_panel.object.value = 5
    mine.add([[0, 60, 90]])
    work(dock, dock.segment_frame)
    frame = dock.tracking.results.planes[0]
    assert (frame[30, 40], frame[60, 90]) == (4, 5)


def test_numbers_outside_the_video_are_refused(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film)
    with pytest.raises(ValueError, match="outside -1 to 19"):
        dock.tracking_panel.start.value = 20


@pytest.mark.parametrize(
    ("state", "begins"),
    [
        (AppState(), "Open a video"),
        (AppState(video=FILM, model="optical-flow"), "Take a tool below, then click the object."),
        (AppState(video=FILM), "Take a tool below, then click the object, or"),
        (AppState(video=FILM, points=Points(ndim=3)), "Click the object in the picture"),
        (AppState(video=FILM, n_prompts=2), "2 prompts set."),
        (AppState(phase=Phase.LOADING, model="auto"), "Loading the model (auto)"),
        (AppState(video=FILM, outcome=Outcome.FAILED, failure="no."), "no."),
        (
            AppState(video=FILM, n_prompts=1, outcome=Outcome.EMPTY, texts=("cell",)),
            "Nothing was found",
        ),
        (
            AppState(video=FILM, n_prompts=1, outcome=Outcome.STOPPED),
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


def test_no_word_of_a_button_is_cut_off(open_dock, open_viewer, film, work):
    dock = open_dock(open_viewer(show=True))
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[10, 30, 40]])
    work(dock, dock.segment_frame)
    dock.viewer.dims.set_current_step(0, 10)
    dock.objects_panel.fields.lock.native.click()
    for group in dock.findChildren(FoldedGroup):
        group.expand(animate=False)
    dock.settings.features_measured.emit(999 * 2**20, 99 * 2**30)
    dock.resize(340, 2000)
    QApplication.processEvents()
    buttons = [b for b in dock.findChildren(QAbstractButton) if b.isVisible() and b.text()]
    assert len(buttons) > 20
    cut = {b.text(): (b.width(), _least(b)) for b in buttons if b.width() < _least(b)}
    assert cut == {}


def _least(button):
    """What its words and its box take, px."""
    words = max(map(button.fontMetrics().horizontalAdvance, button.text().splitlines()))
    has_box = isinstance(button, QCheckBox)
    return words + has_box * button.style().pixelMetric(QStyle.PixelMetric.PM_IndicatorWidth)

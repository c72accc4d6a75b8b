"""The list of models in the dock: states, licences, what they take; nothing is asked of the net."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtCore import Qt

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.weights import find_source, use_folder
from napari_sam3.models.weights.availability import State, account_fingerprint
from napari_sam3.models.weights.models_file import write_answer
from napari_sam3.plugin.model.app_state import Phase
from napari_sam3.plugin.model.model_catalog import format_state, survey_models
from tests.models.weights.folders import write_model, write_snapshot

pytestmark = pytest.mark.sweep

EDGETAM = "yonigozlan/EdgeTAM-hf"


def offered(dock) -> dict[str, str]:
    """What the list says, by the name behind it."""
    box = dock.model_panel.model
    return {
        str(box.native.itemData(row)): box.native.itemText(row) for row in range(len(box.choices))
    }


def choose(dock, name, qtbot) -> None:
    """Choose as a person does, and wait until all is known of it."""
    dock.model_panel.model.value = name
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)


@pytest.fixture
def ready(open_dock, film):
    """A dock on a film with one click on object 1."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    dock.viewer.dims.set_current_step(0, 0)
    return dock


def test_each_model_stands_there_with_its_state_and_nothing_is_asked(hub, open_dock, tmp_path):
    write_snapshot(EDGETAM, model_type="edgetam_video")
    use_folder(write_model(tmp_path / "my-cells"))
    dock = open_dock()
    assert list(offered(dock).values()) == [
        "auto: fake",
        "sam3  ·  ↓ 3.4 GB, gated",
        "sam2.1-large  ·  ↓ 898 MB",
        "sam2.1-base-plus  ·  ↓ 323 MB",
        "sam2.1-small  ·  ↓ 184 MB",
        "sam2.1-tiny  ·  ↓ 156 MB",
        "edgetam  ·  ✓ on disk",
        "my-cells  ·  ✓ on disk",
        "optical-flow  ·  embedded",
        "add a folder or hub id …",
    ]
    assert hub.requests == []


@pytest.mark.parametrize("state", [State.NOT_REQUESTED, State.PENDING, State.REFUSED])
def test_what_the_hub_said_last_of_gated_weights_is_told(weights_home, monkeypatch, state):
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    write_answer("facebook/sam3", state, account_fingerprint())
    survey = survey_models("auto")
    assert format_state(survey.entries["sam3"], survey.states["sam3"]) == state.value


def test_licence_and_use_are_shown_where_the_model_is_chosen(open_dock, qtbot):
    dock = open_dock()
    choose(dock, "sam3", qtbot)
    assert "SAM License" in dock.model_panel.licence.text()
    assert str(find_source("sam3").licence.url) in dock.model_panel.licence.text()
    assert "finds all objects that words" in dock.model_panel.model.tooltip
    native = dock.model_panel.model.native
    tip = native.itemData(native.findText("edgetam", Qt.MatchFlag.MatchStartsWith), 3)
    assert "Takes clicks, boxes, painted masks." in tip
    assert "Apache-2.0" in tip


def test_prompts_that_a_model_does_not_take_are_closed_with_the_reason(open_dock, qtbot):
    dock = open_dock()
    text = dock.prompt_panel.text
    choose(dock, "sam2.1-tiny", qtbot)
    assert not text.enabled
    assert text.native.placeholderText() == "takes no text; sam3 does"
    assert "Models that take text: sam3" in text.tooltip
    choose(dock, "sam3", qtbot)
    assert text.enabled


def test_a_model_without_masks_closes_their_field(open_dock, qtbot, monkeypatch):
    from dataclasses import replace

    from napari_sam3.models import registry
    from napari_sam3.models.base import Capabilities

    entry = replace(registry.find_model("fake"), capabilities=Capabilities(masks=False))
    monkeypatch.setitem(registry._ENTRIES, "fake", entry)
    dock = open_dock()
    masks = dock.prompt_panel.masks
    assert not masks.enabled
    assert "fake takes no painted masks; it takes clicks, boxes" in masks.tooltip
    choose(dock, "optical-flow", qtbot)
    assert masks.enabled
    assert masks.tooltip.startswith("A labels layer")


def test_the_choice_is_remembered_but_not_what_a_script_chose(open_dock, qtbot):
    dock = open_dock()
    dock.models.choose("sam2.1-small")
    assert open_dock().state.model == "auto"
    choose(dock, "sam2.1-tiny", qtbot)
    assert open_dock().state.model == "sam2.1-tiny"


def test_a_loaded_model_is_said_to_be(open_dock, film, qtbot, work, tmp_path, monkeypatch):
    use_folder(write_model(tmp_path / "mine"))
    load = FakeModel.__init__

    def stand_in(self, _folder, device, *, resolution, name):
        load(self, device)
        self.name = name

    monkeypatch.setattr("napari_sam3.models.sam.load.load_sam", _made_by(stand_in))
    dock = open_dock()
    dock.viewer.add_image(film)
    choose(dock, "mine", qtbot)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    work(dock, dock.segment_frame)
    qtbot.waitUntil(lambda: offered(dock)["mine"] == "mine  ·  ● loaded")


def _made_by(init):
    def make(*args, **kwargs):
        model = FakeModel.__new__(FakeModel)
        init(model, *args, **kwargs)
        return model

    return make


def test_a_model_that_is_not_here_is_asked_for_not_fetched(hub, ready, qtbot, notes):
    choose(ready, "sam2.1-tiny", qtbot)
    assert ready.guidance.text().startswith("The model sam2.1-tiny is not on this machine yet")
    ready.propagate()
    assert not ready.is_running
    assert ready.guidance.text().startswith("the model sam2.1-tiny is not on this machine")
    assert notes == []  # the dialog tells enough
    dialog = ready.model_panel.dialog
    assert dialog.isVisible()
    assert dialog.weights.name == "sam2.1-tiny"
    assert hub.requests == []
    choose(ready, "auto", qtbot)
    qtbot.waitUntil(lambda: ready.guidance.text().startswith("Hatched is a preview."))
    with qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    assert ready.guidance.text().startswith("Not quite right?")


def test_loading_leaves_the_window_alone(ready, qtbot, monkeypatch):
    go_on, load = threading.Event(), FakeModel.__init__
    threads = []

    def slow(self, *args, **kwargs):
        threads.append(threading.current_thread())
        assert go_on.wait(60)
        load(self, *args, **kwargs)

    monkeypatch.setattr(FakeModel, "__init__", slow)
    ready.models.choose("auto", "cpu")  # another one than is loaded
    ready.segment_frame()
    qtbot.waitUntil(lambda: bool(threads))
    assert threads[0] is not threading.main_thread()
    assert ready.state.phase is Phase.LOADING
    assert ready.guidance.text().startswith("Loading the model (auto)")
    ready.viewer.dims.set_current_step(0, 5)  # the window can be used
    go_on.set()
    with qtbot.waitSignal(ready.ended):
        pass


def test_memory_that_runs_out_keeps_what_is_done_and_points_at_the_remedy(
    ready, qtbot, notes, monkeypatch
):
    step = FakeTracker.step

    def fail_at_3(self, source, target, *args):
        if target == 3:
            raise OutOfDeviceMemoryError("the memory is used up. Use a lower working resolution")
        return step(self, source, target, *args)

    monkeypatch.setattr(FakeTracker, "step", fail_at_3)
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
    results = ready.tracking.results
    assert results.drawn_frames() == [0, 1, 2]
    assert notes[-1][0] == "error"
    told = ready.guidance.text()
    assert "Use a lower working resolution" in told
    assert told.endswith("3 frames done stay in 'film objects'.")
    assert ready.settings_panel.group.isExpanded()


def test_text_that_finds_nothing_is_told_with_a_hint(ready, qtbot):
    ready.viewer.dims.set_current_step(0, 4)
    ready.prompt_panel.text.value = "mitochondrion, dog"
    with qtbot.waitSignal(ready.ended):
        ready.segment_frame()
    told = ready.guidance.text()
    assert told.startswith(
        "Nothing new called 'mitochondrion' found on frame 4; try a shorter noun"
    )

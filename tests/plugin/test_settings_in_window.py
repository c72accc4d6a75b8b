"""The part "Settings", and what goes on while nobody works."""

from __future__ import annotations

import pytest

from napari_sam3.models.fake import FakeTracker
from napari_sam3.settings import read_settings, save_settings

pytestmark = pytest.mark.sweep


def test_what_is_set_is_kept_for_the_next_window(open_dock):
    fields = open_dock().settings_panel
    fields.device.value = "cpu"
    fields.resolution.value = 512
    fields.memory.value = 300
    fields.disk.value = 0
    fields.selection.value = "off"
    fields.corrections.value = 4
    fields.look_alikes.value = True
    fields.motion.value = True
    fields.precision.value = "float16"
    fields.compiles.value = True
    settings = read_settings()
    assert (settings.device, settings.resolution) == ("cpu", 512)
    assert (settings.features_mb, settings.features_disk_mb) == (300, 0)
    assert (settings.memory_selection, settings.prompted_frames) == ("off", 4)
    assert settings.distractor_memory
    assert settings.motion_prior
    assert (settings.precision, settings.compile_encoder) == ("float16", True)
    again = open_dock().settings_panel
    assert (again.selection.value, again.corrections.value) == ("off", 4)
    assert again.look_alikes.value
    assert again.motion.value
    assert (again.precision.value, again.compiles.value) == ("float16", True)
    assert (again.device.value, again.resolution.value) == ("cpu", 512)
    assert (again.memory.value, again.disk.value) == (300, 0)
    assert again.disk.native.text() == "none"


def test_what_the_environment_says_is_shown_and_closed(open_dock, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_FEATURES_MB", "77")
    fields = open_dock().settings_panel
    assert fields.memory.value == 77
    assert not fields.memory.native.isEnabled()
    assert "NAPARI_SAM3_FEATURES_MB says so" in fields.memory.native.toolTip()
    assert fields.disk.native.isEnabled()


def test_a_wish_for_a_device_outlives_models_that_can_not_use_it(open_dock, qtbot):
    save_settings(device="cuda")
    dock = open_dock()
    assert dock.settings_panel.device.value == "auto"  # the fake model runs on the CPU alone
    dock.models.choose("optical-flow")
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert read_settings().device == "cuda"


def test_the_session_is_made_with_what_is_set(open_dock, film, work):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    dock.settings_panel.resolution.value = 768
    work(dock, dock.segment_frame)
    before = dock.tracking.session
    assert dock.tracking.session.setup.resolution == 768
    dock.settings_panel.resolution.value = 0
    work(dock, dock.segment_frame)
    assert dock.tracking.session is not before
    before = dock.tracking.session
    dock.settings_panel.corrections.value = 4
    work(dock, dock.segment_frame)
    assert dock.tracking.session is not before
    for option in (dock.settings_panel.look_alikes, dock.settings_panel.motion):
        before = dock.tracking.session
        option.value = True
        work(dock, dock.segment_frame)
        assert dock.tracking.session is not before


def test_encoded_frames_are_limited_counted_and_deleted(open_dock, qtbot, request):
    torch = pytest.importorskip("torch")
    from napari_sam3.models.sam.feature_cache import SHARED_FEATURES
    from napari_sam3.models.sam.feature_files import FeatureKey

    budget = SHARED_FEATURES.memory_budget, SHARED_FEATURES.disk_budget
    request.addfinalizer(lambda: SHARED_FEATURES.set_budget(*budget))
    SHARED_FEATURES.clear()
    fields = open_dock().settings_panel
    key = FeatureKey("video", "encoder", 3, is_lasting=False)
    SHARED_FEATURES.put(key, {"map": torch.zeros(1, 500_000)}, seconds=1.0)
    fields.group.expand(animate=False)
    qtbot.waitUntil(lambda: "MB" in fields.empty.text)
    assert "2.0 MB in memory" in fields.empty.tooltip
    fields.empty.native.click()
    qtbot.waitUntil(lambda: fields.empty.text == "Empty (0 B)" and fields.empty.enabled)
    assert not SHARED_FEATURES.holds(key)
    fields.memory.value = 9
    qtbot.waitUntil(lambda: SHARED_FEATURES.memory_budget == 9 * 2**20)


def test_the_dock_fits_a_small_screen_with_its_settings_open(open_dock, film):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.settings_panel.group.expand(animate=False)
    assert dock.sizeHint().width() <= 400
    assert dock.minimumSizeHint().height() <= 800


# ------------------------------------------------------------------ while idle


@pytest.fixture
def looked_at(monkeypatch):
    """Frames that the model was told of."""
    frames: list[int] = []
    monkeypatch.setattr(FakeTracker, "prefetch", lambda _self, frame: frames.append(frame))
    monkeypatch.setattr(
        FakeTracker, "preparing", property(lambda _self: frames[-1] if frames else None)
    )
    return frames


@pytest.fixture
def ready(open_dock, film):
    dock = open_dock()
    dock.tracking.preview.is_on = False  # previews load and prepare what they need themselves
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    return dock


def test_the_model_hears_which_frame_is_looked_at(ready, looked_at, qtbot, work):
    ready.viewer.dims.set_current_step(0, 3)
    ready.prefetch.look()  # nothing is loaded for that
    assert ready.tracking.session is None
    work(ready, ready.segment_frame)
    qtbot.waitUntil(lambda: looked_at == [3])  # now it may get ready
    ready.viewer.dims.set_current_step(0, 5)
    ready.viewer.dims.set_current_step(0, 6)
    ready.viewer.dims.set_current_step(0, 7)
    qtbot.waitUntil(lambda: looked_at == [3, 7])  # not those passed on the way
    assert ready.quiet_line.text() == "preparing frame 7 …"


def test_nothing_is_prepared_while_there_is_work(ready, looked_at, gate, qtbot):
    gate.let(2)
    ready.propagate()
    qtbot.waitUntil(lambda: gate.n_waiting == 3)
    ready.viewer.dims.set_current_step(0, 5)
    ready.prefetch.look()
    assert looked_at == []
    assert ready.quiet_line.text() == ""
    gate.open()
    with qtbot.waitSignal(ready.ended):
        pass
    qtbot.waitUntil(lambda: looked_at == [5])


def test_a_closed_dock_looks_at_nothing(ready, looked_at, work, qtbot):
    work(ready, ready.segment_frame)
    qtbot.waitUntil(lambda: len(looked_at) == 1)
    ready.shut_down()
    ready.viewer.dims.set_current_step(0, 5)
    assert not ready.prefetch.is_due
    assert ready.quiet_line.text() == ""

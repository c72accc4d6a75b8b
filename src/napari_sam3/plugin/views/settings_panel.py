"""The part "Settings" of the dock: what is kept for the next time."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, LineEdit, PushButton
from qtpy.QtWidgets import QFileDialog, QSizePolicy

from napari_sam3.models.weights import format_bytes
from napari_sam3.plugin.controllers.settings_controller import SettingsController
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.model_catalog import AUTO
from napari_sam3.plugin.views.widgets.binding import bind
from napari_sam3.plugin.views.widgets.groups import FoldedGroup
from napari_sam3.plugin.views.widgets.layer_combo import fit_narrow
from napari_sam3.plugin.views.widgets.spin_box import NumberField
from napari_sam3.settings import (
    MODEL_SETTINGS,
    PRECISIONS,
    VARIABLES,
    projects_path,
    read_settings,
    settings_from_environment,
)

OWN_RESOLUTION = 0
RESOLUTIONS = (768, 512)
"""Working resolutions offered beside the model's own, px."""

_MOST_MB = 1_000_000
_MOST_PROMPTED = 99


class SettingsPanel:
    """Device, resolution, what models look back at, room for encoded frames, keeping of results.

    What the environment says can't be changed here; the tooltip names the variable.

    Parameters
    ----------
    state : AppState
    settings : SettingsController
    """

    def __init__(self, state: AppState, settings: SettingsController) -> None:
        self._state, self._settings = state, settings
        self.device = ComboBox(
            label="Device",
            tooltip="What the model runs on. auto: the fastest there is.",
            choices=[AUTO],
        )
        self.resolution = ComboBox(
            label="Resolution",
            tooltip="Side of the square that SAM models see. Smaller is faster and needs less "
            "memory; small objects blur.",
            choices=_resolutions(state.resolution),
        )
        self.precision = ComboBox(
            label="Precision",
            tooltip="What SAM models compute in on a CUDA card; elsewhere it is float32. float16 "
            "is for cards that have no bfloat16, as Turing's.",
            choices=[
                ("makers' choice", "auto"),
                *((name, name) for name in PRECISIONS if name != "auto"),
            ],
        )
        self.compiles = CheckBox(
            text="Compile the image encoder",
            tooltip="Have PyTorch compile it on a CUDA card: loading the model then takes minutes, "
            "and each new frame less time.",
        )
        self.selection = ComboBox(
            label="Past frames",
            tooltip="Which frames SAM models look back at. The newest ones, or those on which they "
            "were sure of the object, so that it is remembered while it is hidden.",
            choices=[
                ("makers' choice", "auto"),
                ("those it was sure of", "on"),
                ("the newest", "off"),
            ],
        )
        self.corrections = NumberField(
            "Prompted frames",
            "How many prompted frames, the nearest ones, SAM models look at beside the first. Each "
            "one that is looked at takes time on every frame.",
            max=_MOST_PROMPTED,
            lowest="makers' choice",
        )
        self.look_alikes = CheckBox(
            text="Remember look-alikes",
            tooltip="SAM models go on looking at frames on which something that looks the same was "
            "near and the object was sure all the same, so that masks do not jump to a neighbour.",
        )
        self.motion = CheckBox(
            text="Expect steady motion",
            tooltip="Where SAM models are in doubt which of several masks is the object's, they "
            "take one where it was going. Good where like things cross; not for sudden jumps.",
        )
        self.memory = NumberField(
            "In memory, MB",
            "Most memory for encoded frames. Clicking on a frame seen before and propagating "
            "again are fast as far as its frames are kept.",
            max=_MOST_MB,
            step=256,
            lowest="none",
            value=min(settings.settings.features_mb, _MOST_MB),
        )
        self.disk = NumberField(
            "On disk, MB",
            "Most disk for encoded frames, in your cache folder; it is safe to delete them.",
            max=_MOST_MB,
            step=1024,
            lowest="none",
            value=min(settings.settings.features_disk_mb, _MOST_MB),
        )
        self.empty = PushButton(text="Empty", tooltip="Delete all encoded frames.")
        self.keep = CheckBox(
            text="Keep results of video files",
            tooltip="Save prompts and results as a project, from the first result on and without "
            "being asked. Else they are gone when the window is closed.",
        )
        self.projects = LineEdit(
            label="Projects in",
            tooltip=f"The folder that new projects are made in; {AUTO}: your data folder.",
            value=settings.settings.projects_folder,
        )
        self.choose = PushButton(text="…", tooltip="Choose a folder.")
        self.choose.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.projects.native.setMinimumWidth(40)
        for box in (self.device, self.resolution, self.precision, self.selection):
            fit_narrow(box)
        self.group = FoldedGroup(
            "Settings",
            "Device, working resolution, precision, what models look back at, how much encoded "
            "frames may take, and whether results are kept; remembered for next time.",
        )
        rows = self.group.rows
        for field in (
            *(self.device, self.resolution),
            *(self.precision, self.selection, self.corrections),
        ):
            rows.add(field)
        rows.add_row(self.look_alikes.native)
        rows.add_row(self.motion.native)
        rows.add(self.memory)
        rows.add(self.disk)
        rows.add_row(self.empty.native)
        rows.add_row(self.compiles.native)
        rows.add_row(self.keep.native)
        rows.add(self.projects, self.choose.native)
        self._connect()

    def _connect(self) -> None:
        state = self._state
        bind(state, "keeps_results", self.keep)
        state.hear(self._show_resolution, "resolution")
        self._show_resolution(state.resolution)
        self.resolution.changed.connect(self._on_resolution_picked)
        state.hear(self._show_devices, "model", "catalog", "device")
        self._show_devices()
        self.device.changed.connect(self._on_device_picked)
        saved: dict[str, Any] = {
            "device": self.device,
            "resolution": self.resolution,
            "features_mb": self.memory,
            "features_disk_mb": self.disk,
            "keep_results": self.keep,
            "precision": self.precision,
            "compile_encoder": self.compiles,
            "memory_selection": self.selection,
            "prompted_frames": self.corrections,
            "distractor_memory": self.look_alikes,
            "motion_prior": self.motion,
        }
        for name, field in saved.items():
            if name in settings_from_environment():
                field.native.setEnabled(False)
                field.native.setToolTip(f"{VARIABLES[name]} says so.\n{field.native.toolTip()}")
            else:
                field.changed.connect(lambda value, name=name: self._save(name, value))
        # a model reads what was saved, so that comes first
        for name in MODEL_SETTINGS:
            if name != "prompted_frames":
                bind(state, name, saved[name])
        bind(state, "prompted_frames", self.corrections, show=_as_far_as_it_counts)
        if "projects_folder" in settings_from_environment():
            for native in (self.projects.native, self.choose.native):
                native.setEnabled(False)
                native.setToolTip(f"{VARIABLES['projects_folder']} says so.")
        # not at every letter that is typed
        self.projects.native.editingFinished.connect(self._on_projects_typed)
        self.choose.changed.connect(self._on_choose_pressed)
        self.empty.changed.connect(self._on_empty_pressed)
        self.group.toggled.connect(self._on_toggled)
        self._settings.features_measured.connect(self._show_used)
        self._settings.features_failed.connect(self._open_empty)

    def _save(self, name: str, value: Any) -> None:
        if value is None:  # while choices are exchanged
            return
        self._settings.save(name, value)
        if name.startswith("features"):
            self._settings.limit_features(self.memory.value, self.disk.value)

    def _show_resolution(self, resolution: int) -> None:
        with self.resolution.changed.blocked():
            self.resolution.choices = _resolutions(resolution)
            self.resolution.value = resolution

    def _on_resolution_picked(self, resolution: int | None) -> None:
        if resolution is not None:
            self._state.resolution = resolution

    def _show_devices(self, _value: Any = None) -> None:
        devices = self._state.catalog.devices.get(self._state.model, ())
        wish = self._state.device
        offered = [AUTO, *devices] if devices else [AUTO, wish]  # not known yet
        with self.device.changed.blocked():
            self.device.choices = list(dict.fromkeys(offered))
            self.device.value = self._state.usable_device

    def _on_device_picked(self, device: str | None) -> None:
        if device is not None:
            self._state.device = device

    def _on_choose_pressed(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self.group, "Folder for new projects", str(projects_path())
        )
        if folder:
            self.projects.value = folder
            self._on_projects_typed()

    def _on_projects_typed(self) -> None:
        self.projects.value = self.projects.value.strip() or AUTO
        if self.projects.value != read_settings().projects_folder:
            self._save("projects_folder", self.projects.value)

    def _on_empty_pressed(self) -> None:
        self.empty.enabled = False
        self._settings.empty_features()

    def _on_toggled(self, is_open: bool) -> None:
        if is_open:
            self._settings.measure_features()

    def _show_used(self, memory: int, disk: int) -> None:
        self._open_empty()
        self.empty.text = f"Empty ({format_bytes(memory + disk)})"
        self.empty.tooltip = (
            f"Delete all encoded frames: {format_bytes(memory)} in memory, "
            f"{format_bytes(disk)} on disk."
        )

    def _open_empty(self) -> None:
        self.empty.enabled = True


def _resolutions(chosen: int) -> list[tuple[str, int]]:
    named = {OWN_RESOLUTION: "own (the best)"}
    for size in sorted({*RESOLUTIONS, chosen} - {OWN_RESOLUTION}, reverse=True):
        named[size] = f"{size} px"
    return [(text, size) for size, text in named.items()]


def _as_far_as_it_counts(prompted: int) -> int:
    return min(prompted, _MOST_PROMPTED)

"""The part "Settings" of the dock: what is kept for the next time, and who reads it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, LineEdit, PushButton
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QWidget

from napari_sam3.errors import Sam3Error
from napari_sam3.models.weights import format_bytes
from napari_sam3.plugin.controllers.worker import Run, run_once
from napari_sam3.plugin.model.model_catalog import AUTO
from napari_sam3.plugin.views.widgets.groups import FoldedGroup
from napari_sam3.plugin.views.widgets.layer_combo import fit_narrow
from napari_sam3.plugin.views.widgets.spin_box import NumberField
from napari_sam3.settings import (
    VARIABLES,
    projects_path,
    read_settings,
    save_settings,
    settings_from_environment,
)

OWN_RESOLUTION = 0
RESOLUTIONS = (768, 512)
"""Working resolutions offered beside the model's own, px."""

_MOST_MB = 1_000_000


class SettingsFields:
    """Device, working resolution, what encoded frames may take, whether results are kept."""

    def __init__(self) -> None:
        self.device = ComboBox(
            label="Device",
            tooltip="What the model runs on. auto: the fastest there is.",
            choices=[AUTO],
        )
        self.resolution = ComboBox(
            label="Resolution",
            tooltip="Side of the square that SAM models see. Smaller is faster and needs less "
            "memory; small objects blur.",
            choices=_resolutions(OWN_RESOLUTION),
        )
        self.memory = NumberField(
            "In memory",
            "Most memory for encoded frames. Clicking on a frame seen before and propagating "
            "again are fast as far as its frames are kept.",
            max=_MOST_MB,
            step=256,
            suffix=" MB",
            lowest="none",
        )
        self.disk = NumberField(
            "On disk",
            "Most disk for encoded frames, in your cache folder; it is safe to delete them.",
            max=_MOST_MB,
            step=1024,
            suffix=" MB",
            lowest="none",
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
        )
        self.choose = PushButton(text="…", tooltip="Choose a folder.")
        self.choose.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.projects.native.setMinimumWidth(40)
        for box in (self.device, self.resolution):
            fit_narrow(box)
        self.group = FoldedGroup(
            "Settings",
            "Device, working resolution, how much encoded frames may take, and whether results are "
            "kept; remembered for next time.",
        )
        for field in (self.device, self.resolution, self.memory):
            self.group.add(field)
        self.group.add(self.disk, self.empty.native)
        self.group.add_row(self.keep.native)
        self.group.add(self.projects, self.choose.native)


class SettingsKeeper(QObject):
    """Fills the fields with what is set, and saves what the person changes.

    What the environment says can't be changed here; the tooltip names the variable.

    Parameters
    ----------
    fields : SettingsFields
    parent : QWidget
        Whose life it shares.
    """

    def __init__(self, fields: SettingsFields, parent: QWidget) -> None:
        super().__init__(parent)
        self._fields = fields
        self._errand: Run | None = None
        settings = read_settings()
        fields.device.choices = list(dict.fromkeys([AUTO, settings.device]))
        fields.device.value = settings.device
        fields.resolution.choices = _resolutions(settings.resolution)
        fields.resolution.value = settings.resolution
        fields.memory.value = min(settings.features_mb, _MOST_MB)
        fields.disk.value = min(settings.features_disk_mb, _MOST_MB)
        fields.keep.value = settings.keep_results
        fields.projects.value = settings.projects_folder
        named: dict[str, Any] = {
            "device": fields.device,
            "resolution": fields.resolution,
            "features_mb": fields.memory,
            "features_disk_mb": fields.disk,
            "keep_results": fields.keep,
        }
        for name, field in named.items():
            if name in settings_from_environment():
                field.native.setEnabled(False)
                field.native.setToolTip(f"{VARIABLES[name]} says so.\n{field.native.toolTip()}")
            else:
                field.changed.connect(lambda value, name=name: self._save(name, value))
        if "projects_folder" in settings_from_environment():
            for native in (fields.projects.native, fields.choose.native):
                native.setEnabled(False)
                native.setToolTip(f"{VARIABLES['projects_folder']} says so.")
        # not at every letter that is typed
        fields.projects.native.editingFinished.connect(self._on_projects_typed)
        fields.choose.changed.connect(self._on_choose_pressed)
        fields.empty.changed.connect(self._on_empty_pressed)
        fields.group.unfolded.connect(self._measure)

    def show_resolution(self, resolution: int) -> None:
        """Take a resolution for this work, without keeping it for the next time."""
        field = self._fields.resolution
        with field.changed.blocked():
            field.choices = _resolutions(resolution)
            field.value = resolution

    def drop(self) -> None:
        """Hear no more of what is being looked up."""
        if self._errand is not None:
            self._errand.drop()
        self._errand = None

    def _save(self, name: str, value: str | int | None) -> None:
        if value is None:  # while choices are exchanged
            return
        try:
            save_settings(**{name: value})
        except OSError as exc:
            show_error(f"the setting holds for this window only, for it can't be saved: {exc}")
        if name.startswith("features"):
            memory_mb, disk_mb = self._fields.memory.value, self._fields.disk.value
            self._send(lambda: _limit_features(memory_mb, disk_mb))

    def _on_choose_pressed(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self._fields.group, "Folder for new projects", str(projects_path())
        )
        if folder:
            self._fields.projects.value = folder
            self._on_projects_typed()

    def _on_projects_typed(self) -> None:
        field = self._fields.projects
        field.value = field.value.strip() or AUTO
        if field.value != read_settings().projects_folder:
            self._save("projects_folder", field.value)

    def _on_empty_pressed(self) -> None:
        self._fields.empty.enabled = False
        self._send(_empty_features)

    def _measure(self) -> None:
        self._send(_measure_features)

    def _send(self, errand: Callable[[], tuple[int, int]]) -> None:
        # in a thread: the first one imports torch, and files take their time
        self.drop()
        self._errand = run_once(errand, self._show_used, self._on_failed)

    def _show_used(self, used: tuple[int, int]) -> None:
        memory, disk = used
        self._fields.empty.enabled = True
        self._fields.empty.text = f"Empty ({format_bytes(memory + disk)})"
        self._fields.empty.tooltip = (
            f"Delete all encoded frames: {format_bytes(memory)} in memory, "
            f"{format_bytes(disk)} on disk."
        )

    def _on_failed(self, error: Sam3Error) -> None:
        self._fields.empty.enabled = True
        show_error(str(error))


def _resolutions(chosen: int) -> list[tuple[str, int]]:
    named = {OWN_RESOLUTION: "the model's own (best)"}
    for size in sorted({*RESOLUTIONS, chosen} - {OWN_RESOLUTION}, reverse=True):
        named[size] = f"{size} px"
    return [(text, size) for size, text in named.items()]


def _limit_features(memory_mb: int, disk_mb: int) -> tuple[int, int]:
    from napari_sam3.models.sam.feature_cache import set_features_budget

    set_features_budget(memory_mb, disk_mb)
    return _measure_features()


def _empty_features() -> tuple[int, int]:
    from napari_sam3.models.sam.feature_cache import SHARED_FEATURES

    SHARED_FEATURES.clear()
    return _measure_features()


def _measure_features() -> tuple[int, int]:
    """Bytes of encoded frames in memory and on disk."""
    from napari_sam3.models.sam.feature_cache import SHARED_FEATURES

    return SHARED_FEATURES.memory_used, SHARED_FEATURES.disk_used

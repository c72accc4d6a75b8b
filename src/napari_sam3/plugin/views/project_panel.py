"""The part "Project" of the dock: where the work is kept, and what happened to it last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget
from superqt import QElidingLabel

from napari_sam3.plugin.controllers.project_opener import ProjectOpener
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.project_status import ProjectStatus
from napari_sam3.plugin.views.widgets.groups import FoldedGroup
from napari_sam3.settings import projects_path


class ProjectPanel:
    """Where the project is, what happened to it last, and what can be done with it.

    Parameters
    ----------
    state : AppState
    opener : ProjectOpener
    """

    def __init__(self, state: AppState, opener: ProjectOpener) -> None:
        self._state, self._opener = state, opener
        self.place = QElidingLabel()
        # both ends of a path tell more than its middle
        self.place.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # long paths in a sentence have no place to break: never let them widen the dock
        for label in (self.place, self.status):
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.open = PushButton(
            text="Open …", tooltip="Open a project: a folder that ends in .sam3."
        )
        self.move = PushButton(text="Save elsewhere …")
        self.export = PushButton(
            text="Export …",
            tooltip="Write the results for other programs: shows the formats, and what each "
            "keeps of names, lineage and scores.",
        )
        self.reload = PushButton(
            text="Reload",
            tooltip="Show what was done since, where the project is open for writing; or take it "
            "over, if it is free now.",
        )
        self.find_video = PushButton(
            text="Find the video …", tooltip="Say where the video of this project is now."
        )
        self.group = FoldedGroup(
            "Project", "Where your work on this video is kept; it is saved as you go."
        )
        rows = self.group.rows
        rows.add_row(self.place)
        rows.add_row(self.status)
        rows.add_row(self.find_video.native)
        rows.add_row(self.reload.native)
        rows.add_row(self.open.native, self.move.native, self.export.native)
        self.offer = OfferRow()
        self.offer.accept.clicked.connect(opener.open_earlier)
        self.open.changed.connect(lambda _pressed: self._choose_and_open())
        self.reload.changed.connect(lambda _pressed: opener.reload())
        self.move.changed.connect(lambda _pressed: self._choose_and_move())
        self.find_video.changed.connect(lambda _pressed: self._choose_video())
        state.hear(self._show, "project", "phase", "video")
        self._show()

    def _show(self, _value: Any = None) -> None:
        """Say how things are; buttons that would disturb work under way are closed."""
        status = self._state.project
        is_free = self._state.is_idle and not status.is_busy
        self.group.setText(format_project_title(status))
        self.place.setText(status.folder)
        self.place.setToolTip(status.folder)
        self.place.setVisible(bool(status.folder))
        self.status.setText(format_project_status(status))
        self.find_video.native.setVisible(status.is_video_lost)
        self.reload.native.setVisible(bool(status.folder and status.why_read_only))
        self.reload.enabled = self.open.enabled = is_free
        self.move.enabled = is_free and status.can_move
        self.export.enabled = is_free and self._state.video is not None
        self.move.tooltip = (
            "A project that is read-only stays where it is."
            if status.why_read_only
            else "Move the project to another folder; the work goes on there."
        )
        self.offer.setVisible(bool(status.earlier) and is_free)

    def _choose_and_open(self) -> None:
        folder = QFileDialog.getExistingDirectory(
            self.group, "Open a project (a folder that ends in .sam3)", str(projects_path())
        )
        if folder:
            self._opener.open(Path(folder))

    def _choose_video(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self.group, "Where the video is now")
        if name:
            self._opener.point_to(Path(name))

    def _choose_and_move(self) -> None:
        name = Path(self._state.project.folder).name
        parent = QFileDialog.getExistingDirectory(self.group, f"Move {name} into this folder")
        if parent:
            self._opener.move_to(Path(parent) / name)


class OfferRow(QWidget):
    """A button under the guidance, for what it offers."""

    def __init__(self) -> None:
        super().__init__()
        self.accept = QPushButton("Open it")
        self.accept.setToolTip("Bring back layers, prompts, results and settings of that work.")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.accept)
        layout.addStretch()
        self.hide()


def format_project_title(status: ProjectStatus) -> str:
    """The title of the group: the gist, for it is mostly folded."""
    if status.is_busy:
        return "Project: opening …"
    if not status.folder:
        is_kept = status.is_kept and not status.why_not
        return "Project" if is_kept else "Project: results are not kept"
    if status.why_read_only:
        return "Project: read-only"
    if status.is_video_lost:
        return "Project: the video is missing"
    if status.problems:
        return "Project: see inside"
    return "Project: saved" if status.saved_at else "Project"


def format_project_status(status: ProjectStatus) -> str:
    """What happened last, in a few sentences."""
    if status.is_busy:
        return "Opening the project …"
    lines = []
    if status.why_read_only:
        lines.append(f"Read-only: {status.why_read_only}.")
    if not status.folder:
        lines.append(
            "Results are not kept (Settings, Keep results)."
            if not status.is_kept
            else f"Results are not kept: {status.why_not}."
            if status.why_not
            else "The first results on a video file make a project here by themselves."
        )
    elif status.saved_at and not status.why_read_only:
        lines.append(f"Saved at {status.saved_at}.")
    lines += [_as_item(problem) for problem in status.problems]
    return "\n".join(lines)


def _as_item(text: str) -> str:
    text = text.strip()
    return f"• {text}{'' if text.endswith('.') else '.'}"

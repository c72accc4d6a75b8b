"""The part "Project" of the dock: where the work is kept, and what happened to it last."""

from __future__ import annotations

from magicgui.widgets import PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from napari_sam3.plugin.model.project_status import ProjectStatus
from napari_sam3.plugin.views.project_text import format_project_status, format_project_title
from napari_sam3.plugin.views.widgets.groups import ElidedLabel, FoldedGroup


class ProjectFields:
    """Where the project is, what happened to it last, and what can be done with it."""

    def __init__(self) -> None:
        self.place = ElidedLabel()
        self.standing = QLabel()
        self.standing.setWordWrap(True)
        self.standing.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # long paths in a sentence have no place to break: never let them widen the dock
        self.standing.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.open = PushButton(
            text="Open …", tooltip="Open a project: a folder that ends in .sam3."
        )
        self.move = PushButton(text="Save elsewhere …")
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
        self.group.add_row(self.place)
        self.group.add_row(self.standing)
        self.group.add_row(self.find_video.native)
        self.group.add_row(self.reload.native)
        self.group.add_row(self.open.native, self.move.native)
        self.offer = OfferRow()
        self.show(ProjectStatus())

    def show(self, standing: ProjectStatus, *, is_idle: bool = True) -> None:
        """Say how things are; buttons that would disturb work under way are closed."""
        self.group.rename(format_project_title(standing))
        self.place.say(standing.folder)
        self.place.setVisible(bool(standing.folder))
        self.standing.setText(format_project_status(standing))
        self.find_video.native.setVisible(standing.is_video_lost)
        self.reload.native.setVisible(bool(standing.folder and standing.why_read_only))
        self.reload.enabled = is_idle and not standing.is_busy
        self.open.enabled = is_idle and not standing.is_busy
        can_move = is_idle and not standing.is_busy and standing.can_move
        self.move.enabled = can_move
        self.move.tooltip = (
            "Move the project to another folder; the work goes on there."
            if can_move or not standing.why_read_only
            else "A project that is read-only stays where it is."
        )
        self.offer.setVisible(standing.has_earlier and is_idle and not standing.is_busy)


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

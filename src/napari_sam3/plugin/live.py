"""Results drawn while they come in: written at once, shown about 30 times a second."""

from __future__ import annotations

from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam3.plugin.results import ResultLayer, frame_on_screen, show_frame
from napari_sam3.plugin.stack import StackAxes
from napari_sam3.values import FrameResult

REFRESH_MS = 33


class LiveDrawing(QObject):
    """Draws the results of one run into its layer; lives in the GUI thread.

    Parameters
    ----------
    viewer : napari viewer
        Where the layer is shown.
    image_layer, axes
        The video layer and how it is read.
    target : ResultLayer
        Where to draw.
    """

    refreshed = Signal()
    """The screen shows what was drawn."""

    def __init__(
        self, viewer: Any, image_layer: Image, axes: StackAxes, target: ResultLayer
    ) -> None:
        super().__init__()
        self.target = target
        self.is_followed = False
        self._viewer = viewer
        self._image_layer = image_layer
        self._axes = axes
        self._drawn: set[int] = set()
        self._latest: int | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)

    def draw(self, result: FrameResult) -> None:
        """Write a frame; it is shown within a moment."""
        self.target.write(result)
        self._latest = result.frame_index
        self._note(result.frame_index)

    def erase(self, frame_index: int, obj_id: int) -> None:
        """Take an object off a frame."""
        self.target.erase(frame_index, obj_id)
        self._note(frame_index)

    def refresh(self) -> None:
        """Show what was drawn, now."""
        self._timer.stop()
        drawn, self._drawn = self._drawn, set()
        latest, self._latest = self._latest, None
        if self._image_layer not in self._viewer.layers:
            return
        if self.is_followed and latest is not None:
            show_frame(self._image_layer, self._axes, self._viewer, latest)
        on_screen = frame_on_screen(self._image_layer, self._axes, self._viewer)
        if self._viewer.dims.ndisplay == 3 or on_screen in drawn:
            self.target.layer.refresh()
        self.refreshed.emit()

    def _note(self, frame_index: int) -> None:
        self._drawn.add(frame_index)
        if not self._timer.isActive():
            self._timer.start()

"""Results drawn while they come in: written at once, shown as often as the screen allows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import perf_counter
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen, show_frame
from napari_sam3.values import FrameResult

REFRESH_MS = 33
SHARE_OF_TIME = 0.2  # most that drawing may take


class LiveDrawing(QObject):
    """Draws the results of one run into its layer; lives in the GUI thread.

    The screen follows about 30 times a second; less often where drawing is slow (a large picture,
    no graphics card), for the model needs the processor too.

    Parameters
    ----------
    viewer : napari viewer
        Where the layer is shown.
    image_layer, axes
        The video layer and how it is read.
    target : ResultsLayer
        Where to draw.
    is_followed : callable
        Says whether the viewer is to show each frame as it is done.
    """

    refreshed = Signal()
    """The screen shows what was drawn."""

    def __init__(
        self,
        viewer: Any,
        image_layer: Image,
        axes: StackAxes,
        target: ResultsLayer,
        *,
        is_followed: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.target = target
        self._is_followed = is_followed
        self._viewer = viewer
        self._image_layer = image_layer
        self._axes = axes
        self._drawn: set[int] = set()
        self._latest: int | None = None
        self._timer = single_shot(self, self.refresh, REFRESH_MS)
        # fires when the events that a refresh has caused, painting among them, are dealt with
        self._painted = single_shot(self, self._on_painted)
        self._refresh_began = 0.0

    def draw(
        self,
        result: FrameResult,
        *,
        is_prompted: Callable[[int, int], bool] = lambda frame_index, obj_id: False,
        run: int = 0,
        only: Collection[int] | None = None,
    ) -> None:
        """Write a frame, as `ResultsLayer.write` does; it is shown within a moment."""
        self.target.write(result, is_prompted=is_prompted, run=run, only=only)
        self._latest = result.frame_index
        self._note(result.frame_index)

    def erase(self, frame_index: int, obj_id: int) -> None:
        """Take an object off a frame."""
        self.target.erase(frame_index, obj_id)
        self._note(frame_index)

    def refresh(self) -> None:
        """Show what was drawn, now."""
        self._timer.stop()
        self._refresh_began = perf_counter()
        drawn, self._drawn = self._drawn, set()
        latest, self._latest = self._latest, None
        if self._image_layer not in self._viewer.layers:
            return
        if self._is_followed() and latest is not None:
            show_frame(self._image_layer, self._axes, self._viewer, latest)
        on_screen = frame_on_screen(self._image_layer, self._axes, self._viewer)
        if self._viewer.dims.ndisplay == 3 or on_screen in drawn:
            self.target.layer.refresh()
        self.refreshed.emit()
        self._painted.start(0)

    def _note(self, frame_index: int) -> None:
        self._drawn.add(frame_index)
        if not self._timer.isActive() and not self._painted.isActive():
            self._timer.start()

    def _on_painted(self) -> None:
        took_ms = 1000 * (perf_counter() - self._refresh_began)
        pause_ms = took_ms * (1 - SHARE_OF_TIME) / SHARE_OF_TIME
        self._timer.setInterval(int(max(REFRESH_MS, pause_ms)))
        if self._drawn:
            self._timer.start()

"""While nobody works: the model gets ready for prompts on the frame that is looked at."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QWidget

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.tracked_video import Workbench
from napari_sam3.plugin.views.widgets.groups import QuietLine

REST_MS = 200
"""The slider must stand still so long: frames passed on the way are not looked at."""
LOOK_MS = 300


class Prefetch(QObject):
    """Tells the session which frame is on screen, and says quietly what it makes of that.

    Only a session whose model is loaded hears of it: looking at a video loads no model.

    Parameters
    ----------
    bench : Workbench
        With the session, if there is one.
    line : QuietLine
        Says which frame is being prepared; empty otherwise.
    parent : QWidget
        Whose life it shares.
    """

    def __init__(self, bench: Workbench, line: QuietLine, parent: QWidget) -> None:
        super().__init__(parent)
        self._bench, self._line = bench, line
        self._is_idle = True
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self.look)
        self._clock = QTimer(self)
        self._clock.setInterval(LOOK_MS)
        self._clock.timeout.connect(self._say)
        bench.viewer.dims.events.current_step.connect(self._on_step)

    def set_idle(self, is_idle: bool) -> None:
        """Hear whether work is under way; what is prepared stops by itself when it comes."""
        if is_idle and not self._is_idle:
            self._rest.start()
        self._is_idle = is_idle
        if not is_idle:
            self._rest.stop()
            self._fall_silent()

    @property
    def is_due(self) -> bool:
        """Whether the session will be told in a moment."""
        return self._rest.isActive()

    def close(self) -> None:
        """Look no more."""
        self._bench.viewer.dims.events.current_step.disconnect(self._on_step)
        self._rest.stop()
        self._fall_silent()

    def _on_step(self, _event: Any) -> None:
        if self._is_idle:
            self._rest.start()

    def look(self) -> None:
        """Tell the session now, if there is one and nobody works."""
        controller, setup = self._bench.controller, self._bench.setup
        if controller is None or controller.session is None or setup is None or not self._is_idle:
            return
        if setup.image_layer not in self._bench.viewer.layers:
            return
        frame_index = frame_on_screen(setup.image_layer, setup.axes, self._bench.viewer)
        try:
            controller.session.prefetch(frame_index)
        except Sam3Error:  # nobody asked for it: it is told where the frame is really needed
            return
        self._clock.start()
        self._say()

    def _say(self) -> None:
        controller = self._bench.controller
        session = None if controller is None else controller.session
        frame_index = None if session is None else session.preparing
        if frame_index is None:
            self._fall_silent()
        else:
            self._line.say("ahead", f"preparing frame {frame_index} …")

    def _fall_silent(self) -> None:
        self._clock.stop()
        self._line.say("ahead", "")

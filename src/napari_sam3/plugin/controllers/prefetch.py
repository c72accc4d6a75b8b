"""While nobody works: the model gets ready for prompts on the frame that is looked at."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.app_state import Phase

REST_MS = 200
"""The slider must stand still so long: frames passed on the way are not looked at."""
LOOK_MS = 300


class Prefetch(QObject):
    """Tells the session which frame is on screen, and the state which one is being prepared.

    Only a session whose model is loaded hears of it: looking at a video loads no model.

    Parameters
    ----------
    tracking : TrackingController
        With the session, if there is one.
    """

    def __init__(self, tracking: TrackingController) -> None:
        super().__init__()
        self._tracking, self._state = tracking, tracking.state
        self._rest = single_shot(self, self.look, REST_MS)
        self._clock = QTimer(self)
        self._clock.setInterval(LOOK_MS)
        self._clock.timeout.connect(self._show)
        self._state.events.phase.connect(self._on_phase_changed)
        # previews go before: what they need they prepare, and they stop what is being prepared
        tracking.preview.rested.connect(self._on_rested)
        tracking.viewer.dims.events.current_step.connect(self._on_step)

    @property
    def is_due(self) -> bool:
        """Whether the session will be told in a moment."""
        return self._rest.isActive()

    def close(self) -> None:
        """Look no more."""
        self._tracking.viewer.dims.events.current_step.disconnect(self._on_step)
        self._tracking.preview.rested.disconnect(self._on_rested)
        self._rest.stop()
        self._fall_silent()

    def _on_phase_changed(self, phase: Phase) -> None:
        # what is prepared stops by itself when work comes
        if phase is Phase.IDLE:
            self._rest.start()
        else:
            self._rest.stop()
            self._fall_silent()

    def _on_rested(self) -> None:
        self._rest.start()

    def _on_step(self, _event: Any) -> None:
        if self._state.is_idle:
            self._rest.start()

    def look(self) -> None:
        """Tell the session now, if there is one and nobody works."""
        session, viewer = self._tracking.session, self._tracking.viewer
        if session is None or session.session is None or not self._state.is_idle:
            return
        if session.setup.image_layer not in viewer.layers:
            return
        frame_index = frame_on_screen(session.setup.image_layer, session.setup.axes, viewer)
        try:
            session.session.prefetch(frame_index)
        except Sam3Error:  # nobody asked for it: it is told where the frame is really needed
            return
        self._clock.start()
        self._show()

    def _show(self) -> None:
        session = self._tracking.session
        self._state.prepared_frame = (
            None if session is None or session.session is None else session.session.preparing
        )
        if self._state.prepared_frame is None:
            self._clock.stop()

    def _fall_silent(self) -> None:
        self._clock.stop()
        self._state.prepared_frame = None

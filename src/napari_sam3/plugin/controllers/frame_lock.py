"""Frames that are right as they are: locked by a box in the window, or a key."""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import show_error

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.controllers.commands import LockFrame
from napari_sam3.plugin.controllers.tracking_controller import TrackingController, controllers_in

LOCK_KEY = "K"


class FrameLock:
    """Locks the frame on screen by a key of the viewer.

    A viewer has one key for all its docks: it goes to the dock whose layer is chosen, else to the
    one that was opened last.

    Parameters
    ----------
    tracking : TrackingController
        With the results.
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking = tracking
        tracking.viewer.bind_key(LOCK_KEY, _switch_lock, overwrite=True)

    def close(self) -> None:
        """Let go of the key, if nobody else needs it."""
        others = [c for c in controllers_in(self._tracking.viewer) if c is not self._tracking]
        if not others:
            self._tracking.viewer.bind_key(LOCK_KEY, None, overwrite=True)


def lock_frame(tracking: TrackingController, is_locked: bool) -> None:
    """Lock the frame on screen, or unlock it; what stands in the way is shown."""
    try:
        results = tracking.results
        if results is None:
            raise LayerError("there are no results to lock yet; press Segment frame or Propagate")
        locked = LockFrame(results.layer, tracking.frame_on_screen(), is_locked)
        tracking.state.tracked(tracking.video()).history.do(locked)
    except Sam3Error as exc:
        show_error(str(exc))
    tracking.state.n_locked = count_locked(tracking)


def count_locked(tracking: TrackingController) -> int:
    """How many frames of the chosen video are locked."""
    results = tracking.results
    return 0 if results is None else len(results.planes.locked_frames())


def works_with(tracking: TrackingController, layer: Any) -> bool:
    """Whether a layer is of the chosen video: itself, its prompts or its results."""
    current, results = tracking.state.current, tracking.results
    if layer is None or current is None:
        return False
    prompts = current.prompt_layers_in(tracking.viewer.layers) or ()
    is_result = results is not None and layer is results.layer
    return layer is current.image_layer or layer in prompts or is_result


def _switch_lock(viewer: Any) -> None:
    """Lock the frame on screen, or unlock it."""
    found = controllers_in(viewer)
    active = viewer.layers.selection.active
    meant = next((c for c in found if works_with(c, active)), found[-1] if found else None)
    results = None if meant is None else meant.results
    if meant is not None and results is not None and not results.planes.is_read_only:
        lock_frame(meant, not results.planes.is_locked(meant.frame_on_screen()))

"""Frames that are right as they are: locked by a box in the window, or a key."""

from __future__ import annotations

from napari.utils.notifications import show_error

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.controllers.commands import LockFrame
from napari_sam3.plugin.controllers.tracking_controller import TrackingController

LOCK_KEY = "K"


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


def switch_lock(tracking: TrackingController) -> None:
    """Lock the frame on screen, or unlock it."""
    results = tracking.results
    is_locked = results is not None and results.planes.is_locked(tracking.frame_on_screen())
    lock_frame(tracking, not is_locked)

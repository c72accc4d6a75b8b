"""Ctrl+Z and Ctrl+Shift+Z over the canvas."""

from __future__ import annotations

import sys
from typing import Any

from napari.layers import Labels
from napari.utils.notifications import show_error, show_info

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.tracking_controller import TrackingController, controllers_in

_MODIFIER = "Meta" if sys.platform == "darwin" else "Control"
UNDO_KEY, REDO_KEY = f"{_MODIFIER}-Z", f"{_MODIFIER}-Shift-Z"


class UndoKeys:
    """Undo and redo by keys of the viewer, and of the results.

    A viewer has one key for all its docks; it does something while a layer of a dock's video is
    chosen, or none. Over a layer of the person's own it is left to napari, whose labels have an
    undo of their own. Results have ours instead of napari's: strokes are kept in one order with all
    else, and napari's would write old pixels over what was drawn since.

    Parameters
    ----------
    tracking : TrackingController
        With the video.
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking = tracking
        _bind(tracking.viewer, _undo_on_canvas, _redo_on_canvas)
        tracking.edits.results_watched.connect(self._bind_results)
        for video in tracking.state.videos:
            if video.results is not None:
                self._bind_results(video.results.layer)

    def close(self) -> None:
        """Let go of the keys, if nobody else needs them."""
        viewer = self._tracking.viewer
        if not [c for c in controllers_in(viewer) if c is not self._tracking]:
            _bind(viewer, None, None)

    def _bind_results(self, layer: Labels) -> None:
        viewer = self._tracking.viewer
        _bind(layer, lambda _layer: _undo_on_canvas(viewer), lambda _layer: _redo_on_canvas(viewer))


def undo_by_key(tracking: TrackingController) -> None:
    """Undo, and say what; what stands in the way is shown."""
    _tell(tracking.undo, "undone", "nothing to undo")


def redo_by_key(tracking: TrackingController) -> None:
    """Redo, and say what; what stands in the way is shown."""
    _tell(tracking.redo, "done again", "nothing to redo")


def _tell(act: Any, done: str, nothing: str) -> None:
    try:
        said = act()
    except Sam3Error as exc:
        show_error(str(exc))
    else:
        show_info(f"{done}: {said}" if said else nothing)


def _bind(target: Any, undo: Any, redo: Any) -> None:
    target.bind_key(UNDO_KEY, undo, overwrite=True)
    target.bind_key(REDO_KEY, redo, overwrite=True)


def _undo_on_canvas(viewer: Any) -> None:
    """Undo what was done last to the video."""
    meant = _find_meant(viewer)
    if meant is not None:
        undo_by_key(meant)


def _redo_on_canvas(viewer: Any) -> None:
    """Do again what was undone last."""
    meant = _find_meant(viewer)
    if meant is not None:
        redo_by_key(meant)


def _find_meant(viewer: Any) -> TrackingController | None:
    """Whose video it is about: that of the chosen layer, if it is one of ours."""
    found = [c for c in controllers_in(viewer) if c.state.video is not None]
    active = viewer.layers.selection.active
    if active is None:
        return found[-1] if found else None
    return next((c for c in found if _works_with(c, active)), None)


def _works_with(tracking: TrackingController, layer: Any) -> bool:
    """Whether a layer is the chosen video, or holds its prompts or its results."""
    state, results = tracking.state, tracking.results
    current = state.current
    if current is None:
        return False
    prompts = current.prompt_layers_in(tracking.viewer.layers) or ()
    drawn_in = (state.points, state.boxes, state.example, *prompts)
    shown = (state.video, *drawn_in, results and results.layer)
    return any(layer is one for one in shown)

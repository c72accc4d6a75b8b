"""The timeline docked under the canvas of a window, and taken out again."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Any

from qtpy.QtCore import Qt

from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.views.timeline_view import TITLE, TimelineView


def show_timeline(tracking: TrackingController) -> TimelineView:
    """Dock a timeline at the bottom of the window; the one that is there, if there is one.

    Parameters
    ----------
    tracking : TrackingController
        Of a dock, or of a script's session.

    Returns
    -------
    TimelineView
        It ends when its dock is closed, or by `close_timeline`.
    """
    window = tracking.viewer.window
    docked = {name: getattr(w, "native", w) for name, w in window.dock_widgets.items()}
    for shown in docked.values():
        if isinstance(shown, TimelineView) and shown.tracking is tracking:
            return shown
    view = TimelineView(tracking)
    names = (TITLE if n == 1 else f"{TITLE} {n}" for n in count(1))
    name = next(name for name in names if name not in docked)
    window.add_dock_widget(view, name=name, area="bottom", add_vertical_stretch=False)
    main: Any = view.window()
    # under the canvas alone: the docks beside it keep their height
    main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
    main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
    return view


def close_timeline(view: TimelineView) -> None:
    """End a timeline, and take its dock out of the window."""
    view.shut_down()
    with suppress(LookupError, RuntimeError, AttributeError):  # it, or its window, was closed
        view.tracking.viewer.window.remove_dock_widget(view)

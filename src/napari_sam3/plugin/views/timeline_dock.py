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
    shown = _find(tracking)
    if shown is not None:
        return shown
    window = tracking.viewer.window
    view = TimelineView(tracking)
    names = (TITLE if n == 1 else f"{TITLE} {n}" for n in count(1))
    name = next(name for name in names if name not in window.dock_widgets)
    window.add_dock_widget(view, name=name, area="bottom", add_vertical_stretch=False)
    main: Any = view.window()
    # under the canvas alone: the docks beside it keep their height
    main.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
    main.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
    return view


def switch_timeline(tracking: TrackingController) -> TimelineView:
    """Hide the timeline, or show it again: the one that was hidden, or a new one if it is closed.

    Returns
    -------
    TimelineView
        As of `show_timeline`.
    """
    view = _find(tracking)
    dock = None if view is None else view.parentWidget()
    if view is None or dock is None:
        return show_timeline(tracking)
    dock.setVisible(dock.isHidden())
    return view


def _find(tracking: TrackingController) -> TimelineView | None:
    docked = (getattr(w, "native", w) for w in tracking.viewer.window.dock_widgets.values())
    timelines = (one for one in docked if isinstance(one, TimelineView))
    return next((one for one in timelines if one.tracking is tracking), None)


def close_timeline(view: TimelineView) -> None:
    """End a timeline, and take its dock out of the window."""
    view.shut_down()
    with suppress(LookupError, RuntimeError, AttributeError):  # it, or its window, was closed
        view.tracking.viewer.window.remove_dock_widget(view)

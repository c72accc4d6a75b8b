"""Frames that are right as they are: locked by a box in the dock, or a key."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

from napari.utils.notifications import show_error

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.views.objects_form import LOCK_KEY, ObjectFields

_numbers = count()
_all: WeakValueDictionary[int, FrameLock] = WeakValueDictionary()  # as they were opened


class FrameLock:
    """Locks the frame on screen, and shows whether it is locked.

    A viewer has one key for all its docks: it goes to the dock whose layer is chosen, else to the
    one that was opened last.

    Parameters
    ----------
    viewer : napari viewer
        Gets the key.
    fields : ObjectFields
        With the box.
    results : callable
        Gives the results of the video; None where there are none.
    frame : callable
        Gives the frame of the video that is on screen.
    is_ours : callable
        Says of a layer whether the dock works with it.
    """

    def __init__(
        self,
        viewer: Any,
        fields: ObjectFields,
        results: Callable[[], ResultsLayer | None],
        frame: Callable[[], int],
        is_ours: Callable[[Any], bool],
    ) -> None:
        self._viewer = viewer
        self._fields = fields
        self._results = results
        self._frame = frame
        self._is_ours = is_ours
        # not `toggled`: that fires for what is shown, too
        fields.lock.native.clicked.connect(self._on_clicked)
        self._number = next(_numbers)
        _all[self._number] = self
        viewer.bind_key(LOCK_KEY, self._on_key, overwrite=True)

    def show(self) -> None:
        """Show how the frame on screen is."""
        results = self._results()
        if results is None:
            self._fields.show_lock(None, False, 0)
            return
        planes, frame_index = results.planes, self._frame()
        n_locked = len(planes.locked_frames())
        self._fields.show_lock(frame_index, planes.is_locked(frame_index), n_locked)
        self._fields.lock.enabled = not planes.is_read_only

    def close(self) -> None:
        """Let go of the key."""
        _all.pop(self._number, None)
        others = self._of_viewer()
        key = others[-1]._on_key if others else None
        self._viewer.bind_key(LOCK_KEY, key, overwrite=True)

    def _of_viewer(self) -> list[FrameLock]:
        """Those of all its docks, the one opened last at the end."""
        return [one for one in _all.values() if one._viewer is self._viewer]

    def _on_clicked(self, is_locked: bool) -> None:
        try:
            results = self._results()
            if results is None:
                raise LayerError(
                    "there are no results to lock yet; press Segment frame or Propagate"
                )
            results.planes.lock(self._frame(), is_locked)
        except Sam3Error as exc:
            show_error(str(exc))
        self.show()

    def _on_key(self, _viewer: Any) -> None:
        """Lock the frame on screen, or unlock it."""
        active = self._viewer.layers.selection.active
        meant = next((one for one in (self, *self._of_viewer()) if one._is_ours(active)), self)
        if meant._fields.lock.enabled:
            meant._on_clicked(not meant._fields.lock.native.isChecked())

"""The group of objects in the dock: what a person does there, and what is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from napari.layers import Labels
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.frame_lock import count_locked, lock_frame
from napari_sam3.plugin.controllers.object_list import ObjectList
from napari_sam3.plugin.controllers.object_picker import ObjectPicker
from napari_sam3.plugin.controllers.show_errors import show_errors
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.controllers.tracks_layer import CentroidTracks
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_planes import find_highest_id, is_read_only
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.model.lineage_text import format_lineage, parse_ids
from napari_sam3.plugin.views.objects_form import ObjectsForm
from napari_sam3.plugin.views.objects_table import ObjectsTable

SETTLED_MS = 400  # after the last stroke of a brush


class ObjectsPanel(QObject):
    """The table of the objects in question, with their divisions, locked frames and tracks.

    The objects of the labels layer that is chosen, or whose tracks are; see `ObjectList`.

    Parameters
    ----------
    tracking : TrackingController

    Attributes
    ----------
    list : ObjectList
        The rows of the table.
    edits : TrackEdits
        What is done to whole objects.
    table : ObjectsTable
        The table.
    fields : ObjectsForm
        What the person sees.
    """

    def __init__(self, tracking: TrackingController) -> None:
        super().__init__()
        self._tracking, self._state = tracking, tracking.state
        self._objects = tracking.objects
        viewer = tracking.viewer
        self.picker = ObjectPicker(viewer, self._on_picked)
        self.tracks = CentroidTracks(viewer)
        self._viewer = viewer
        self.list = ObjectList(tracking, self.tracks.labels_of)
        self.edits = TrackEdits(tracking, lambda: self.list.layer)
        self.table = ObjectsTable(tracking, self.list, self.edits)
        self.fields = ObjectsForm(self.table)
        self._shown: tuple[Labels | None, int] = (None, 0)
        self._search = Errand()  # for ids of new daughters
        self._watched: Labels | None = None
        self._heard, self._of_watched = Connections(), Connections()
        self._settled = single_shot(self, self._on_settled, SETTLED_MS)
        self._connect()
        self._enable()
        self.refresh()

    # ----------------------------------------------------- what a person does

    @property
    def layer(self) -> Labels | None:
        """The layer whose objects are in question."""
        return self.list.layer

    def divide(self, daughters: Sequence[int]) -> None:
        """The current object divides into these; their first frame is on screen.

        Raises
        ------
        LineageError
            If it can't.
        """
        layer, obj_id = self._subject()
        self._objects.divide(layer, obj_id, daughters, self._frame_of(layer))
        self.fields.pick.setChecked(False)

    def new_daughters(self) -> None:
        """The current object divides here into two new ones; the first is the current one then.

        Returns at once: labels of a file are read in a thread, to find ids that nobody has.
        """
        layer, mother = self._subject()
        frame_index = self._frame_of(layer)

        def divide(highest: int) -> None:
            one = 1 + max((highest, *table_of(layer).ids, *self._taken()))
            self._objects.divide(layer, mother, [one, one + 1], frame_index)
            if self._shown == (layer, mother):
                self._state.object_in_hand = one
            show_info(
                f"point out {one}, then {one + 1} (key N: next object); object {mother} divides "
                f"on frame {frame_index}"
            )

        def end(act: Callable[[], object]) -> None:
            show_errors(act)
            self.refresh()

        if not self._search.is_running:
            self._search.start(
                lambda: find_highest_id(layer),
                lambda highest: end(lambda: divide(highest)),
                lambda error: end(lambda: show_error(str(error))),
            )
            self.refresh()

    def undivide(self) -> None:
        """Take back that the current object divides."""
        layer, obj_id = self._subject()
        self._objects.undivide(layer, obj_id)

    def show_tracks(self) -> None:
        """Show the objects' centres as tracks, or bring those that are shown up to date."""
        layer = self.layer
        if layer is None:
            raise LayerError("there are no labels to show tracks of; press Propagate first")
        self.tracks.show(layer)

    def close(self) -> None:
        """Let go of the viewer."""
        self.picker.stop()
        self.tracks.close()
        self.table.close_down()
        self.edits.close()
        self._settled.stop()
        self._search.drop()
        self._watch(None)
        self._heard.let_go()

    # ------------------------------------------------------------ what is seen

    def on_results(self) -> None:
        """Results came in: bring the layers that show what is known of them up to date."""
        results = self._tracking.results
        if results is not None:
            self._objects.show(results.layer)
            self.tracks.update(results.layer)
        self.refresh()

    def _enable(self, _value: Any = None) -> None:
        """Say whether all can be forgotten now."""
        self.fields.reset.enabled = self._state.video is not None and self._state.is_idle

    def refresh(self, _value: Any = None) -> None:
        """Show the current object as it is."""
        layer, obj_id = self.layer, self._state.object_in_hand
        is_other = self._shown != (layer, obj_id)
        if is_other and self._shown[0] is not layer:
            self._watch(layer)
        if is_other and self.picker.is_on:
            self.fields.pick.setChecked(False)
        self._shown = (layer, obj_id)
        fields, is_known = self.fields, layer is not None and obj_id > 0
        can_change = is_known and layer is not None and not is_read_only(layer)
        for field in (fields.daughters, fields.divide):
            field.enabled = can_change
        fields.pick.setEnabled(can_change)
        fields.show_search(self._search.is_running, can_change)
        fields.tracks.enabled = layer is not None
        table = ObjectTable() if layer is None else table_of(layer)
        division = table.division_of(obj_id)
        born = () if division is None else division.daughters
        if is_other or not (fields.daughters.native.hasFocus() or self.picker.is_on):
            fields.daughters.native.setText(", ".join(map(str, born)) if is_known else "")
        fields.undivide.enabled = can_change and division is not None
        said = format_lineage(table, obj_id) if is_known else ""
        fields.lineage.setText(said)
        fields.lineage.setVisible(bool(said))
        self._show_lock()

    # ----------------------------------------------------------------- wiring

    def _connect(self) -> None:
        fields = self.fields
        fields.daughters.native.returnPressed.connect(self._on_divide_pressed)
        fields.pick.toggled.connect(self._on_pick_toggled)
        fields.divide.changed.connect(lambda _pressed: self._on_divide_pressed())
        for button, act in (
            (fields.new_daughters, self.new_daughters),
            (fields.undivide, self.undivide),
            (fields.tracks, self.show_tracks),
        ):
            button.changed.connect(lambda _pressed, act=act: show_errors(act))
        # not `toggled`: that fires for what is shown, too
        fields.lock.native.clicked.connect(lambda is_on: lock_frame(self._tracking, is_on))
        self._objects.objects_changed.connect(self._on_objects_changed)
        self._tracking.ended.connect(self.on_results)
        self._state.hear(self._enable, "object_in_hand", "video", "project", "phase")
        self._state.hear(self.refresh, "object_in_hand", "video", "project")
        self._state.hear(self._show_lock, "n_locked")
        self._heard.hear(self._show_lock, self._viewer.dims.events.current_step)
        self._heard.hear(self.refresh, self._viewer.layers.selection.events.active)

    def _taken(self) -> Sequence[int]:
        session = self._tracking.session
        return () if session is None else session.ids_in_use

    def _subject(self) -> tuple[Labels, int]:
        layer, obj_id = self.layer, self._state.object_in_hand
        if layer is None:
            raise LayerError("there are no objects yet; press Segment frame or Propagate first")
        if obj_id < 1:
            raise LayerError("choose the object's number first (Object, above)")
        return layer, obj_id

    def _frame_of(self, layer: Labels) -> int:
        """The frame of a layer that is on screen: the video's, for it may know others too."""
        results = self._tracking.results
        if results is not None and results.layer is layer:
            return self._tracking.frame_on_screen()
        ahead = self._viewer.dims.ndim - layer.ndim
        place = layer.world_to_data(self._viewer.dims.point[ahead:])
        return round(float(place[0])) if layer.ndim > 2 else 0

    def _watch(self, layer: Labels | None) -> None:
        """Follow what is painted in a layer."""
        self._of_watched.let_go()
        self._watched = layer
        if layer is not None:
            self._of_watched.hear(self._on_painted, layer.events.labels_update)
            # drawn anew, as after an undo
            self._of_watched.hear(self.table.note, layer.events.set_data)
            self._objects.show(layer)

    def _on_divide_pressed(self) -> None:
        show_errors(lambda: self.divide(parse_ids(self.fields.daughters.native.text())))

    def _on_pick_toggled(self, is_on: bool) -> None:
        layer = self.layer
        if is_on and layer is not None:
            self.picker.start(layer)
        else:
            self.picker.stop()

    def _on_picked(self, obj_id: int) -> None:
        field = self.fields.daughters.native
        try:
            chosen = parse_ids(field.text())
        except Sam3Error:
            chosen = []
        if obj_id == self._state.object_in_hand:
            show_info(f"object {obj_id} is the mother; click her daughters")
            return
        chosen = [i for i in chosen if i != obj_id] if obj_id in chosen else [*chosen, obj_id]
        field.setText(", ".join(map(str, chosen)))

    def _on_objects_changed(self, layer: Labels) -> None:
        self.tracks.relate(layer)
        self.refresh()

    def _show_lock(self, _event: Any = None) -> None:
        """Show how the frame on screen is."""
        results = self._tracking.results
        if results is None:
            self.fields.show_lock(None, False, 0)
            return
        planes, frame_index = results.planes, self._tracking.frame_on_screen()
        is_locked = planes.is_locked(frame_index)
        self.fields.show_lock(frame_index, is_locked, count_locked(self._tracking))
        self.fields.lock.enabled = not planes.is_read_only

    def _on_painted(self, _event: Any) -> None:
        self.table.note()
        self._settled.start()

    def _on_settled(self) -> None:
        if self._watched is not None:
            self._objects.show(self._watched)
            if table_of(self._watched).locked_ids:
                self._watched.refresh()  # napari shows what was painted, also where it was refused

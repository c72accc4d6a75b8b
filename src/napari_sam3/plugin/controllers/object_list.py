"""The rows of the table of objects, kept in line with labels, prompts and what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels, Layer

from napari_sam3.labels.note_tally import NoteTally
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import OBJECTS, table_of
from napari_sam3.plugin.layers.label_look import LabelLook, hex_colors, own_colors
from napari_sam3.plugin.layers.label_planes import planes_of
from napari_sam3.plugin.layers.prompt_items import count_items
from napari_sam3.plugin.layers.prompt_layers import set_object_colors
from napari_sam3.plugin.model.object_rows import ObjectRow, ObjectRows, ObjectState, judge


class ObjectList:
    """The objects in question, a row each; and which of them are drawn.

    These are the objects of the labels layer that is chosen, if it knows of objects; else of the
    results of the video, else of the layer that was chosen last.

    Parameters
    ----------
    tracking : TrackingController
        With viewer, state and results.
    labels_of : callable, optional
        Gives the labels that a layer was made of, and any other layer as it is.

    Attributes
    ----------
    rows : ObjectRows
        As of the last `refresh`.
    n_refreshes : int
        How often that was done.
    """

    def __init__(
        self,
        tracking: TrackingController,
        labels_of: Callable[[Layer | None], Layer | None] = lambda layer: layer,
    ) -> None:
        self._tracking, self._labels_of = tracking, labels_of
        self.rows = ObjectRows()
        self.n_refreshes = 0
        self._layer: Labels | None = None
        self._tally: NoteTally | None = None
        self._looks: WeakKeyDictionary[Labels, LabelLook] = WeakKeyDictionary()
        self._hidden: WeakKeyDictionary[Labels, frozenset[int]] = WeakKeyDictionary()

    @property
    def layer(self) -> Labels | None:
        """The layer whose objects are in question."""
        layers = self._tracking.viewer.layers
        active = self._labels_of(layers.selection.active)
        if isinstance(active, Labels) and isinstance(active.metadata.get(OBJECTS), ObjectTable):
            return active
        results = self._tracking.results
        if results is not None:
            return results.layer
        if self._layer is not None and self._layer in layers:
            return self._layer
        return active if isinstance(active, Labels) else None

    # --------------------------------------------------------------- the rows

    def refresh(self) -> bool:
        """Bring the rows in line; True if all frames are counted, else call it again soon."""
        self.n_refreshes += 1
        self._layer = layer = self.layer
        if layer is None:
            self._tally = None
            self.rows.replace(self._propose({}))
            return True
        planes = planes_of(layer)
        if planes is None:
            self._tally = None
        elif self._tally is None or self._tally.labels is not planes:
            self._tally = NoteTally(planes)
        if self._tally is not None:
            self._tally.update()
        self._draw(layer)
        rows = {row.obj_id: row for row in self._make_rows(layer)}
        if self._is_of_video(layer):
            rows = {row.obj_id: row for row in self._propose(rows)}
        self.rows.replace(rows[obj_id] for obj_id in sorted(rows))
        return self._tally is None or self._tally.is_up_to_date

    def _make_rows(self, layer: Labels) -> Iterable[ObjectRow]:
        state, table, tally = self._tracking.state, table_of(layer), self._tally
        is_of_video = self._is_of_video(layer)
        n_prompts = self._count_prompts() if is_of_video else Counter[int]()
        candidates = self.candidates() if is_of_video else frozenset[int]()
        ids = {*table.ids, *n_prompts, *(() if tally is None else tally.ids)}
        if state.object_in_hand > 0:
            ids.add(state.object_in_hand)
        colors = self._look(layer).colors_of(sorted(ids), table.colors)
        processed = 0 if tally is None else tally.frames_processed()
        hidden, divided = self.hidden(layer), {d.mother: d.frame_index for d in table.divisions}
        counts = tally is not None and tally.labels.is_read
        for obj_id in sorted(ids):
            info, end = table[obj_id], divided.get(obj_id)
            if info.ends_at is not None:
                end = info.ends_at if end is None else min(end, info.ends_at)
            so_far, lost_at, n_painted, n_frames, score = ObjectState.NEW, None, 0, None, None
            if tally is not None:
                counted = tally[obj_id]
                so_far, lost_at = judge(counted, processed, end)
                n_painted, score = counted.n_painted, counted.mean_score
                n_frames = counted.n_frames if counts else None
            yield ObjectRow(
                obj_id,
                colors[obj_id],
                info.name,
                info.class_name,
                n_prompts[obj_id] + n_painted,
                n_frames,
                None if score is None else round(score, 3),
                ObjectState.TO_CHECK if obj_id in candidates else so_far,
                lost_at,
                obj_id not in hidden,
                info.is_locked,
            )

    def _propose(self, rows: Mapping[int, ObjectRow]) -> Iterable[ObjectRow]:
        """The rows, and one for each object that is proposed."""
        proposals = self._tracking.detection.proposals
        colours = hex_colors(own_colors(np.array(list(proposals), int), {}))
        yield from (row for row in rows.values() if row.obj_id not in proposals)
        for (obj_id, proposal), colour in zip(proposals.items(), colours, strict=True):
            known = rows.get(obj_id)
            yield ObjectRow(
                obj_id,
                colour if known is None else known.color,
                "" if known is None else known.name,
                "" if known is None else known.class_name,
                score=round(proposal.mask.score, 3),
                state=ObjectState.TO_CHECK,
            )

    def _is_of_video(self, layer: Labels) -> bool:
        results = self._tracking.results
        return results is None or results.layer is layer

    def _count_prompts(self) -> Counter[int]:
        counts: Counter[int] = Counter()
        for layer in self._tracking.state.layers_of_prompts:
            counts += count_items(layer)
        return counts

    def candidates(self) -> frozenset[int]:
        """Objects of the video that a text has found, and nobody has accepted or pointed at."""
        results = self._tracking.results
        if results is None:
            return frozenset()
        table = table_of(results.layer)
        found = self._tracking.sessions.found_objects()
        named = self._count_prompts()
        seen = self._tally.ids if self._tally is not None else ()
        return frozenset(
            i for i in found if i in seen and i not in named and not table[i].is_accepted
        )

    # ------------------------------------------------------------- what is drawn

    def hidden(self, layer: Labels | None = None) -> frozenset[int]:
        """Objects that are not drawn."""
        layer = layer or self.layer
        return frozenset() if layer is None else self._hidden.get(layer, frozenset())

    def show(self, obj_ids: Iterable[int], is_shown: bool = True) -> None:
        """Draw objects, or don't; the labels stay as they are."""
        layer = self.layer
        if layer is not None:
            others = self.hidden(layer) - set(obj_ids)
            self._hidden[layer] = others if is_shown else others | set(obj_ids)
            self.refresh()

    def show_only(self, obj_ids: Iterable[int]) -> None:
        """Draw these objects and no others that there are now."""
        layer = self.layer
        if layer is not None:
            self._hidden[layer] = frozenset(self.rows) - set(obj_ids)
            self.refresh()

    def show_all(self) -> None:
        """Draw all objects."""
        self.show(self.hidden())

    def _look(self, layer: Labels) -> LabelLook:
        return self._looks.setdefault(layer, LabelLook(layer))

    def _draw(self, layer: Labels) -> None:
        table = table_of(layer)
        ids = () if self._tally is None else self._tally.ids
        self._look(layer).apply(layer, ids, self.hidden(layer), table.colors)
        if self._is_of_video(layer):
            for prompts in self._tracking.state.layers_of_prompts:
                if self._tracking.state.is_prompt_layer(prompts):
                    set_object_colors(prompts, table.colors)

    def close(self) -> None:
        """Give the layers back their own colours."""
        for layer, look in list(self._looks.items()):
            look.apply(layer, (), (), table_of(layer).colors)

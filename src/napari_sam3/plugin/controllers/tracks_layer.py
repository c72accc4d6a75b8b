"""A napari Tracks layer of the objects' centroids, with their lineage."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from itertools import count
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
import pandas as pd
from napari.layers import Labels, Layer, Tracks
from napari.utils.colormaps import label_colormap
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_sam3.errors import LayerError
from napari_sam3.labels.tracks import Centroids, Places, arrange_tracks, measure_places
from napari_sam3.plugin.io.writers import frames_of
from napari_sam3.plugin.layers.features_table import table_of

# of each layer of labels, whoever asked: what was measured, and the one layer that shows it
_places: WeakKeyDictionary[Labels, Places] = WeakKeyDictionary()
_made: WeakKeyDictionary[Labels, ReferenceType[Tracks]] = WeakKeyDictionary()


class CentroidTracks(QObject):
    """Makes Tracks layers of Labels layers, and brings them up to date; one for each of them.

    Measuring goes on in a thread; the layer appears, or changes, when it is done.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layers.
    parent : QObject
        As Qt has it.
    """

    shown = Signal(object)
    """The Tracks layer that is up to date now."""

    _measured = Signal(object, int, object)  # labels, turn, what came of it

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._pool = ThreadPoolExecutor(1, "centroids")
        self._asked: dict[Labels, int] = {}  # the newest turn of each
        self._turns = count(1)
        self._measured.connect(self._on_measured)

    def layer_of(self, labels: Labels) -> Tracks | None:
        """The layer of tracks made of a layer of labels, if it is there."""
        made = _made.get(labels)
        layer = None if made is None else made()
        return layer if layer in self._viewer.layers else None

    def labels_of(self, layer: Layer | None) -> Layer | None:
        """The labels that a layer of tracks was made of; any other layer is given back."""
        for labels, made in _made.items():
            if made() is layer and layer is not None:
                return labels
        return layer

    def show(self, labels: Labels) -> None:
        """Make a layer of tracks, or bring the one that is there up to date; returns at once.

        Raises
        ------
        LayerError
            If the labels have too many axes.
        """
        if labels.ndim > 4:
            raise LayerError(
                f"napari shows tracks over at most three axes and time, {labels.name!r} has "
                f"{labels.ndim}; leave out the others"
            )
        planes = _planes_of(labels)
        turn = self._asked[labels] = next(self._turns)

        def is_wanted() -> bool:
            return self._asked.get(labels) == turn  # not asked again since, and not closed

        def check_wanted(_done: int, _total: int) -> None:
            if not is_wanted():
                raise CancelledError

        def tell(done: Future[Places]) -> None:
            if not done.cancelled() and is_wanted():
                self._measured.emit(labels, turn, done)

        self._pool.submit(measure_places, planes, on_progress=check_wanted).add_done_callback(tell)

    def show_now(self, labels: Labels) -> Tracks | None:
        """The same, waiting for it; None if there is nothing to show."""
        _places[labels] = measure_places(_planes_of(labels))
        return self.put(labels, arrange_tracks(_places[labels], table_of(labels)))

    def update(self, labels: Labels) -> None:
        """Measure again what a layer of tracks shows, if there is one."""
        if self.layer_of(labels) is not None:
            self.show(labels)

    def relate(self, labels: Labels) -> None:
        """Show other names and divisions in a layer of tracks, if there is one."""
        if labels in _places and self.layer_of(labels) is not None:
            self.put(labels, arrange_tracks(_places[labels], table_of(labels)))

    def close(self) -> None:
        """Wait for nothing more."""
        self._asked.clear()
        self._measured.disconnect(self._on_measured)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_measured(self, labels: Labels, turn: int, done: Future[Places]) -> None:
        if self._asked.get(labels) != turn:
            return  # closed, or asked again meanwhile
        del self._asked[labels]
        error = done.exception()
        if error is not None:  # a thread's boundary
            show_error(f"the tracks can't be made: {error}")
        elif labels in self._viewer.layers:
            _places[labels] = done.result()
            self.put(labels, arrange_tracks(done.result(), table_of(labels)))

    def put(self, labels: Labels, found: Centroids) -> Tracks | None:
        """Show what was measured; None if there is nothing to show."""
        layer = self.layer_of(labels)
        if not len(found.data):
            if layer is not None:
                self._viewer.layers.remove(layer)
            show_info(f"there is nothing to show tracks of in {labels.name!r} yet")
            return None
        data = _as_deep_as(labels, found.data)
        features = pd.DataFrame(found.properties)
        if layer is None:
            layer = Tracks(
                data,
                graph=found.graph,
                features=features,
                name=f"{labels.name} tracks",
                scale=labels.scale,
                translate=labels.translate,
                affine=labels.affine,
                units=labels.units,
                axis_labels=labels.axis_labels,
                tail_length=max(1, min(30, int(data[:, 1].max()))),
                color_by="id",
                colormaps_dict=_colours(),
            )
            _made[labels] = ref(layer)
            active = self._viewer.layers.selection.active
            self._viewer.add_layer(layer)
            self._viewer.layers.selection.active = active  # the person goes on where they were
        else:
            colour = layer.color_by
            layer.color_by = "track_id"  # the only one that new data have
            layer.data = data
            layer.features = features
            layer.graph = found.graph
            layer.color_by = colour
        self.shown.emit(layer)
        return layer


def _planes_of(labels: Labels) -> Any:
    planes = getattr(labels.data, "planes", None)
    return frames_of(labels.data) if planes is None else planes


def _as_deep_as(labels: Labels, data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tracks with a column for each axis of the labels."""
    if labels.ndim <= 3:
        return data
    slices = getattr(labels.data, "_slices", {})
    between = np.full((len(data), 1), slices.get(1, 0), np.float64)
    return np.hstack([data[:, :2], between, data[:, 2:]])


def _colours() -> dict[str, Any]:
    """Colours for what is no quantity: an object has that of its labels."""
    words = _ColoursOfWords()
    return {"id": label_colormap(49, 0.5, 0), "name": words, "class": words}


class _ColoursOfWords:
    """A colormap, as far as Tracks layers ask one: equal words, equal colours; none is grey."""

    def map(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(N, 4) RGBA of N words."""
        words, place = np.unique(np.asarray(values, str), return_inverse=True)
        colours = label_colormap(49, 0.5, 0).map(np.arange(1, len(words) + 1))
        colours[words == ""] = (0.6, 0.6, 0.6, 1)
        return np.asarray(colours[place], np.float32)

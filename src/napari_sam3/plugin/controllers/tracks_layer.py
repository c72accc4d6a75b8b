"""A napari Tracks layer of the objects' centroids, with their lineage."""

from __future__ import annotations

from threading import Event
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
import pandas as pd
from napari.layers import Labels, Layer, Tracks
from napari.utils.notifications import show_error, show_info
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam3.errors import LayerError, PropagationError
from napari_sam3.labels.tracks import Places, arrange_tracks, measure_places
from napari_sam3.plugin.controllers.added_layers import add_quietly
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.layers.carried_layers import CarriedLayers
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_planes import frames_of
from napari_sam3.plugin.layers.object_colours import object_colormap, object_colours

# in the metadata of a layer of tracks: what it was made of, held weakly, and what was measured
_LABELS, _PLACES = "labels_layer", "places"


class CentroidTracks:
    """Makes Tracks layers of Labels layers, and brings them up to date; one for each of them.

    Measuring goes on in a thread; the layer appears, or changes, when it is done.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layers.

    Attributes
    ----------
    shown : psygnal signal of Tracks
        Emitted with the layer that is up to date now, in the GUI thread.
    """

    shown = Signal(object)

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._measuring: WeakKeyDictionary[Labels, Errand] = WeakKeyDictionary()

    def layer_of(self, labels: Labels) -> Tracks | None:
        """The layer of tracks made of a layer of labels, if it is there."""
        tracks = (layer for layer in self._viewer.layers if isinstance(layer, Tracks))
        return next((layer for layer in tracks if self.labels_of(layer) is labels), None)

    def labels_of(self, layer: Layer | None) -> Layer | None:
        """The labels that a layer of tracks was made of; any other layer is given back."""
        made_of: ReferenceType[Labels] | None
        made_of = None if layer is None else layer.metadata.get(_LABELS)
        return layer if made_of is None else made_of() or layer

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
        frames, is_dropped = frames_of(labels.data), Event()

        def check_wanted(_done: int, _total: int) -> None:
            if is_dropped.is_set():
                raise PropagationError("the tracks are not wanted any more")

        def end(places: Places) -> None:
            if labels in self._viewer.layers:
                self._put(labels, places)

        def fail(error: Exception) -> None:
            show_error(f"the tracks can't be made: {error}")

        errand = self._measuring.setdefault(labels, Errand())
        errand.start(
            lambda: measure_places(frames, on_progress=check_wanted), end, fail, is_dropped.set
        )

    def show_now(self, labels: Labels) -> Tracks | None:
        """The same, waiting for it; None if there is nothing to show."""
        return self._put(labels, measure_places(frames_of(labels.data)))

    def update(self, labels: Labels) -> None:
        """Measure again what a layer of tracks shows, if there is one."""
        if self.layer_of(labels) is not None:
            self.show(labels)

    def relate(self, labels: Labels) -> None:
        """Show other names and divisions in a layer of tracks, if there is one."""
        layer = self.layer_of(labels)
        if layer is not None:
            self._put(labels, layer.metadata[_PLACES])

    def close(self) -> None:
        """Wait for nothing more."""
        for errand in self._measuring.values():
            errand.drop()

    def _put(self, labels: Labels, places: Places) -> Tracks | None:
        """Show what was measured; None if there is nothing to show."""
        layer, found = self.layer_of(labels), arrange_tracks(places, table_of(labels))
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
                metadata={_LABELS: ref(labels)},
            )
            CarriedLayers.of(labels).add(layer)
            add_quietly(self._viewer, layer)
        else:
            colour = layer.color_by
            layer.color_by = "track_id"  # the only one that new data have
            layer.data = data
            layer.features = features
            layer.graph = found.graph
            layer.color_by = colour
        layer.metadata[_PLACES] = places
        self.shown.emit(layer)
        return layer


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
    return {"id": object_colormap(), "name": words, "class": words}


class _ColoursOfWords:
    """A colormap, as far as Tracks layers ask one: equal words, equal colours; none is grey."""

    def map(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """(N, 4) RGBA of N words."""
        words, place = np.unique(np.asarray(values, str), return_inverse=True)
        colours = object_colours(np.arange(1, len(words) + 1))
        colours[words == ""] = (0.6, 0.6, 0.6, 1)
        return np.asarray(colours[place], np.float32)

"""Layers that lie on a video layer are taken along when that is moved, scaled or measured anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet, ref

import numpy as np
from napari.layers import Layer
from psygnal import Signal

from napari_sam3.plugin.layers.overlay import place_over
from napari_sam3.plugin.layers.transforms import data_to_world_matrix, map_points
from napari_sam3.values import FloatArray

_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_SAME = 1e-6  # px
_CARRIED = "sam3_carried"  # in a layer's metadata


class Place:
    """Where a layer lies in the world at one moment, for `map_points`."""

    def __init__(self, layer: Any) -> None:
        self.ndim: int = layer.ndim
        self.units: Sequence[Any] = layer.units
        self._matrix = data_to_world_matrix(layer)

    def data_to_world(self, point: FloatArray) -> FloatArray:
        """Where a point of the layer's data is in the world."""
        return self._matrix[:-1, :-1] @ point + self._matrix[:-1, -1]


class CarriedLayers:
    """Layers that keep to the pixels of a layer, wherever that goes in the world.

    One that a person has moved keeps its distance in pixels.

    Parameters
    ----------
    base : Layer
        That others lie on; not kept alive.

    Attributes
    ----------
    moved : psygnal signal of Layer
        Emitted with the layer when it has gone elsewhere, and the others have followed.
    """

    moved = Signal(object)

    def __init__(self, base: Layer) -> None:
        self._base = ref(base)
        self._before = Place(base)
        self._layers: WeakSet[Layer] = WeakSet()
        for name in _EVENTS:
            getattr(base.events, name).connect(self._follow)  # held weakly

    @classmethod
    def of(cls, base: Layer) -> CarriedLayers:
        """Those of a layer; it holds them, so that they follow when no dock is open, too."""
        found: CarriedLayers | None = base.metadata.get(_CARRIED)
        if found is None or found._base() is not base:  # a copy of a layer has its metadata
            found = base.metadata[_CARRIED] = cls(base)
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> CarriedLayers:
        return self

    def add(self, *layers: Layer) -> None:
        """Take these along, too."""
        self._layers.update(layers)

    def __contains__(self, layer: Layer) -> bool:
        return layer in self._layers

    def _follow(self, _event: Any = None) -> None:
        base = self._base()
        if base is None:
            return
        before, self._before = self._before, Place(base)
        for layer in list(self._layers):
            carry(layer, before, base)
        if not np.allclose(_pixel_map(before, self._before), np.eye(base.ndim + 1), atol=_SAME):
            self.moved.emit(base)


def carry(layer: Layer, before: Any, base: Layer) -> None:
    """Put a layer so that its pixels lie on those of another as they did before.

    Parameters
    ----------
    layer : Layer
        That is put elsewhere.
    before : Place, or layer
        Where the other one was.
    base : Layer
        The other one, where it is now.
    """
    place = place_over(base, layer.ndim)
    ndim = min(layer.ndim, base.ndim)
    is_on = np.allclose(_pixel_map(layer, base), np.eye(ndim + 1), atol=_SAME)
    if not is_on:  # else it has come already, as layers that are linked do
        shift = np.eye(layer.ndim + 1)
        shift[-ndim - 1 :, -ndim - 1 :] = _pixel_map(layer, before)
        if not np.allclose(shift, np.eye(layer.ndim + 1), atol=_SAME):
            plain = _plain_matrix(place)
            there = place.get("affine", np.eye(layer.ndim + 1)) @ plain
            place["affine"] = there @ shift @ np.linalg.inv(plain)
    _put(layer, place)


def lay_on(layer: Layer, base: Layer) -> None:
    """Put a layer exactly onto another, on the axes that both have."""
    _put(layer, place_over(base, layer.ndim))


def _put(layer: Layer, place: dict[str, Any]) -> None:
    for name, value in {
        "rotate": np.eye(layer.ndim),
        "shear": np.zeros(layer.ndim * (layer.ndim - 1) // 2),
        "affine": np.eye(layer.ndim + 1),
        **place,
    }.items():
        if not _is_equal(getattr(layer, name), value):
            setattr(layer, name, value)


def _pixel_map(source: Any, target: Any) -> FloatArray:
    """From one's pixels to the other's, on the axes that both have: (n + 1, n + 1)."""
    n = min(source.ndim, target.ndim)
    points = np.zeros((n + 1, source.ndim))
    points[1:, source.ndim - n :] = np.eye(n)
    found = map_points(source, target, points)[:, target.ndim - n :]
    matrix = np.eye(n + 1)
    matrix[:n, :n], matrix[:n, n] = (found[1:] - found[0]).T, found[0]
    return matrix


def _plain_matrix(place: dict[str, Any]) -> FloatArray:
    matrix = np.diag([*place["scale"], 1.0])
    matrix[:-1, -1] = place["translate"]
    return matrix


def _is_equal(one: Any, other: Any) -> bool:
    one = getattr(one, "affine_matrix", one)
    if isinstance(other, np.ndarray):
        return np.shape(one) == other.shape and bool(np.allclose(one, other, rtol=1e-12, atol=0))
    return tuple(map(str, one)) == tuple(map(str, other))

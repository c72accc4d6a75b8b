"""Which objects of a Labels layer are drawn, and in which colours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam3.plugin.layers.object_colours import object_colormap, object_colours

_ROOM = 64  # for ids that come before the next look
_MOST = 2**16 - 1  # colours that napari takes


class LabelLook:
    """How the objects of one layer look; the labels themselves stay as they are.

    As long as no object is hidden and none has a colour of its own, the layer has the colours that
    napari gave it, or the person.

    Parameters
    ----------
    layer : Labels
        The layer.
    """

    def __init__(self, layer: Labels) -> None:
        self._plain: Any = layer.colormap
        self._drawn: Any = None  # what it was given here
        self._applied: Any = None

    def apply(
        self, layer: Labels, ids: Iterable[int], hidden: Collection[int], colors: Mapping[int, str]
    ) -> None:
        """Draw a layer so.

        Parameters
        ----------
        layer : Labels
            The layer.
        ids : iterable of int
            Objects that may be there.
        hidden : collection of int
            Those that are not drawn.
        colors : mapping of id to "#rrggbb"
            Those that have a colour of their own.
        """
        if layer.colormap is not self._drawn:
            self._plain, self._applied = _without_holes(layer.colormap), None
        if not hidden and not colors:
            if self._drawn is not None:
                layer.colormap, self._drawn = self._plain, None
            return
        highest = min(max([*ids, *hidden, *colors, 0]), _MOST - _ROOM) + _ROOM
        wanted = (highest // _ROOM, frozenset(hidden), tuple(sorted(colors.items())))
        if wanted == self._applied:
            return
        # not napari's direct colours: the first use of these takes ten seconds, each a quarter
        drawn = np.zeros((highest // _ROOM * _ROOM + 1, 4), np.float32)
        drawn[1:] = self._plain.map(np.arange(1, len(drawn)))
        for obj_id, color in colors.items():
            if obj_id < len(drawn):
                drawn[obj_id] = to_rgba(color)
        drawn[[i for i in hidden if i < len(drawn)]] = 0
        layer.colormap = CyclicLabelColormap(colors=drawn)
        self._drawn, self._applied = layer.colormap, wanted

    def colors_of(self, ids: Iterable[int], chosen: Mapping[int, str]) -> dict[int, str]:
        """Colours of objects, as "#rrggbb", hidden or not."""
        numbers = np.array(list(ids), int)
        if not numbers.size:
            return {}
        colours = hex_colors(np.atleast_2d(self._plain.map(numbers)))
        found = dict(zip(numbers.tolist(), colours, strict=True))
        return {**found, **{i: c for i, c in chosen.items() if i in found}}


def hex_colors(colours: NDArray[Any]) -> list[str]:
    """(N, 4) colours, 0..1, as "#rrggbb"."""
    rgb = (colours[:, :3] * 255).round().astype(int).tolist()
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in rgb]


def _without_holes(colormap: Any) -> Any:
    """Colours that show every object: of ours that napari has shuffled, the plain ones."""
    colors = getattr(colormap, "colors", np.ones((1, 4)))
    if isinstance(colormap, CyclicLabelColormap) and not colors[1:, 3].all():
        return object_colormap()
    return colormap


def to_rgba(color: str) -> NDArray[Any]:
    """(4,) red, green, blue, alpha in 0..1 of a colour as "#rrggbb"."""
    return np.array([*(int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)), 1.0])


def own_colors(obj_ids: NDArray[np.integer[Any]], chosen: Mapping[int, str]) -> NDArray[Any]:
    """(N, 4) colours: those that were chosen, else as a new Labels layer has them."""
    colors = object_colours(obj_ids)
    for place, obj_id in enumerate(obj_ids.tolist()):
        if obj_id in chosen:
            colors[place] = to_rgba(chosen[obj_id])
    return colors

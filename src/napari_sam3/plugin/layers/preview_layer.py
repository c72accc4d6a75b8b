"""The layer that shows what prompts mean before anybody asked for results: outlined and hatched.

It looks unlike results, which are filled, to people who tell no colours apart too. It is nobody's
data: it is not kept in a project, not exported, and no prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.layers.label_look import own_colors
from napari_sam3.plugin.layers.lazy_array import LazyArray
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.values import LABEL_DTYPE, BoolArray, FrameResult

PREVIEW = "sam3_preview"
"""In the layer's metadata."""

_SHADE = np.iinfo(LABEL_DTYPE).max
"""In place of an object's id: what is black."""

_STRIPES = 60  # over the shorter side of a picture
_LINES = 300  # an outline's width, likewise


class PreviewLayer:
    """An Image layer that shows previews on the frames that they are of.

    No Labels layer: napari makes a brush and a polygon for each, which takes longer than most
    previews, and somebody might take it for labels.

    Parameters
    ----------
    image_layer : Image
        The video: place, units and axis labels are taken from it.
    axes : StackAxes
        How it is read.
    what : str
        It shows, for its name.
    """

    def __init__(self, image_layer: Image, axes: StackAxes, what: str = "preview") -> None:
        height, width = layer_shape(image_layer)[-2:]
        shape = (frame_count(image_layer, axes), height, width)
        self._planes = LabelStack(shape, LABEL_DTYPE)
        self._hatching = _hatching(shape[1:])
        self._line = max(1, round(min(shape[1:]) / _LINES))
        self._picture = _Coloured(overlay_labels(self._planes, image_layer, axes))
        self.layer = Image(
            self._picture,
            name=f"{image_layer.name} {what}",
            rgb=True,
            visible=False,
            metadata={PREVIEW: True},
            **overlay_place(image_layer, axes),
        )

    def draw(self, result: FrameResult, colours: Mapping[int, str]) -> None:
        """Show the objects of a frame, and nothing else there.

        Parameters
        ----------
        result : FrameResult
            With the objects.
        colours : mapping of int to str
            Those that were chosen, "#rrggbb", by object.
        """
        self._picture.chosen = dict(colours)
        frame = np.zeros(self._planes.shape[1:], self._planes.dtype)
        for obj_id, mask in result.objects.items():
            there = frame[mask.slices]
            stripes, shade = hatched(mask.crop, self._hatching[mask.slices], self._line)
            there[shade], there[stripes] = _SHADE, obj_id
        self._planes.draw(result.frame_index, frame, {})

    def draw_all(self, results: Iterable[FrameResult], colours: Mapping[int, str]) -> None:
        """Show the objects of frames, and nothing on any other; see `draw`."""
        drawn = {int(i) for i in self._planes.processed_frames()}
        for result in results:
            self.draw(result, colours)
            drawn.discard(result.frame_index)
        for frame_index in drawn:
            self.draw(FrameResult(frame_index), colours)


class _Coloured(LazyArray):
    """Labels as red, green, blue, alpha: (..., H, W) integers as (..., H, W, 4) uint8."""

    def __init__(self, labels: Any) -> None:
        self._labels = labels
        self.chosen: Mapping[int, str] = {}
        self.shape = (*labels.shape, 4)
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        keys = key if isinstance(key, tuple) else (key,)
        of_labels, of_colours = keys, ()
        if Ellipsis not in keys and len(keys) == self.ndim:
            of_labels, of_colours = keys[:-1], keys[-1:]
        labels = np.asarray(self._labels[of_labels])
        colours = np.zeros((*labels.shape, 4), np.uint8)
        shown = labels > 0
        if shown.any():
            ids, places = np.unique(labels[shown], return_inverse=True)
            colours[shown] = np.rint(255 * self._colours_of(ids)).astype(np.uint8)[places]
        return np.asarray(colours[(..., *of_colours)] if of_colours else colours)

    def _colours_of(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        found = own_colors(ids, self.chosen)
        found[ids == _SHADE] = (0, 0, 0, 1)
        return found


def is_preview(layer: Any) -> bool:
    """Whether a layer only shows previews."""
    return bool(layer.metadata.get(PREVIEW))


def hatched(mask: BoolArray, hatching: NDArray[np.uint8], line: int) -> tuple[BoolArray, BoolArray]:
    """The outline of a mask and the stripes in it; and the shade on their inner side.

    The shade tells a preview from the results of the same object, and colour, under it.

    Parameters
    ----------
    mask : (h, w) bool
        Tight, as `ObjectMask.crop` is.
    hatching : (h, w) uint8
        Of the picture there: 1 where stripes are, 2 where their shade is.
    line : int
        Width of the outline, and of its shade, px.

    Returns
    -------
    (h, w) bool, (h, w) bool
        They do not overlap; the first is never empty.
    """
    from scipy.ndimage import binary_erosion

    wide = np.pad(mask, 2 * line)
    within = slice(2 * line, -2 * line), slice(2 * line, -2 * line)
    inside = binary_erosion(wide, iterations=line)
    deep = binary_erosion(inside, iterations=line)[within]
    inside = inside[within]
    outline, rim = mask & ~inside, inside & ~deep
    stripes = outline | (deep & (hatching == 1))
    return stripes, rim | (deep & (hatching == 2))


def _hatching(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Slanted stripes, a quarter of the picture in them, a quarter in their shade."""
    period = max(4, round(min(size) / _STRIPES / 4) * 4)
    rows, columns = np.ogrid[: size[0], : size[1]]
    place = (rows + columns) % period
    kinds = np.where(place < period // 4, 1, np.where(place < period // 2, 2, 0))
    return np.asarray(kinds, np.uint8)

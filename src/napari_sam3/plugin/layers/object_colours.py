"""The colours of objects in the window: in labels, prompts and tracks the same, as in exports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam3.export.colors import label_colors

_PERIOD = 49


def object_colormap() -> CyclicLabelColormap:
    """Colours for a Labels layer of objects."""
    colors = np.zeros((_PERIOD + 1, 4))  # the first is for what is no object
    colors[1:] = object_colours(range(1, _PERIOD + 1))
    return CyclicLabelColormap(colors=colors, background_value=0)


def object_colours(obj_ids: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
    """(N, 4) red, green, blue, alpha in 0..1 of objects, whose ids are 1 or more."""
    rgb = label_colors(np.asarray(obj_ids, np.int64)) / 255
    return np.hstack([rgb, np.ones((len(rgb), 1))])

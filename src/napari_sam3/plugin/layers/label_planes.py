"""The (T, H, W) labels behind a Labels layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels

from napari_sam3.errors import LayerError
from napari_sam3.labels.label_stack import LabelStack


def planes_of(layer: Labels) -> LabelStack | None:
    """The labels of a layer, if they are kept as ours are."""
    planes = getattr(layer.data, "planes", layer.data)
    return planes if isinstance(planes, LabelStack) else None


def is_read_only(layer: Labels) -> bool:
    """Whether nothing can be changed: another window holds the project."""
    planes = planes_of(layer)
    return planes is not None and planes.is_read_only


def frames_of(data: Any) -> Any:
    """Labels of any layer as (T, H, W), without reading them.

    Raises
    ------
    LayerError
        If they have more axes.
    """
    data = getattr(data, "planes", data)
    if isinstance(data, list | tuple):  # multiscale: the finest level
        data = data[0]
    if data.ndim == 2:
        return np.asarray(data)[None]
    if data.ndim != 3:
        raise LayerError(
            f"the labels have {data.ndim} axes (shape {tuple(data.shape)}); save frames, height "
            "and width alone: choose one index of the other axes, as in labels.data[:, 0]"
        )
    return data


def find_highest_id(layer: Labels) -> int:
    """The highest id that is shown or noted; slow where labels of a file were not read yet."""
    planes = planes_of(layer)
    noted = () if planes is None else planes.mean_scores()
    return max(int((layer.data if planes is None else planes).max()), *noted, 0)

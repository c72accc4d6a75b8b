"""What is said of one object on one frame, while layers are read."""

from __future__ import annotations

import numpy as np

from napari_sam3.plugin.layers.layer_prompts import Source
from napari_sam3.plugin.layers.shape_geometry import deepest_point
from napari_sam3.plugin.layers.transforms import api_points
from napari_sam3.values import BoolArray, FloatArray


class PromptGroup:
    """Collects what is said of one object on one frame."""

    def __init__(self) -> None:
        self.points: list[FloatArray] = []
        self.labels: list[BoolArray] = []
        self.box: FloatArray | None = None
        self.box_source: Source | None = None
        self.mask: BoolArray | None = None
        self.excluded: list[BoolArray] = []
        self.sources: list[Source] = []

    def add_points(self, points_yx: FloatArray, include: bool) -> None:
        """Take clicks, (N, 2) y, x."""
        self.points.append(api_points(points_yx))
        self.labels.append(np.full(len(points_yx), include))

    def add_mask(self, mask: BoolArray) -> None:
        """Join an area."""
        self.mask = mask if self.mask is None else self.mask | mask

    def finish(self) -> None:
        """Cut excluded areas out of the mask, or click into them where there is no mask."""
        for area in self.excluded:
            if self.mask is not None:
                self.mask = self.mask & ~area
            else:
                self.add_points(deepest_point(area), include=False)

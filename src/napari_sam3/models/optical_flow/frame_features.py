"""What the pixels of a frame are like: colours, textures, and motion against the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.models.optical_flow.motion import FloatImage, Motion
from napari_sam3.values import BoolArray, Box

PLACE_WEIGHT = 0.1
"""Of the place relative to an object, among an object's features."""

_FLOW_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class FrameFeatures:
    """What the pixels of a frame are like; all at working size.

    Attributes
    ----------
    of_pixels : (F, h, w) float32
        From `describe_pixels`.
    drift : (2, h, w) float32
        Flow without the camera's share, in working px a frame, towards the frame before.
    lab : (h, w, 3) uint8
    """

    of_pixels: FloatImage
    drift: FloatImage
    lab: np.ndarray

    def around(self, box: Box, centre: tuple[float, float], size: float) -> FloatImage:
        """All features of a box, with the place relative to an object's centre and size."""
        x0, y0, x1, y1 = box
        part = self.of_pixels[:, y0:y1, x0:x1]
        both = np.empty((part.shape[0] + 4, *part.shape[1:]), np.float32)
        both[:-4] = part
        columns = np.arange(x0, x1, dtype=np.float32)
        rows = np.arange(y0, y1, dtype=np.float32)[:, None]
        both[-4] = (columns - centre[0]) * (PLACE_WEIGHT / size)
        both[-3] = (rows - centre[1]) * (PLACE_WEIGHT / size)
        both[-2:] = np.clip(self.drift[:, y0:y1, x0:x1], -10, 10) * _FLOW_WEIGHT
        return both

    def at(self, pixels: NDArray[np.intp], centre: tuple[float, float], size: float) -> FloatImage:
        """The same of some pixels, (F + 4, N) float32; `pixels` are their flat indices."""
        rows, columns = np.divmod(pixels, self.lab.shape[1])
        places = np.stack([columns - centre[0], rows - centre[1]]) * (PLACE_WEIGHT / size)
        drift = np.clip(self.drift.reshape(2, -1)[:, pixels], -10, 10) * _FLOW_WEIGHT
        known = self.of_pixels.reshape(len(self.of_pixels), -1)[:, pixels]
        return np.concatenate([known, places.astype(np.float32), drift])

    def anywhere(self) -> FloatImage:
        """All features of the whole frame, as if every place were the object's own."""
        return np.concatenate([self.of_pixels, np.zeros((4, *self.lab.shape[:2]), np.float32)])


def remove_camera_motion(motion: Motion, objects: BoolArray) -> FloatImage:
    """Flow minus the affine motion of what is not an object, (2, h, w) float32."""
    height, width = motion.flow.shape[:2]
    rows, columns = np.mgrid[2:height:8, 2:width:8]
    free = ~objects[rows, columns]
    here = np.stack([columns[free], rows[free]], axis=1).astype(np.float32)
    camera = None
    if len(here) >= 12:
        there = here + motion.flow[rows[free], columns[free]]
        camera, _ = cv2.estimateAffine2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=1.5)
    if camera is None:
        return np.ascontiguousarray(motion.flow.transpose(2, 0, 1))
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    matrix = camera.astype(np.float32)
    return np.stack(
        [
            motion.flow[..., k] - (matrix[k, 0] * x + matrix[k, 1] * y + matrix[k, 2] - (x, y)[k])
            for k in range(2)
        ]
    )


def centre_and_size(mask: BoolArray) -> tuple[tuple[float, float], float]:
    """Centre (x, y) and size (square root of the area) of a mask."""
    rows, columns = np.nonzero(mask)
    return (float(columns.mean()), float(rows.mean())), float(np.sqrt(len(rows)))

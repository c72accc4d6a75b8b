"""A small scene with all that a format must carry: a division, a hole, an absence, scores."""

from __future__ import annotations

import numpy as np

from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import FrameResult, ObjectMask
from napari_sam3.video.video_facts import VideoFacts

COME_BACK = [
    "tiff",
    "png",
    "coco",
    "coco-polygons",
    "ytvis",
    "ctc",
    "davis",
    "ome-zarr",
    "ome-zarr-0.4",
    "cvat",
    "labelme",
    "trackmate",
]
"""Formats whose masks and ids are read back as they were."""

SHAPE = (6, 41, 53)
FACTS = VideoFacts(
    *SHAPE,
    name="cells.tif",
    sha256="ab" * 32,
    fps=4.0,
    timestamps=(0.0, 0.25, 0.5, 0.75, 1.0, 1.25),
    pixel_size=(0.5, 0.4),
    unit="um",
)


def make_labels() -> np.ndarray:
    """3 divides into 7 and 8 on frame 3; 5 has a hole, and is away on frame 2; frame 5 is empty."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[0:3, 3:15, 4:20] = 3
    labels[3:5, 3:8, 4:20] = 7
    labels[3:5, 10:15, 4:20] = 8
    for frame_index in (0, 1, 3, 4):
        labels[frame_index, 20:40, 30 + frame_index : 45 + frame_index] = 5
        labels[frame_index, 25:30, 35:38] = 0
    return labels


LABELS = make_labels()
OBJECTS = ObjectTable.from_parents(
    {7: 3, 8: 3},
    {7: 3, 8: 3},
    names={7: 'Ann, "the" first', 5: "bead 1"},
    classes={3: "cell", 7: "cell", 8: "cell"},
)


def result_of(labels: np.ndarray, frame_index: int) -> FrameResult:
    ids = np.unique(labels[frame_index]).tolist()
    found = {i: ObjectMask.from_mask(labels[frame_index] == i, 1 - i / 100) for i in ids if i}
    return FrameResult(frame_index, found)


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}

"""A film with all that formats may lose: a division, a gap, an object that leaves and returns, an
id over 65535, a hole, and frames that were never processed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import LABEL_DTYPE

SHAPE = (12, 48, 64)
PROCESSED = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11]  # 9 and 10 never were
GAP = 6  # frame on which object 5 is not seen
AWAY = range(3, 8)  # frames that the object of the high id is away
DIVISION = 4  # first frame of 7 and 8, who come of 3


def make_labels(highest: int) -> np.ndarray:
    labels = np.zeros(SHAPE, LABEL_DTYPE)
    for t in PROCESSED:
        if t < DIVISION:
            labels[t, 4:16, 4:22] = 3
        else:
            labels[t, 4:9, 4:22] = 7
            labels[t, 11:16, 4:22] = 8
        if t != GAP:
            labels[t, 22:42, 20 + t : 36 + t] = 5
            labels[t, 28:33, 26 + t : 30 + t] = 0
        if t not in AWAY:
            labels[t, 30:44, 2:12] = highest
            labels[t, 38:44, 8:12] = 0
    return labels


def make_stack(highest: int) -> LabelStack:
    labels = make_labels(highest)
    stack = LabelStack(SHAPE, LABEL_DTYPE)
    for t in PROCESSED:
        ids = np.unique(labels[t])[1:].tolist()
        stack.draw(t, labels[t], {i: ObjectNote(0.75, "propagated") for i in ids})
    return stack


def make_objects(highest: int) -> ObjectTable:
    objects = ObjectTable()
    for obj_id in (3, 7, 8):
        objects.classify(obj_id, "cell")
    objects.classify(highest, "debris & dust")
    objects.rename(7, "Ann")
    objects.mark_division(3, [7, 8], DIVISION)
    return objects


def seen(highest: int = 70_000) -> dict[tuple[int, int], np.ndarray]:
    """The mask of each object on each frame that it is seen on."""
    labels = make_labels(highest)
    return {
        (t, obj_id): labels[t] == obj_id
        for t in PROCESSED
        for obj_id in np.unique(labels[t])[1:].tolist()
    }


def save_frames(home: Path) -> Path:
    """Pictures as a camera calls them: cam1/IMG_0007.PNG and so on."""
    folder = home / "cam1"
    folder.mkdir()
    for t in range(SHAPE[0]):
        frame = np.zeros((*SHAPE[1:], 3), np.uint8)
        frame[..., 0] = 20 * t
        frame[..., 1] = np.arange(SHAPE[2])
        Image.fromarray(frame).save(folder / f"IMG_{t + 7:04d}.PNG")
    return folder


NAMES = [f"IMG_{t + 7:04d}" for t in range(SHAPE[0])]

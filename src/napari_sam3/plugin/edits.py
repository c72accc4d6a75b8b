"""What a person paints into labels that a program draws: noticed, to be kept and learned from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.planes import LabelPlanes
from napari_sam3.labels.runs import PackedFrame, pack_frame, unpack_frame


class WatchedPlanes(LabelPlanes):
    """Labels that know which frames were changed by hand: by assignment, as napari's tools do it.

    What the program draws by `draw` does not count. Of each frame changed by hand the state
    before is kept until `take_edits`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before: dict[int, PackedFrame | None] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        frames = self._normalise(key)[0]
        if isinstance(frames, slice):
            frames = np.arange(len(self))[frames]
        for frame_index in np.unique(frames).tolist():
            if frame_index not in self._before:
                self._before[frame_index] = pack_frame(self[frame_index])
        super().__setitem__(key, value)

    def draw(self, frame_index: int, labels: NDArray[Any]) -> None:
        """Write a whole frame, not by hand."""
        super().__setitem__(frame_index, labels)

    def is_edited(self, frame_index: int) -> bool:
        """Whether the frame was changed by hand since edits were last taken."""
        return frame_index in self._before

    def take_edits(self, obj_ids: Collection[int]) -> dict[tuple[int, int], NDArray[np.bool_]]:
        """What was changed by hand since the last call.

        Parameters
        ----------
        obj_ids : collection of int
            The labels that are looked at.

        Returns
        -------
        dict of (frame index, object id) to (H, W) bool
            The masks as they are now; empty where an object was wiped out.
        """
        height, width = self.shape[1:]
        edits = {}
        for frame_index, packed in self._before.items():
            now = self[frame_index]
            before = np.zeros_like(now) if packed is None else unpack_frame(packed, (height, width))
            changed = now != before
            touched = np.union1d(now[changed], before[changed]).tolist()
            for obj_id in touched:
                if obj_id in obj_ids:
                    edits[frame_index, obj_id] = now == obj_id
        self._before.clear()
        return edits

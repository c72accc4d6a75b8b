"""Results on their way into a Labels layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.plugin.edits import WatchedPlanes
from napari_sam3.plugin.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.stack import StackAxes, frame_count
from napari_sam3.plugin.transforms import layer_shape, world_to_indices
from napari_sam3.values import BoolArray, FrameResult, ObjectMask, PackedMask, label_image

LABEL_DTYPE = np.uint16


class ResultLayer:
    """The Labels layer that shows the objects of one video; id = label.

    The person may paint in it. Labels that are none of the session's objects stay as they are,
    and no object is drawn over them. An object's mask that was changed by hand is a prompt from
    then on (`painted`); one that was wiped off a frame stays off it.

    Parameters
    ----------
    image_layer : Image
        The video: name, place, units and axis labels are taken from it.
    axes : StackAxes
        How it is read.
    """

    def __init__(self, image_layer: Image, axes: StackAxes) -> None:
        height, width = layer_shape(image_layer)[-2:]
        self.planes = WatchedPlanes((frame_count(image_layer, axes), height, width), LABEL_DTYPE)
        self._data = overlay_labels(self.planes, image_layer, axes)
        self.layer = Labels(
            self._data,
            name=f"{image_layer.name} objects",
            opacity=0.6,
            # writers tell it beside what they write
            metadata={
                "video": {k: image_layer.metadata.get(k) for k in ("path", "fps", "timestamps")}
            },
            **overlay_place(image_layer, axes),
        )
        self._own_ids: set[int] = set()
        self._painted: dict[tuple[int, int], PackedMask] = {}
        self._wiped: set[tuple[int, int]] = set()

    @property
    def is_whole(self) -> bool:
        """Whether the layer still shows what is drawn: not once its data were replaced."""
        return self.layer.data is self._data

    def fits(self, image_layer: Image, axes: StackAxes) -> bool:
        """Whether the video has the frames that it was made for, and their size."""
        size = layer_shape(image_layer)[-2:]
        return self.planes.shape == (frame_count(image_layer, axes), *size)

    def write(self, result: FrameResult) -> None:
        """Draw a frame; what the person has drawn on it stays."""
        frame_index = result.frame_index
        self._own_ids.update(result.objects)
        if self.planes.is_edited(frame_index):
            return  # being painted in just now: the next run hears of it
        shown = {i: m for i, m in result.objects.items() if (frame_index, i) not in self._wiped}
        frame = label_image(shown, self.planes.shape[1:], LABEL_DTYPE)
        painted = self._without_own(self.planes[frame_index])
        self.planes.draw(frame_index, np.where(painted == 0, frame, painted))

    def erase(self, frame_index: int, obj_id: int) -> None:
        """Take an object off a frame."""
        frame = self.planes[frame_index]
        here = frame == obj_id
        if here.any():
            frame[here] = 0
            self.planes.draw(frame_index, frame)

    def painted(self) -> dict[tuple[int, int], BoolArray]:
        """Masks of objects that were changed by hand, by (frame index, object id)."""
        for key, mask in self.planes.take_edits(self._own_ids).items():
            kept = ObjectMask.from_mask(mask)
            if kept is None:
                self._painted.pop(key, None)
                self._wiped.add(key)
            else:
                self._painted[key] = PackedMask.pack(kept)
                self._wiped.discard(key)
        return {key: packed.unpack().mask for key, packed in self._painted.items()}

    def show_again(self, keys: Iterable[tuple[int, int]]) -> None:
        """Draw objects that were wiped off frames: there are prompts for them now."""
        self._wiped.difference_update(keys)

    def forget(self, obj_id: int) -> None:
        """Leave nothing of what was painted of an object."""
        self.painted()
        self._painted = {key: mask for key, mask in self._painted.items() if key[1] != obj_id}
        self._wiped = {key for key in self._wiped if key[1] != obj_id}

    def drawn_frames(self) -> list[int]:
        """Frames that were ever written, rising."""
        return [int(i) for i in self.planes.processed_frames()]

    def _without_own(self, frame: NDArray[Any]) -> NDArray[Any]:
        """The labels of a frame that are not the session's; `frame` is changed."""
        if frame.any():
            is_own = np.zeros(np.iinfo(LABEL_DTYPE).max + 1, bool)
            is_own[list(self._own_ids)] = True
            frame[is_own[frame]] = 0
        return frame


def frame_on_screen(image_layer: Image, axes: StackAxes, viewer: Any) -> int:
    """The frame of a video layer that a viewer shows."""
    if axes.time is None:
        return 0
    return world_to_indices(image_layer, viewer.dims.point)[axes.time]


def show_frame(image_layer: Image, axes: StackAxes, viewer: Any, frame_index: int) -> None:
    """Turn a viewer to a frame of a video layer."""
    if axes.time is None:
        return
    ahead = viewer.dims.ndim - image_layer.ndim  # layers are lined up at their last axes
    place = np.asarray(image_layer.world_to_data(viewer.dims.point[ahead:]), float)
    place[axes.time] = frame_index
    world = image_layer.data_to_world(place)
    viewer.dims.set_point(ahead + axes.time, float(world[axes.time]))

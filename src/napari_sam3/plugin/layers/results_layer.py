"""Results on their way into a Labels layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_warning
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam3.errors import LayerError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import PAINTED, SOURCES, ObjectNote, Source
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.layers.object_colours import object_colormap
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.values import (
    BoolArray,
    FrameResult,
    ObjectMask,
    PackedMask,
    label_dtype,
    label_image,
)

Key = tuple[int, int]
"""Frame index, object id."""

_OF_SESSION = [SOURCES.index("prompt"), SOURCES.index("propagated")]
_PAINTED = SOURCES.index("painted")


class ResultsLayer:
    """The Labels layer that shows the objects of one video; id = label.

    The person may paint in it. Labels that are none of the session's objects stay as they are,
    and no object is drawn over them. An object's mask that was changed by hand is a prompt from
    then on (`painted`); one that was wiped off a frame stays off it. The notes in the planes say so
    too, so that planes from a file bring their layer back as it was.

    Parameters
    ----------
    image_layer : Image
        The video: name, place, units and axis labels are taken from it.
    axes : StackAxes
        How it is read.
    planes : LabelStack, optional
        Where the labels are kept; in memory if left out.
    layer : Labels, optional
        One that shows such labels already, and is taken over; a new one is made if left out.
    objects : ObjectTable, optional
        Names, classes and divisions.
    own_ids : iterable of int
        Ids that are the session's, beside those the notes tell of.
    """

    restored = Signal(tuple)
    """Frames, by their indices, are as they were before, or were edited as a whole."""

    def __init__(
        self,
        image_layer: Image,
        axes: StackAxes,
        planes: LabelStack | None = None,
        *,
        layer: Labels | None = None,
        objects: ObjectTable | None = None,
        own_ids: Iterable[int] = (),
    ) -> None:
        height, width = layer_shape(image_layer)[-2:]
        shape = (frame_count(image_layer, axes), height, width)
        self.planes = LabelStack(shape, label_dtype(0)) if planes is None else planes
        self._can_widen = planes is None
        self._image_layer = ref(image_layer)
        self._axes = axes
        self._data = overlay_labels(self.planes, image_layer, axes)
        self._own_ids = {int(i) for i in own_ids}
        self._painted: dict[Key, PackedMask] = {}
        self._wiped: set[Key] = set()
        if layer is None:
            layer = Labels(
                self._data,
                name=f"{image_layer.name} objects",
                opacity=0.6,
                **overlay_place(image_layer, axes),
            )
        elif layer.data is not self._data:
            layer.data = self._data
        self.layer = layer
        if layer.colormap.name == "label_colormap":  # napari's own, which no one has chosen
            layer.colormap = object_colormap()
        layer.n_edit_dimensions = min(layer.n_edit_dimensions, layer.ndim - 1)
        layer.events.n_edit_dimensions.connect(_keep_to_frame)
        # writers tell it beside what they write
        layer.metadata["video"] = {
            key: image_layer.metadata.get(key)
            for key in ("path", "fps", "timestamps", "file_names")
        }
        layer.metadata["objects"] = ObjectTable() if objects is None else objects
        self.planes.restored.connect(self._on_restored)
        self._recollect(self.drawn_frames())

    @property
    def own_ids(self) -> frozenset[int]:
        """Objects that were prompted or followed; other labels are the person's own."""
        return frozenset(self._own_ids)

    def own(self, obj_id: int) -> None:
        """Take what is painted of an object from now on for a prompt.

        A label that the person has painted for themselves already stays theirs.

        Raises
        ------
        LayerError
            If the labels are those of a project that can't hold the id.
        """
        self.make_room(obj_id)
        if obj_id in self._own_ids:
            return
        self.painted()  # what was painted before is no prompt
        if obj_id not in self.planes.mean_scores():
            self._own_ids.add(obj_id)

    @property
    def is_whole(self) -> bool:
        """Whether the layer still shows what is drawn: not once its data were replaced."""
        return self.layer.data is self._data

    def fits(self, image_layer: Image, axes: StackAxes) -> bool:
        """Whether the video has the frames that it was made for, and their size."""
        size = layer_shape(image_layer)[-2:]
        return self.planes.shape == (frame_count(image_layer, axes), *size)

    def write(
        self,
        result: FrameResult,
        *,
        is_prompted: Callable[[int, int], bool] = lambda frame_index, obj_id: False,
        run: int = 0,
        only: Collection[int] | None = None,
    ) -> None:
        """Draw a frame; what the person has drawn on it stays.

        Parameters
        ----------
        result : FrameResult
            The frame's objects.
        is_prompted : callable
            Of a frame index and an object id: whether there is a prompt.
        run : int
            Number of the propagation that it is of; 0: of none.
        only : collection of int, optional
            Objects that were followed, if not all were: what `result` does not hold of the others
            stays.

        Raises
        ------
        LayerError
            If the labels are those of a project that can't hold an id.
        """
        self.make_room(max(result.objects, default=0))
        frame_index = result.frame_index
        self._own_ids.update(result.objects)
        if self.planes.is_edited(frame_index):
            return  # being painted in just now: the next run hears of it
        shown = {i: m for i, m in result.objects.items() if (frame_index, i) not in self._wiped}
        frame = label_image(shown, self.planes.shape[1:], self.planes.dtype)
        drawn = self._own_ids if only is None else {*only, *result.objects}
        painted = _without(self.planes[frame_index], drawn)
        notes = self._kept_notes(frame_index, drawn)
        for obj_id, mask in shown.items():
            if obj_id not in notes:
                source: Source = "prompt" if is_prompted(frame_index, obj_id) else "propagated"
                notes[obj_id] = ObjectNote(mask.score, source)
        self.planes.draw(frame_index, np.where(painted == 0, frame, painted), notes, run=run)

    def make_room(self, obj_id: int) -> None:
        """Let the labels hold an id.

        Raises
        ------
        LayerError
            If the labels are those of a project that can't.
        """
        highest = np.iinfo(self.planes.dtype).max
        if obj_id <= highest:
            return
        if not self._can_widen:
            raise LayerError(
                f"object {obj_id} can't be shown: ids in this project go up to {highest}; give it "
                "a smaller one, or begin a new project with it"
            )
        self.painted()  # a copy knows nothing of what was painted
        narrow = self.planes
        self.planes = narrow.astype(label_dtype(obj_id))
        narrow.hand_logs_to(self.planes)
        narrow.restored.disconnect(self._on_restored)
        self.planes.restored.connect(self._on_restored)
        image_layer, was_whole = self._image_layer(), self.is_whole
        if was_whole and image_layer is not None:
            self.layer.data = self._data = overlay_labels(self.planes, image_layer, self._axes)

    def paint(self, frame_index: int, labels: NDArray[Any]) -> None:
        """Paint labels of a frame as a person does: from then on they are prompts.

        Parameters
        ----------
        frame_index : int
            0-based.
        labels : (H, W) integer array
            0 where nothing is painted.
        """
        frame, painted = self.planes[frame_index], labels > 0
        for obj_id in np.unique(labels[painted]).tolist():
            self.own(int(obj_id))
            frame[frame == obj_id] = 0
        frame[painted] = labels[painted]
        self.planes[frame_index] = frame

    def take_as_painted(self, frame_index: int, obj_id: int) -> None:
        """Take what is drawn of an object on a frame for a prompt, as if it had been painted."""
        mask = self.planes[frame_index] == obj_id
        if mask.any() and (frame_index, obj_id) not in self._painted:
            self.planes.annotate(frame_index, {obj_id: PAINTED})
            self._keep((frame_index, obj_id), mask)

    def erase(self, frame_index: int, obj_id: int) -> None:
        """Take an object off a frame."""
        frame = self.planes[frame_index]
        notes = dict(self.planes.notes(frame_index))
        here = frame == obj_id
        if here.any() or obj_id in notes:
            frame[here] = 0
            notes.pop(obj_id, None)
            self.planes.draw(frame_index, frame, notes)

    def painted(self) -> dict[Key, BoolArray]:
        """Masks of objects that were changed by hand, by (frame index, object id)."""
        for key, mask in self.planes.take_edits(self._own_ids).items():
            self._keep(key, mask)
        return {key: packed.unpack().mask for key, packed in self._painted.items()}

    def painted_so_far(self) -> dict[Key, BoolArray]:
        """The same as `painted`, but nothing is taken note of: a stroke may yet be undone."""
        kept = {key: packed.unpack().mask for key, packed in self._painted.items()}
        now = self.planes.edits(self._own_ids)
        return {key: mask for key, mask in {**kept, **now}.items() if mask.any()}

    def show_again(self, keys: Iterable[Key]) -> None:
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

    def _on_restored(self, frames: tuple[int, ...]) -> None:
        self._recollect(frames)
        self.restored.emit(frames)

    def _recollect(self, frames: Collection[int]) -> None:
        """Learn from the notes which objects are the session's, and what was done by hand."""
        there = set(frames)
        self._painted = {key: mask for key, mask in self._painted.items() if key[0] not in there}
        self._wiped = {key for key in self._wiped if key[0] not in there}
        numbers = list(frames)
        notes = self.planes.noted(numbers)  # of all at once: there may be thousands of frames
        self._own_ids.update(notes["id"][np.isin(notes["source"], _OF_SESSION)].tolist())
        by_hand = notes[notes["source"] == _PAINTED]
        for place, obj_id in zip(by_hand["place"].tolist(), by_hand["id"].tolist(), strict=True):
            if obj_id in self._own_ids:
                key = (numbers[place], obj_id)
                self._keep(key, self.planes[numbers[place]] == obj_id)

    def _keep(self, key: Key, mask: BoolArray) -> None:
        """Remember what a person made of an object on a frame."""
        kept = ObjectMask.from_mask(mask)
        if kept is None:
            self._painted.pop(key, None)
            self._wiped.add(key)
        else:
            self._painted[key] = PackedMask.pack(kept)
            self._wiped.discard(key)

    def _kept_notes(self, frame_index: int, drawn: Collection[int]) -> dict[int, ObjectNote]:
        """Notes that drawing leaves as they are: of what is not drawn, or was done by hand."""
        before: Mapping[int, ObjectNote] = self.planes.notes(frame_index)
        return {
            obj_id: note
            for obj_id, note in before.items()
            if obj_id not in drawn
            or (frame_index, obj_id) in self._painted
            or (frame_index, obj_id) in self._wiped
        }


def _without(frame: NDArray[Any], obj_ids: Collection[int]) -> NDArray[Any]:
    """The labels of a frame that are none of these; `frame` is changed."""
    if frame.any():
        frame[np.isin(frame, list(obj_ids))] = 0
    return frame


def _keep_to_frame(event: Any) -> None:
    """A brush or bucket over time would make prompts on frames that nobody looks at."""
    layer = event.source
    if layer.n_edit_dimensions >= layer.ndim:
        layer.n_edit_dimensions = layer.ndim - 1
        show_warning(
            f"painting in {layer.name!r} changes the frame on screen alone: 'n edit dim' stays "
            f"{layer.ndim - 1}"
        )

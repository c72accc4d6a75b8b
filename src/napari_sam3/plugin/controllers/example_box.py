"""The box round an example, by which Find objects goes with a model that takes one."""

from __future__ import annotations

from typing import Any

from napari.layers import Shapes
from napari.layers.base import ActionType

from napari_sam3.detection import goes_by_example
from napari_sam3.errors import LayerError, MissingPromptError
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.layers.example_layer import find_replaced, read_example
from napari_sam3.plugin.layers.prompt_items import delete_items
from napari_sam3.values import FloatArray


class ExampleBox:
    """Reads the box, keeps one of a frame, and tells the state whether there is one on screen.

    Parameters
    ----------
    chosen : ChosenVideo
        The video; its state has the layer that is drawn in.
    """

    def __init__(self, chosen: ChosenVideo) -> None:
        self._chosen, self._state = chosen, chosen.state
        self._layer: Shapes | None = None
        for name in ("example", "video", "time_axis"):
            self._state.events[name].connect(self._watch)
        chosen.viewer.dims.events.current_step.connect(self._tell)

    def told_to(self, detector: str, frame_index: int) -> str:
        """A detector as `find_detector` takes it, told of the example on a frame if it goes by one.

        Raises
        ------
        MissingPromptError
            If it does, and there is none.
        """
        if not goes_by_example(detector):
            return detector
        box = self.on_frame(frame_index)
        if box is None:
            raise MissingPromptError(
                f"there is no example on frame {frame_index}: press Example box below Find "
                "objects, drag a box round one of the things to find, then try again"
            )
        return f"{detector}:{','.join(f'{part:.2f}' for part in box)}"

    def on_frame(self, frame_index: int) -> FloatArray | None:
        """The example on a frame, x0, y0, x1, y1 px; None if there is none.

        Raises
        ------
        LayerError
            If there is no video, or it can't be used as one.
        """
        image_layer, layer = self._chosen.layer(), self._state.example
        if layer is None:
            return None
        return read_example(layer, image_layer, self._chosen.axes.read(image_layer), frame_index)

    def close(self) -> None:
        """Let go of the viewer, and take the layers away: they are for finding alone."""
        self._chosen.viewer.dims.events.current_step.disconnect(self._tell)
        layers = self._chosen.viewer.layers
        for video in self._state.videos:
            if video.example is not None and video.example in layers:
                layers.remove(video.example)

    def _watch(self, _value: Any = None) -> None:
        layer = self._state.example
        if layer is not self._layer:
            if self._layer is not None:
                self._layer.events.data.disconnect(self._on_data)
            if layer is not None:
                # an undo shall know what was there before as one change
                layer.events.data.connect(self._on_data, position="first")
            self._layer = layer
        self._tell()

    def _on_data(self, event: Any) -> None:
        if self._layer is None:
            return
        current = self._state.current
        is_undo = current is not None and current.history.is_at_work
        if event.action == ActionType.ADDED and not is_undo:
            delete_items(self._layer, find_replaced(self._layer))
        self._tell()

    def _tell(self, _event: Any = None) -> None:
        try:
            is_there = (
                self._state.example is not None
                and self.on_frame(self._chosen.frame_on_screen()) is not None
            )
        except LayerError:  # said where it is to be used
            is_there = False
        self._state.has_example = is_there

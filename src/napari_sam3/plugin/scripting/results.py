"""What a script takes out of a viewer: layers, arrays, masks, tracks, files."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Labels, Tracks

from napari_sam3.errors import MissingPromptError
from napari_sam3.export.registry import choose_format
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.tracks_layer import CentroidTracks
from napari_sam3.plugin.io.writers import write_results
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.scripting.script_runner import ScriptRunner
from napari_sam3.session.validation import check_frame_index
from napari_sam3.values import FrameResult


class ScriptResults:
    """The results of one video layer.

    Parameters
    ----------
    runner : ScriptRunner
        Whose results they are.
    """

    def __init__(self, runner: ScriptRunner) -> None:
        self.viewer = runner.viewer
        self.image_layer = runner.image_layer
        self.axes = runner.axes
        self._runner = runner
        self._tracks = CentroidTracks(runner.viewer)

    @property
    def labels(self) -> Labels:
        """The Labels layer of results; id = label. Made empty if there are none yet."""
        self._runner.check_open()
        return self._results().layer

    @property
    def array(self) -> LabelStack:
        """The results as a (T, H, W) array of labels, read frame by frame; see `LabelStack`."""
        self._runner.check_open()
        return self._results().planes

    @property
    def objects(self) -> ObjectTable:
        """Names, classes and divisions of the objects; what is set there is exported too."""
        return table_of(self.labels)

    def result(self, frame_index: int) -> FrameResult:
        """The newest masks of a frame, with their scores; empty if it has not been tracked.

        Raises
        ------
        FrameIndexError
            If there is no such frame.
        """
        self._runner.check_open()
        number = check_frame_index(frame_index, frame_count(self.image_layer, self.axes))
        session = self._runner.session
        if session is None or session.session is None:
            return FrameResult(number)
        return session.session.result(number)

    def tracks(self) -> Tracks:
        """A Tracks layer of the centroids, with lineage; made, or brought up to date.

        Raises
        ------
        MissingPromptError
            If there are no results yet.
        """
        layer = self._tracks.show_now(self.labels)
        if layer is None:
            raise MissingPromptError("there are no objects to show tracks of; propagate first")
        return layer

    def export(self, path: str | Path, format: str | None = None) -> Path:
        """Write the results; what is there under that name is replaced.

        Parameters
        ----------
        path : path-like
            The file or folder to make.
        format : str, optional
            A name of `napari_sam3.export.registry.FORMATS`; told by the path if left out.

        Raises
        ------
        RequestError
            If there is no such format, or the path does not tell it.
        VideoError
            If it can't be written.
        """
        self._runner.check_open()
        place = Path(path).expanduser()
        name = choose_format(place, format)
        write_results(name, str(place), self.image_layer, self.labels, self.axes)
        return place

    def _results(self) -> ResultsLayer:
        found = self._runner.results()
        if found is None:
            self._runner.check_there()
            found = self._runner.tracking.results_for(self.image_layer, self.axes)
        return found

    def _on_screen(self) -> int:
        return frame_on_screen(self.image_layer, self.axes, self.viewer)

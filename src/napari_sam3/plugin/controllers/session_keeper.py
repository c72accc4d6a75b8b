"""The one session that is open, of the video worked on last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_sam3.errors import RequestError, WeightsMissingError
from napari_sam3.models.registry import LoadedModel
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.project_recorder import ProjectRecorder
from napari_sam3.plugin.controllers.session_controller import SessionController, Setup
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.model.tracked_video import TrackedVideo, check_owner
from napari_sam3.session.saved_prompts import PromptList
from napari_sam3.settings import MODEL_SETTINGS
from napari_sam3.video import Video


class SessionKeeper:
    """Opens and closes the one session; it can always be made again from the layers.

    Parameters
    ----------
    chosen : ChosenVideo
        The video to work on.
    models : LoadedModel
        Where the model comes from; it is given back with the last session.
    when_free : callable
        Calls what it is given as soon as no thread is inside the model.

    Attributes
    ----------
    current : SessionController or None
        Of the video worked on last, if it is open.
    """

    def __init__(
        self,
        chosen: ChosenVideo,
        models: LoadedModel,
        when_free: Callable[[Callable[[], object]], object],
    ) -> None:
        self._chosen = chosen
        self._when_free = when_free
        self.current: SessionController | None = None
        self._models = models
        self._data: Any = None  # of the video layer, which may be given other data

    def open(self) -> SessionController:
        """The session for the chosen video and model; cheap, the model is loaded when needed.

        Raises
        ------
        LayerError, VideoError
            If the layer can't be used as a video, or somebody else works on it.
        WeightsMissingError
            If the model must be got first; nothing is downloaded without being asked.
        """
        chosen, state = self._chosen, self._chosen.state
        image_layer = chosen.layer()
        axes = chosen.axes.pin(image_layer)
        state.n_frames = frame_count(image_layer, axes)
        if not state.is_model_ready:
            raise WeightsMissingError(
                f"{state.catalog.how_to_get(state.model)}; or choose another model"
                if state.catalog.place
                else f"the model {state.model} is not on this machine; its dialog tells how to get "
                "it. Or choose another model"
            )
        check_owner(image_layer, state)
        setup = Setup(
            image_layer,
            axes,
            state.resolved_model,
            state.usable_device,
            state.resolution,
            state.compute,
            tuple(getattr(state, name) for name in MODEL_SETTINGS),
        )
        data = image_layer.data
        # a proxy only shows the same video
        data = data.original if isinstance(data, Video) else data
        tracked = state.tracked(image_layer)
        if self.current is None or self.current.setup != setup or self._data is not data:
            self.close()
            opened = tracked.project_read_as(axes)
            recorder = ProjectRecorder(
                None if opened is None else opened.project, _rejected_in(tracked, axes)
            )
            self.current = SessionController(setup, self._models, tracked.contrast_limits, recorder)
            self._data = data
        results = tracked.results_in(chosen.viewer.layers, axes)
        if results is not None:
            self.current.is_alive = table_of(results.layer).is_alive
        return self.current

    def now(self) -> SessionController:
        """As `open`; while a job is under way its own session, if that is of the chosen video.

        Raises
        ------
        RequestError
            If a job is under way on another video.
        """
        state = self._chosen.state
        if state.is_idle:
            return self.open()
        if self.current is None or self.current.setup.image_layer is not state.video:
            raise RequestError("a job is under way on another video; wait for it, or stop it")
        return self.current

    def close(self) -> None:
        """Forget the session; layers stay."""
        session, self.current, self._data = self.current, None, None
        if session is not None:
            setup, rejected = session.setup, session.rejected()
            tracked = self._chosen.state.tracked(setup.image_layer)
            tracked.rejected = None if rejected is None else (setup.axes, rejected)
            self._when_free(session.close)  # a thread may be inside the model

    def found_objects(self) -> frozenset[int]:
        """Objects of the chosen video that a text has found, and nobody has pointed at."""
        session, state = self.current, self._chosen.state
        if session is not None and session.setup.image_layer is state.video:
            return session.found_objects
        opened = None if state.current is None else state.current.project
        return frozenset() if opened is None else opened.project.prompts.candidates

    def give_back(self) -> None:
        """Close the session, and give back the model's memory."""
        self.close()
        self._models.close()


def _rejected_in(tracked: TrackedVideo, axes: StackAxes) -> PromptList | None:
    """What is known of rejected objects of a video read so, if no project keeps it."""
    known = tracked.rejected
    return None if known is None or known[0] != axes else known[1]

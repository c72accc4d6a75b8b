"""Scripts that work in a viewer: the same session, layers and results as the dock's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from napari.layers import Image, Labels, Layer, Points, Shapes
from numpy.typing import ArrayLike
from qtpy.QtWidgets import QApplication

from napari_sam3.errors import (
    LayerError,
    MissingPromptError,
    PropagationError,
    PropagationRunningError,
    RequestError,
    Sam3Error,
    UnknownObjectError,
)
from napari_sam3.labels.planes import LabelPlanes
from napari_sam3.plugin.controller import Event, SessionController, WantedPrompts
from napari_sam3.plugin.prompt_drawing import DrawnPrompts
from napari_sam3.plugin.prompts import Skipped
from napari_sam3.plugin.results import ResultLayer, frame_on_screen
from napari_sam3.plugin.snapshot import describe_skipped
from napari_sam3.plugin.stack import StackAxes, frame_count, guess_axes
from napari_sam3.plugin.transforms import layer_shape, world_to_indices
from napari_sam3.plugin.waiting import PacedSteps, check_window, interrupt_as_stop, wait_until
from napari_sam3.plugin.widget import SegmentAndTrackWidget
from napari_sam3.plugin.widget.guidance import Phase
from napari_sam3.plugin.widget.job import Job
from napari_sam3.plugin.widget.work import Work
from napari_sam3.plugin.workbench import Setup, Workbench
from napari_sam3.session.prompts import (
    PromptCall,
    check_frame_index,
    check_object_id,
    check_prompt,
)
from napari_sam3.settings import read_settings
from napari_sam3.values import Direction, FrameResult

OnFrame = Callable[[FrameResult], object]

_attached: WeakValueDictionary[int, ViewerSession] = WeakValueDictionary()


def attach(
    viewer: Any,
    layer: str | Image,
    model: str | Path = "auto",
    *,
    device: str | None = None,
    axes: StackAxes | None = None,
) -> ViewerSession:
    """Work on a video layer of a viewer by script: prompt, propagate, take the results.

    Call it in the window's thread: in a script before or without `napari.run()`, in IPython or
    Jupyter, in napari's console, in a plugin. Where the dock *Segment and track* shows the same
    layer, script and dock share session, prompts and results; else the dock is kept from this layer
    as long as the script has it. Attaching again to a layer gives the same session.

    Parameters
    ----------
    viewer : napari.Viewer
        With a window.
    layer : str or Image layer
        The video: a layer of the viewer, or its name.
    model : str or path
        As `napari_sam3.models.registry.load_model` takes it; "auto" leaves the choice to a dock
        that shows the layer. It is loaded at the first prompt.
    device : str, optional
        Where it runs; as set for the user if left out.
    axes : StackAxes, optional
        Which axis is time, and where the others stand still; guessed if left out.

    Returns
    -------
    ViewerSession
        To be closed at the end: `work.close()`, or by `with`.

    Raises
    ------
    LayerError
        If there is no such layer, it is no video, or there is no window.
    """
    check_window()
    viewer = getattr(viewer, "__wrapped__", viewer)  # the console hands out a proxy
    image_layer = _find_layer(viewer, layer)
    known = _attached.get(id(image_layer))
    if known is not None and known.is_open and known.image_layer is image_layer:
        known.choose_model(model, device)
        return known
    work = ViewerSession(viewer, image_layer, axes)
    work.choose_model(model, device)
    _attached[id(image_layer)] = work
    return work


class ViewerSession:
    """One video layer of a viewer, prompted and tracked by a script; made by `attach`.

    What it is told is drawn into layers, as a person would, and what the person draws there counts
    too: layers are the truth, read again before each piece of work. Work is done in a thread;
    the methods wait for it while the window stays alive, and raise what went wrong. Coordinates are
    those of `VideoSession`: px, x to the right, y down, the top left pixel's centre at (0.5, 0.5).

    Attributes
    ----------
    viewer : napari.Viewer
    image_layer : Image
        The video.
    axes : StackAxes
        How it is read.
    """

    def __init__(self, viewer: Any, image_layer: Image, axes: StackAxes | None = None) -> None:
        self.viewer = viewer
        self.image_layer = image_layer
        self._is_closed = False
        self._dock = _find_dock(viewer, image_layer)
        self._model, self._device = "auto", "auto"
        self._resolution = read_settings().resolution
        if self._dock is None:
            self._bench = Workbench(viewer)
            self._work = Work(self._bench)
            self.axes = axes or _guess_axes(viewer, image_layer)
            self._bench.hold(image_layer)
        else:
            self._bench, self._work = self._dock.bench, self._dock.work
            self.axes = axes or self._dock.axes_choice.pin(image_layer)
        self._prompts = DrawnPrompts(self._bench, image_layer, self.axes, self._dock)

    # -------------------------------------------------------------- prompts

    def add_prompt(
        self,
        frame_index: int,
        *,
        points: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        text: str | None = None,
        obj_id: int | None = None,
    ) -> FrameResult:
        """Say what to track, or correct it; shown in the prompt layers, its mask in the results.

        Parameters
        ----------
        frame_index : int
            0-based frame that the prompt is on.
        points : (N, 2) array, optional
            Clicks x, y in px.
        point_labels : (N,) array, optional
            1 on the object, 0 off it; all 1 if left out.
        box : (4,) array, optional
            x0, y0, x1, y1 in px, round the object.
        mask : (H, W) array of bool, optional
            The object, painted. Where masks of one frame overlap, the later one has the pixel.
        text : str, optional
            Find every object that a noun phrase names; given alone.
        obj_id : int, optional
            The object meant, from 1; a new one if left out.

        Returns
        -------
        FrameResult
            All objects known on this frame.

        Raises
        ------
        RequestError
            If anything is wrong with the prompt, or the model can't take it; nothing is changed.
        ModelError
            If the model can't be had.
        """
        call = self._check(frame_index, points, point_labels, box, mask, text, obj_id)
        number = call.obj_id or self._new_id()
        is_text = call.text is not None
        undo = self._prompts.search(str(call.text)) if is_text else self._prompts.draw(call, number)
        try:
            controller, wanted, skipped = self._prepare(call.frame_index)
            if not is_text and (call.frame_index, number) not in wanted.objects:
                raise RequestError(describe_skipped(skipped))
            self._run(controller, controller.segment(wanted, call.frame_index), Phase.SEGMENTING)
        except BaseException:
            undo()
            raise
        return self.result(call.frame_index)

    def prompt_with_layers(
        self,
        points: Points | None = None,
        shapes: Shapes | None = None,
        masks: Labels | None = None,
        *,
        frames: Iterable[int] | None = None,
    ) -> FrameResult:
        """Take layers of one's own as prompts; they take the place of those of their kind.

        The feature `object` says which object a point or shape belongs to, `label` whether it
        shows it ("include") or what is not it ("exclude"); each shape without is an object of its
        own. Rectangles are boxes, other outlines masks, lines rows of clicks. What can't be a
        prompt is left out, with a warning. What is drawn in the layers later counts too.

        Parameters
        ----------
        points, shapes, masks : layers, optional
            Of any scale and place; added to the viewer if they are not in it.
        frames : iterable of int, optional
            Frames of `masks` whose labels are objects; the one on screen if left out.

        Returns
        -------
        FrameResult
            The objects of the first prompted frame.

        Raises
        ------
        MissingPromptError
            If they hold no prompt.
        RequestError
            If the model can't take one of them.
        """
        self._check_open()
        if masks is not None:
            chosen = [frame_on_screen(self.image_layer, self.axes, self.viewer)]
            chosen = chosen if frames is None else list(frames)
            n_frames = frame_count(self.image_layer, self.axes)
            self._prompts.mask_frames = {check_frame_index(i, n_frames) for i in chosen}
        self._prompts.choose(points=points, boxes=shapes, masks=masks)
        controller, wanted, skipped = self._prepare(
            frame_on_screen(self.image_layer, self.axes, self.viewer)
        )
        if skipped:
            warnings.warn(describe_skipped(skipped), stacklevel=2)
        first = min(frame for frame, _ in wanted.objects) if wanted.objects else 0
        self._run(controller, controller.segment(wanted, first), Phase.SEGMENTING)
        return self.result(first)

    def take_back_prompt(self, frame_index: int, obj_id: int) -> FrameResult:
        """Undo all that was said of an object on a frame; taken off the layers too.

        Raises
        ------
        UnknownObjectError
            If nothing was said of it there.
        """
        self._check_open()
        number = check_object_id(obj_id)
        if not self._prompts.take_back(frame_index, number):
            raise UnknownObjectError(
                f"object {number} has no prompt on frame {frame_index} to take back"
            )
        controller, wanted, _ = self._prepare(frame_index, is_needed=False)
        self._run(controller, controller.segment(wanted, frame_index), Phase.SEGMENTING)
        return self.result(frame_index)

    def remove_object(self, obj_id: int) -> None:
        """Take an object out of prompts and results; its id is not used again.

        Raises
        ------
        UnknownObjectError
            If there is no such object.
        """
        self._check_open()
        number = check_object_id(obj_id)
        if number not in self.object_ids:
            raise UnknownObjectError(
                f"no object {number} to remove; the objects are: {list(self.object_ids)}"
            )
        self._prompts.remove(number)
        results, controller = self._results(), self._bench.controller
        assert controller is not None, "it has objects"
        frames: list[int] = []
        if results is not None:
            results.forget(number)
            frames = results.drawn_frames()
        self._run(controller, controller.remove_object(number, frames), Phase.ERASING)

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects there are, rising."""
        controller = self._bench.controller
        return () if controller is None else controller.object_ids

    # ------------------------------------------------------------ propagation

    def propagate(
        self,
        direction: Direction = "forward",
        start_frame_index: int | None = None,
        max_frame_num_to_track: int | None = None,
        *,
        on_frame: OnFrame | None = None,
        progress: bool = True,
        follow: bool = False,
    ) -> int:
        """Follow the objects through the video; returns when it is done.

        The window stays alive meanwhile: results are drawn as they come, and the person may scroll,
        paint, or press the bar's button, which stops it. Ctrl-C in a terminal stops it too.

        Parameters
        ----------
        direction, start_frame_index, max_frame_num_to_track
            As `VideoSession.propagate`; "both" follows every object to both ends.
        on_frame : callable, optional
            Called with the `FrameResult` of each frame, in the window's thread, before the next
            one is computed. Returning False, or raising, stops; what is done stays.
        progress : bool
            Whether to show a bar, in the window's activity dock and the terminal.
        follow : bool
            Whether the window goes to the frame that is being tracked.

        Returns
        -------
        int
            Frames tracked; fewer than there are where it was stopped.

        Raises
        ------
        MissingPromptError
            If there is no prompt.
        PropagationRunningError
            If work is under way on this video.
        Exception
            What `on_frame` raised, or what went wrong in the model.
        """
        self._check_open()
        controller, wanted, skipped = self._prepare(
            frame_on_screen(self.image_layer, self.axes, self.viewer)
        )
        if skipped:
            warnings.warn(describe_skipped(skipped), stacklevel=2)
        steps = controller.track(wanted, direction, start_frame_index, max_frame_num_to_track)
        job = self._run(controller, steps, Phase.TRACKING, on_frame, progress, follow)
        return job.frames_done

    def stop(self) -> None:
        """Stop a propagation before its next frame; for a button or a timer of the script."""
        self._work.stop()

    # --------------------------------------------------------------- results

    @property
    def labels(self) -> Labels:
        """The Labels layer of results; id = label. Made empty if there are none yet."""
        self._check_open()
        return self._bench.results_for(self.image_layer, self.axes).layer

    @property
    def array(self) -> LabelPlanes:
        """The results as a (T, H, W) array of labels, read frame by frame; see `LabelPlanes`."""
        self._check_open()
        return self._bench.results_for(self.image_layer, self.axes).planes

    def result(self, frame_index: int) -> FrameResult:
        """The newest masks of a frame, with their scores; empty if it has not been tracked.

        Raises
        ------
        FrameIndexError
            If there is no such frame.
        """
        self._check_open()
        number = check_frame_index(frame_index, frame_count(self.image_layer, self.axes))
        controller = self._bench.controller
        if controller is None or controller.session is None:
            return FrameResult(number)
        return controller.session.result(number)

    # ------------------------------------------------------------------- end

    @property
    def is_open(self) -> bool:
        """Whether it can be used: not once it was closed, or the dock that shared its session."""
        return not self._is_closed and not (self._dock is not None and self._dock.is_shut_down)

    def choose_model(self, model: str | Path, device: str | None = None) -> None:
        """Go on with another model, from the next work on; prompts and results stay."""
        if self._dock is not None:
            if str(model) != "auto" or device is not None:
                self._dock.model_choice.choose(str(model), device)
            return
        self._model = str(model)
        self._device = device or read_settings().device

    def close(self) -> None:
        """Give back the model's memory; layers stay. What a dock shares stays the dock's."""
        if self._is_closed:
            return
        self._is_closed = True
        _attached.pop(id(self.image_layer), None)
        if self._dock is None:
            self._work.stop()
            self._bench.release(self.image_layer)
            self._bench.close()

    def __enter__(self) -> ViewerSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ViewerSession on layer {self.image_layer.name!r}, objects {self.object_ids}>"

    # ----------------------------------------------------------------- work

    def _check(
        self,
        frame_index: int,
        points: ArrayLike | None,
        point_labels: ArrayLike | None,
        box: ArrayLike | None,
        mask: ArrayLike | None,
        text: str | None,
        obj_id: int | None,
    ) -> PromptCall:
        self._check_open()
        height, width = layer_shape(self.image_layer)[-2:]
        call = check_prompt(
            (height, width),
            frame_count(self.image_layer, self.axes),
            frame_index=frame_index,
            text=text,
            points=points,
            point_labels=point_labels,
            boxes=None if box is None else [box],
            mask=mask,
            obj_id=obj_id,
        )
        if call.text is not None and (points is not None or box is not None or obj_id is not None):
            raise RequestError(
                "text finds objects by itself; give it alone, then correct what it found by points"
            )
        controller = self._bench.controller
        if controller is not None and call.obj_id in controller.ids_removed:
            raise UnknownObjectError(
                f"object {call.obj_id} was removed, and ids are not used again; "
                "leave out obj_id to get a new one"
            )
        return call

    def _new_id(self) -> int:
        controller = self._bench.controller
        known = set() if controller is None else set(controller.ids_in_use)
        return max(known | self._prompts.ids_named(), default=0) + 1

    def _prepare(
        self, frame_index: int, *, is_needed: bool = True
    ) -> tuple[SessionController, WantedPrompts, tuple[Skipped, ...]]:
        """The session, and the prompts that shall hold."""
        if self._work.job is not None:
            raise PropagationRunningError(
                f"work is under way on layer {self.image_layer.name!r}; let it end or stop it first"
            )
        if self.image_layer not in self.viewer.layers:
            raise LayerError(
                f"the layer {self.image_layer.name!r} is not in the viewer any more; add it again"
            )
        controller = self._bench.controller_for(self._setup())
        wanted, skipped = self._prompts.read(controller, self._results(), frame_index)
        if is_needed and not wanted:
            told = f": {describe_skipped(skipped)}" if skipped else ""
            raise MissingPromptError(f"there is nothing to go by yet; use add_prompt first{told}")
        return controller, wanted, skipped

    def _setup(self) -> Setup:
        model, device, resolution = self._model, self._device, self._resolution
        if self._dock is not None:
            self._dock.model_choice.check_ready()
            model = self._dock.model_choice.resolved
            device = self._dock.model_choice.device
            resolution = int(self._dock.settings_fields.resolution.value)
        return Setup(self.image_layer, self.axes, model, device, resolution)

    def _results(self) -> ResultLayer | None:
        return self._bench.results_of(self.image_layer, self.axes)

    def _run(
        self,
        controller: SessionController,
        steps: Iterator[Event],
        phase: Phase,
        on_frame: OnFrame | None = None,
        progress: bool = False,
        follow: bool = False,
    ) -> Job:
        """Do a piece of work, the window living on; raise what went wrong."""
        paced = PacedSteps(steps)
        raised: list[BaseException] = []

        def cancel() -> None:
            controller.cancel()
            paced.go_on()

        def on_tracked(result: FrameResult) -> None:
            try:
                if not raised and on_frame is not None and on_frame(result) is False:
                    job.stop()
            except BaseException as exc:  # Qt's slot: raised in the script, after the work
                raised.append(exc)
                job.stop()
            paced.go_on()

        def look() -> None:
            if self._work.job is job and job.has_lost_layer():
                job.stop()

        self._work.start(
            controller,
            steps if on_frame is None else paced,
            phase,
            self._model,
            is_followed=follow,
            cancel=cancel,
            shows_bar=progress,
            is_quiet=True,
        )
        job = self._work.job
        assert job is not None, "just begun"
        job.tracked.connect(on_tracked)
        with interrupt_as_stop(self._work.stop):
            if not wait_until(lambda: self._work.job is not job, look):
                self._work.stop()
                raise PropagationError("the application was closed; what was done is kept")
        if raised:
            raise raised[0]
        if job.error is not None:
            cause = job.error.__cause__
            raise cause if isinstance(cause, Sam3Error) else job.error
        if job.has_lost_layer():
            raise LayerError("the video or its results were deleted; the work was stopped")
        return job

    def _check_open(self) -> None:
        if not self.is_open:
            raise LayerError("this session was closed; attach to the layer again")
        check_window()
        if self._dock is not None and self._work.job is None:
            self._dock.video_fields.video.value = self.image_layer  # it may have turned to another


def _find_layer(viewer: Any, layer: Any) -> Image:
    layer = getattr(layer, "__wrapped__", layer)
    if isinstance(layer, str):
        if layer not in viewer.layers:
            names = ", ".join(repr(one.name) for one in viewer.layers) or "none"
            raise LayerError(f"there is no layer {layer!r}; there are: {names}")
        layer = viewer.layers[layer]
    elif isinstance(layer, Layer) and layer not in viewer.layers:
        raise LayerError(f"the layer {layer.name!r} is not in this viewer; add it first")
    guess_axes(layer)  # refuses what is no video
    return layer  # type: ignore[no-any-return]


def _guess_axes(viewer: Any, image_layer: Image) -> StackAxes:
    point = viewer.dims.point
    if len(point) < image_layer.ndim:
        return guess_axes(image_layer)
    return guess_axes(image_layer, world_to_indices(image_layer, point))


def _find_dock(viewer: Any, image_layer: Image) -> SegmentAndTrackWidget | None:
    """The dock of a viewer that shows a video layer."""
    for widget in QApplication.allWidgets():
        if (
            isinstance(widget, SegmentAndTrackWidget)
            and not widget.is_shut_down
            and getattr(widget.viewer, "__wrapped__", widget.viewer) is viewer
            and widget.video_fields.video.value is image_layer
        ):
            return widget
    return None

"""One video layer of a viewer as a script works on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from napari.layers import Image, Labels, Points, Shapes, Tracks
from numpy.typing import ArrayLike

from napari_sam3.errors import MissingPromptError, RequestError, UnknownObjectError
from napari_sam3.export.registry import choose_format
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.object_removal import forget_objects
from napari_sam3.plugin.controllers.screen_decoding import wait_for_picture
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.controllers.tracks_layer import CentroidTracks
from napari_sam3.plugin.io.writers import write_results
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.layer_prompts import Skipped, TargetPrompts
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.app_state import Phase
from napari_sam3.plugin.scripting.event_loop import OnFrame, wait_for, wait_until
from napari_sam3.plugin.scripting.prompt_writer import PromptWriter
from napari_sam3.plugin.scripting.proposing import Proposing
from napari_sam3.plugin.scripting.script_runner import ScriptRunner
from napari_sam3.projects import Project
from napari_sam3.review import CheckFile, Place, review_labels
from napari_sam3.session.validation import (
    PromptCall,
    check_frame_index,
    check_object_id,
    check_prompt,
)
from napari_sam3.values import Direction, FrameResult

T = TypeVar("T")


class ViewerSession(Proposing):
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

    def __init__(
        self,
        viewer: Any,
        image_layer: Image,
        axes: StackAxes | None = None,
        project: str | Path | Project | None = None,
    ) -> None:
        self._runner = ScriptRunner(viewer, image_layer, axes, project)
        self.viewer, self.image_layer, self.axes = viewer, image_layer, self._runner.axes
        self._tracks = CentroidTracks(viewer)
        self._prompts = PromptWriter(self._runner.tracking, image_layer, self.axes)
        if self._runner.project is not None:
            self._prompts.draw_kept(self._runner.project.prompts)
            if len(self._runner.project.labels.processed_frames()):
                self._results()
            # what was done in an earlier session is not to be undone in this one
            self._runner.state.tracked(image_layer).history.clear()

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
        call = self._check(
            frame_index,
            obj_id,
            points=points,
            point_labels=point_labels,
            boxes=None if box is None else [box],
            mask=mask,
            text=text,
        )
        number = call.obj_id or self._new_id()
        is_text = call.text is not None
        undo = self._prompts.search(str(call.text)) if is_text else self._prompts.draw(call, number)
        try:
            session, target, skipped = self._read_prompts(call.frame_index)
            if not is_text and (call.frame_index, number) not in target.objects:
                raise RequestError(describe_skipped(skipped))
            self._runner.run(session, session.segment(target, call.frame_index), Phase.SEGMENTING)
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
        self._runner.check_open()
        if masks is not None:
            chosen = [self._on_screen()] if frames is None else list(frames)
            n_frames = frame_count(self.image_layer, self.axes)
            self._prompts.mask_frames = {check_frame_index(i, n_frames) for i in chosen}
        self._prompts.choose(points=points, boxes=shapes, masks=masks)
        session, target, skipped = self._read_prompts(self._on_screen())
        if skipped:
            warnings.warn(describe_skipped(skipped), stacklevel=2)
        first = min(frame for frame, _ in target.objects) if target.objects else 0
        self._runner.run(session, session.segment(target, first), Phase.SEGMENTING)
        return self.result(first)

    def take_back_prompt(self, frame_index: int, obj_id: int) -> FrameResult:
        """Undo all that was said of an object on a frame; taken off the layers too.

        Raises
        ------
        UnknownObjectError
            If nothing was said of it there.
        """
        self._runner.check_open()
        number = check_object_id(obj_id)
        if not self._prompts.take_back(frame_index, number):
            raise UnknownObjectError(
                f"object {number} has no prompt on frame {frame_index} to take back"
            )
        session, target, _ = self._read_prompts(frame_index, is_needed=False)
        self._runner.run(session, session.segment(target, frame_index), Phase.SEGMENTING)
        return self.result(frame_index)

    def remove_object(self, obj_id: int) -> None:
        """Take an object out of prompts and results; its id is not used again.

        Raises
        ------
        UnknownObjectError
            If there is no such object.
        """
        self._runner.check_open()
        number = check_object_id(obj_id)
        if number not in self.object_ids:
            raise UnknownObjectError(
                f"no object {number} to remove; the objects are: {list(self.object_ids)}"
            )
        session = self._runner.open_session()
        tracking = self._runner.tracking
        removal, [frames] = forget_objects(tracking.chosen, tracking.edits, [number])
        removal.add(self._prompts.remove(number))
        tracking.edits.join_next(removal)
        self._runner.run(session, session.remove_object(number, frames), Phase.ERASING)

    def merge_objects(self, obj_ids: Iterable[int], into: int) -> None:
        """Make one object of several, on all frames; see `TrackEdits.merge`."""
        self._edit(lambda edits: edits.merge(obj_ids, into))

    def split_object(self, obj_id: int, frame_index: int) -> int:
        """Make a new object of the tail of one, from a frame on; gives its id.

        See `TrackEdits.split`.
        """
        return self._edit(lambda edits: edits.split(obj_id, frame_index))

    def swap_objects(self, one: int, other: int, frame_index: int) -> None:
        """Let two objects change ids from a frame on; see `TrackEdits.swap`."""
        self._edit(lambda edits: edits.swap(one, other, frame_index))

    def _edit(self, act: Callable[[TrackEdits], T]) -> T:
        self._runner.check_open()
        edits = TrackEdits(self._runner.tracking)
        given = act(edits)
        wait_until(lambda: not edits.is_running)
        return given

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects there are, rising."""
        session = self._runner.session
        return () if session is None else session.object_ids

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
        self._runner.check_open()
        session, target, skipped = self._read_prompts(self._on_screen())
        if skipped:
            warnings.warn(describe_skipped(skipped), stacklevel=2)
        steps = session.track(target, direction, start_frame_index, max_frame_num_to_track)
        return self._runner.run(session, steps, Phase.TRACKING, on_frame, progress, follow)

    def propagate_from_here(
        self,
        frame_index: int,
        direction: Direction = "both",
        *,
        on_frame: OnFrame | None = None,
        progress: bool = True,
        follow: bool = False,
    ) -> int:
        """Follow what was corrected on a frame as far as that changes anything; other objects stay.

        See `VideoSession.propagate_from_here`. Locked frames stay too, and end the way.

        Parameters
        ----------
        frame_index : int
            0-based; where to begin.
        direction : "forward", "backward" or "both"
        on_frame, progress, follow
            As of `propagate`.

        Returns
        -------
        int
            Frames that were looked at.

        Raises
        ------
        MissingPromptError
            If nothing was corrected there.
        PropagationRunningError, Exception
            As of `propagate`.
        """
        self._runner.check_open()
        number = check_frame_index(frame_index, frame_count(self.image_layer, self.axes))
        session, target, skipped = self._read_prompts(number)
        if skipped:
            warnings.warn(describe_skipped(skipped), stacklevel=2)
        locked = self._results().planes.locked_frames().tolist()
        steps = session.track_from(target, number, direction, locked)
        return self._runner.run(session, steps, Phase.TRACKING, on_frame, progress, follow)

    def stop(self) -> None:
        """Stop a propagation before its next frame; for a button or a timer of the script."""
        self._runner.tracking.stop()

    # --------------------------------------------------------------- results

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

    def review(self) -> tuple[Place, ...]:
        """Places of the results that are worth a person's look, the most valuable first.

        The queue that the dock goes through: lost, unsure, jumped, touching, fallen in two. What
        was found right before is left out, if the results are kept in a project. Labels are read
        in a thread, while the window lives.

        Returns
        -------
        tuple of Place
            Each with its object and frame, a value in frames' worth of overlap, and the reasons,
            which `str` tells in words.
        """
        labels, divisions = self.array, tuple(self.objects.divisions)
        project = self._runner.tracking.state.tracked(self.image_layer).project
        kept = None if project is None else CheckFile(project.project.folder)

        def look() -> tuple[Place, ...]:
            review = review_labels(labels)
            if kept is not None:
                review.restore(kept.load())
            return tuple(place for place in review.places(divisions) if place.is_doubtful)

        return wait_for(look)

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

    # ------------------------------------------------------------ undo, redo

    def undo(self) -> str:
        """Take back what was done last, by the script or the person; gives what that was.

        Prompts, what jobs drew, removals, names, locks, strokes: all in the order in which they
        were done. An empty string if there is nothing to undo.

        Raises
        ------
        RequestError
            If it can't be taken back.
        """
        self._runner.check_open()
        return self._runner.tracking.undo()

    def redo(self) -> str:
        """Do again what was undone last; gives what that was.

        Raises
        ------
        RequestError
            If it can't be done again.
        """
        self._runner.check_open()
        return self._runner.tracking.redo()

    # ------------------------------------------------------------------- end

    @property
    def is_open(self) -> bool:
        """Whether it can be used: not once it was closed, or the dock that shared its session."""
        return self._runner.is_open

    def choose_model(self, model: str | Path, device: str | None = None) -> None:
        """Go on with another model, from the next work on; prompts and results stay."""
        self._runner.choose_model(model, device)

    def wait_for_picture(self) -> None:
        """Return when the viewer shows the frame that its slider is at.

        A script that moves the slider need not wait: its frames are shown at once. Where a person
        has moved it to a frame that takes long to decode, another one stands in until then.

        Raises
        ------
        VideoError
            If the frame can't be read.
        """
        wait_for_picture(self.viewer)

    def close(self) -> None:
        """Give back the model's memory; layers stay. What a dock shares stays the dock's."""
        if self._runner.is_closed:
            return
        self._tracks.close()
        try:
            if self._runner.project is not None and self._runner.results() is not None:
                self._runner.project.save_objects(self.objects)
        finally:
            self._runner.close()

    def __enter__(self) -> ViewerSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ViewerSession on layer {self.image_layer.name!r}, objects {self.object_ids}>"

    # --------------------------------------------------------------- checks

    def _results(self) -> ResultsLayer:
        found = self._runner.results()
        if found is None:
            self._runner.check_there()
            found = self._runner.tracking.shown.layer_for(self.image_layer, self.axes)
        return found

    def _on_screen(self) -> int:
        return frame_on_screen(self.image_layer, self.axes, self.viewer)

    def _read_prompts(
        self, frame_index: int, *, is_needed: bool = True
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """The session, the prompts that shall hold, and items that are none."""
        self._runner.open_session()
        session, target, skipped = self._prompts.read(frame_index)
        if is_needed and not target:
            reasons = f": {describe_skipped(skipped)}" if skipped else ""
            raise MissingPromptError(
                f"there is nothing to go by yet; use add_prompt first{reasons}"
            )
        return session, target, skipped

    def _check(self, frame_index: int, obj_id: int | None, **said: Any) -> PromptCall:
        self._runner.check_open()
        height, width = layer_shape(self.image_layer)[-2:]
        n_frames = frame_count(self.image_layer, self.axes)
        call = check_prompt(
            (height, width), n_frames, frame_index=frame_index, obj_id=obj_id, **said
        )
        is_alone = not (len(call.points_xy) or len(call.boxes_xyxy) or call.obj_id is not None)
        if call.text is not None and not is_alone:
            raise RequestError(
                "text finds objects by itself; give it alone, then correct what it found by points"
            )
        if call.obj_id in self._runner.open_session().ids_removed:
            raise UnknownObjectError(
                f"object {call.obj_id} was removed, and ids are not used again; "
                "leave out obj_id to get a new one"
            )
        return call

    def _new_id(self) -> int:
        known = set(self._runner.open_session().ids_in_use)
        return max(known | self._prompts.ids_named(), default=0) + 1

"""Begin the work on a video anew, so that it can be undone."""

from __future__ import annotations

from typing import Any

from napari_sam3.labels.frame_snapshot import FramesSnapshot
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.commands import (
    ChangeFrames,
    EditTable,
    LockFrame,
    RemovePrompts,
)
from napari_sam3.plugin.controllers.edit_recorder import JobDone, ReturnSession
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.command_history import Command, Exchange
from napari_sam3.plugin.model.tracked_video import TrackedVideo
from napari_sam3.projects import Project, RunNote
from napari_sam3.session.saved_prompts import PromptList


class SetFields(Exchange):
    """Give fields of an object other values."""

    label = "choose"

    def __init__(self, holder: Any, **values: Any) -> None:
        self._holder, self._values = holder, values

    def do(self) -> bool:
        """Let them change places with the values that there are."""
        before = {name: getattr(self._holder, name) for name in self._values}
        if isinstance(self._holder, AppState):
            self._holder.update(**self._values)
        else:
            for name, value in self._values.items():
                setattr(self._holder, name, value)
        self._values, is_changed = before, before != self._values
        return is_changed


class ForgetPrompts(Exchange):
    """Take what a project's sessions were told out of it."""

    label = "forget prompts"

    def __init__(self, project: Project) -> None:
        self._project = project
        self._prompts = PromptList()
        self._run: RunNote | None = None

    def do(self) -> bool:
        """Let them change places with what is in the project."""
        before = self._project.prompts, self._project.run
        self._project.save_prompts(self._prompts)
        self._project.put_back_run(self._run)
        self._prompts, self._run = before
        return True


class Reset(JobDone):
    """Forget all objects of a video: prompts, masks, names, divisions, locks.

    Prompt layers of the person's own stay as they are, and are not chosen any more.

    Parameters
    ----------
    state : AppState
        Says which layers hold prompts.
    tracked : TrackedVideo
        The video.
    session : SessionController or None
        Of that video, if there is one.
    """

    def __init__(
        self, state: AppState, tracked: TrackedVideo, session: SessionController | None
    ) -> None:
        layers = {name: getattr(state, name) for name in ("points", "boxes", "masks")}
        ours = [one for one in layers.values() if state.is_prompt_layer(one)]
        others = {name: None for name, one in layers.items() if one not in ours}
        ours += [state.example] if state.example is not None else []
        parts: list[Command] = []
        moment = None if session is None else session.nothing_told()
        if session is not None and moment is not None:
            parts.append(ReturnSession(session, moment))
        elif tracked.project is not None:
            parts.append(ForgetPrompts(tracked.project.project))
        if tracked.results is not None:
            layer, planes = tracked.results.layer, tracked.results.planes
            locked = planes.locked_frames().tolist()
            parts += [LockFrame(layer, frame_index, False) for frame_index in locked]
            parts.append(EditTable(layer, "forget all objects", _forget_all))
            parts.append(ChangeFrames(layer, "clear all frames", _clear, changes_locked=True))
        parts += [RemovePrompts(one, range(len(one.data))) for one in ours if len(one.data)]
        parts.append(SetFields(tracked, axes=None, rejected=None))
        parts.append(SetFields(state, texts=(), object_in_hand=1, **others))
        super().__init__("reset", parts)


def _forget_all(table: ObjectTable) -> None:
    for obj_id in table.ids:
        table.remove(obj_id)


def _clear(planes: LabelStack) -> None:
    """Have all frames as never processed."""
    one = LabelStack((1, *planes.shape[1:]), planes.dtype).snapshot([0])
    frames = planes.processed_frames().tolist()
    planes.restore(FramesSnapshot(one.size, dict.fromkeys(frames, one.states[0])))

"""Objects are taken away: prompts at once, masks by a job."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller

from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.commands import EditTable, RemovePrompts
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder, JobDone
from napari_sam3.plugin.layers.prompt_items import find_items
from napari_sam3.plugin.model.command_history import Command


def forget_objects(
    chosen: ChosenVideo, edits: EditRecorder, obj_ids: Sequence[int]
) -> tuple[JobDone, list[list[int]]]:
    """Take away prompts of objects and what is known of them; a job is to erase their masks.

    Returns
    -------
    (JobDone, list of list of int)
        What was done, for the job to join, and the frames that each may be drawn on.
    """
    state, results = chosen.state, chosen.results
    label = "remove object " + ", ".join(map(str, obj_ids))
    tracked = state.tracked(chosen.layer())
    edits.settle(tracked)
    parts: list[Command] = [
        RemovePrompts(one, [item for i in obj_ids for item in find_items(one, i)])
        for one in state.layers_of_prompts
    ]
    frames: list[list[int]] = [[] for _ in obj_ids]
    for obj_id, drawn in zip(obj_ids, frames, strict=True):
        if results is not None:
            results.forget(obj_id)
            parts.append(EditTable(results.layer, label, methodcaller("remove", obj_id)))
            drawn += results.drawn_frames()
    removal = JobDone(label, parts)
    tracked.history.do(removal)
    return removal, frames

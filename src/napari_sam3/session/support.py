"""Whether a model can take a prompt, and what to say if it can't."""

from __future__ import annotations

from collections.abc import Collection

from napari_sam3.errors import UnsupportedPromptError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import models_that_take
from napari_sam3.session.prompts import PromptCall

_KINDS = {  # capability: what it is called, and why a model may lack it
    "text": ("text", "it knows no words"),
    "exemplars": ("exemplar boxes", "it does not look for things alike"),
    "points": ("points", "it was not made for them"),
    "boxes": ("boxes", "it was not made for them"),
    "masks": ("masks", "it was not made for them"),
}


def check_supported(model: VideoModel, call: PromptCall) -> None:
    """Refuse what a model can't take.

    Raises
    ------
    UnsupportedPromptError
        Says why, which models can, and what this one takes.
    """
    has_boxes = len(call.boxes_xyxy) > 0
    given = {
        "text": call.text is not None,
        "exemplars": call.is_concept and has_boxes,
        "points": len(call.points_xy) > 0,
        "boxes": has_boxes and not call.is_concept,
        "masks": call.mask is not None,
    }
    for kind, is_given in given.items():
        if is_given and not getattr(model.capabilities, kind):
            name, reason = _KINDS[kind]
            value = f" ({call.text!r})" if kind == "text" else ""
            takes = ", ".join(_KINDS[k][0] for k in _KINDS if getattr(model.capabilities, k))
            raise UnsupportedPromptError(
                f"model {model.name!r} can't take {name}{value}: {reason}. "
                f"Models that can: {models_that_take(kind)}. This one takes: {takes}."
            )


def check_room(model: VideoModel, obj_ids: Collection[int]) -> None:
    """Refuse a prompt after which there would be more objects than the model follows.

    Raises
    ------
    UnsupportedPromptError
        Says how many it follows and how many there would be.
    """
    most = model.capabilities.max_objects
    if most is not None and len(obj_ids) > most:
        raise UnsupportedPromptError(
            f"model {model.name!r} follows at most {most} objects, this prompt would make "
            f"{len(obj_ids)}; remove an object first, or use another model"
        )

"""Results of a session on their way into labels."""

from __future__ import annotations

from collections.abc import Collection

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.values import FrameResult, label_image


def draw_result(
    labels: LabelStack, result: FrameResult, prompted: Collection[int] = (), *, run: int = 0
) -> bool:
    """Draw the objects of a frame, with score and source of each.

    Parameters
    ----------
    labels : LabelStack
        Where to.
    result : FrameResult
        All objects of the frame.
    prompted : collection of int
        Those whose mask answers a prompt; the others were followed here.
    run : int
        As of `LabelStack.draw`.

    Returns
    -------
    bool
        False if the frame is locked, and was left as it is.
    """
    notes = {
        i: ObjectNote(mask.score, "prompt" if i in prompted else "propagated")
        for i, mask in result.objects.items()
    }
    frame = label_image(result.objects, labels.shape[1:], labels.dtype)
    return labels.draw(result.frame_index, frame, notes, run=run)

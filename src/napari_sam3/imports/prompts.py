"""Labels that are there already, as prompts: track what was drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_sam3.errors import RequestError
from napari_sam3.session.session import VideoSession
from napari_sam3.values import FrameResult


def prompt_with_labels(session: VideoSession, frame_index: int, labels: ArrayLike) -> FrameResult:
    """Make every label of a frame an object of a session, under the label as its id.

    Labels of objects that the session knows correct them on this frame.

    Parameters
    ----------
    session : VideoSession
        On the video that the labels lie on.
    frame_index : int
        0-based.
    labels : (H, W) integer array
        0 is background; one frame, as of `open_labels(path)[frame_index]`.

    Returns
    -------
    FrameResult
        All objects known on this frame.

    Raises
    ------
    RequestError
        If there is no label, they do not fit, or one can't be taken; objects that were made for
        others of them are taken back then.
    """
    found: Any = np.asarray(labels)
    if found.shape != session.frame_size or found.dtype.kind not in "iu":
        raise RequestError(
            f"labels of shape {found.shape} and {found.dtype} are not those of a frame; give "
            f"{session.frame_size} of whole numbers"
        )
    ids = np.unique(found[found != 0]).tolist()
    if not ids:
        raise RequestError(f"there is no label to track on frame {frame_index}; all are 0")
    if ids[0] < 0:
        raise RequestError(f"label {ids[0]} can't be an object's id; ids count from 1")
    known = session.object_ids
    for done, obj_id in enumerate(ids):
        try:
            result = session.add_prompt(frame_index, mask=found == obj_id, obj_id=obj_id)
        except RequestError:
            for earlier in ids[:done]:
                if earlier not in known:
                    session.take_back_prompt(frame_index, earlier)
            raise
    return result

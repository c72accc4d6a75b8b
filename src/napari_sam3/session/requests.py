"""The form of requests: which types there are, and which fields each has."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from napari_sam3.errors import RequestError

# the fields that a request must have, and those that it may have
_FORMS = {
    "start_session": ("", "resource_path session_id video hold_back channel z scene"),
    "add_prompt": (
        "session_id frame_index",
        "text points point_labels bounding_boxes bounding_box_labels obj_id mask exemplar "
        "clear_old_points",
    ),
    "remove_object": ("session_id obj_id", "is_user_action"),
    "cancel_propagation": ("session_id", ""),
    "reset_session": ("session_id", ""),
    "close_session": ("session_id", ""),
    "propagate_in_video": (
        "session_id propagation_direction",
        "start_frame_index max_frame_num_to_track",
    ),
}
_STREAMED = "propagate_in_video"


def check_request(request: Any, *, streaming: bool) -> str:
    """Check a request's type and the names of its fields; values are checked where they are used.

    Returns
    -------
    str
        The type.

    Raises
    ------
    RequestError
        Names what is wrong, and the nearest valid name.
    """
    if not isinstance(request, dict):
        raise RequestError(f"a request is a dict, not {request!r} ({type(request).__name__})")
    if "type" not in request:
        raise RequestError(f"the request has no 'type'; use one of: {', '.join(_FORMS)}")
    kind = request["type"]
    if not isinstance(kind, str) or kind not in _FORMS:
        raise RequestError(f"unknown request type {kind!r}; {_nearest(kind, _FORMS)}")
    if (kind == _STREAMED) != streaming:
        right = "handle_request" if streaming else "handle_stream_request"
        raise RequestError(f"send a request of type {kind!r} to {right}")
    required, optional = (names.split() for names in _FORMS[kind])
    for name in request:
        if name not in ("type", *required, *optional):
            nearest = _nearest(name, [*required, *optional])
            raise RequestError(f"{kind} has no field {name!r}; {nearest}")
    for name in required:
        if request.get(name) is None:
            raise RequestError(f"{kind} needs the field {name!r}")
    return kind


def _nearest(name: Any, names: Iterable[str]) -> str:
    close = get_close_matches(str(name), list(names), 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of: {', '.join(names)}"

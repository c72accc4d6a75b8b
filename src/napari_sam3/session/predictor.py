"""The SAM 3 video API: requests as dictionaries, over `VideoSession`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_sam3.errors import RequestError, Sam3Error, SessionNotFoundError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import load_model
from napari_sam3.session.propagation import Propagation
from napari_sam3.session.requests import check_request
from napari_sam3.session.session import VideoSession
from napari_sam3.session.validation import check_flag, check_normalised_boxes
from napari_sam3.values import FrameResult
from napari_sam3.video import PlaneChoice

Request = dict[str, Any]
Response = dict[str, Any]


class Sam3VideoPredictor:
    """Sessions on videos, driven by requests.

    The requests and responses are those of the SAM 3 video API; what goes beyond it is listed in
    docs/api.md. Several sessions live side by side and share the model.

    Parameters
    ----------
    model : str, path or VideoModel
        "auto" takes the best model present and never downloads one.
    device : str, optional
        Where to run it; the best device if left out.

    Raises
    ------
    ModelUnavailableError
        If there is no such model, or not on that device.
    """

    def __init__(self, model: str | Path | VideoModel = "auto", device: str | None = None) -> None:
        self.model = load_model(model, device)
        self._sessions: dict[str, VideoSession] = {}
        self._lock = threading.Lock()
        self._answers: dict[str, Callable[[Request], Response]] = {
            "start_session": self._start_session,
            "add_prompt": self._add_prompt,
            "remove_object": self._remove_object,
            "cancel_propagation": self._cancel_propagation,
            "reset_session": self._reset_session,
            "close_session": self._close_session,
        }

    def handle_request(self, request: Request) -> Response:
        """Answer a request.

        Parameters
        ----------
        request : dict
            `type` is one of start_session, add_prompt, remove_object, cancel_propagation,
            reset_session, close_session.

        Returns
        -------
        dict
            As the API says. Masks are (H, W) bool; boxes [x0, y0, x1, y1] in px, x1 and y1
            exclusive; scores 0..1.

        Raises
        ------
        RequestError
            A `RuntimeError`, for anything wrong; nothing is changed then.
        """
        with _as_request_errors():
            kind = check_request(request, streaming=False)
            return self._answers[kind](request)

    def handle_stream_request(self, request: Request) -> Iterator[Response]:
        """Answer a `propagate_in_video` request, frame by frame.

        Returns
        -------
        generator of dict
            One a frame, as soon as it is computed. Closing it ends the propagation.

        Raises
        ------
        RequestError
            At this call if the request is wrong; while iterating if a frame can't be computed.
        """
        with _as_request_errors():
            check_request(request, streaming=True)
            propagation = self._session(request).propagate(
                request["propagation_direction"],
                request.get("start_frame_index"),
                request.get("max_frame_num_to_track"),
            )
        return ResponseStream(propagation)

    # ------------------------------------------------------------ requests

    def _start_session(self, request: Request) -> Response:
        session_id = request.get("session_id")
        if session_id is None:
            session_id = uuid.uuid4().hex
        if not isinstance(session_id, str) or not session_id:
            raise RequestError(f"session_id must be a string, not {session_id!r}")
        path, array = request.get("resource_path"), request.get("video")
        if (path is None) == (array is None):
            raise RequestError(
                "start_session needs resource_path (a video, an image, or a folder of frames) "
                "or video (an array), and not both"
            )
        if path is not None and not isinstance(path, str | Path):
            raise RequestError(f"resource_path must be a path, not {path!r}")
        self._check_free(session_id)
        source: Any = array if path is None else path
        choice = PlaneChoice(*(request.get(option) for option in ("channel", "z", "scene")))
        session = VideoSession(
            source, self.model, hold_back=request.get("hold_back", False), choice=choice
        )
        try:
            with self._lock:
                self._check_free(session_id)
                self._sessions[session_id] = session
        except RequestError:
            session.close()
            raise
        return {"session_id": session_id}

    def _add_prompt(self, request: Request) -> Response:
        session = self._session(request)
        result = session.add_prompt(
            request["frame_index"],
            text=request.get("text"),
            points=request.get("points"),
            point_labels=request.get("point_labels"),
            boxes=check_normalised_boxes(request.get("bounding_boxes"), session.frame_size),
            box_labels=request.get("bounding_box_labels"),
            mask=request.get("mask"),
            obj_id=request.get("obj_id"),
            exemplar=request.get("exemplar", False),
            clear_old_points=request.get("clear_old_points", False),
        )
        return _response(result)

    def _remove_object(self, request: Request) -> Response:
        check_flag(request.get("is_user_action", True), "is_user_action")
        self._session(request).remove_object(request["obj_id"])
        return {"is_success": True}

    def _cancel_propagation(self, request: Request) -> Response:
        return {"is_success": self._session(request).cancel()}

    def _reset_session(self, request: Request) -> Response:
        self._session(request).reset()
        return {"is_success": True}

    def _close_session(self, request: Request) -> Response:
        session = self._session(request)
        with self._lock:
            self._sessions.pop(request["session_id"], None)
        session.close()
        return {"is_success": True}

    # ------------------------------------------------------------ sessions

    def _session(self, request: Request) -> VideoSession:
        session_id = request["session_id"]
        with self._lock:
            session = self._sessions.get(session_id) if isinstance(session_id, str) else None
        if session is None:
            raise SessionNotFoundError(
                f"no session {session_id!r}: it was never started, or has been closed; "
                "use the session_id that start_session gave"
            )
        return session

    def _check_free(self, session_id: str) -> None:
        if session_id in self._sessions:
            raise RequestError(
                f"session_id {session_id!r} is in use; close that session first, or leave "
                "session_id out to get a new one"
            )


class ResponseStream(Generator[Response, None, None]):
    """The responses of a propagation, as a generator that several threads may ask at once.

    Each response goes to one of them.
    """

    def __init__(self, propagation: Propagation) -> None:
        self._propagation = propagation

    def send(self, value: None) -> Response:
        """Compute the next response."""
        with _as_request_errors():
            return _response(next(self._propagation))

    def throw(self, *error: Any) -> Response:
        """End the propagation, and raise what is given."""
        self._propagation.close()
        return super().throw(*error)

    def close(self) -> None:
        """End the propagation; what was given stays."""
        self._propagation.close()


def _response(result: FrameResult) -> Response:
    outputs = {
        obj_id: {"mask": found.mask, "score": found.score, "bbox": list(found.bbox)}
        for obj_id, found in result.objects.items()
    }
    return {"frame_index": result.frame_index, "outputs": outputs}


@contextmanager
def _as_request_errors() -> Iterator[None]:
    """Let every failure of a request leave as the `RuntimeError` that the API promises."""
    try:
        yield
    except RequestError:
        raise
    except (Sam3Error, OSError, MemoryError) as exc:
        raise RequestError(str(exc) or type(exc).__name__) from exc

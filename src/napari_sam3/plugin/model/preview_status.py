"""How things stand with the preview of prompts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PreviewStatus:
    """What is shown before it is asked for, and what keeps it.

    Attributes
    ----------
    objects : tuple of int
        Objects that a preview is shown of, on any frame, rising.
    empty : tuple of int
        Those of which nothing was found where they were pointed at.
    is_working : bool
        Whether the model is asked just now, and has been for longer than a moment.
    seconds : float
        What an answer takes, where that is long; else 0.
    waits_for_enter : bool
        Whether there is something to preview that is slow: it is made when Enter is pressed.
    failure : str
        Why there is none.
    locked : tuple of int
        Locked objects that something new is said of on the frame on screen: it changes nothing.
    is_frame_locked : bool
        Whether that frame is locked, and they are for that reason.
    comes_after_run : bool
        Whether there is something to preview that waits for the end of a job.
    """

    objects: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()
    is_working: bool = False
    seconds: float = 0.0
    waits_for_enter: bool = False
    failure: str = ""
    locked: tuple[int, ...] = ()
    is_frame_locked: bool = False
    comes_after_run: bool = False

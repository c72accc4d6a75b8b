"""How things stand with the project of a video."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProjectStatus:
    """All that is said of the project of the video that is chosen.

    Attributes
    ----------
    folder : str
        Where it is; empty where there is none.
    is_kept : bool
        Whether results will be kept once there are some.
    why_not : str
        Why none can be made of the video; empty if one can, or it is not known yet.
    saved_at : str
        Clock time of the last save.
    why_read_only : str
        Empty if it can be written to.
    problems : tuple of str
        What is lost, or went wrong.
    is_video_lost : bool
        Whether the video was not found.
    earlier : str
        When earlier work on this video was done that can be opened; empty if there is none.
    is_busy : bool
        Whether one is being opened or moved.
    stopped_at : int or None
        The frame after which an earlier propagation was stopped.
    frames_left : int
        What is left of it.
    """

    folder: str = ""
    is_kept: bool = True
    why_not: str = ""
    saved_at: str = ""
    why_read_only: str = ""
    problems: tuple[str, ...] = ()
    is_video_lost: bool = False
    earlier: str = ""
    is_busy: bool = False
    stopped_at: int | None = None
    frames_left: int = 0

    @property
    def can_move(self) -> bool:
        """Whether there is something to move."""
        return bool(self.folder) and not self.why_read_only

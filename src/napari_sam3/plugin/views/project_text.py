"""How things stand with a project, in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """All that is said of the project of the video that is chosen.

    Attributes
    ----------
    folder : str
        Where it is; empty where there is none.
    is_kept : bool
        Whether results will be kept once there are some.
    saved_at : str
        Clock time of the last save.
    why_read_only : str
        Empty if it can be written to.
    problems : tuple of str
        What is lost, or went wrong.
    is_video_lost : bool
        Whether the video was not found.
    has_earlier : bool
        Whether earlier work on this video was kept.
    is_busy : bool
        Whether one is being opened or moved.
    """

    folder: str = ""
    is_kept: bool = True
    saved_at: str = ""
    why_read_only: str = ""
    problems: tuple[str, ...] = ()
    is_video_lost: bool = False
    has_earlier: bool = False
    is_busy: bool = False

    @property
    def can_move(self) -> bool:
        """Whether there is something to move."""
        return bool(self.folder) and not self.why_read_only


def say_title(standing: Standing) -> str:
    """The title of the group: the gist, for it is mostly folded."""
    if standing.is_busy:
        return "Project: opening …"
    if not standing.folder:
        return "Project" if standing.is_kept else "Project: results are not kept"
    if standing.why_read_only:
        return "Project: read-only"
    if standing.is_video_lost:
        return "Project: the video is missing"
    if standing.problems:
        return "Project: see inside"
    return "Project: saved" if standing.saved_at else "Project"


def say_standing(standing: Standing) -> str:
    """What happened last, in a few sentences."""
    if standing.is_busy:
        return "Opening the project …"
    told = []
    if standing.why_read_only:
        told.append(f"Read-only: {standing.why_read_only}.")
    if not standing.folder:
        told.append(
            "The first results on a video file make a project here by themselves."
            if standing.is_kept
            else "Results are not kept (Settings, Keep results)."
        )
    elif standing.saved_at and not standing.why_read_only:
        told.append(f"Saved at {standing.saved_at}.")
    told += [_as_item(problem) for problem in standing.problems]
    return "\n".join(told)


def _as_item(text: str) -> str:
    text = text.strip()
    return f"• {text}{'' if text.endswith('.') else '.'}"

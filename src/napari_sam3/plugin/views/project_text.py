"""How things stand with a project, in words."""

from __future__ import annotations

from napari_sam3.plugin.model.project_status import ProjectStatus


def format_project_title(standing: ProjectStatus) -> str:
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


def format_project_status(standing: ProjectStatus) -> str:
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

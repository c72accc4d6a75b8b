"""From how older versions kept a project to how it is kept now, step by step.

A step takes what `project.json` says in version n and gives it as version n + 1 says it. It
changes nothing on disk: the project is written in the new form when something is saved, and the
file as it was stays beside it under the name `project.v<n>.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_sam3.errors import ProjectError

FORMAT = "napari-sam3 project"
VERSION = 1

STEPS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From each older version to the next. There is none yet: version 1 is the first."""


def migrate(data: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Bring what `project.json` says to the present version.

    Returns
    -------
    data : dict
        As the present version says it.
    version : int
        As which it was read.

    Raises
    ------
    ProjectError
        If it is of a newer version than is known here.
    ValueError
        If it is no project, or damaged.
    """
    if data.get("format") != FORMAT:
        raise ValueError(f"its format is {data.get('format')!r}, not {FORMAT!r}")
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise ValueError(f"its version is {version!r}")
    if version > VERSION:
        raise ProjectError(
            f"the project is of version {version}, this napari-sam3 knows up to {VERSION}; update "
            "napari-sam3 to open it. Nothing was changed"
        )
    now = dict(data)
    for step in range(version, VERSION):
        if step not in STEPS:
            raise ValueError(f"its version is {version}, which there never was")
        now = {**STEPS[step](now), "format": FORMAT, "version": step + 1}
    return now, version

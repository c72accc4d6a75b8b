"""`napari-sam3 pack`: projects that are done in few files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_sam3.cli import FAILED
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.projects.folders import is_project, list_projects
from napari_sam3.projects.packing import pack_project, unpack_project


def run(arguments: argparse.Namespace) -> int:
    """Pack them, or unpack them. Returns the exit code: one that fails does not stop the rest."""
    projects = _find(arguments.paths)
    rows: list[dict[str, Any]] = []
    for project in tqdm(projects, "unpack" if arguments.undo else "pack", disable=None):
        row: dict[str, Any] = {"project": str(project)}
        try:
            has_changed = (unpack_project if arguments.undo else pack_project)(project)
            row["state"] = "done" if has_changed else "skipped"
        except Sam3Error as exc:
            row |= {"state": "failed", "error": " ".join(str(exc).split())}
            tqdm.write(f"{project}: {row['error']}", sys.stderr)
        rows.append(row)
    states = [row["state"] for row in rows]
    arguments.facts["projects"] = rows
    deed, was = ("unpacked", "not packed") if arguments.undo else ("packed", "packed already")
    told = f"{states.count('done')} {deed}"
    for state, meaning in (("skipped", was), ("failed", "not done")):
        if state in states:
            told += f", {states.count(state)} {meaning}"
    print(told)
    return FAILED if "failed" in states else 0


def _find(paths: list[Path]) -> list[Path]:
    """The projects that are named, and those in folders that are named."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = [path] if is_project(path) else sorted(list_projects(path))
        if not inside:
            raise RequestError(f"{str(path)!r} is no project, and there is none in it")
        found.update(dict.fromkeys(inside))
    return list(found)

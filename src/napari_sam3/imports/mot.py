"""Boxes of tracks in MOTChallenge's table, as prompts."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.imports.annotated import check_ids, whole_number
from napari_sam3.imports.found_prompts import MOST_FOUND, FoundPrompt, FoundPrompts
from napari_sam3.imports.frame_numbers import MOST_FRAMES
from napari_sam3.imports.label_file import explain_read_errors
from napari_sam3.plain_files import read_text

_NUMBER = r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*"
_ROW = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{5,9}}")
_TRUTH = 9  # columns of a ground truth, whose seventh says whether a row counts


def is_mot(path: Path) -> bool:
    """Whether a file of text begins as MOTChallenge's table: a row of numbers, without a head."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(4096)
    except (OSError, ValueError):
        return False
    line = next((line for line in head.splitlines() if line.strip()), "")
    return _ROW.fullmatch(line) is not None


def read_mot(path: Path) -> FoundPrompts:
    """Read a table: frame, id, left, top, width, height, ..., all counted from 1.

    Rows of a ground truth that do not count are left out.

    Raises
    ------
    VideoError
        If it is something else, or of detections without tracks.
    """
    found: list[tuple[int, int, tuple[float, float, float, float]]] = []
    left_out = 0
    with explain_read_errors(path):
        text = read_text(path.resolve(), encoding="utf-8-sig")
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            if _ROW.fullmatch(line) is None:
                raise ValueError(
                    f"line {number} is {line[:60]!r}; it must be frame, id, left, top, width, "
                    "height and up to four numbers more"
                )
            cells = line.split(",")
            frame, obj_id = (whole_number(float(cell), "frame or id") for cell in cells[:2])
            left, top, width, height = (float(cell) for cell in cells[2:6])
            if not 1 <= frame <= MOST_FRAMES:
                raise ValueError(f"line {number} is of frame {frame}; frames count from 1 there")
            if obj_id == -1:
                raise VideoError(
                    f"{str(path)!r} has detections without tracks (id -1 in line {number}); give "
                    "each object one id on all its frames, as a tracker's result has it"
                )
            if not np.isfinite([left, top, width, height]).all() or min(width, height) <= 0:
                raise ValueError(f"line {number} has a box without an area: {line[:60]!r}")
            if len(cells) == _TRUTH and float(cells[6]) == 0:
                left_out += 1
                continue
            # the first pixel is 1 there, and spans 0 to 1 here
            box = (left - 1, top - 1, left - 1 + width, top - 1 + height)
            found.append((frame - 1, obj_id, box))
            if len(found) > MOST_FOUND:
                raise ValueError(f"it has more than {MOST_FOUND:,} boxes; give a part of them")
        ids = check_ids([obj_id for _, obj_id, _ in found])
        twice = [place for place, n in Counter(f[:2] for f in found).items() if n > 1]
        if twice:
            frame, obj_id = twice[0]
            raise ValueError(f"object {obj_id} has two boxes on frame {frame + 1}")
    if not found:
        raise VideoError(f"{str(path)!r} has no boxes")
    told = [*ids.told]
    if left_out:
        told.append(f"boxes that do not count in the ground truth are left out ({left_out})")
    prompts = [FoundPrompt(f, i + ids.raised, box) for f, i, box in sorted(found)]
    return FoundPrompts(path, prompts, told=told)

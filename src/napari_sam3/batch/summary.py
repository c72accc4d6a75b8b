"""The table at the end of a batch, and the same as CSV, written as it goes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from napari_sam3.errors import VideoError
from napari_sam3.whole_files import written_whole

State = Literal["done", "skipped", "stopped", "failed"]


@dataclass(frozen=True)
class BatchRow:
    """How it went with one video.

    Attributes
    ----------
    video : str
        Its path, as it was given.
    frames : int
        Tracked by now, in this run or earlier ones.
    objects : int
        Found on them.
    seconds : float
        That it took in this run.
    state : "done", "skipped", "stopped" or "failed"
        Skipped: it was done before. Stopped: the batch was, and goes on from here when it is run
        again.
    error : str
        What went wrong; empty if nothing.
    """

    video: str
    frames: int = 0
    objects: int = 0
    seconds: float = 0.0
    state: State = "done"
    error: str = ""


def write_summary(path: Path, rows: Sequence[BatchRow]) -> None:
    """Write the rows as CSV; a reader sees the old file or the new one, never half of one.

    Raises
    ------
    VideoError
        If it can't be written.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(BatchRow)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**asdict(row), "seconds": f"{row.seconds:.1f}"})
    try:
        with written_whole(path) as part:
            part.write_text(text.getvalue(), encoding="utf-8")
    except OSError as exc:
        raise VideoError(
            f"the summary {str(path)!r} can't be written ({exc.strerror or exc}); check the "
            "folder's rights and the room on the disk"
        ) from exc


def format_summary(rows: Sequence[BatchRow]) -> str:
    """The rows as a table for people."""
    head = ("video", "frames", "objects", "seconds", "state", "error")
    lines = [head] + [
        (row.video, str(row.frames), str(row.objects), f"{row.seconds:.1f}", row.state, row.error)
        for row in rows
    ]
    widths = [max(len(line[n]) for line in lines) for n in range(5)]
    text_lines = []
    for line in lines:
        cells = [
            cell.rjust(width) if 1 <= n <= 3 else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        text_lines.append("  ".join([*cells, line[5]]).rstrip())
    return "\n".join(text_lines)

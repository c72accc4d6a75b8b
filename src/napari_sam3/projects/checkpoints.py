"""The checkpoints of a project: the last two, a file each, written behind."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path

from napari_sam3.checkpoint import MOST_BYTES, Checkpoint
from napari_sam3.errors import CheckpointError, UnsafeFileError
from napari_sam3.plain_files import read_plain
from napari_sam3.whole_files import written_whole

logger = logging.getLogger(__name__)

NEWEST, BEFORE = "checkpoint.bin", "checkpoint.bin.bak"
"""A process may be killed before the frames up to the newest one are on disk: so two are kept."""

_DRAFT = re.compile(r"\.checkpoint-[0-9a-f]{16}\.bin").fullmatch


class CheckpointFiles:
    """A session's checkpoints in a project's folder; fulfils `session.recovery.CheckpointKeeper`.

    Parameters
    ----------
    folder : Path
        Of the project.
    is_writable : callable
        Says whether anything may be written there still.
    note_nearly : callable
        Takes note of a frame at which a run went on from what was shown.

    Attributes
    ----------
    problems : list of str
        What could not be read, used or kept, a sentence each.
    """

    def __init__(
        self, folder: Path, is_writable: Callable[[], bool], note_nearly: Callable[[int], object]
    ) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self._untold: list[str] = []
        self._is_writable = is_writable
        self._note_nearly = note_nearly
        self._writer: threading.Thread | None = None
        self._has_cleared = False

    def load(self) -> list[Checkpoint]:
        """What is there, the newest first; what can't be read is told and left out."""
        self.flush()
        found = []
        for name in (NEWEST, BEFORE):
            try:
                found.append(Checkpoint.from_bytes(read_plain(self.folder / name, MOST_BYTES)))
            except FileNotFoundError:
                continue
            except (CheckpointError, UnsafeFileError, OSError) as exc:
                self.tell(
                    f"{name} can't be used ({exc}); what it would have saved is computed again"
                )
        return found

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write one more, while the tracker goes on; the one before the last goes."""
        self.flush()
        if self._is_writable():
            # not a daemon: a program that ends in order ends with a whole file
            self._writer = threading.Thread(target=self._write, args=(checkpoint,))
            self._writer.start()

    def _write(self, checkpoint: Checkpoint) -> None:
        place = self.folder / NEWEST
        try:
            data = checkpoint.to_bytes()
            self._clear_drafts()
            with written_whole(place) as part:
                part.write_bytes(data)
                if place.exists():
                    place.replace(place.with_name(BEFORE))
        except (CheckpointError, OSError) as exc:  # the run goes on all the same
            self.tell(f"no checkpoint could be kept at frame {checkpoint.frame} ({exc})")

    def _clear_drafts(self) -> None:
        """Delete what a killed process had half written."""
        if not self._has_cleared:
            self._has_cleared = True
            for place in self.folder.iterdir():
                if _DRAFT(place.name):
                    place.unlink(missing_ok=True)

    def tell(self, problem: str) -> None:
        """Say it, once."""
        if problem not in self.problems:
            self.problems.append(problem)
            self._untold.append(problem)
            logger.warning("%s: %s", self.folder, problem)

    def note_nearly(self, frame_index: int) -> None:
        """Have it noted of the run, where that can be."""
        self._untold.append(
            f"at frame {frame_index} the run went on from what was shown, for its own state is not "
            "kept or too far back: from there on results may not be the same as of a run that was "
            "never stopped"
        )
        if self._is_writable():
            self._note_nearly(frame_index)

    def take_untold(self) -> list[str]:
        """What a person at a window has not been told yet, a sentence each."""
        untold, self._untold = self._untold, []
        return untold

    def flush(self) -> None:
        """Wait until what is to be kept is on disk."""
        writer = self._writer
        if writer is not None and writer is not threading.current_thread():
            writer.join()

    def clear(self) -> None:
        """Delete them: the run is over."""
        self.flush()
        for name in (NEWEST, BEFORE):
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError as exc:  # it is found not to fit, or read in vain
                logger.warning("%s can't be deleted (%s)", self.folder / name, exc)

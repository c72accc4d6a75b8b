"""What a project says beside its labels: saved whenever it changes."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_sam3.errors import ProjectError, ProjectReadOnlyError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import COLUMNS, ObjectTable
from napari_sam3.projects.files import SmallFiles
from napari_sam3.projects.loading import Contents
from napari_sam3.projects.migrate import FORMAT, VERSION
from napari_sam3.projects.place import LAYERS, OBJECTS, PROJECT, PROMPTS
from napari_sam3.projects.runs import (
    changed_frames,
    frames_left,
    frames_to_do,
    fresh_frames,
    stale_after,
    without_redone,
)
from napari_sam3.projects.state import ProjectState, RunNote
from napari_sam3.session.json_text import to_text
from napari_sam3.session.prompt_files import prompts_to_json
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.values import Direction


class SavedWork:
    """The small files of a project that is open, as values; a saved one is on disk at once.

    Attributes
    ----------
    folder, labels, why_read_only
        See `Project`.

    Raises
    ------
    ProjectReadOnlyError
        By all that changes something, if it is open for reading only.
    ProjectError
        By the same, if a file can't be written; what was there stays.
    """

    def __init__(
        self,
        folder: Path,
        files: SmallFiles,
        labels: LabelStack,
        contents: Contents,
        why_read_only: str | None,
    ) -> None:
        self.folder = folder
        self.labels = labels
        self.why_read_only = why_read_only
        self._files = files
        self._contents = contents
        self._lock = threading.RLock()

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be saved; `why_read_only` says why."""
        return self.why_read_only is not None

    @property
    def state(self) -> ProjectState:
        """How it was worked with."""
        return self._contents.state

    def save_state(self, state: ProjectState) -> None:
        """Keep how it is worked with."""
        with self._lock:
            self._check_writable()
            self._contents.state = state
            self._save_head()

    @property
    def prompts(self) -> PromptList:
        """What the model is told."""
        return self._contents.prompts

    def save_prompts(self, prompts: Iterable[SavedPrompt]) -> None:
        """Keep what the model is told, as `session_prompts` gives it."""
        told = prompts if isinstance(prompts, PromptList) else PromptList(prompts)
        with self._lock:
            self._check_writable()
            changed = changed_frames(self._contents.prompts, told)
            text = to_text(prompts_to_json(told))
            if self._contents.run is not None and changed:
                run = stale_after(self._contents.run, changed, self.labels)
                if run != self._contents.run:
                    self._contents.run = run
                    try:
                        self._save_head()  # first: results must not look truer than they are
                    except ProjectError:
                        self._files.put_off(PROMPTS, text)
                        raise
            self._files.write(PROMPTS, text)
            self._contents.prompts = told

    @property
    def layers(self) -> Mapping[str, Any]:
        """How prompts are drawn: JSON of the window's own."""
        return self._contents.layers

    def save_layers(self, layers: Mapping[str, Any]) -> None:
        """Keep how prompts are drawn; it must be JSON."""
        with self._lock:
            self._check_writable()
            self._files.write(LAYERS, to_text(dict(layers)))
            self._contents.layers = MappingProxyType(dict(layers))

    @property
    def objects(self) -> ObjectTable:
        """Names, classes and divisions; `save_objects` keeps a change."""
        return self._contents.objects

    def save_objects(self, objects: ObjectTable) -> None:
        """Keep names, classes and divisions."""
        with self._lock:
            self._check_writable()
            table = io.StringIO()
            writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(objects.to_rows())
            self._files.write(OBJECTS, table.getvalue())
            self._contents.objects = objects

    # -------------------------------------------------------------------------- runs

    @property
    def run(self) -> RunNote | None:
        """The last propagation, over or not."""
        return self._contents.run

    @property
    def run_number(self) -> int:
        """Of the run that is not over, as its frames' lines name it; 0 if there is none."""
        return (
            0
            if self._contents.run is None or self._contents.run.is_over
            else self._contents.run.number
        )

    @property
    def frames_left(self) -> tuple[range, ...]:
        """What the last run has left to do; empty if it is over or there was none."""
        if self._contents.run is None or self._contents.run.is_over:
            return ()
        return frames_left(self._contents.run, self.labels)

    @property
    def frames_to_do(self) -> tuple[range, ...]:
        """What is to be gone on with: `frames_left`, and before it what prompts have made stale."""
        if self._contents.run is None or self._contents.run.is_over:
            return ()
        return frames_to_do(self._contents.run, self.labels)

    @property
    def fresh_frames(self) -> tuple[range, ...]:
        """Frames of the last run that were done with the prompts of now, in its order."""
        return () if self._contents.run is None else fresh_frames(self._contents.run, self.labels)

    def begin_run(
        self, direction: Direction, start: int, limit: int | None = None, *, request: str = ""
    ) -> int:
        """Take note of a propagation that begins.

        Parameters
        ----------
        direction, start, limit : str, int, int or None
            As of `VideoSession.propagate`.
        request : str
            See `RunNote`.

        Returns
        -------
        int
            Its number: what `labels.draw` is told as `run` for each of its frames.
        """
        with self._lock:
            self._check_writable()
            number = 1 if self._contents.run is None else self._contents.run.number + 1
            while self.labels.frames_of_run(number).size:  # the note of a run may be lost
                number += 1
            self._contents.run = RunNote(number, direction, start, limit, request=request)
            self._save_head()
            return number

    def end_run(self) -> None:
        """Take note that the run came to its end; one that was stopped is gone on with later."""
        with self._lock:
            self._check_writable()
            if (
                self._contents.run is not None
                and not self._contents.run.is_over
                and not self.frames_left
            ):
                self._contents.run = replace(self._contents.run, is_over=True)
                self._save_head()

    def _note_redone(self, frame_index: int) -> None:
        """Take note of a stale frame that was done again; now and then on disk."""
        with self._lock:
            before = self._contents.run
            if before is None or not before.stale:
                return
            self._contents.run = without_redone(before, frame_index)
            # what a process that is killed had not noted is done once more
            if len(self._contents.run.stale) < len(before.stale) or frame_index % 32 == 0:
                self._save_head()

    def _check_writable(self) -> None:
        if self.why_read_only is not None:
            raise ProjectReadOnlyError(
                f"the project {str(self.folder)!r} can't be changed: {self.why_read_only}"
            )

    def _save_head(self) -> None:
        contents = self._contents
        if contents.version != VERSION:
            self._files.keep_copy(PROJECT, f"project.v{contents.version}.json")
            contents.version = VERSION
        said = {
            "format": FORMAT,
            "version": VERSION,
            "video": self._contents.video.to_json(),
            "state": self._contents.state.to_json(),
            "run": None if self._contents.run is None else self._contents.run.to_json(),
        }
        self._files.write(PROJECT, to_text(said))

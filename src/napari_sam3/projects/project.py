"""A piece of work in a folder: what was said, what was drawn, what came out. Kept as it goes."""

from __future__ import annotations

import csv
import io
import os
import shutil
import threading
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from napari_sam3.errors import ProjectError, ProjectReadOnlyError
from napari_sam3.labels.notes import ObjectNote
from napari_sam3.labels.objects import COLUMNS, ObjectTable
from napari_sam3.labels.planes import LabelPlanes
from napari_sam3.labels.store import LabelStore
from napari_sam3.projects.files import SmallFiles
from napari_sam3.projects.loading import Contents, load
from napari_sam3.projects.lock import ProjectLock
from napari_sam3.projects.migrate import FORMAT, VERSION
from napari_sam3.projects.place import LAYERS, OBJECTS, PROJECT, PROMPTS, check_free, is_project
from napari_sam3.projects.reference import Shape, VideoReference
from napari_sam3.projects.runs import changed_frames, frames_left, fresh_frames, stale_after
from napari_sam3.projects.state import ProjectState, RunNote
from napari_sam3.session.json_text import to_text
from napari_sam3.session.prompt_files import prompts_to_json
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.values import Direction, FrameResult, label_image
from napari_sam3.video.base import Video


class Project:
    """A project that is open; a context manager. Made by `create` and `open`.

    Whatever is saved is on disk when the call returns; labels are written behind by their store
    (`flush` waits for it). Safe to use from several threads.

    Attributes
    ----------
    folder : Path
        Where it lies.
    why_read_only : str or None
        Why nothing can be saved, in words; None where it can.
    problems : tuple of str
        What is lost or was repaired, a sentence each; empty for a project in order.
    labels : LabelPlanes
        The results, (T, H, W): a `LabelStore` on disk.
    """

    def __init__(
        self,
        folder: Path,
        files: SmallFiles,
        labels: LabelPlanes,
        contents: Contents,
        lock: ProjectLock | None,
        why_read_only: str | None,
    ) -> None:
        self.folder = folder
        self.labels = labels
        self.why_read_only = why_read_only
        self.problems: tuple[str, ...] = ()
        self._files = files
        self._contents = contents
        self._lock_of_folder = lock
        self._lock = threading.RLock()

    # ------------------------------------------------------------ making, opening

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        video: Video | str | os.PathLike[str] | None,
        shape: Shape,
    ) -> Project:
        """Make a new project, open for writing.

        Parameters
        ----------
        folder : path-like
            To be made; one that is there must be empty.
        video : Video, path-like or None
            What it is of; None for an array that is no file.
        shape : (T, H, W)
            Of the video's frames.

        Raises
        ------
        ProjectError
            If there is something in the folder, or it can't be written.
        VideoError
            If the video's file can't be read.
        """
        place = Path(folder).expanduser().absolute()
        check_free(place)
        reference = VideoReference.of(video, shape, place)
        # made under another name: a process that is killed leaves no half a project
        draft = place.with_name(f".{place.name}-{uuid.uuid4().hex[:12]}")
        try:
            draft.mkdir(parents=True)
            LabelStore.create(draft, shape).close()
            project = cls(
                draft, SmallFiles(draft), LabelStore.open(draft), Contents(reference), None, None
            )
            with project:
                project._save_head()
                project.save_prompts(PromptList())
                project.save_objects(ObjectTable())
                project.save_layers({})
            if place.exists():
                place.rmdir()
            draft.rename(place)
        except OSError as exc:
            raise ProjectError(
                f"a project can't be made at {str(place)!r} ({exc.strerror or exc}); check the "
                "folder's rights and the room on the disk"
            ) from exc
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return cls.open(place)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, read_only: bool = False) -> Project:
        """Open a project.

        One that is in use elsewhere, or can't be written, is opened for reading (`why_read_only`).
        A damaged one is opened as far as it can be (`problems`); nothing is changed before
        something is saved, and then what was damaged is kept under the name `<file>.damaged`.

        Raises
        ------
        ProjectError
            If it is no project, of a newer version, or not even the video's size is left of it.
        """
        place = Path(folder).expanduser().absolute()
        if not is_project(place):
            what = "is no project" if place.exists() else "does not exist"
            raise ProjectError(f"{str(place)!r} {what}; name a folder that holds a {PROJECT}")
        lock, why = None, None
        if read_only:
            why = "it was opened for reading only"
        else:
            lock = ProjectLock(place)
            why = lock.take()
        try:
            return cls._load(place, lock if why is None else None, why)
        except BaseException:
            if lock is not None:
                lock.give_back()
            raise

    @classmethod
    def _load(cls, place: Path, lock: ProjectLock | None, why: str | None) -> Project:
        files = SmallFiles(place)
        contents, labels, problems = load(place, files, read_only=why is not None)
        project = cls(place, files, labels, contents, lock, why)
        project.problems = tuple(problems)
        return project

    # ------------------------------------------------------------------- the video

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be saved; `why_read_only` says why."""
        return self.why_read_only is not None

    @property
    def video(self) -> VideoReference:
        """What it is of."""
        return self._contents.video

    def find_video(self) -> Path | None:
        """Where the video is now; None if it is not to be found, see `video_problem`."""
        place, _ = self._contents.video.find(self.folder)
        return place

    @property
    def video_problem(self) -> str | None:
        """Why the video is not to be found, in words with the remedy; None if it is."""
        return self._contents.video.find(self.folder)[1]

    def point_to(self, path: str | os.PathLike[str], *, even_if_changed: bool = False) -> None:
        """Say where the video is now.

        Parameters
        ----------
        path : path-like
            The file or folder.
        even_if_changed : bool
            Take it though its content is not what it was.

        Raises
        ------
        ProjectError
            If its content is another.
        VideoError
            If it can't be read.
        """
        place = Path(path)
        moved = self._contents.video.moved_to(place, self.folder, even_if_changed=even_if_changed)
        with self._lock:
            self._contents.video = moved
            if not self.is_read_only:
                self._save_head()

    # ------------------------------------------------------------------ what is kept

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
            if self._contents.run is not None and changed:
                run = stale_after(self._contents.run, changed, self.labels)
                if run != self._contents.run:
                    self._contents.run = run
                    self._save_head()  # first: results must not look truer than they are
            self._files.write(PROMPTS, to_text(prompts_to_json(told)))
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

    def keep(
        self, result: FrameResult, *, prompted: Collection[int] = (), of_run: bool = False
    ) -> bool:
        """Keep what was found on a frame.

        Parameters
        ----------
        result : FrameResult
            All objects of the frame.
        prompted : collection of int
            Those whose mask answers a prompt; the others were followed here.
        of_run : bool
            Whether it is a frame of the run that was begun.

        Returns
        -------
        bool
            False if the frame is locked, and was left as it is.
        """
        notes = {
            i: ObjectNote(mask.score, "prompt" if i in prompted else "propagated")
            for i, mask in result.objects.items()
        }
        labels = label_image(result.objects, self.labels.shape[1:], self.labels.dtype)
        run = self.run_number if of_run else 0
        return self.labels.draw(result.frame_index, labels, notes, run=run)

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

    # --------------------------------------------------------------------- lifetime

    def flush(self) -> None:
        """Wait until all labels are on disk."""
        self.labels.flush()

    def close(self) -> None:
        """Write what is left, and let others in; closing again does nothing.

        Raises
        ------
        StoreError
            If the disk is full: it is not closed then. Make room, and close it again.
        """
        self.labels.close()
        if self._lock_of_folder is not None:
            self._lock_of_folder.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        how = ", read-only" if self.is_read_only else ""
        return f"<Project {str(self.folder)!r}{how}>"

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

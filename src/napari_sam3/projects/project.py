"""A piece of work in a folder: what was said, what was drawn, what came out. Kept as it goes."""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np

from napari_sam3.errors import (
    ProjectError,
    ProjectReadOnlyError,
    UnsafeFileError,
)
from napari_sam3.labels.drawing import draw_result
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.objects import COLUMNS, ObjectTable
from napari_sam3.projects import left_open
from napari_sam3.projects.checkpoints import CheckpointFiles
from napari_sam3.projects.folders import (
    LAYERS,
    OBJECTS,
    PROJECT,
    PROMPTS,
    check_free,
    copy_project,
    is_project,
    made_whole,
)
from napari_sam3.projects.loading import Contents, load
from napari_sam3.projects.lock import ProjectLock
from napari_sam3.projects.migrate import FORMAT, VERSION
from napari_sam3.projects.run_progress import (
    changed_frames,
    frames_left,
    frames_to_do,
    fresh_frames,
    stale_after,
    without_redone,
)
from napari_sam3.projects.small_files import SmallFiles
from napari_sam3.projects.state import MOST_NEARLY, ProjectState, RunNote
from napari_sam3.projects.video_reference import Shape, VideoReference
from napari_sam3.session.json_text import to_text
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt, prompts_to_json
from napari_sam3.values import MAX_OBJECT_ID, Direction, FrameResult, label_dtype
from napari_sam3.video.base import Video
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.whole_files import explain_refusal

logger = logging.getLogger(__name__)


class Project:
    """A project that is open; a context manager. Made by `create` and `open`.

    Whatever is saved is on disk when the call returns; labels are written behind by their store
    (`flush` waits for it). Safe to use from several threads. All that changes something raises a
    `ProjectReadOnlyError` if it is open for reading only, and a `ProjectError` if a file can't be
    written; what was there stays.

    Attributes
    ----------
    folder : Path
        Where it lies.
    why_read_only : str or None
        Why nothing can be saved, in words; None where it can.
    problems : tuple of str
        What is lost or was repaired, a sentence each; empty for a project in order.
    labels : LabelStack
        The results, (T, H, W): a `LabelStore` on disk.
    checkpoints : CheckpointFiles
        What the tracker of a run remembers, so that it can be gone on with exactly.
    """

    def __init__(
        self,
        folder: Path,
        files: SmallFiles,
        labels: LabelStack,
        contents: Contents,
        lock: ProjectLock | None,
        why_read_only: str | None,
    ) -> None:
        self.folder = folder
        self.labels = labels
        self.why_read_only = why_read_only
        self._files = files
        self._contents = contents
        labels.lock_objects(contents.objects.locked_ids)
        self._lock = threading.RLock()
        self.problems: tuple[str, ...] = ()
        self.checkpoints = CheckpointFiles(folder, lambda: not self.is_read_only, self._note_nearly)
        self._lock_of_folder = lock
        self._ending = threading.RLock()  # one thread at a time closes it, or carries it elsewhere

    # ------------------------------------------------------------ making, opening

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        video: Video | str | os.PathLike[str] | None,
        shape: Shape,
        *,
        highest_id: int = MAX_OBJECT_ID,
        choice: PlaneChoice = NO_CHOICE,
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
        highest_id : int
            The highest that an object may ever have there; see `label_dtype`.
        choice : PlaneChoice
            Which channel, depth and scene of a path are meant; a `Video` knows itself.

        Raises
        ------
        ProjectError
            If there is something in the folder, or it can't be written.
        VideoError
            If the video's file can't be read.
        """
        place = Path(folder).expanduser().absolute()
        check_free(place)
        reference = VideoReference.of(video, shape, place, choice)
        try:
            # made under another name: a process that is killed leaves no half a project
            with made_whole(place) as draft:
                draft.mkdir()
                lock = ProjectLock(draft)
                lock.take()
                LabelStore.create(draft, shape, label_dtype(highest_id)).close()
                labels = LabelStore.open(draft)
                with cls(draft, SmallFiles(draft), labels, Contents(reference), lock, None) as new:
                    new._save_head()
                    new.save_prompts(PromptList())
                    new.save_objects(ObjectTable())
                    new.save_layers({})
                if place.exists():
                    place.rmdir()
        except OSError as exc:
            raise ProjectError(
                f"a project can't be made at {str(place)!r} ({explain_refusal(place, exc)}); check "
                "the folder's rights and the room on the disk"
            ) from exc
        return cls.open(place)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, read_only: bool = False) -> Project:
        """Open a project.

        One that is in use elsewhere, or can't be written, is opened for reading (`why_read_only`).
        A damaged one is opened as far as it can be (`problems`); nothing is changed before
        something is saved, and then what was damaged is kept under the name `<file>.damaged`.
        One that this program could not close for want of room is closed first.

        Raises
        ------
        ProjectError
            If it is no project, of a newer version, or not even the video's size is left of it;
            if a part of it is a link, a pipe or a device, or too large. Nothing was changed then.
        ProjectError, StoreError
            If this program could not close it before, and still can't.
        """
        place = Path(folder).expanduser().absolute()
        if not is_project(place):
            what = "is no project" if place.exists() else "does not exist"
            raise ProjectError(f"{str(place)!r} {what}; name a folder that holds a {PROJECT}")
        if not read_only:
            left_open.close(place)
        lock, why = None, None
        if read_only:
            why = "it was opened for reading only"
        else:
            lock = ProjectLock(place)
            why = lock.take()
        try:
            return cls._load(place, lock if why is None else None, why)
        except BaseException as exc:
            if lock is not None:
                lock.give_back()
            if isinstance(exc, UnsafeFileError):
                raise ProjectError(f"the project {str(place)!r} can't be opened: {exc}") from exc
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
    def video(self) -> VideoReference:
        """What it is of."""
        return self._contents.video

    def find_video(self) -> Path | None:
        """Where the video is now; None if it is not to be found, see `video_problem`.

        That is kept when something is saved next, so that the video is found again when it is
        moved along with the project.
        """
        place, _ = self._contents.video.find(self.folder)
        if place is not None:
            with self._lock:
                self._contents.video = self._contents.video.seen_at(place, self.folder)
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

    # ------------------------------------------------------- settings, prompts, objects

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
        with self._writing():
            self._contents.state = state
            self._save_head()

    @property
    def prompts(self) -> PromptList:
        """What the model is told."""
        return self._contents.prompts

    def save_prompts(self, prompts: Iterable[SavedPrompt]) -> None:
        """Keep what the model is told, as `VideoSession.list_prompts` gives it."""
        prompt_list = prompts if isinstance(prompts, PromptList) else PromptList(prompts)
        with self._writing():
            changed = changed_frames(self._contents.prompts, prompt_list)
            text = to_text(prompts_to_json(prompt_list))
            if self.run is not None and changed:
                run = stale_after(self.run, changed, self.labels)
                if run != self.run:
                    try:
                        self._save_run(run)  # first: results must not look truer than they are
                    except ProjectError:
                        self._files.put_off(PROMPTS, text)
                        raise
            self._files.write(PROMPTS, text)
            self._contents.prompts = prompt_list

    @property
    def layers(self) -> Mapping[str, Any]:
        """How prompts are drawn: JSON of the window's own."""
        return self._contents.layers

    def save_layers(self, layers: Mapping[str, Any]) -> None:
        """Keep how prompts are drawn; it must be JSON."""
        with self._writing():
            self._files.write(LAYERS, to_text(dict(layers)))
            self._contents.layers = MappingProxyType(dict(layers))

    @property
    def objects(self) -> ObjectTable:
        """Names, classes and divisions; `save_objects` keeps a change."""
        return self._contents.objects

    def save_objects(self, objects: ObjectTable) -> None:
        """Keep names, classes and divisions."""
        with self._writing():
            table, rows = io.StringIO(), objects.to_rows()
            writer = csv.DictWriter(table, rows[0] if rows else COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            self._files.write(OBJECTS, table.getvalue())
            self._contents.objects = objects
            self.labels.lock_objects(objects.locked_ids)

    # ---------------------------------------------------------------------- runs

    @property
    def run(self) -> RunNote | None:
        """The last propagation, over or not."""
        return self._contents.run

    @property
    def _open_run(self) -> RunNote | None:
        run = self._contents.run
        return None if run is None or run.is_over else run

    @property
    def run_number(self) -> int:
        """Of the run that is not over, as its frames' lines name it; 0 if there is none."""
        return 0 if self._open_run is None else self._open_run.number

    @property
    def frames_left(self) -> tuple[range, ...]:
        """What the last run has left to do; empty if it is over or there was none."""
        return () if self._open_run is None else frames_left(self._open_run, self.labels)

    @property
    def frames_to_do(self) -> tuple[range, ...]:
        """What is to be gone on with: `frames_left`, and before it what prompts have made stale."""
        return () if self._open_run is None else frames_to_do(self._open_run, self.labels)

    @property
    def fresh_frames(self) -> tuple[range, ...]:
        """Frames of the last run that were done with the prompts of now, in its order."""
        return () if self.run is None else fresh_frames(self.run, self.labels)

    def begin_run(
        self, direction: Direction, start: int, limit: int | None = None, **told: Any
    ) -> int:
        """Take note of a propagation that begins.

        Parameters
        ----------
        direction, start, limit : str, int, int or None
            As of `VideoSession.propagate`.
        **told
            `request` and `made_with` of its `RunNote`.

        Returns
        -------
        int
            Its number: what `labels.draw` is told as `run` for each of its frames.
        """
        with self._writing():
            number = 1 if self.run is None else self.run.number + 1
            while self.labels.frames_of_run(number).size:  # the note of a run may be lost
                number += 1
            self._save_run(RunNote(number, direction, start, limit, **told))
            return number

    def end_run(self) -> None:
        """Take note that the run came to its end; one that was stopped is gone on with later."""
        with self._writing():
            if self._open_run is not None and not self.frames_left:
                self._save_run(replace(self._open_run, is_over=True))
                self.checkpoints.clear()

    def put_back_run(self, run: RunNote | None) -> None:
        """Have an earlier note for the last run's: that one was undone, or done again."""
        with self._writing():
            if run != self.run:
                self._save_run(run)

    def _note_nearly(self, frame_index: int) -> None:
        """Take note that the run went on from what was shown at a frame, not exactly."""
        with self._writing():
            run = self._open_run
            if run is not None and frame_index not in run.nearly:
                self._save_run(replace(run, nearly=(*run.nearly, frame_index)[-MOST_NEARLY:]))

    def _save_run(self, run: RunNote | None) -> None:
        self._contents.run = run
        self._save_head()

    def _note_redone(self, frame_index: int) -> None:
        """Take note of a stale frame that was done again; now and then on disk."""
        with self._lock:
            before = self.run
            if before is None or not before.stale:
                return
            run = self._contents.run = without_redone(before, frame_index)
            # what a process that is killed had not noted is done once more
            if len(run.stale) < len(before.stale) or frame_index % 32 == 0:
                self._save_head()

    # ------------------------------------------------------------------- the results

    def check_id(self, obj_id: int) -> None:
        """Make sure that the labels can hold an id.

        Raises
        ------
        ProjectError
            If it is too large for them; see `create`.
        """
        largest = np.iinfo(self.labels.dtype).max
        if obj_id > largest:
            raise ProjectError(
                f"object {obj_id} can't be kept: ids in this project go up to {largest}; give it a "
                "smaller one, or begin a new project with it"
            )

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

        Raises
        ------
        ProjectError
            If an id is too large for the labels.
        StoreError
            If the disk is full.
        """
        self.check_id(max(result.objects, default=0))
        run = self.run_number if of_run else 0
        is_drawn = draw_result(self.labels, result, prompted, run=run)
        if run:
            self._note_redone(result.frame_index)
        return is_drawn

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep other threads out while something is changed, if it may be."""
        with self._lock:
            if self.why_read_only is not None:
                raise ProjectReadOnlyError(
                    f"the project {str(self.folder)!r} can't be changed: {self.why_read_only}"
                )
            yield

    def _save_head(self) -> None:
        contents = self._contents
        if contents.version != VERSION:
            self._files.keep_copy(PROJECT, f"project.v{contents.version}.json")
            contents.version = VERSION
        data = {
            "format": FORMAT,
            "version": VERSION,
            "video": contents.video.to_json(),
            "state": contents.state.to_json(),
            "run": None if contents.run is None else contents.run.to_json(),
        }
        self._files.write(PROJECT, to_text(data))

    # --------------------------------------------------------------------- lifetime

    def flush(self) -> None:
        """Wait until all labels are on disk."""
        self.labels.flush()

    def close(self) -> None:
        """Write what is left, and let others in; closing again does nothing.

        Raises
        ------
        ProjectError, StoreError
            If not all can be written, as on a full disk: it is not closed then, and nothing is
            lost. Make room, and close it again, or open it: that closes it first. Or have all
            written elsewhere (`carry_to`).
        """
        with self._ending:
            try:
                if self.why_read_only is None:
                    if self.run is not None and self.run.stale:
                        self._save_head()
                    self._files.write_waiting()
                self.checkpoints.flush()
                self.labels.close()
            except OSError:
                if self._lock_of_folder is not None:
                    left_open.note(self.folder, self)
                raise
            self._let_go()

    @property
    def is_ending(self) -> bool:
        """Whether another thread closes it, or carries it elsewhere, just now."""
        if not self._ending.acquire(blocking=False):
            return True
        self._ending.release()
        return False

    def stay_open(self) -> None:
        """Be worked on after all, where it could not be closed: nobody closes it unasked then."""
        left_open.forget(self.folder, self)

    def carry_to(self, folder: str | os.PathLike[str]) -> None:
        """Copy all to another folder, also what can't be written where it is, and close it.

        The way out of a full disk, or one that can't be written to any more. What is on disk
        stays where it is. Nobody may change the project meanwhile.

        Parameters
        ----------
        folder : path-like
            To be made.

        Raises
        ------
        ProjectError
            If it can't be; the project stays open then.
        """
        with self._ending:
            self._carry_to(Path(folder).expanduser().absolute())

    def _carry_to(self, place: Path) -> None:
        check_free(place)
        self.checkpoints.flush()
        assert isinstance(self.labels, LabelStore), "open for writing"
        unwritten = self.labels.unwritten()  # first: some may reach the disk while it is copied
        try:
            with made_whole(place) as draft:
                copy_project(self.folder, draft)
                self._files.write_waiting(SmallFiles(draft))
                labels = LabelStore.open(draft)
                try:
                    labels.take(unwritten)
                    labels.flush()
                finally:
                    labels.abandon()
        except OSError as exc:
            # of a copy that fails: from, to and why of each file
            why = exc.args[0][0][-1] if isinstance(exc, shutil.Error) else exc.strerror or exc
            raise ProjectError(
                f"the project can't be copied to {str(place)!r} ({why}); choose a folder with room "
                "that can be written to"
            ) from exc
        self.labels.abandon()
        self._let_go()

    def _let_go(self) -> None:
        if self.why_read_only is None:
            self.why_read_only = "it was closed; open it again"
        if self._lock_of_folder is not None:
            self._lock_of_folder.give_back()
        left_open.forget(self.folder, self)

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

"""A piece of work in a folder: what was said, what was drawn, what came out. Kept as it goes."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from napari_sam3.errors import ProjectError
from napari_sam3.labels.notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.labels.planes import LabelPlanes
from napari_sam3.labels.store import LabelStore
from napari_sam3.projects.files import SmallFiles
from napari_sam3.projects.loading import Contents, load
from napari_sam3.projects.lock import ProjectLock
from napari_sam3.projects.place import PROJECT, check_free, is_project
from napari_sam3.projects.reference import Shape, VideoReference
from napari_sam3.projects.saved import SavedWork
from napari_sam3.session.saved_prompts import PromptList
from napari_sam3.values import FrameResult, label_image
from napari_sam3.video.base import Video


class Project(SavedWork):
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
        super().__init__(folder, files, labels, contents, why_read_only)
        self.problems: tuple[str, ...] = ()
        self._lock_of_folder = lock

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

    # ------------------------------------------------------------------- the results

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
        largest = np.iinfo(self.labels.dtype).max
        if result.objects and max(result.objects) > largest:
            raise ProjectError(
                f"object {max(result.objects)} can't be kept: ids in a project go up to {largest}; "
                "give it a smaller one"
            )
        notes = {
            i: ObjectNote(mask.score, "prompt" if i in prompted else "propagated")
            for i, mask in result.objects.items()
        }
        labels = label_image(result.objects, self.labels.shape[1:], self.labels.dtype)
        run = self.run_number if of_run else 0
        is_drawn = self.labels.draw(result.frame_index, labels, notes, run=run)
        if run:
            self._note_redone(result.frame_index)
        return is_drawn

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
        if self.why_read_only is None and self.run is not None and self.run.stale:
            self._save_head()
        self.labels.close()
        if self.why_read_only is None:
            self.why_read_only = "it was closed; open it again"
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

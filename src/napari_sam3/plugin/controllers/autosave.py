"""A project's small files, kept in line with the window: gathered here, written in a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any

from napari.layers import Layer
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.model.open_project import Snapshot
from napari_sam3.projects import Project

logger = logging.getLogger(__name__)

PAUSE_MS = 300
"""What changes within it is saved at once."""


class Autosave(QObject):
    """Saves a project whenever something was changed.

    Files are written in order by one thread of its own, so that a slow disk never holds up
    the window.

    Parameters
    ----------
    project : Project
        Open for writing.
    take_snapshot : callable
        Called in the GUI thread.
    parent : QObject
        Whose life it shares.
    """

    saved = Signal(str)
    """All is on disk; the clock's time."""

    failed = Signal(str)
    """Something could not be written; why."""

    _done = Signal(str)  # from the writer's thread: why it failed, or nothing

    def __init__(
        self, project: Project, take_snapshot: Callable[[], Snapshot], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._project = project
        self._take_snapshot = take_snapshot
        self._last: Snapshot = {}
        self._is_closed = False
        self._watched: list[Layer] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="saving a project")
        self._done.connect(self._on_done)
        self._timer = single_shot(self, self.save, PAUSE_MS)
        self._retry = single_shot(self, self.save, RETRY_MS)

    def watch(self, layer: Layer) -> None:
        """Save every change of a layer from now on."""
        if layer not in self._watched:
            self._watched.append(layer)
            layer.events.connect(self.note)

    def note(self, *_event: Any) -> None:
        """Something may have changed: save it within a moment."""
        if not self._is_closed and not self._timer.isActive():
            self._timer.start()

    def save(self) -> None:
        """Save what has changed, now; returns at once."""
        self._timer.stop()
        if self._is_closed:
            return
        changed = self._take_changed()
        if changed:
            self._submit(lambda: self._write(changed))

    def end_run(self) -> None:
        """Take note that a propagation is over, once its frames are drawn."""
        if not self._is_closed:
            self._submit(self._project.end_run)

    def close(self) -> None:
        """Save what is left and wait for it; also when the program ends."""
        if self._is_closed:
            return
        self._is_closed = True
        for layer in self._watched:
            with suppress(ValueError, KeyError):  # gone with its viewer
                layer.events.disconnect(self.note)
        self._watched = []
        self._timer.stop()
        self._retry.stop()
        self._writer.shutdown(wait=True)
        try:
            self._write(self._take_changed())  # not by the writer: at the end it takes no more
        except OSError:
            pass  # the project keeps it, and closing it says so
        except Exception:
            logger.exception("the last changes of %s are not saved", self._project.folder)

    def _take_changed(self) -> Snapshot:
        """What is to be saved, and is known for saved from here on."""
        now, last = self._take_snapshot(), self._last
        self._last = now
        return {name: value for name, value in now.items() if value != last.get(name)}

    def _write(self, changed: Snapshot) -> None:
        failure = None
        for name, value in changed.items():
            try:
                getattr(self._project, f"save_{name}")(value)
            except OSError as exc:  # the project keeps it until it can be written
                failure = failure or exc
        if failure is not None:
            raise failure

    def _submit(self, task: Callable[[], object]) -> None:
        self._writer.submit(task).add_done_callback(self._tell)

    def _tell(self, future: Future[object]) -> None:
        error = future.exception()
        if error is None:
            self._done.emit("")
        else:
            is_ours = isinstance(error, Sam3Error | OSError)
            if not is_ours:
                logger.error("what has changed is not saved", exc_info=error)
            self._done.emit(str(error) if is_ours else f"{type(error).__name__}: {error}")

    def _on_done(self, failure: str) -> None:
        if failure:
            self._last = {}  # all of it again
            if not self._is_closed:  # else closing the project says it
                self._retry.start()
                self.failed.emit(failure)
        else:
            self.saved.emit(f"{datetime.now():%H:%M:%S}")


RETRY_MS = 5000


def close_project(project: Project) -> None:
    """Close a project that is open for writing; what can't be written yet is not lost."""
    try:
        project.close()
    except OSError as exc:
        show_error(
            f"the project {project.folder.name!r} can't be closed yet: {exc}. It is tried again "
            "every few seconds; nothing is lost while napari is open"
        )
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))


def _try_again(project: Project) -> None:
    if project.is_ending:  # by a thread that opens it again: the window does not wait for it
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))
        return
    try:
        project.close()
    except OSError:
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))
    else:
        show_info(f"the project {project.folder.name!r} is saved and closed now")

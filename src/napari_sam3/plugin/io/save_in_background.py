"""Writing files from the window: in a thread, with progress and a way to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QEventLoop, Qt, QThread, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow, QProgressDialog, QWidget

from napari_sam3.errors import VideoError

SHOWN_AFTER_MS = 500
LOOK_MS = 30


class _StopError(Exception):
    """The person has pressed Stop."""


def save_apart(path: str, write: Callable[[Callable[[int, int], None]], None]) -> None:
    """Write a file while the window stays alive; returns when it is done.

    napari's writers answer when the file is there. So nobody can do anything else in the window
    meanwhile, but it is painted, tells how far the work is, and offers to stop it. Outside
    the window's thread the work is just done.

    Parameters
    ----------
    path : str
        What is written.
    write : callable
        Called in a thread of its own, with a function that takes (frames done, frames) and that
        raises where it is to stop.

    Raises
    ------
    VideoError
        If it was stopped; nothing is left of it then.
    Exception
        What `write` raises.
    """
    app = QApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        write(lambda done, total: None)
        return
    work = _Work(path, write)
    dialog = QProgressDialog(f"Writing {Path(path).name} …", "Stop", 0, 0, _window())
    dialog.setWindowTitle("Saving")
    dialog.setWindowModality(Qt.WindowModality.ApplicationModal)
    dialog.setMinimumDuration(2**31 - 1)  # it comes by `shown`, not by a guess of Qt's
    dialog.setAutoReset(False)
    dialog.setAutoClose(False)
    dialog.canceled.connect(work.stop)
    # before the dialog is there to keep them off, clicks wait
    loop, flag = QEventLoop(), QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
    timer = QTimer()
    timer.timeout.connect(lambda: _show(work, dialog, loop))
    timer.start(LOOK_MS)
    shown = QTimer()
    shown.setSingleShot(True)
    shown.timeout.connect(loop.quit)
    shown.start(SHOWN_AFTER_MS)
    work.start()
    try:
        loop.exec(flag)
        shown.stop()
        if work.is_alive():
            dialog.show()
            loop.exec()
    finally:
        timer.stop()
        work.stop()
        work.join()
        dialog.canceled.disconnect(work.stop)
        dialog.close()
        dialog.deleteLater()
    if isinstance(work.error, _StopError):
        raise VideoError(f"the writing of {path!r} was stopped; what was there before is unchanged")
    if work.error is not None:
        raise work.error


def _window() -> QWidget | None:
    """The window in front; its style is the dialog's."""
    shown = [w for w in QApplication.topLevelWidgets() if w.isVisible() and w.isWindow()]
    windows = (w for w in shown if isinstance(w, QMainWindow))
    return QApplication.activeWindow() or next(windows, None)


class _Work(threading.Thread):
    """The writing; `done` and `total` say how far it is."""

    def __init__(self, path: str, write: Callable[[Callable[[int, int], None]], None]) -> None:
        super().__init__(name=f"writing {path}", daemon=True)
        self.done = self.total = 0
        self.error: BaseException | None = None
        self._write = write
        self._is_stopped = False

    def stop(self) -> None:
        """End it before the next frame."""
        self._is_stopped = True

    def run(self) -> None:
        """In the thread."""
        try:
            self._write(self._tell)
        except BaseException as exc:  # a thread's boundary: raised in the window's own
            self.error = exc

    def _tell(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self._is_stopped:
            raise _StopError


def _show(work: _Work, dialog: QProgressDialog, loop: QEventLoop) -> None:
    if not work.is_alive():
        loop.quit()
    elif dialog.isVisible() and work.total:
        # at the end the file is put together: who knows how long
        dialog.setMaximum(0 if work.done == work.total else work.total)
        dialog.setValue(work.done)

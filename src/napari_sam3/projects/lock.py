"""One writer at a time: a lock that the system gives back when its holder dies."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, SoftFileLock, Timeout

from napari_sam3.errors import UnsafeFileError
from napari_sam3.plain_files import open_plain, read_json
from napari_sam3.whole_files import written_whole

LOCK, HOLDER = "lock", "lock.json"


class ProjectLock:
    """The right to write a project.

    Parameters
    ----------
    folder : Path
        Of the project.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # a soft lock on systems that know no other, which mypy does not
        self._lock: Any = FileLock(folder / LOCK, thread_local=False)

    def take(self) -> str | None:
        """Take it.

        Returns
        -------
        str or None
            None if it is ours now; else why not, in words.
        """
        try:
            # what is laid in its place would be followed, or cut to nothing
            with suppress(FileNotFoundError):
                open_plain(self.folder / LOCK, most_bytes=0).close()
            self._lock.acquire(timeout=0)
        except UnsafeFileError as exc:
            return str(exc)
        except Timeout:
            return f"it is open for writing {self._holder()}; close it there, and open it again"
        except (OSError, NotImplementedError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            if not os.access(self.folder, os.W_OK):
                return f"its folder {str(self.folder)!r} can't be written to ({reason})"
            return (
                f"files can't be locked in {str(self.folder)!r} ({reason}), as on some network "
                "drives, and two writers would spoil it; copy it to a local disk to go on with it"
            )
        if isinstance(self._lock, SoftFileLock):
            # it would outlive a process that is killed
            self._lock.release()
            return (
                f"the system can't lock files in {str(self.folder)!r}, and two writers would "
                "spoil it; copy it to a local disk to go on with it"
            )
        holder = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        # only a courtesy to others
        with suppress(OSError), written_whole(self.folder / HOLDER) as part:
            part.write_text(json.dumps(holder), encoding="utf-8")
        return None

    def give_back(self) -> None:
        """Let others write; giving back again does nothing."""
        if self._lock.is_locked:
            with suppress(OSError):  # what is left of it says nothing without the lock
                (self.folder / HOLDER).unlink()
            self._lock.release()

    def _holder(self) -> str:
        try:
            holder = read_json(self.folder / HOLDER, most_bytes=2**12)
            host, pid, since = str(holder["host"]), int(holder["pid"]), str(holder["since"])
        except (OSError, ValueError, LookupError, TypeError):
            return "in another window or program"
        if host == socket.gethostname():
            where = "in this program" if pid == os.getpid() else f"by process {pid} here"
        else:
            where = f"on the computer {host!r}, by process {pid}"
        return f"{where}, since {since[:16].replace('T', ' ')}"


def can_lock(file: Path) -> bool:
    """Whether the system can lock a file, which is made if it is not there."""
    lock: Any = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return not isinstance(lock, SoftFileLock)

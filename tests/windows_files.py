"""An operating system that refuses what Windows refuses of files, for tests of what writes them.

`pytest -p tests.windows_files tests/labels` runs tests under it. What the tests themselves do is
let through: it is the package, and the libraries that it calls, which are held to

- no renaming over, away or deleting of a file that is open or mapped in this process, nor of a
  folder with one in it; no cutting of a file that is mapped;
- no renaming to a name that is taken; no replacing of a folder; nothing replaced, deleted or
  written that is read-only;
- no new name that differs from one in its folder by case alone; no reserved names and signs;
- no path of 260 characters or more unless it begins with `\\\\?\\`;
- no symbolic links, no opening of folders.

What is open the kernel tells (Linux's leases and /proc), so that no library's way of opening files
is missed. The rules are Windows' with the sharing that Python's own `open` asks for there. On
Windows itself, where all this is so, nothing is patched.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "win32":
    import fcntl

TESTS = str(Path(__file__).parent)
MOST = 260
"""Characters that a path must stay below (MAX_PATH)."""

SHARING, DENIED, EXISTS, NO_NAME, TOO_LONG, MAPPED, NO_PRIVILEGE = 32, 5, 183, 123, 206, 1224, 1314
_ERRNO = {
    SHARING: errno.EACCES,
    DENIED: errno.EACCES,
    EXISTS: errno.EEXIST,
    NO_NAME: errno.EINVAL,
    TOO_LONG: errno.ENOENT,
    MAPPED: errno.EINVAL,
    NO_PRIVILEGE: errno.EINVAL,
}
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]$')


def refusal(number: int, path: object) -> OSError:
    """What Python raises on Windows for an error of that number."""
    exc = OSError(_ERRNO[number], f"refused as on Windows ({number})", os.fspath(path))
    exc.winerror = number
    return exc


class Refusals:
    """The rules, for paths below some folder.

    Parameters
    ----------
    base : Path
        Elsewhere anything goes: what is installed, devices, this process's own files.
    """

    def __init__(self, base: Path) -> None:
        self._base = os.path.realpath(base) + os.sep
        self.refused: list[str] = []
        self._open, self._os_open = io.open, os.open
        self._mkdir, self._rename, self._replace = os.mkdir, os.rename, os.replace
        self._unlink = os.unlink

    # ------------------------------------------------------------ the calls

    def open(self, file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        """In place of `open`."""
        if not isinstance(file, int) and (path := self._ours(file)) is not None:
            is_new = any(sign in mode for sign in "wax")
            self._check_open(path, is_written=is_new or "+" in mode, is_cut="w" in mode)
            if is_new:
                self._check_name(path)
        return self._open(file, mode, *args, **options)

    def os_open(self, file: Any, flags: int, *args: Any, **options: Any) -> int:
        """In place of `os.open`."""
        if (path := self._ours(file)) is not None:
            is_nameless = flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1)
            if os.path.isdir(path) and not is_nameless:
                raise self._say(DENIED, path)
            is_written = bool(flags & (os.O_WRONLY | os.O_RDWR))
            self._check_open(path, is_written=is_written, is_cut=bool(flags & os.O_TRUNC))
            if flags & os.O_CREAT:
                self._check_name(path)
        return self._os_open(file, flags, *args, **options)

    def mkdir(self, file: Any, *args: Any, **options: Any) -> None:
        """In place of `os.mkdir`."""
        if (path := self._ours(file)) is not None:
            # room for a short file name in it
            self._check_name(path, most=MOST - 12)
        self._mkdir(file, *args, **options)

    def rename(self, source: Any, target: Any, **options: Any) -> None:
        """In place of `os.rename`."""
        if (path := self._ours(source)) is not None:
            self._check_moved(path)
        if (path := self._ours(target)) is not None:
            self._check_name(path, but=source)
            if os.path.lexists(path):
                raise self._say(EXISTS, path)
        self._rename(source, target, **options)

    def replace(self, source: Any, target: Any, **options: Any) -> None:
        """In place of `os.replace`."""
        held = self._held(*filter(None, (self._ours(source), self._ours(target))))
        if (path := self._ours(source)) in held:
            raise self._say(SHARING, path)
        if (path := self._ours(target)) is not None:
            self._check_name(path, but=source)
            if os.path.isdir(path) or self._is_read_only(path) or path in held:
                raise self._say(DENIED, path)
        self._replace(source, target, **options)

    def unlink(self, file: Any, **options: Any) -> None:
        """In place of `os.unlink` and `os.remove`."""
        if (path := self._ours(file)) is not None:
            if self._is_read_only(path):
                raise self._say(DENIED, path)
            self._check_moved(path)
        self._unlink(file, **options)

    def symlink(self, source: Any, target: Any, *args: Any, **options: Any) -> None:
        """In place of `os.symlink`."""
        if (path := self._ours(target)) is not None:
            raise self._say(NO_PRIVILEGE, path)
        os_symlink(source, target, *args, **options)

    # ------------------------------------------------------------ the rules

    def _ours(self, file: Any) -> str | None:
        """The whole path, if the rules are for it and for who asks."""
        if isinstance(file, int):
            return None
        name = os.fsdecode(os.fspath(file))
        path = os.path.abspath(name.removeprefix("\\\\?\\"))
        if not (os.path.realpath(os.path.dirname(path)) + os.sep).startswith(self._base):
            return None
        if _is_asked_by_test():
            return None
        if len(path) >= MOST and not name.startswith("\\\\?\\"):
            raise self._say(TOO_LONG, path)
        return path

    def _say(self, number: int, path: str) -> OSError:
        self.refused.append(f"{number}: {path}")
        return refusal(number, path)

    def _check_open(self, path: str, *, is_written: bool, is_cut: bool) -> None:
        if is_written and self._is_read_only(path):
            raise self._say(DENIED, path)
        is_held = is_cut and os.path.exists(path) and not self._is_free(path)
        if is_held and _identity(path) in self._mapped():
            raise self._say(MAPPED, path)

    def _check_name(self, path: str, *, most: int = MOST, but: object = None) -> None:
        """Whether there can be a file or folder of that name."""
        if len(path) >= most:
            raise self._say(TOO_LONG, path)
        folder, name = os.path.split(path)
        if _RESERVED.fullmatch(name) or _FORBIDDEN.search(name):
            raise self._say(NO_NAME, path)
        with os.scandir(folder) if os.path.isdir(folder) else _nothing() as entries:
            for entry in entries:
                alike = entry.name != name and entry.name.casefold() == name.casefold()
                if alike and (but is None or entry.path != os.path.abspath(os.fspath(but))):
                    raise self._say(EXISTS, path)

    def _check_moved(self, path: str) -> None:
        """Whether a file or folder can leave its place."""
        if self._held(path):
            raise self._say(SHARING, path)

    def _held(self, *paths: str) -> list[str]:
        """Those that are open or mapped, or hold something that is."""
        mine = {}
        for path in paths:
            inside = [
                os.path.join(folder, name)
                for folder, folders, files in os.walk(path)
                for name in (*folders, *files)
            ]
            # what is free is most, and to ask for all that is held takes a thousand times as long
            maybe = [one for one in (path, *inside) if not self._is_free(one)]
            mine[path] = {_identity(one) for one in maybe} - {None}
        if not any(mine.values()):
            return []
        held = _opened() | self._mapped()
        return [path for path, identities in mine.items() if identities & held]

    def _is_free(self, path: str) -> bool:
        """Whether it is a file that no process has open or mapped: Linux lends only that."""
        try:
            descriptor = self._os_open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            # who opens it meanwhile waits, and the signal that tells of it is one that is ignored
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _mapped(self) -> set[tuple[int, int] | None]:
        """What this process has mapped of the files below the folder."""
        with self._open("/proc/self/maps") as lines:
            ours = [line for line in lines if self._base in line]
        return {_identity(line.split(maxsplit=5)[5].rstrip("\n")) for line in ours} - {None}

    @staticmethod
    def _is_read_only(path: str) -> bool:
        try:
            status = os.lstat(path)
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and not status.st_mode & stat.S_IWUSR


os_symlink = os.symlink


@contextmanager
def _nothing() -> Iterator[list[os.DirEntry[str]]]:
    yield []


def _identity(path: str | int) -> tuple[int, int] | None:
    try:
        status = os.stat(path) if isinstance(path, int) else os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _opened() -> set[tuple[int, int] | None]:
    """What this process has open."""
    return {_identity(int(name)) for name in os.listdir("/proc/self/fd")} - {None}


_LIBRARY = os.path.dirname(os.__file__) + os.sep


def _is_asked_by_test() -> bool:
    """Whether a test itself calls, be it by way of the standard library."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        is_library = file.startswith(_LIBRARY) and "site-packages" not in file
        if file != __file__ and not is_library and not file.startswith("<"):
            return file.startswith(TESTS)
        frame = frame.f_back
    return False


@contextmanager
def refusing(base: Path) -> Iterator[Refusals]:
    """Hold what is done below a folder to the rules."""
    rules = Refusals(base)
    patches: list[tuple[Any, str, Callable[..., Any]]] = [
        (builtins, "open", rules.open),
        (io, "open", rules.open),
        (os, "open", rules.os_open),
        (os, "mkdir", rules.mkdir),
        (os, "rename", rules.rename),
        (os, "replace", rules.replace),
        (os, "unlink", rules.unlink),
        (os, "remove", rules.unlink),
        (os, "symlink", rules.symlink),
    ]
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform != "win32":
            for owner, name, stand_in in patches:
                patch.setattr(owner, name, stand_in)
            # the way of Windows, which opens no folder to delete what is in it
            patch.setattr(shutil, "_use_fd_functions", False)
        yield rules


NOT_THERE = {
    "test_a_name_that_is_just_short_enough_is_written": "its path has over 260 characters",
    "test_what_would_run_is_refused_by_name_and_not_run": "it pickles `open` itself",
    "test_a_broken_or_missing_proxy_harms_nobody": "a proxy that is shown can't be deleted",
}
"""Tests that are left out: of what Windows has not, or of what is patched; and why."""


def pytest_collection_modifyitems(config, items):
    """Leave them out, where this is a plugin."""
    left_out = [item for item in items if getattr(item, "originalname", "") in NOT_THERE]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def as_on_windows(tmp_path_factory, own_folders):
    """All tests that this is a plugin of are held to the rules."""
    base = tmp_path_factory.getbasetemp()
    with refusing(base) as rules:
        yield rules

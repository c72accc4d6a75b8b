"""Files that a stranger may have laid: only plain ones are opened, and none larger than it can be.

A folder may come out of an archive or a repository. A link in it leads anywhere, a pipe or a
device never ends, and a file of few packed bytes fills the memory. So whatever the package keeps
in a folder is read, added to and copied through here.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from napari_sam3.errors import UnsafeFileError
from napari_sam3.whole_files import written_whole

MOST_TEXT = 128 * 2**20
"""Bytes of a file of text that is read whole."""

MOST_VALUES = 16_000_000
"""Values that JSON may hold; each takes up to a hundred bytes of memory when it is read."""

# what Windows calls its links; other systems tell them by the mode
_LINK_TAGS = {
    getattr(stat, name, None) for name in ("IO_REPARSE_TAG_SYMLINK", "IO_REPARSE_TAG_MOUNT_POINT")
} - {None}


def open_plain(path: Path, *, most_bytes: int | None = None, writable: bool = False) -> BinaryIO:
    """Open a plain file that is there, unbuffered if it is to be written.

    Parameters
    ----------
    path : Path
        Its folder is one that the person named, or `check_folder` found to be one.
    most_bytes : int, optional
        More than that is not read.
    writable : bool
        Open it for writing, too. One that has other names (hard links) is replaced by a copy
        first, so that what they name stays as it is.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is none.
    UnsafeFileError
        If it is a link, a pipe, a device or a socket, or too large.
    OSError
        If it can't be opened.
    """
    _check(path, path.lstat(), most_bytes)
    flags = os.O_RDWR if writable else os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if writable and path.lstat().st_nlink > 1:
        copy_plain(path, path)
    try:
        file = os.fdopen(os.open(path, flags), "r+b" if writable else "rb", 0 if writable else -1)
    except OSError as exc:
        if exc.errno == errno.ELOOP:  # laid since it was looked at
            _check(path, path.lstat(), most_bytes)
        raise
    try:
        _check(path, os.fstat(file.fileno()), most_bytes)
    except BaseException:
        file.close()
        raise
    return file


def read_plain(path: Path, most_bytes: int) -> bytes:
    """All bytes of a plain file; raises as `open_plain`."""
    with open_plain(path, most_bytes=most_bytes) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:  # it grows
        raise _too_large(path, len(content), most_bytes)
    return content


def read_text(path: Path, *, encoding: str = "utf-8", most_bytes: int = MOST_TEXT) -> str:
    """The text of a plain file; raises as `open_plain`, and ValueError where it is none."""
    text = read_plain(path, most_bytes).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_text(text: str) -> str:
    """The same text, if there is memory for what it may hold as JSON, or as a table.

    Raises
    ------
    ValueError
        If there may not be.
    """
    if len(text) > MOST_TEXT or (not text.isascii() and len(text.encode()) > MOST_TEXT):
        raise ValueError(f"it takes more than {MOST_TEXT / 1e6:,.0f} MB")
    if sum(map(text.count, ",[{")) > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values")
    return text


def read_json(path: Path, *, most_bytes: int = MOST_TEXT) -> Any:
    """What a plain file of JSON says; raises as `open_plain`, and ValueError where it is none."""
    try:
        return json.loads(check_text(read_text(path, encoding="utf-8-sig", most_bytes=most_bytes)))
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc


def check_folder(path: Path) -> None:
    """Make sure that a path is a folder itself, not a link to one.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is none.
    UnsafeFileError
        If it is a link, a pipe, a device or a socket.
    """
    status = path.lstat()
    if _is_link(status):
        raise _unsafe(path, "a link")
    if not stat.S_ISDIR(status.st_mode):
        _check(path, status, None)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Whether there is a plain file; never raises for what is no path."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and not _is_link(status)


def copy_plain(source: Path, target: Path) -> None:
    """Copy a plain file; the copy takes the place of whatever is at `target`.

    Raises
    ------
    OSError
        As `open_plain`, or if it can't be written.
    """
    with written_whole(target) as part:
        # closed before it takes its place: Windows replaces no file that is open
        with open_plain(source) as file, part.open("wb") as copy:
            shutil.copyfileobj(file, copy, 2**20)
        shutil.copystat(source, part, follow_symlinks=False)


def copy_folder(source: Path, target: Path, leave_out: Callable[[str], bool]) -> None:
    """Copy the plain files and folders of a folder; links, pipes and devices stay behind.

    Parameters
    ----------
    source, target : Path
        The latter is made.
    leave_out : callable
        Says of a name, in whichever folder, whether it is left out.
    """

    def ignore(folder: str, names: list[str]) -> list[str]:
        def is_left_out(name: str) -> bool:
            status = (Path(folder) / name).lstat()
            is_kept = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
            return leave_out(name) or _is_link(status) or not is_kept

        return [name for name in names if is_left_out(name)]

    shutil.copytree(source, target, ignore=ignore)


def inflated_size(packed: bytes) -> int | None:
    """What the head of a zstd frame says (RFC 8878, 3.1.1.1); None where it does not."""
    if len(packed) < 5 or packed[:4] != b"\x28\xb5\x2f\xfd":
        return None
    is_single, kind = packed[4] >> 5 & 1, packed[4] >> 6
    begin = 5 + (not is_single) + (0, 1, 2, 4)[packed[4] & 3]
    n_bytes = (is_single, 2, 4, 8)[kind]
    if not n_bytes or len(packed) < begin + n_bytes:
        return None
    return int.from_bytes(packed[begin : begin + n_bytes], "little") + (256 if kind == 1 else 0)


def check_entry(entry: os.DirEntry[str]) -> os.stat_result:
    """What is known of an entry of a folder, if it is a plain file or a folder.

    Raises
    ------
    UnsafeFileError
        If it is something else.
    """
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode) or _is_link(status):
        _check(Path(entry.path), status, None)
    return status


def _check(path: Path, status: os.stat_result, most_bytes: int | None) -> None:
    if _is_link(status):
        raise _unsafe(path, "a link")
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise _unsafe(path, "a pipe, a device or a socket")
    if most_bytes is not None and status.st_size > most_bytes:
        raise _too_large(path, status.st_size, most_bytes)


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) in _LINK_TAGS


def _unsafe(path: Path, what: str) -> UnsafeFileError:
    return UnsafeFileError(
        f"{str(path)!r} is {what} where a plain file or folder belongs, and is left alone: it may "
        "be a stranger's; put the file itself in its place, or take it out"
    )


def _too_large(path: Path, size: int, most_bytes: int) -> UnsafeFileError:
    return UnsafeFileError(
        f"{str(path)!r} takes {size / 1e6:,.0f} MB, and no more than {most_bytes / 1e6:,.0f} MB "
        "are read of such a file; napari-sam3 has not made it"
    )

"""The videos that a worker may read: those under its roots, and those that were sent to it.

What is sent is a folder named by its hash and name, with one file or several. Files come in
pieces, in order, so that what broke off goes on where it was; a folder takes its own name when all
of it is there and its hash is right. The least recently used ones go when the budget is used up.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam3.cluster.wire import items, whole
from napari_sam3.cluster.worker_limits import WorkerLimits
from napari_sam3.errors import VideoError, WireError
from napari_sam3.video.content_hash import hash_content
from napari_sam3.video.folder_contents import files_at, is_pattern

MOST_PIECE = 2**23
"""Bytes that are sent at once."""

_MOST_FILES = 10**6
_HASH = re.compile(r"[0-9a-f]{64}")
_PART = ".part"


def find_under_roots(path: str, roots: Sequence[Path]) -> Path | None:
    """Where a path leads, links followed; None if nothing is there or it is not under a root."""
    try:
        place = Path(path).resolve()
        is_there = place.exists() or (is_pattern(place) and bool(files_at(place)))
    except (OSError, RuntimeError, ValueError):
        return None
    return place if is_there and any(place.is_relative_to(root) for root in roots) else None


@dataclass(frozen=True)
class Upload:
    """A video that is sent: its hash, and its files with their sizes.

    Attributes
    ----------
    digest : str
        As `hash_content` says it.
    name : str
        What is to be opened: the file, a folder, or a pattern.
    files : tuple of (name, bytes)
        In the order that they are sent in.
    is_folder : bool
        Whether `name` is a folder with the files in it.
    """

    digest: str
    name: str
    files: tuple[tuple[str, int], ...]
    is_folder: bool

    @classmethod
    def from_head(cls, said: Any) -> Upload:
        """Read one from a message.

        Raises
        ------
        WireError
            If it is something else, or names what lies elsewhere.
        """
        if not isinstance(said, dict):
            raise WireError(f"an upload that came is {said!r:.80}, not a table")
        digest, name = said.get("digest"), said.get("name")
        if not isinstance(digest, str) or not _HASH.fullmatch(digest):
            raise WireError(f"the hash of an upload that came is {digest!r:.80}")
        files = [
            (_plain(row[0]), whole(row[1]))
            for row in items(said.get("files"))[:_MOST_FILES]
            if isinstance(row, list) and len(row) == 2
        ]
        if not files or len({name for name, _ in files}) != len(files):
            raise WireError(f"an upload that came has the files {said.get('files')!r:.80}")
        return cls(digest, _plain(name), tuple(files), said.get("is_folder") is True)

    def to_head(self) -> dict[str, Any]:
        """As a message says it."""
        return {
            "digest": self.digest,
            "name": self.name,
            "files": [[name, size] for name, size in self.files],
            "is_folder": self.is_folder,
        }

    @property
    def key(self) -> str:
        """What its folder is called: the same content under another name is another one."""
        return hashlib.sha256(f"{self.digest}/{self.name}".encode()).hexdigest()

    @property
    def n_bytes(self) -> int:
        """Of all files."""
        return sum(size for _, size in self.files)


def _plain(name: Any) -> str:
    """A file's name that leads nowhere else."""
    if not isinstance(name, str) or not name or len(os.fsencode(name)) > 200:
        raise WireError(f"a file of an upload that came is called {name!r:.80}")
    if name.startswith(".") or set(name) & set("/\\:\0") or name != Path(name).name:
        raise WireError(f"a file of an upload that came is called {name!r:.80}: no plain name")
    return name


class UploadFolder:
    """Where a worker keeps what was sent to it.

    Parameters
    ----------
    limits : WorkerLimits
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self._home = limits.uploads
        self._budget = limits.uploads_bytes

    def find(self, upload: Upload) -> Path | None:
        """The video, if all of it is here; it counts as used now."""
        folder = self._home / upload.key
        if not folder.is_dir():
            return None
        os.utime(folder)
        return self._video(folder, upload)

    def begin(self, upload: Upload) -> list[int]:
        """Make room for a video, and say how many bytes of each of its files are here.

        Raises
        ------
        VideoError
            If there can't be room for it.
        """
        if upload.n_bytes > self._budget:
            raise VideoError(
                f"the video {upload.name!r} has {upload.n_bytes:,} bytes, and the worker keeps "
                f"{self._budget:,} of what is sent to it; put the video where the worker can read "
                "it, or have its budget raised"
            )
        self._make_room(upload)
        return self._sizes(upload)

    def add(self, upload: Upload, number: int, place: int, piece: bytes) -> int:
        """Add a piece to a file, and say how many bytes of it are here now.

        A piece that does not begin where the file ends is left out: it came twice.

        Raises
        ------
        VideoError
            If it can't be written.
        """
        name, size = upload.files[whole(number, 0, len(upload.files) - 1)]
        if len(piece) > MOST_PIECE or place + len(piece) > size:
            raise WireError(f"a piece of {name!r} ends at {place + len(piece):,} of {size:,} bytes")
        try:
            file = self._file(upload, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("ab") as out:
                if out.tell() == place:
                    out.write(piece)
                return out.tell()
        except OSError as exc:
            raise VideoError(f"the worker can't keep {name!r} ({exc.strerror or exc})") from exc

    def finish(self, upload: Upload) -> Path:
        """Check what came, and give the video.

        Raises
        ------
        VideoError
            If it is not what was to come; it is thrown away.
        """
        part, whole_folder = self._part(upload), self._home / upload.key
        if whole_folder.is_dir():  # somebody else sent the same
            return self._video(whole_folder, upload)
        if [size for _, size in upload.files] != self._sizes(upload):
            raise VideoError(f"not all of {upload.name!r} has come; send the rest")
        for name, size in upload.files:
            if not size:
                self._file(upload, name).touch()
        if hash_content(self._video(part, upload)) != upload.digest:
            shutil.rmtree(part, ignore_errors=True)
            raise VideoError(f"{upload.name!r} came with errors, or has changed; send it again")
        part.rename(whole_folder)
        return self._video(whole_folder, upload)

    def _video(self, folder: Path, upload: Upload) -> Path:
        return folder / upload.name

    def _part(self, upload: Upload) -> Path:
        return self._home / (upload.key + _PART)

    def _file(self, upload: Upload, name: str) -> Path:
        part = self._part(upload)
        return part / upload.name / name if upload.is_folder else part / name

    def _sizes(self, upload: Upload) -> list[int]:
        sizes = []
        for name, _ in upload.files:
            file = self._file(upload, name)
            sizes.append(file.stat().st_size if file.is_file() else 0)
        return sizes

    def _make_room(self, upload: Upload) -> None:
        """Let go of what was used least recently, until there is room for all of a video."""
        if not self._home.is_dir():
            return
        others = [f for f in self._home.iterdir() if f.is_dir() and f != self._part(upload)]
        sizes = {f: sum(m.stat().st_size for m in f.rglob("*") if m.is_file()) for f in others}
        used = sum(sizes.values()) + upload.n_bytes
        for folder in sorted(others, key=lambda f: f.stat().st_mtime):
            if used <= self._budget:
                return
            shutil.rmtree(folder, ignore_errors=True)
            used -= sizes[folder]

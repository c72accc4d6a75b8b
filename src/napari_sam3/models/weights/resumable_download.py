"""Downloads into the hub's cache that go on where they broke off.

Requests, cache and small files are huggingface_hub's. Large files are the exception: its version 2
deletes what has come of a file when a download breaks off or is stopped, its own retries do not go
on after a connection that was reset, and can't be stopped while they wait. So large files are
fetched into the blobs of its cache here, and it is told to link them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from napari_sam3.errors import DownloadCancelledError, DownloadError
from napari_sam3.models.weights.availability import PARTIAL, State, format_bytes, state_of
from napari_sam3.models.weights.catalogue import Weights
from napari_sam3.models.weights.hub import (
    UnreadyError,
    asking,
    first_line,
    list_files,
    unreachable_errors,
)
from napari_sam3.models.weights.local_files import (
    find_weights,
    read_family,
    repo_folder,
    what_is_missing,
)
from napari_sam3.models.weights.sources import find_source

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there are in all."""

LARGE = 16 * 2**20
"""Bytes from which on a file is worth going on with."""

CHUNK = 2**20
TRIES = 5
"""So often in a row without a byte coming, then it is given up."""
PAUSE = 2.0
"""Seconds between two tries."""


def download(
    model: str | Weights,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Path:
    """Fetch a model's weights into the hub's cache; only what is not there yet.

    A download that breaks off or is stopped keeps what has come, and the next call goes on.

    Parameters
    ----------
    model : str or Weights
        A name or a hub id, as `find_source` takes it.
    progress : callable, optional
        Called with (bytes here, bytes in all), many times a second, in the caller's thread.
    cancel : Event, optional
        Set it from another thread to stop.

    Returns
    -------
    Path
        The folder to load them from.

    Raises
    ------
    WeightsMissingError
        If the hub does not give them: `TokenError`, `AccessNotRequestedError`,
        `AccessPendingError`, `AccessRefusedError`, `HubOfflineError`; if it broke off or was
        stopped: `DownloadError`, `DownloadCancelledError`.
    ModelUnavailableError
        If there is no such repository, or it holds no model of our families.
    """
    weights = find_source(model) if isinstance(model, str) else model
    folder = find_weights(weights)
    if folder is not None:
        return folder
    now = state_of(weights)
    if weights.repo_id is None or now.state in (State.DAMAGED, State.OFFLINE):
        raise now.error()
    try:
        with asking(weights):
            return _fetch(weights, progress, cancel or threading.Event())
    except UnreadyError as exc:
        raise exc.state.error() from exc.__cause__


def _fetch(weights: Weights, progress: Progress | None, cancel: threading.Event) -> Path:
    repo_id = str(weights.repo_id)
    commit, sizes = list_files(weights)
    large = {name: size for name, size in sizes.items() if size >= LARGE}
    _drop_damaged(repo_folder(repo_id), commit, sizes)
    folder = _snapshot(repo_id, commit, [name for name in sizes if name not in large])
    read_family(folder)  # before gigabytes of something else are fetched
    total = sum(sizes.values())
    done = total - sum(large.values())
    blobs: dict[str, Path] = {}
    for name, size in large.items():

        def tell(here: int, before: int = done) -> None:
            if progress is not None:
                progress(before + here, total)

        if not (folder / name).is_file():
            blobs[name] = _fetch_blob(repo_id, name, commit, size, tell, cancel)
        done += size
    # links what is there now, and notes what the revision stands for
    _snapshot(repo_id, weights.revision, list(sizes))
    for name, blob in blobs.items():
        # where there are no symbolic links (Windows) it was copied
        if (folder / name).is_file() and not (folder / name).is_symlink():
            blob.unlink(missing_ok=True)
    fault = what_is_missing(folder)
    if fault is not None:
        raise DownloadError(f"the download of {weights.name!r} is not whole: {fault}")
    return folder


def _snapshot(repo_id: str, revision: str, names: list[str]) -> Path:
    """Have the hub's library fetch those files that are not in its cache; the snapshot's folder."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.file_download import are_symlinks_supported
    from tqdm import tqdm

    class NoBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

    # before its threads do: 1.31 answers yes to all that ask while the first still tries
    are_symlinks_supported(repo_folder(repo_id))
    return Path(
        snapshot_download(repo_id, revision=revision, allow_patterns=names, tqdm_class=NoBar)
    )


def _drop_damaged(repo: Path, commit: str, sizes: dict[str, int]) -> None:
    """Delete files of a snapshot that have another length than the hub tells; they come anew.

    The library takes whatever is there for whole.
    """
    for name, size in sizes.items():
        path = repo / "snapshots" / commit / name
        if not size or not path.is_file() or path.stat().st_size == size:
            continue
        blob = path.resolve()
        path.unlink()
        if blob.parent == (repo / "blobs").resolve():
            blob.unlink(missing_ok=True)


def _fetch_blob(
    repo_id: str,
    filename: str,
    commit: str,
    size: int,
    on_bytes: Callable[[int], None],
    cancel: threading.Event,
) -> Path:
    """Fetch a file into the blobs of the hub's cache; it is checked against its hash."""
    from filelock import FileLock, Timeout
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo_id, filename, revision=commit)
    etag = get_hf_file_metadata(url).etag
    if etag is None:
        raise DownloadError(f"the hub names no ETag for {url}; is HF_ENDPOINT set rightly?")
    blob = repo_folder(repo_id) / "blobs" / etag
    lock = lock_path(repo_id, etag)
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            if not blob.exists() or blob.stat().st_size != size:
                part = PartialFile(blob.with_name(f"{etag}{PARTIAL}"), url, size, on_bytes, cancel)
                part.complete()
                part.check(etag)
                part.path.replace(blob)
    except Timeout as exc:
        raise DownloadError(
            f"{filename} of {repo_id} is being downloaded by another process; wait for it"
        ) from exc
    on_bytes(size)
    return blob


def lock_path(repo_id: str, etag: str) -> Path:
    """The lock of a download, among the hub's own, which are never deleted either."""
    folder = repo_folder(repo_id)
    return folder.parent / ".locks" / folder.name / f"{etag}{PARTIAL}.lock"


@dataclass(frozen=True, eq=False)
class PartialFile:
    """A file that is being fetched.

    Attributes
    ----------
    path : Path
        What has come of it; kept where the download ends early.
    url : str
    size : int
        Its bytes, as the hub's listing says.
    on_bytes : callable
        Called with how many bytes are here, first with those from earlier tries.
    cancel : Event
        Stops it.
    """

    path: Path
    url: str
    size: int
    on_bytes: Callable[[int], None]
    cancel: threading.Event

    @property
    def here(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    def complete(self) -> None:
        """Bring it to its full size.

        Raises
        ------
        DownloadError
            If it breaks off for good, does not fit on the disk, or more comes than it shall have.
        DownloadCancelledError
            If `cancel` is set.
        """
        here, free = self.here, shutil.disk_usage(self.path.parent).free
        if free < self.size - here:
            raise DownloadError(
                f"{format_bytes(self.size - here)} are still to come, and "
                f"{str(self.path.parent)!r} has {format_bytes(free)} free; make room, or set "
                "HF_HOME to another disk"
            )
        tries = 0
        while (here := self.here) < self.size:
            self.on_bytes(here)
            self._stop_if_cancelled(here)
            try:
                self._request_rest(here)
            except unreachable_errors() as exc:
                tries = 0 if self.here > here else tries + 1
                status = getattr(getattr(exc, "response", None), "status_code", 0)
                if tries >= TRIES or (400 <= status < 500 and status not in (408, 416, 429)):
                    raise DownloadError(
                        f"the download broke off at {format_bytes(here)} of "
                        f"{format_bytes(self.size)}: {first_line(exc)}; ask again, it goes on "
                        "from there"
                    ) from exc
                self.cancel.wait(PAUSE)
        if here > self.size:
            self.path.unlink()
            raise DownloadError(
                f"more came than the {self.size} bytes that the hub tells of; it was deleted, "
                "ask again"
            )

    def _request_rest(self, here: int) -> None:
        """Append what a server sends from `here` on."""
        from huggingface_hub import constants, get_session, get_token
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            hf_raise_for_status,
        )

        headers = build_hf_headers(token=get_token() or False, library_name="napari-sam3")
        headers["Accept-Encoding"] = "identity"
        if here:
            headers["Range"] = f"bytes={here}-"
        session: Any = get_session()
        # the client takes the token off where it is sent on to another host
        with session.stream(
            "GET",
            self.url,
            headers=headers,
            follow_redirects=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        ) as response:
            if response.status_code == 416:
                self.path.unlink()  # the file behind the address has changed
            hf_raise_for_status(response)
            is_rest = response.status_code == 206
            with self.path.open("ab" if is_rest else "wb") as file:
                self._write(file, response.iter_bytes(CHUNK), here if is_rest else 0)

    def _write(self, file: IO[bytes], chunks: Any, here: int) -> None:
        for chunk in chunks:
            self._stop_if_cancelled(here)
            file.write(chunk)
            here += len(chunk)
            self.on_bytes(here)

    def _stop_if_cancelled(self, here: int) -> None:
        if self.cancel.is_set():
            raise DownloadCancelledError(
                f"the download was stopped at {format_bytes(here)}; the next one goes on from there"
            )

    def check(self, etag: str) -> None:
        """Hold it against its SHA-256, the ETag of large files; delete what is damaged."""
        if not re.fullmatch(r"[0-9a-f]{64}", etag):
            return
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != etag:
            self.path.unlink()
            raise DownloadError(
                f"what came is damaged (SHA-256 {found[:12]}..., not {etag[:12]}...); it was "
                "deleted, ask again"
            )

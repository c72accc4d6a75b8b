"""One large file of the hub, fetched so that it can go on where it broke off."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from napari_sam3.errors import DownloadCancelledError, DownloadError
from napari_sam3.models.weights.answers import first_line, unreachable_errors
from napari_sam3.models.weights.disk import repo_folder
from napari_sam3.models.weights.state import PARTIAL, format_bytes

CHUNK = 2**20
TRIES = 5
"""So often in a row without a byte coming, then it is given up."""
PAUSE = 2.0
"""Seconds between two tries."""


def fetch_blob(
    repo_id: str,
    filename: str,
    commit: str,
    size: int,
    on_bytes: Callable[[int], None],
    cancel: threading.Event,
) -> Path:
    """Fetch a file into the blobs of the hub's cache.

    Parameters
    ----------
    repo_id, filename, commit : str
        Which file.
    size : int
        Its bytes, as the hub's listing says.
    on_bytes : callable
        Called with how many bytes are here, first with those from earlier tries.
    cancel : Event
        Stops it.

    Returns
    -------
    Path
        The blob, checked against its hash.

    Raises
    ------
    DownloadError
        If it broke off for good, does not fit on the disk, is fetched by another process, or
        came damaged.
    DownloadCancelledError
        If `cancel` was set. What has come is kept in both cases, unless damaged.
    """
    from filelock import FileLock, Timeout
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repo_id, filename, revision=commit)
    etag = get_hf_file_metadata(url).etag
    if etag is None:
        raise DownloadError(f"the hub names no ETag for {url}; is HF_ENDPOINT set rightly?")
    blobs = repo_folder(repo_id) / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    blob, part = blobs / etag, blobs / f"{etag}{PARTIAL}"
    lock = lock_path(repo_id, etag)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            if not blob.exists() or blob.stat().st_size != size:
                _complete(part, url, size, on_bytes, cancel)
                _check(part, etag)
                part.replace(blob)
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


def _complete(
    part: Path, url: str, size: int, on_bytes: Callable[[int], None], cancel: threading.Event
) -> None:
    """Bring a partial file to its full size."""
    here = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(part.parent).free
    if free < size - here:
        raise DownloadError(
            f"{format_bytes(size - here)} are still to come, and {str(part.parent)!r} has "
            f"{format_bytes(free)} free; make room, or set HF_HOME to another disk"
        )
    tries = 0
    while (here := part.stat().st_size if part.exists() else 0) < size:
        on_bytes(here)
        _stop_if(cancel, here)
        try:
            _stream(part, url, here, on_bytes, cancel)
        except unreachable_errors() as exc:
            came = part.exists() and part.stat().st_size > here
            tries = 0 if came else tries + 1
            status = getattr(getattr(exc, "response", None), "status_code", 0)
            if tries >= TRIES or (400 <= status < 500 and status not in (408, 416, 429)):
                raise DownloadError(
                    f"the download broke off at {format_bytes(here)} of {format_bytes(size)}: "
                    f"{first_line(exc)}; ask again, it goes on from there"
                ) from exc
            cancel.wait(PAUSE)
    if here > size:
        part.unlink()
        raise DownloadError(
            f"more came than the {size} bytes that the hub tells of; it was deleted, ask again"
        )


def _stream(
    part: Path, url: str, here: int, on_bytes: Callable[[int], None], cancel: threading.Event
) -> None:
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
        url,
        headers=headers,
        follow_redirects=True,
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
    ) as response:
        if response.status_code == 416:
            part.unlink()  # the file behind the address has changed
        hf_raise_for_status(response)
        is_rest = response.status_code == 206
        with part.open("ab" if is_rest else "wb") as file:
            _write(file, response.iter_bytes(CHUNK), here if is_rest else 0, on_bytes, cancel)


def _write(
    file: IO[bytes],
    chunks: Any,
    here: int,
    on_bytes: Callable[[int], None],
    cancel: threading.Event,
) -> None:
    for chunk in chunks:
        _stop_if(cancel, here)
        file.write(chunk)
        here += len(chunk)
        on_bytes(here)


def _stop_if(cancel: threading.Event, here: int) -> None:
    if cancel.is_set():
        raise DownloadCancelledError(
            f"the download was stopped at {format_bytes(here)}; the next one goes on from there"
        )


def _check(part: Path, etag: str) -> None:
    """Hold a file against its SHA-256, which is the ETag of large files."""
    if not re.fullmatch(r"[0-9a-f]{64}", etag):
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != etag:
        part.unlink()
        raise DownloadError(
            f"what came is damaged (SHA-256 {found[:12]}..., not {etag[:12]}...); it was deleted, "
            "ask again"
        )

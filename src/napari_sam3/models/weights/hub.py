"""Asking the hub: access, tokens, downloads. Only when a person wants it.

Requests and cache are huggingface_hub's. Large files are the exception: version 2 of it throws a
broken-off download away, so `resume` fetches them into the blobs of its cache, and it is told to
link them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from napari_sam3.errors import DownloadError, HubOfflineError, ModelUnavailableError, TokenError
from napari_sam3.models.weights.answers import (
    UnreadyError,
    asking,
    first_line,
    understanding,
    unreachable_errors,
)
from napari_sam3.models.weights.catalogue import Weights
from napari_sam3.models.weights.disk import NEEDED, find_weights, repo_folder, what_is_missing
from napari_sam3.models.weights.family import CONFIG, read_family
from napari_sam3.models.weights.remembered import remember_answer
from napari_sam3.models.weights.sources import find_source
from napari_sam3.models.weights.state import (
    TOKEN_PAGE,
    State,
    WeightsState,
    account_fingerprint,
    describe,
    is_offline,
    saved_token,
    state_of,
)

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes there are in all."""

_PRINTABLE = re.compile(r"[!-~]+")  # what an HTTP header can carry

LARGE = 16 * 2**20
"""Bytes from which on a file is worth going on with."""


@dataclass(frozen=True)
class Account:
    """Whose token it is.

    Attributes
    ----------
    name : str
        The account at the hub.
    role : str
        What the token may do: "read", "write" or "fineGrained".
    """

    name: str
    role: str


def ask_hub(weights: Weights) -> WeightsState:
    """Ask the hub whether weights may be downloaded; what it says of gated ones is remembered.

    Nothing is asked about weights that are on the disk.

    Raises
    ------
    ModelUnavailableError
        If there is no such repository or revision.
    """
    now = state_of(weights)
    if now.is_ready or weights.repo_id is None or now.state in (State.DAMAGED, State.OFFLINE):
        return now

    try:
        with asking(weights):
            _, sizes = _list_files(weights)
    except UnreadyError as exc:
        return exc.state
    account = account_fingerprint()
    if account is not None:
        remember_answer(weights.repo_id, State.TO_DOWNLOAD, account)
    return describe(replace(weights, download_bytes=sum(sizes.values())), State.TO_DOWNLOAD)


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


def fetch_config(weights: Weights) -> str:
    """Fetch a repository's `config.json` alone, into the cache; its text.

    Raises
    ------
    ModelUnavailableError, WeightsMissingError
        As `download` does.
    """
    from huggingface_hub import hf_hub_download

    if is_offline():
        raise describe(weights, State.OFFLINE).error()
    try:
        with asking(weights), understanding():
            path = hf_hub_download(str(weights.repo_id), CONFIG, revision=weights.revision)
    except UnreadyError as exc:
        raise exc.state.error() from exc.__cause__
    # what is no text is no JSON either, and said so
    return Path(path).read_text(encoding="utf-8", errors="replace")


def who_am_i(token: str | None = None) -> Account:
    """Ask the hub whose token it is; of the one in use if none is given.

    Raises
    ------
    TokenError
        If there is none, or the hub does not accept it.
    HubOfflineError
        If the hub can't be asked.
    """
    from huggingface_hub import HfApi

    token = (token or saved_token() or "").strip()
    how = (
        f"make one of kind 'read' at {TOKEN_PAGE} and save it: Get... in the window, or "
        "'napari-sam3 models token' in a terminal"
    )
    if not token:
        raise TokenError(f"no token is saved; {how}")
    if not _PRINTABLE.fullmatch(token):
        raise TokenError(f"the token holds signs that no token has; {how}")
    if is_offline():
        raise HubOfflineError("the token can't be checked: HF_HUB_OFFLINE is set; go online first")
    try:
        with understanding():
            said = HfApi().whoami(token=token)
            access = (said.get("auth") or {}).get("accessToken") or {}
            return Account(str(said["name"]), str(access.get("role", "?")))
    except unreachable_errors() as exc:
        status = getattr(getattr(exc, "response", None), "status_code", None)
        if status in (400, 401, 403):
            raise TokenError(f"the hub does not accept the token; {how}") from exc
        raise HubOfflineError(
            f"the token can't be checked, for the hub can't be asked: {first_line(exc)}; try again"
        ) from exc


def save_token(token: str) -> Account:
    """Check a token, and save it where all programs that use the hub look for it.

    Raises
    ------
    TokenError
        If the hub does not accept it.
    HubOfflineError
        If the hub can't be asked; nothing is saved then.
    """
    from huggingface_hub import login

    token = token.strip()
    if not token:
        raise TokenError(f"the token is empty; copy it whole from {TOKEN_PAGE}")
    account = who_am_i(token)
    try:
        login(token=token)
    except unreachable_errors() as exc:
        raise HubOfflineError(f"the token was not saved: {first_line(exc)}; try again") from exc
    except ValueError as exc:
        raise TokenError(f"the token can't be used: {exc}; make one at {TOKEN_PAGE}") from exc
    except OSError as exc:
        raise TokenError(f"the token can't be saved: {exc}; set HF_HOME to another folder") from exc
    return account


def _list_files(weights: Weights) -> tuple[str, dict[str, int]]:
    """The commit that a revision stands for, and the sizes of the files that are needed.

    Access is asked for first: of gated repositories anybody may list the files.
    """
    from huggingface_hub import HfApi

    with understanding():
        HfApi().auth_check(str(weights.repo_id))
        info: Any = HfApi().model_info(
            str(weights.repo_id), revision=weights.revision, files_metadata=True
        )
    sizes = {
        file.rfilename: int(file.size or 0)
        for file in info.siblings or ()
        if any(fnmatch(file.rfilename, pattern) for pattern in NEEDED) and "/" not in file.rfilename
    }
    if CONFIG not in sizes or not any(name.endswith(".safetensors") for name in sizes):
        raise ModelUnavailableError(
            f"{weights.repo_id!r} holds no model in transformers' format: it has no {CONFIG} or "
            "no model.safetensors"
        )
    return str(info.sha), sizes


def _fetch(weights: Weights, progress: Progress | None, cancel: threading.Event) -> Path:
    from huggingface_hub import snapshot_download

    from napari_sam3.models.weights.resume import fetch_blob

    repo_id = str(weights.repo_id)
    commit, sizes = _list_files(weights)
    large = {name: size for name, size in sizes.items() if size >= LARGE}
    small = [name for name in sizes if name not in large]
    _drop_damaged(repo_folder(repo_id), commit, sizes)
    folder = Path(
        snapshot_download(repo_id, revision=commit, allow_patterns=small, tqdm_class=_no_bar())
    )
    read_family(folder)  # before gigabytes of something else are fetched
    total = sum(sizes.values())
    done = total - sum(large.values())
    blobs: dict[str, Path] = {}
    for name, size in large.items():

        def tell(here: int, before: int = done) -> None:
            if progress is not None:
                progress(before + here, total)

        if not (folder / name).is_file():
            blobs[name] = fetch_blob(repo_id, name, commit, size, tell, cancel)
        done += size
    # links what is there now, and notes what the revision stands for
    snapshot_download(
        repo_id, revision=weights.revision, allow_patterns=list(sizes), tqdm_class=_no_bar()
    )
    for name, blob in blobs.items():
        # where there are no symbolic links (Windows) it was copied
        if (folder / name).is_file() and not (folder / name).is_symlink():
            blob.unlink(missing_ok=True)
    fault = what_is_missing(folder)
    if fault is not None:
        raise DownloadError(f"the download of {weights.name!r} is not whole: {fault}")
    return folder


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


def _no_bar() -> type[Any]:
    """A progress bar that shows nothing: what is told goes through the callback."""
    from tqdm import tqdm

    class NoBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

    return NoBar

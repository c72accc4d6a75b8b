"""Asking the hub: access, tokens, what its answers mean. Only when a person wants it.

The hub tells apart by header: `X-Error-Code: GatedRepo` for gated repositories, whose
`X-Error-Message` says how the request for access stands (messages as recorded in October 2026).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from napari_sam3.errors import DownloadError, HubOfflineError, ModelUnavailableError, TokenError
from napari_sam3.models.weights.availability import (
    TOKEN_PAGE,
    State,
    WeightsState,
    account_fingerprint,
    describe,
    is_offline,
    saved_token,
    state_of,
)
from napari_sam3.models.weights.catalogue import Weights
from napari_sam3.models.weights.local_files import CONFIG, NEEDED
from napari_sam3.models.weights.models_file import write_answer

_PRINTABLE = re.compile(r"[!-~]+")  # what an HTTP header can carry


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
            _, sizes = list_files(weights)
    except UnreadyError as exc:
        return exc.state
    account = account_fingerprint()
    if account is not None:
        write_answer(weights.repo_id, State.TO_DOWNLOAD, account)
    return describe(replace(weights, download_bytes=sum(sizes.values())), State.TO_DOWNLOAD)


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


def list_files(weights: Weights) -> tuple[str, dict[str, int]]:
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


class UnreadyError(Exception):
    """The hub does not give the weights now; its state says why."""

    def __init__(self, state: WeightsState) -> None:
        super().__init__(state.message)
        self.state = state


class NoAnswerError(Exception):
    """Nothing could be sent, or what came is no answer of a hub's."""


@contextmanager
def understanding() -> Iterator[None]:
    """Turn what a request ends in where the set-up or the answer is strange into `NoAnswerError`.

    A proxy that can't be used, an address that is none, a login page of a wireless net in place
    of the hub's answer: the library has no errors of its own for these.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError:
        raise
    except ImportError as exc:
        raise NoAnswerError(
            "the proxy that ALL_PROXY or HTTPS_PROXY names is of a kind that needs another package "
            "(SOCKS); name an http proxy"
        ) from exc
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise NoAnswerError(
            "what came is not an answer of the hub's, as from the login page of a network, or "
            f"HF_ENDPOINT or a proxy is set wrongly ({type(exc).__name__})"
        ) from exc


@contextmanager
def asking(weights: Weights) -> Iterator[None]:
    """Turn what goes wrong while the hub is asked into `UnreadyError` or an error of ours.

    How a request for access stands is remembered.
    """
    from huggingface_hub import errors

    try:
        yield
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as exc:
        raise _told(weights, exc) from exc
    except unreachable_errors() as exc:
        raise UnreadyError(describe(weights, State.OFFLINE, first_line(exc))) from exc
    except errors.HFValidationError as exc:
        raise ModelUnavailableError(f"{weights.repo_id!r} is no hub id: {exc}") from exc
    except OSError as exc:
        raise DownloadError(
            f"the download of {weights.name!r} can't be written: {exc}; make room or set HF_HOME "
            "to a folder that can be written to"
        ) from exc


def unreachable_errors() -> tuple[type[Exception], ...]:
    """Errors of a net, or a hub, that does not work, whichever client the library uses."""
    from huggingface_hub import errors

    # the base of its client's errors, and of its own
    base: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    return (base, errors.OfflineModeIsEnabled, errors.FileMetadataError, NoAnswerError)


def first_line(exc: BaseException) -> str:
    """What an error says, short enough to be put into a sentence."""
    told = getattr(exc, "server_message", None) or str(exc) or type(exc).__name__
    return str(told).strip().splitlines()[0]


def _told(weights: Weights, exc: Exception) -> Exception:
    """What an answer, or the lack of one, means for weights."""
    from huggingface_hub import errors

    if isinstance(exc, errors.LocalEntryNotFoundError):
        cause = exc.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            return _told(weights, cause)
        return UnreadyError(describe(weights, State.OFFLINE, first_line(cause or exc)))
    if not isinstance(exc, errors.HfHubHTTPError):
        return exc
    account = account_fingerprint()
    said = exc.response.headers.get("X-Error-Message") or exc.server_message or ""
    if isinstance(exc, errors.GatedRepoError):
        state = _gate(said, account)
        if account is not None:
            write_answer(str(weights.repo_id), state, account)
        return UnreadyError(describe(replace(weights, is_gated=True), state))
    if "fine-grained" in said:
        note = "the saved token may not read gated repositories; its settings can allow it"
        return UnreadyError(describe(replace(weights, is_gated=True), State.NO_TOKEN, note))
    status = exc.response.status_code
    if status == 401 and account is not None:
        return UnreadyError(describe(weights, State.NO_TOKEN, "the saved token is not accepted"))
    if status == 429 or status >= 500:
        return UnreadyError(
            describe(weights, State.OFFLINE, f"it answers {status}: try again later")
        )
    if isinstance(exc, errors.RevisionNotFoundError):
        return ModelUnavailableError(
            f"{weights.repo_id!r} has no revision {weights.revision!r} on the hub"
        )
    # whoever is not logged in gets 401 for what is not there
    if isinstance(exc, errors.RepositoryNotFoundError) or status == 401:
        return ModelUnavailableError(
            f"the hub has no model {weights.repo_id!r}, or it is private and this account may not "
            "see it; look it up at https://huggingface.co/models"
        )
    if isinstance(exc, errors.RemoteEntryNotFoundError):
        return ModelUnavailableError(
            f"{weights.repo_id!r} holds no model in transformers' format: {first_line(exc)}"
        )
    return UnreadyError(describe(weights, State.OFFLINE, f"it answers {status}: {said}"))


def _gate(said: str, account: str | None) -> State:
    """How a request for access stands."""
    if account is None:
        return State.NO_TOKEN
    if "awaiting a review" in said:
        return State.PENDING
    if "has been rejected" in said:
        return State.REFUSED
    # "not in the authorized list", or "has been reset": to be asked for (again)
    return State.NOT_REQUESTED

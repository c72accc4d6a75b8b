"""Whether a model's weights can be used now, and if not, why and what to do.

`state_of` asks nothing but the disk and what is remembered; `ask_hub` asks the hub as well.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from weakref import WeakKeyDictionary

from napari_sam3.errors import (
    AccessNotRequestedError,
    AccessPendingError,
    AccessRefusedError,
    HubOfflineError,
    TokenError,
    WeightsMissingError,
)
from napari_sam3.models.weights.catalogue import HUB, Weights
from napari_sam3.models.weights.local_files import find_weights, repo_folder, what_is_missing
from napari_sam3.models.weights.models_file import read_answer

logger = logging.getLogger(__name__)

TOKEN_PAGE = f"{HUB}/settings/tokens"
"""Where a person makes an access token."""

PARTIAL = ".napari-sam3.part"
"""Ending of a file in the cache that is not whole yet."""


class State(StrEnum):
    """Where weights are; the value is what people read."""

    LOADED = "loaded"
    ON_DISK = "on disk"
    TO_DOWNLOAD = "to download"
    NOT_REQUESTED = "gated: not requested"
    PENDING = "gated: pending"
    REFUSED = "gated: refused"
    NO_TOKEN = "no token"
    OFFLINE = "offline"
    DAMAGED = "folder missing or damaged"


_ERRORS: dict[State, type[WeightsMissingError]] = {
    State.TO_DOWNLOAD: WeightsMissingError,
    State.NOT_REQUESTED: AccessNotRequestedError,
    State.PENDING: AccessPendingError,
    State.REFUSED: AccessRefusedError,
    State.NO_TOKEN: TokenError,
    State.OFFLINE: HubOfflineError,
    State.DAMAGED: WeightsMissingError,
}


@dataclass(frozen=True)
class WeightsState:
    """Where a model's weights are, for people and for the program.

    Attributes
    ----------
    weights : Weights
    state : State
    message : str
        What is so and what to do, in a sentence or two.
    folder : Path or None
        Where to load them from; None unless they are whole.
    url : str or None
        The page to go to next: the licence, or the tokens; None where none is needed.
    partial_bytes : int
        How much of a broken-off download is there to go on from.
    """

    weights: Weights
    state: State
    message: str
    folder: Path | None = None
    url: str | None = None
    partial_bytes: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether it can be loaded without any download."""
        return self.folder is not None

    def error(self) -> WeightsMissingError:
        """The error to raise where the weights are needed but not ready."""
        return _ERRORS[self.state](self.message)


def state_of(weights: Weights) -> WeightsState:
    """Say where weights are, without asking the net.

    Of gated weights that are not here the hub's last answer to this account is told, with its
    date.
    """
    folder = find_weights(weights)
    if folder is not None:
        if is_loaded(weights.name):
            return WeightsState(weights, State.LOADED, f"in use, from {folder}", folder)
        return WeightsState(weights, State.ON_DISK, f"in {folder}", folder)
    if weights.folder is not None:
        fault = what_is_missing(weights.folder)
        return WeightsState(
            weights,
            State.DAMAGED,
            f"{weights.name!r} can't be loaded: {fault}. Put it right, or name another folder "
            f"({_where(f'folder FOLDER --name {weights.name}')}), or forget this one "
            f"({_where(f'forget {weights.name}', None)})",
        )
    if is_offline():
        return describe(weights, State.OFFLINE)
    account = account_fingerprint()
    if weights.is_gated and account is None:
        return describe(weights, State.NO_TOKEN)
    if account is not None:
        answer = read_answer(str(weights.repo_id), account)
        if answer is not None and answer.state in (
            State.NOT_REQUESTED,
            State.PENDING,
            State.REFUSED,
        ):
            return describe(weights, State(answer.state), f"as of {answer.day}")
    return describe(weights, State.TO_DOWNLOAD)


def describe(weights: Weights, state: State, note: str = "") -> WeightsState:
    """Put a state into words, with the remedy.

    Parameters
    ----------
    weights : Weights
    state : State
        One without a folder.
    note : str
        What else there is to say, as the date of an answer or what the server said.
    """
    name, page = weights.name, weights.page
    get = _where(f"get {name}")
    other_folder = _where(f"folder FOLDER --name {name}")
    token = _where("token")
    aside = f" ({note})" if note else ""
    partial = partial_bytes(weights)
    url: str | None = page
    if state is State.TO_DOWNLOAD:
        size = f"{format_bytes(weights.download_bytes)}, " if weights.download_bytes else ""
        begun = f"; {format_bytes(partial)} of it are here already" if partial else ""
        text = (
            f"the weights of {name!r} are not on this machine{begun}{aside}; get them ({size}"
            f"licence {weights.licence.name}, {weights.licence.url or page}): {get}"
        )
    elif state is State.NOT_REQUESTED:
        text = (
            f"the weights of {name!r} are gated, and this account has not asked for them{aside}; "
            f"accept the licence at {page}, wait for the approval, then get them: {get}"
        )
    elif state is State.PENDING:
        text = (
            f"access to {name!r} was asked for and its authors have not answered yet{aside}; "
            f"look at {page} or ask again: {_where(f'check {name}')}"
        )
    elif state is State.REFUSED:
        text = (
            f"its authors have refused this account access to {name!r}{aside}; see {page}, or "
            f"take a folder that you may use ({other_folder}), or another model"
        )
    elif state is State.NO_TOKEN and weights.is_gated:
        url = TOKEN_PAGE
        text = (
            f"the hub gives the weights of {name!r} only to accounts it knows{aside}; accept the "
            f"licence at {page}, make a token of kind 'read' at {TOKEN_PAGE}, save it ({token}), "
            f"then get them: {get}"
        )
    elif state is State.NO_TOKEN:
        url = TOKEN_PAGE
        text = (
            f"the hub does not give the weights of {name!r}{aside}; make a token of kind 'read' "
            f"at {TOKEN_PAGE} and save it ({token}), or take the saved one away ('hf auth logout' "
            f"in a terminal); then get them: {get}"
        )
    else:
        url = None
        text = (
            f"the weights of {name!r} are not on this machine, and the hub can't be asked"
            f"{aside or ' (HF_HUB_OFFLINE is set)'}; go online and get them ({get}), or name a "
            f"folder that has them ({other_folder})"
        )
    return WeightsState(weights, state, text, url=url, partial_bytes=partial)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids to ask the hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def account_fingerprint() -> str | None:
    """A short hash of the saved token; None if there is none."""
    token = saved_token()
    return None if token is None else hashlib.sha256(token.encode()).hexdigest()[:12]


def saved_token() -> str | None:
    """The token that the hub's library uses; None if there is none, or it can't be read."""
    from huggingface_hub import get_token

    try:
        return get_token()
    except (OSError, ValueError) as exc:  # as another person's, in a folder that many share
        logger.warning("the saved token can't be read: %s", exc)
        return None


def partial_bytes(weights: Weights) -> int:
    """How much of a broken-off download is there."""
    if weights.repo_id is None:
        return 0
    blobs = repo_folder(weights.repo_id) / "blobs"
    try:
        return sum(path.stat().st_size for path in blobs.glob(f"*{PARTIAL}"))
    except OSError:  # made whole by another process just now, or closed to us
        return 0


def format_bytes(count: int) -> str:
    """Bytes as people read them: 3.4 GB, 156 MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            number = count / size
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{count} B"


def _where(command: str, window: str | None = "Get... in the window") -> str:
    """Say how something is done, to whoever reads it: in the window, in a script, in a terminal."""
    terminal = f"'napari-sam3 models {command}' in a terminal"
    return terminal if window is None else f"{window}, or {terminal}"


# models loaded in this process; they drop out when they are closed or let go of
_LOADED: WeakKeyDictionary[object, str] = WeakKeyDictionary()
_LOCK = threading.Lock()


def note_loaded(model: object, name: str) -> None:
    """Take note that a model was loaded under a name."""
    with _LOCK:
        _LOADED[model] = name


def note_closed(model: object) -> None:
    """Take note that a model was closed; its own `close` says so."""
    with _LOCK:
        _LOADED.pop(model, None)


def is_loaded(name: str) -> bool:
    """Whether a model of that name is loaded."""
    with _LOCK:
        return name in _LOADED.values()

"""What the hub's answers mean.

The hub tells apart by header: `X-Error-Code: GatedRepo` for gated repositories, whose
`X-Error-Message` says how the request for access stands (messages as recorded in October 2026).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from napari_sam3.errors import DownloadError, ModelUnavailableError
from napari_sam3.models.weights.catalogue import Weights
from napari_sam3.models.weights.remembered import remember_answer
from napari_sam3.models.weights.state import State, WeightsState, account_fingerprint, describe


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
            remember_answer(str(weights.repo_id), state, account)
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

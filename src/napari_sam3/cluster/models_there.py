"""Which models a worker has, told before one is chosen; nothing is loaded for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from napari_sam3.cluster.connection import Connection
from napari_sam3.cluster.wire import Head, encode, items
from napari_sam3.errors import WireError
from napari_sam3.models.base import Capabilities
from napari_sam3.models.mask_settings import MaskSettings, read_mask_settings

_MOST_MODELS, _LONGEST = 1000, 300


@dataclass(frozen=True)
class ModelThere:
    """A model that a worker knows.

    Attributes
    ----------
    name : str
        As `RemoteModel` takes it.
    summary, speed : str
        As of `ModelEntry`.
    capabilities : Capabilities
        The prompts it takes.
    is_ready : bool
        Whether its weights are there.
    """

    name: str
    summary: str
    speed: str
    capabilities: Capabilities
    is_ready: bool


def models_on(connection: Connection, worker: str) -> tuple[ModelThere, ...]:
    """Ask a worker which models it knows, those without weights too.

    Parameters
    ----------
    connection : Connection
    worker : str
        Its address.

    Raises
    ------
    ComputeError
        If it is not free, is of another release, or answers something else.
    LinkLost
        If it is lost.
    """
    link = connection.begin_on(worker)
    try:
        link.hello()
        said, _ = link.call("models", encode({}))
    finally:
        link.let_go()
    return tuple(_read_model(one) for one in items(said.get("models"))[:_MOST_MODELS])


def read_capabilities(said: Any) -> Capabilities:
    """What a worker says that a model takes.

    Raises
    ------
    WireError
        If it is something else.
    """
    names = {field.name for field in fields(Capabilities)}
    if not isinstance(said, dict) or set(said) != names:
        raise WireError(f"a worker says a model can do {said!r:.80}")
    return Capabilities(**said)


def read_settings_there(said: Any) -> MaskSettings:
    """What a worker says that a model's masks depend on; nothing if it does not say.

    Raises
    ------
    WireError
        If it is something else.
    """
    try:
        return {} if said is None else read_mask_settings(said)
    except ValueError as exc:
        raise WireError(f"a worker says that a model is set to {said!r:.80}") from exc


def read_text(head: Head, key: str) -> str:
    """What a worker says of a model, in words.

    Raises
    ------
    WireError
        If it is something else.
    """
    value = head.get(key)
    if not isinstance(value, str):
        raise WireError(f"a worker says the model's {key} is {value!r:.80}")
    return value


def _read_model(said: Any) -> ModelThere:
    if not isinstance(said, dict) or not isinstance(said.get("is_ready"), bool):
        raise WireError(f"a worker says that one of its models is {said!r:.80}")
    name, summary, speed = (read_text(said, key) for key in ("name", "summary", "speed"))
    if not 0 < len(name) <= _LONGEST:
        raise WireError(f"a worker calls a model {name!r:.80}")
    return ModelThere(
        name,
        summary[:_LONGEST],
        speed[:_LONGEST],
        read_capabilities(said.get("capabilities")),
        said["is_ready"],
    )

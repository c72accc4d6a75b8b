"""The models there are, by name. A family joins with one entry; nothing is imported to list it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.base import Capabilities, VideoModel

logger = logging.getLogger(__name__)

AUTO_VARIABLE = "NAPARI_SAM3_MODEL"
"""Environment variable that says which model "auto" stands for."""


def _cpu_only() -> tuple[str, ...]:
    return ("cpu",)


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for.

    Attributes
    ----------
    name : str
        What `model=` takes.
    summary : str
        One line for people.
    capabilities : Capabilities
        The prompts it takes, known without loading it.
    factory : str
        "module:callable"; called with `device=`, gives a `VideoModel`.
    devices : callable
        The devices it can run on here, the best first.
    is_for_tests : bool
        Not offered to people.
    """

    name: str
    summary: str
    capabilities: Capabilities
    factory: str
    devices: Callable[[], tuple[str, ...]] = field(default=_cpu_only)
    is_for_tests: bool = False


_ENTRIES: dict[str, ModelEntry] = {}


def register_model(entry: ModelEntry) -> None:
    """Make a model known under its name; an entry of the same name is replaced."""
    _ENTRIES[entry.name] = entry


register_model(
    ModelEntry(
        "optical-flow",
        "embedded: no weights, no download, any CPU",
        Capabilities(),
        "napari_sam3.models.optical_flow:OpticalFlowModel",
    )
)
register_model(
    ModelEntry(
        "fake",
        "for tests: discs that move a known step",
        Capabilities(text=True, exemplars=True),
        "napari_sam3.models.fake:FakeModel",
        is_for_tests=True,
    )
)


def list_models() -> tuple[ModelEntry, ...]:
    """All models offered to people, the best first."""
    return tuple(entry for entry in _ENTRIES.values() if not entry.is_for_tests)


def choose_model() -> tuple[ModelEntry, str]:
    """Say what "auto" stands for here, and why. Nothing is loaded or downloaded."""
    wanted = os.environ.get(AUTO_VARIABLE)
    if wanted:
        return _find(wanted), f"the variable {AUTO_VARIABLE} says so"
    return _ENTRIES["optical-flow"], "it is the only one in this version"


def load_model(model: str | Path | VideoModel = "auto", device: str | None = None) -> VideoModel:
    """Load a model.

    Parameters
    ----------
    model : str, path or VideoModel
        "auto" (the best one present; never downloads), a name of `list_models`, or a loaded
        model, which is given back as it is.
    device : str, optional
        One of the entry's devices; the best one if left out.

    Raises
    ------
    ModelUnavailableError
        If there is no such model, or not on that device.
    """
    if not isinstance(model, str | Path):
        return model
    if model == "auto":
        entry, reason = choose_model()
        logger.info("model 'auto': took %s, because %s", entry.name, reason)
    else:
        entry = _find(model)
    devices = entry.devices()
    if device not in (None, "auto", *devices):
        raise ModelUnavailableError(
            f"model {entry.name!r} does not run on device {device!r} here; "
            f"choose one of: {', '.join(devices)}"
        )
    module, _, name = entry.factory.partition(":")
    factory: Callable[..., VideoModel] = getattr(import_module(module), name)
    return factory(device=devices[0] if device in (None, "auto") else device)


def models_that_take(kind: str) -> str:
    """Name the models that take a kind of prompt (a field of `Capabilities`), for a message."""
    names = [entry.name for entry in list_models() if getattr(entry.capabilities, kind)]
    return ", ".join(names) if names else "none in this version; SAM 3 will, in a later one"


def _find(model: str | Path) -> ModelEntry:
    name = str(model)
    if name in _ENTRIES:
        return _ENTRIES[name]
    names = ", ".join(["auto", *(entry.name for entry in list_models())])
    if Path(name).is_dir():
        raise ModelUnavailableError(
            f"no model family of this version can read the folder {name!r}; choose one of: {names}"
        )
    raise ModelUnavailableError(f"no model is called {name!r}; choose one of: {names}")

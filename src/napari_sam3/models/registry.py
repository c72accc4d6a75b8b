"""The models there are, by name. A family joins with one entry; nothing is imported to list it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.base import Capabilities, VideoModel
from napari_sam3.models.weights import (
    FAMILIES,
    KNOWN,
    Weights,
    all_weights,
    find_source,
    find_weights,
    format_bytes,
    is_loaded,
    note_loaded,
    state_of,
)
from napari_sam3.settings import read_settings

logger = logging.getLogger(__name__)

AUTO_VARIABLE = "NAPARI_SAM3_MODEL"
"""Environment variable that says which model "auto" stands for."""

EMBEDDED = "optical-flow"
"""The model that needs no weights."""


def _cpu_only() -> tuple[str, ...]:
    return ("cpu",)


def _torch_devices() -> tuple[str, ...]:
    try:
        from napari_sam3.models.sam.device import available_devices
    # a library of PyTorch's that can't be loaded is an OSError
    except (ImportError, OSError) as exc:
        raise ModelUnavailableError(
            f"PyTorch can't be used here ({exc}); install it again, or take {EMBEDDED!r}"
        ) from exc
    return available_devices()


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
        "module:callable", gives a `VideoModel`. Called with `device=`; of a model with weights
        with their folder first, and `resolution=` and `name=` too.
    devices : callable
        The devices it can run on here, the best first.
    weights : Weights or None
        None: it needs none.
    speed : str
        Its class: "fast", "medium", "slow", "very slow" (docs/models.md says what that means).
    is_for_tests : bool
        Not offered to people.
    """

    name: str
    summary: str
    capabilities: Capabilities
    factory: str
    devices: Callable[[], tuple[str, ...]] = field(default=_cpu_only)
    weights: Weights | None = None
    speed: str = ""
    is_for_tests: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it can be loaded without any download."""
        return self.weights is None or find_weights(self.weights) is not None


_ENTRIES: dict[str, ModelEntry] = {}


def register_model(entry: ModelEntry) -> None:
    """Make a model known under its name; an entry of the same name is replaced."""
    _ENTRIES[entry.name] = entry


_SUMMARIES = {
    "sam3": ("finds all objects that words or examples name, and follows them", "very slow"),
    "sam2.1-large": ("follows what is pointed at; the most exact of its family", "slow"),
    "sam2.1-base-plus": ("follows what is pointed at; between small and large", "slow"),
    "sam2.1-small": ("follows what is pointed at; a little more exact than tiny", "medium"),
    "sam2.1-tiny": ("follows what is pointed at; the quickest SAM 2.1", "medium"),
    "edgetam": ("follows what is pointed at; SAM 2 made small, for a CPU too", "medium"),
}


def _entry_of(weights: Weights) -> ModelEntry:
    """An entry for weights whose family is known."""
    family = FAMILIES[str(weights.model_type)]
    summary, speed = _SUMMARIES.get(weights.name, (f"a {family.title} model of your own", ""))
    return ModelEntry(
        weights.name,
        summary,
        family.capabilities,
        "napari_sam3.models.sam.load:load_sam",
        devices=_torch_devices,
        weights=weights,
        speed=speed,
    )


register_model(
    ModelEntry(
        EMBEDDED,
        "embedded: no weights, no download, any CPU",
        Capabilities(),
        "napari_sam3.models.optical_flow:OpticalFlowModel",
        speed="fast",
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
    """All models offered to people: ours with weights, the best first, the person's, the rest."""
    named = [_entry_of(weights) for weights in all_weights()]
    return (*named, *(entry for entry in _ENTRIES.values() if not entry.is_for_tests))


def find_model(model: str | Path) -> ModelEntry:
    """Find what a name, a folder or a hub id stands for ("auto" too). Nothing is downloaded.

    Raises
    ------
    ModelUnavailableError
        If it stands for nothing that can be loaded.
    WeightsMissingError
        If it is a hub id whose family can't be told before it is downloaded.
    """
    if model == "auto":
        return choose_model()[0]
    if str(model) in _ENTRIES:
        return _ENTRIES[str(model)]
    weights = find_source(model)
    if weights.model_type is None:
        raise state_of(weights).error()
    return _entry_of(weights)


def choose_model(device: str | None = None) -> tuple[ModelEntry, str]:
    """Say what "auto" stands for here, and why. Nothing is loaded or downloaded.

    The best model whose weights are on the disk and that fits into the free memory: with an
    accelerator SAM 3, SAM 2.1 from large to tiny, EdgeTAM; on a CPU EdgeTAM, SAM 2.1 tiny; else
    the embedded one. PyTorch is imported only if one of them is on the disk.

    Parameters
    ----------
    device : str, optional
        Where it shall run; the best device if left out.
    """
    wanted = os.environ.get(AUTO_VARIABLE)
    if wanted and wanted != "auto":
        return find_model(wanted), f"the variable {AUTO_VARIABLE} says so"
    embedded = _ENTRIES[EMBEDDED]
    ours = [_entry_of(weights) for weights in all_weights() if weights.name in KNOWN]
    there = [entry for entry in ours if entry.is_ready]
    if not there:
        return embedded, "no other model's weights are on this machine"
    try:
        where, free = _free_memory(device)
    except ModelUnavailableError as exc:
        return embedded, str(exc)
    if where == "cpu":
        quick = {entry.name: entry for entry in there}
        there = [quick[name] for name in ("edgetam", "sam2.1-tiny") if name in quick]
    for entry in there:
        need = 0 if entry.weights is None else entry.weights.memory_bytes
        if is_loaded(entry.name) or need <= free:
            return entry, (
                f"it is the best one on this disk for the device {where}, where "
                f"{format_bytes(free)} of memory are free"
            )
    if there:
        return embedded, f"for the others {format_bytes(free)} of free memory on {where} are few"
    return embedded, "those on this disk are too slow on a CPU; ask for one by its name"


def _free_memory(device: str | None) -> tuple[str, int]:
    """The device that will be used, and its free memory."""
    devices = _torch_devices()
    where = device if device in devices else devices[0]
    from napari_sam3.models.sam.device import Device

    try:
        memory = Device(where).memory()
    except RuntimeError as exc:  # a card that is broken, or all another program's
        raise ModelUnavailableError(f"the device {where!r} does not answer: {exc}") from exc
    if memory is not None:
        return where, memory.free
    import psutil

    return where, int(psutil.virtual_memory().available)


def load_model(
    model: str | Path | VideoModel = "auto",
    device: str | None = None,
    *,
    resolution: int | None = None,
) -> VideoModel:
    """Load a model. Nothing is downloaded.

    Parameters
    ----------
    model : str, path or VideoModel
        "auto" (the best one present), a name of `list_models`, a folder or a hub id in
        transformers' format, or a loaded model, which is given back as it is.
    device : str, optional
        One of the entry's devices, or "auto" for the best one; what the settings say if left out.
    resolution : int, optional
        Side of the square that the model sees, px; 0: its own; what the settings say if left
        out. A model without weights has none.

    Raises
    ------
    ModelUnavailableError
        If there is no such model, or not on that device.
    WeightsMissingError
        If its weights are not here; which one says why, its message what to do.
    """
    if not isinstance(device, str | None):
        raise ModelUnavailableError(f"device must be a name as 'cpu' or 'cuda', not {device!r}")
    if not isinstance(model, str | Path):
        if not all(hasattr(model, name) for name in ("name", "capabilities", "device", "start")):
            raise ModelUnavailableError(
                f"a {type(model).__name__} is no model; give a name, a folder or a loaded model"
            )
        return model
    settings = read_settings()
    wish = settings.device if device is None else device
    if model == "auto":
        entry, reason = choose_model(wish)
        logger.info("model 'auto': took %s, because %s", entry.name, reason)
    else:
        entry = find_model(model)
    # before PyTorch is imported for the devices
    state = None if entry.weights is None else state_of(entry.weights)
    if state is not None and state.folder is None:
        raise state.error()
    where = _choose_device(entry, wish, is_asked=device is not None)
    factory: Callable[..., VideoModel] = resolve_name(entry.factory)
    if state is None:
        loaded = factory(device=where)
    else:
        side = settings.resolution if resolution is None else resolution
        loaded = factory(state.folder, where, resolution=side or None, name=entry.name)
    note_loaded(loaded, entry.name)
    return loaded


class LoadedModel:
    """The model in use, kept from one piece of work to the next; another one takes its place.

    Attributes
    ----------
    busy : RLock
        Held by who works aside with the model: another one does not take its place meanwhile.
    elsewhere : callable or None
        Loads a model on another machine: of an address, then as `get`.
    compute : str
        That machine's address, where `get` names none; empty: here.
    """

    def __init__(self) -> None:
        self.elsewhere: Callable[[str, str, str | None, int | None], VideoModel] | None = None
        self.compute = ""
        self.busy = threading.RLock()
        self._model: VideoModel | None = None
        self._asked: tuple[object, ...] | None = None

    def get(
        self,
        name: str,
        device: str | None,
        resolution: int | None = None,
        compute: str | None = None,
    ) -> VideoModel:
        """Give the model, as `load_model` loads it if need be; `compute` names a machine."""
        compute = self.compute if compute is None else compute
        settings = read_settings()
        how = (settings.precision, settings.compile_encoder)
        asked = (name, device, resolution, compute, how)
        with self.busy:
            if self._model is None or self._asked != asked:
                self.close()
                if compute and self.elsewhere is not None:
                    self._model = self.elsewhere(compute, name, device, resolution)
                else:
                    self._model = load_model(name, device, resolution=resolution)
                self._asked = asked
            return self._model

    def close(self) -> None:
        """Give its memory back."""
        if self._model is not None:
            self._model.close()
        self._model, self._asked = None, None


def _choose_device(entry: ModelEntry, wish: str, *, is_asked: bool) -> str:
    """The device to use: the one wished for; where it is only a setting, as far as it can be."""
    devices = entry.devices()
    if wish in devices:
        return wish
    if wish != "auto" and is_asked:
        raise ModelUnavailableError(
            f"model {entry.name!r} does not run on device {wish!r} here; "
            f"choose one of: {', '.join(devices)}"
        )
    if wish != "auto":
        logger.info("model %r does not run on %r here; took %r", entry.name, wish, devices[0])
    return devices[0]


def models_that_take(kind: str) -> str:
    """Name the models that take a kind of prompt (a field of `Capabilities`), for a message."""
    names = [entry.name for entry in list_models() if getattr(entry.capabilities, kind)]
    return ", ".join(names) if names else "none"

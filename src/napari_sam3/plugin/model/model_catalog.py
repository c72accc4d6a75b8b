"""The models as a person is offered them: which are here, which is taken by "auto", where they run.

Looking at the disk takes time on some machines, and PyTorch, which knows the devices, takes
seconds to import: a survey is made in a thread. Where models run on workers of a scheduler, those
are offered that the workers told of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from napari_sam3.cluster import ModelThere
from napari_sam3.errors import ModelError, ModelUnavailableError
from napari_sam3.models.base import Capabilities
from napari_sam3.models.registry import (
    ModelEntry,
    choose_model,
    find_model,
    list_models,
    models_that_take,
)
from napari_sam3.models.weights import KNOWN, State, WeightsState, format_bytes, state_of

AUTO = "auto"

KINDS_OF_PROMPTS = {
    "text": "text",
    "exemplars": "examples",
    "points": "clicks",
    "boxes": "boxes",
    "masks": "painted masks",
}
"""What models may take, by the name of the capability, in words."""


@dataclass(frozen=True)
class ModelCatalog:
    """What was found.

    Attributes
    ----------
    entries : mapping of name to ModelEntry
        The models offered, and what "auto" stands for, if that is none of them.
    states : mapping of name to WeightsState
        Of those that have weights; empty before it was looked.
    auto : ModelEntry or None
        What "auto" stands for; None: not known, or nothing.
    devices : mapping of name to device names
        Only of the models that were asked about and can be loaded, the best device first.
    place : str
        Address of the scheduler whose workers it tells of; empty: this computer.
    n_workers : int
        So many have told; none before they were asked.
    n_ready : mapping of name to int
        On so many of them a model can be loaded.
    """

    entries: Mapping[str, ModelEntry] = field(default_factory=dict)
    states: Mapping[str, WeightsState] = field(default_factory=dict)
    auto: ModelEntry | None = None
    devices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    place: str = ""
    n_workers: int = 0
    n_ready: Mapping[str, int] = field(default_factory=dict)

    def entry(self, name: str) -> ModelEntry | None:
        """What a name stands for; None if that is not known."""
        return self.auto if name == AUTO else self.entries.get(name)

    def is_ready(self, name: str) -> bool:
        """Whether it can be loaded without a download, as far as is known."""
        entry = self.entry(name)
        if entry is not None and self.place:
            return self.n_workers == 0 or self.n_ready.get(entry.name, 0) > 0
        state = None if entry is None else self.states.get(entry.name)
        return state is None or state.is_ready

    def format_state(self, name: str) -> str:
        """A model's state, short enough to stand beside its name."""
        entry = self.entries[name]
        if not self.place:
            return format_state(entry, self.states.get(name))
        if self.n_workers == 0:
            return ""
        n_ready = self.n_ready.get(name, 0)
        if n_ready == 0:
            return "not there"
        return "✓ there" if n_ready == self.n_workers else f"✓ on {n_ready} of {self.n_workers}"

    def how_to_get(self, name: str) -> str:
        """How the weights come to the workers that lack them; empty where none is known to."""
        entry = self.entry(name)
        n_ready = 0 if entry is None else self.n_ready.get(entry.name, 0)
        if entry is None or not self.place or n_ready == self.n_workers:
            return ""
        if self.n_workers == 1:
            where = "the worker does not have"
        elif n_ready == 0:
            where = "no worker has"
        else:
            where = f"only {n_ready} of {self.n_workers} workers have"
        return (
            f"{where} the model {entry.name}: get it on the worker's own machine, by 'napari-sam3 "
            f"models get {entry.name}' there, then press Reconnect"
        )


def list_offers() -> ModelCatalog:
    """The models that are offered, without looking for their weights; takes no time."""
    return ModelCatalog({entry.name: entry for entry in list_models()})


def survey_workers(place: str, told: Mapping[str, Collection[ModelThere]]) -> ModelCatalog:
    """The models of a scheduler's workers, from what these have told; none: not asked yet.

    Parameters
    ----------
    place : str
        The scheduler's address.
    told : mapping of str to collection of ModelThere
        By the worker's address.
    """
    offers = {entry.name: entry for entry in list_models()}
    if not told:
        return ModelCatalog(offers, place=place)
    there = {model.name: model for models in told.values() for model in models}
    entries = {}
    for name in sorted(there, key=[*offers, *there].index):  # in the order of this computer's
        model = there[name]
        here = offers.get(name)
        if here is None or not (here.weights is None or name in KNOWN):
            # a person's own may be another one there, and no factory here makes it
            entries[name] = ModelEntry(
                name, model.summary, model.capabilities, factory="", speed=model.speed
            )
        else:  # whose licence is known here
            entries[name] = replace(here, capabilities=model.capabilities)
    ready = Counter(m.name for models in told.values() for m in models if m.is_ready)
    return ModelCatalog(entries, place=place, n_workers=len(told), n_ready=ready)


def survey_models(name: str) -> ModelCatalog:
    """Look for all weights, and for the devices of the model `name`; to be called in a thread."""
    entries = {entry.name: entry for entry in list_models()}
    if name not in (AUTO, *entries):
        with suppress(ModelError):  # said when it is used
            entries[name] = find_model(name)
    states = {
        name: state_of(entry.weights)
        for name, entry in entries.items()
        if entry.weights is not None
    }
    try:
        auto = choose_model()[0]
    except ModelError:  # said when it is used
        auto = None
    chosen = auto if name == AUTO else entries.get(name)
    devices = {}
    if chosen is not None and chosen.is_ready:
        try:
            devices[name] = chosen.devices()
        except ModelUnavailableError:  # said when it is used
            devices[name] = ()
    return ModelCatalog(entries, states, auto, devices)


def format_state(entry: ModelEntry, now: WeightsState | None) -> str:
    """A model's state, short enough to stand beside its name."""
    if entry.weights is None:
        return "embedded"
    if now is None:
        return ""
    size = now.weights.download_bytes
    to_come = "↓" if size is None else f"↓ {format_bytes(size)}"
    if now.state is State.TO_DOWNLOAD and now.partial_bytes:
        return f"{to_come}, begun"
    return {
        State.LOADED: "● loaded",
        State.ON_DISK: "✓ on disk",
        State.TO_DOWNLOAD: f"{to_come}, gated" if now.weights.is_gated else to_come,
        State.NOT_REQUESTED: "gated: not requested",
        State.PENDING: "gated: pending",
        State.REFUSED: "gated: refused",
        State.NO_TOKEN: f"{to_come}, gated",
        State.OFFLINE: "not here, offline",
        State.DAMAGED: "folder damaged",
    }[now.state]


def format_kinds(capabilities: Capabilities) -> str:
    """The kinds of prompts that a model takes, in words."""
    kinds = [word for kind, word in KINDS_OF_PROMPTS.items() if getattr(capabilities, kind)]
    return ", ".join(kinds) or "nothing"


def why_not_taken(catalog: ModelCatalog, entry: ModelEntry | None, kind: str) -> str:
    """Why a model can't use a kind of prompts, and which can; empty if it can, or is not known.

    Of a model that a worker will choose it is known where none that is ready there can. No kind
    is a kind that any can.
    """
    if not kind:
        return ""
    words = KINDS_OF_PROMPTS[kind]
    if entry is None:
        ready = [catalog.entries[name] for name, n_workers in catalog.n_ready.items() if n_workers]
        if not ready or any(getattr(one.capabilities, kind) for one in ready):
            return ""
        reason = f"No model that the workers have takes {words}."
    elif getattr(entry.capabilities, kind):
        return ""
    else:
        taken = format_kinds(entry.capabilities)
        reason = f"The model {entry.name} takes no {words}; it takes {taken}."
    return f"{reason} Models that take {words}: {models_that_take(kind)}."

"""From what a person says (a name, a folder, a hub id) to weights."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from napari_sam3.errors import ModelUnavailableError, UnknownModelError
from napari_sam3.models.weights.catalogue import FAMILIES, KNOWN, Family, Weights
from napari_sam3.models.weights.local_files import find_weights, read_family, what_is_missing
from napari_sam3.models.weights.models_file import OwnModel, read_own_models

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def all_weights() -> tuple[Weights, ...]:
    """All weights that have a name: ours, the best first, then the person's own."""
    own = read_own_models()
    ours = [_with_folder(weights, own.get(name)) for name, weights in KNOWN.items()]
    theirs = [
        _own_weights(name, model)
        for name, model in own.items()
        if name not in KNOWN and model.model_type in FAMILIES
    ]
    return (*ours, *theirs)


def find_source(model: str | Path) -> Weights:
    """Say which weights are meant. Nothing is downloaded.

    Parameters
    ----------
    model : str or path
        A name of `all_weights`, a folder in transformers' format, or a hub id, "who/what".

    Raises
    ------
    UnknownModelError
        If it is none of these.
    ModelUnavailableError
        If it is a folder whose model can't be loaded.
    """
    name = str(model)
    known = {weights.name: weights for weights in all_weights()}
    if isinstance(model, str) and name in known:
        return known[name]
    folder = folder_at(model)
    if folder is not None:
        family = whole_family(folder)
        return Weights(name, folder=folder.resolve(), model_type=family.model_type)
    if isinstance(model, str) and HUB_ID.fullmatch(name):
        for weights in known.values():
            if weights.repo_id == name:
                return weights
        weights = Weights(name, name)
        snapshot = find_weights(weights)
        if snapshot is None:
            return weights
        return replace(weights, model_type=read_family(snapshot).model_type)
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise UnknownModelError(
        f"no model is called {name!r}, and it is neither a folder nor a hub id such as "
        f"'facebook/sam3'{hint} These have names: {', '.join(['auto', 'optical-flow', *known])}"
    )


def folder_at(place: str | Path) -> Path | None:
    """The folder that is meant; None if there is none, or none that may be looked at."""
    if not str(place):
        return None
    try:
        folder = Path(place).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long, closed; "~somebody" who is not known here
        return None


def _with_folder(weights: Weights, own: OwnModel | None) -> Weights:
    """Ours, at the place that the person has named for them."""
    if own is None:
        return weights
    if own.folder is None:
        return replace(weights, repo_id=own.repo_id, is_gated=False, download_bytes=None)
    return replace(weights, folder=own.folder)


def _own_weights(name: str, own: OwnModel) -> Weights:
    alike = [w.memory_bytes for w in KNOWN.values() if w.model_type == own.model_type]
    return Weights(
        name,
        own.repo_id,
        folder=own.folder,
        model_type=own.model_type,
        memory_bytes=max(alike, default=Weights.memory_bytes),
    )


def whole_family(folder: Path) -> Family:
    """The family of the model in a folder, if all of it is there."""
    family = read_family(folder)
    fault = what_is_missing(folder)
    if fault is not None:
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} is not whole: {fault}. Copy all its files again"
        )
    return family

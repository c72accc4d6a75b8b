"""From what a person says (a name, a folder, a hub id) to weights."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.weights.catalogue import KNOWN, Weights
from napari_sam3.models.weights.disk import find_weights, what_is_missing
from napari_sam3.models.weights.family import CONFIG, FAMILIES, Family, family_of, read_family
from napari_sam3.models.weights.remembered import (
    OwnModel,
    forget_model,
    memory_path,
    own_models,
    remember_model,
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_TAKEN = ("auto", "optical-flow", "fake")


def all_weights() -> tuple[Weights, ...]:
    """All weights that have a name: ours, the best first, then the person's own."""
    own = own_models()
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
    ModelUnavailableError
        If it is none of these, or a folder whose model can't be loaded.
    """
    name = str(model)
    known = {weights.name: weights for weights in all_weights()}
    if isinstance(model, str) and name in known:
        return known[name]
    folder = _folder_at(model)
    if folder is not None:
        family = _whole_family(folder)
        return Weights(name, folder=folder.resolve(), model_type=family.model_type)
    if isinstance(model, str) and _HUB_ID.fullmatch(name):
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
    raise ModelUnavailableError(
        f"no model is called {name!r}, and it is neither a folder nor a hub id such as "
        f"'facebook/sam3'{hint} These have names: {', '.join(['auto', 'optical-flow', *known])}"
    )


def use_folder(place: str | Path, name: str | None = None) -> Weights:
    """Remember a model of the person's own: a folder, or a hub id, in transformers' format.

    A folder may stand in for a model of ours (`name="sam3"`), for a machine without net. Of a
    hub id that is not on the disk only `config.json` is asked for.

    Parameters
    ----------
    place : str or path
        The folder, or "who/what".
    name : str, optional
        What to call it; the folder's or repository's name if left out.

    Returns
    -------
    Weights
        As `find_source(name)` gives them from now on.

    Raises
    ------
    ModelUnavailableError
        If it holds no model of our families, is not whole, or the name can't be used.
    WeightsMissingError
        If it is a hub id and the hub can't be asked or gives no access.
    """
    folder = _folder_at(place)
    if folder is not None:
        family = _whole_family(folder)
        called = _check_name(name or folder.resolve().name, family)
        model = OwnModel(folder.resolve(), None, family.model_type)
    elif isinstance(place, str) and _HUB_ID.fullmatch(place):
        family = _hub_family(place)
        called = _check_name(name or place.partition("/")[2], family)
        model = OwnModel(None, place, family.model_type)
    else:
        raise ModelUnavailableError(
            f"{str(place)!r} is neither a folder nor a hub id such as 'facebook/sam3'"
        )
    try:
        remember_model(called, model)
    except OSError as exc:
        raise ModelUnavailableError(
            f"the name {called!r} can't be kept in {str(memory_path())!r}: {exc}; make it "
            f"writable, or ask for the model each time by its place: {place}"
        ) from exc
    return find_source(called)


def forget(name: str) -> bool:
    """Forget a name given by `use_folder`; the files stay. Says whether it was known.

    Raises
    ------
    ModelUnavailableError
        If that can't be kept.
    """
    try:
        return forget_model(name)
    except OSError as exc:
        raise ModelUnavailableError(
            f"{name!r} can't be taken out of {str(memory_path())!r}: {exc}; make it writable"
        ) from exc


def _folder_at(place: str | Path) -> Path | None:
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


def _whole_family(folder: Path) -> Family:
    family = read_family(folder)
    fault = what_is_missing(folder)
    if fault is not None:
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} is not whole: {fault}. Copy all its files again"
        )
    return family


def _hub_family(repo_id: str) -> Family:
    weights = Weights(repo_id, repo_id)
    snapshot = find_weights(weights)
    if snapshot is not None:
        return read_family(snapshot)
    from napari_sam3.models.weights.hub import fetch_config

    return family_of(fetch_config(weights), f"{repo_id}/{CONFIG}")


def _check_name(name: str, family: Family) -> str:
    if name in _TAKEN or not _NAME.fullmatch(name):
        raise ModelUnavailableError(
            f"{name!r} can't be a model's name; choose one of letters, digits, dots and dashes "
            f"other than {', '.join(_TAKEN)} (in a terminal: --name NAME)"
        )
    ours = KNOWN.get(name)
    if ours is not None and ours.model_type != family.model_type:
        raise ModelUnavailableError(
            f"{name!r} is a {FAMILIES[str(ours.model_type)].title} model, and this one is "
            f"{family.title}; give it another name (in a terminal: --name NAME)"
        )
    return name

"""Models of the person's own: folders and hub ids that are given a name."""

from __future__ import annotations

import re
from pathlib import Path

from napari_sam3.errors import ModelUnavailableError, UnknownModelError
from napari_sam3.models.weights.catalogue import FAMILIES, KNOWN, Family, Weights
from napari_sam3.models.weights.hub import fetch_config
from napari_sam3.models.weights.local_files import CONFIG, family_of, find_weights, read_family
from napari_sam3.models.weights.models_file import (
    OwnModel,
    delete_own_model,
    models_path,
    write_own_model,
)
from napari_sam3.models.weights.sources import HUB_ID, find_source, folder_at, whole_family

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_TAKEN = ("auto", "optical-flow", "fake")


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
    UnknownModelError
        If there is no such folder.
    ModelUnavailableError
        If it holds no model of our families, is not whole, or the name can't be used.
    WeightsMissingError
        If it is a hub id and the hub can't be asked or gives no access.
    """
    folder = folder_at(place)
    if folder is not None:
        family = whole_family(folder)
        called = _check_name(name or folder.resolve().name, family)
        model = OwnModel(folder.resolve(), None, family.model_type)
    elif isinstance(place, str) and HUB_ID.fullmatch(place):
        family = _hub_family(place)
        called = _check_name(name or place.partition("/")[2], family)
        model = OwnModel(None, place, family.model_type)
    else:
        raise UnknownModelError(
            f"{str(place)!r} is neither a folder nor a hub id such as 'facebook/sam3'"
        )
    try:
        write_own_model(called, model)
    except OSError as exc:
        raise ModelUnavailableError(
            f"the name {called!r} can't be kept in {str(models_path())!r}: {exc}; make it "
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
        return delete_own_model(name)
    except OSError as exc:
        raise ModelUnavailableError(
            f"{name!r} can't be taken out of {str(models_path())!r}: {exc}; make it writable"
        ) from exc


def _hub_family(repo_id: str) -> Family:
    weights = Weights(repo_id, repo_id)
    snapshot = find_weights(weights)
    if snapshot is not None:
        return read_family(snapshot)
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

"""The families of models that can be loaded, and how a folder says which one it holds.

A folder in transformers' format has a `config.json` whose `model_type` names the architecture;
that is what decides, never the folder's name. Neither torch nor transformers is needed to read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.base import Capabilities

CONFIG = "config.json"

_CLICKS = Capabilities()
_CONCEPTS = Capabilities(text=True, exemplars=True)


@dataclass(frozen=True)
class Family:
    """Models of one architecture.

    Attributes
    ----------
    model_type : str
        What `config.json` calls it.
    title : str
        What people call it.
    capabilities : Capabilities
        The prompts that its models take.
    """

    model_type: str
    title: str
    capabilities: Capabilities


FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        Family("sam3_video", "SAM 3", _CONCEPTS),
        Family("sam3_tracker_video", "SAM 3 tracker", _CLICKS),
        Family("sam2_video", "SAM 2", _CLICKS),
        Family("edgetam_video", "EdgeTAM", _CLICKS),
    )
}

_RELATIVES = {
    "sam2": "SAM 2 for single pictures",
    "edgetam": "EdgeTAM for single pictures",
    "sam3": "SAM 3 for single pictures",
    "sam3_tracker": "the SAM 3 tracker for single pictures",
    "sam3_lite_text": "SAM 3 lite-text for single pictures",
    "sam": "SAM 1, which knows no video",
}


def read_family(folder: str | Path) -> Family:
    """Say which family a folder's model is of.

    Parameters
    ----------
    folder : path
        With a `config.json` in transformers' format.

    Raises
    ------
    ModelUnavailableError
        If there is none, it can't be read, or its architecture is not one of `FAMILIES`.
    """
    folder = Path(folder)
    path = folder / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelUnavailableError(
            f"the folder {str(folder)!r} holds no model: there is no {CONFIG} in it. "
            + _other_format(folder)
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelUnavailableError(f"{str(path)!r} can't be read: {exc}") from exc
    return family_of(text, str(path))


def family_of(config_text: str, where: str) -> Family:
    """Say which family a `config.json` speaks of; `where` is named if it is none."""
    try:
        config: Any = json.loads(config_text)
    except (ValueError, RecursionError) as exc:
        raise ModelUnavailableError(f"{where!r} is no JSON, so it tells no model: {exc}") from exc
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str):
        raise ModelUnavailableError(
            f"{where!r} names no model_type; a model in transformers' format does"
        )
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    known = ", ".join(f"{family.title} ({name})" for name, family in FAMILIES.items())
    if model_type in _RELATIVES:
        raise ModelUnavailableError(
            f"{where!r} is of {_RELATIVES[model_type]} (model_type {model_type!r}); tracking "
            f"needs the video model. These families are read: {known}"
        )
    raise ModelUnavailableError(
        f"{where!r} has the model_type {model_type!r}; these families are read: {known}"
    )


def _other_format(folder: Path) -> str:
    """What to do with a folder that holds something else."""
    if not folder.is_dir():
        return "There is no such folder"
    if any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        return (
            "A .pt checkpoint of the original code must be converted to transformers' format first"
        )
    inner = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    if inner:
        return f"The folder {inner[0]!r} inside it has one; name that"
    return "Name the folder that was written by save_pretrained, or downloaded from the hub"

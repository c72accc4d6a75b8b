"""What masks of a model depend on besides its weights: what was set when it was used.

A project notes it with a run, so that one that was stopped is not gone on with otherwise unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_sam3.settings import Settings

MaskSettings = Mapping[str, str | int | bool]
"""By the names that they have in `Settings`; empty where nothing is known, or nothing counts."""

MOST_SETTINGS, LONGEST = 100, 100
"""Settings that are taken from outside, and signs of their names and values."""

OF_MACHINE = frozenset({"precision", "compile_encoder"})
"""Those that a machine has a say in: what was computed on one is gone on with on another."""


def mask_settings_of(model: Any) -> MaskSettings:
    """What the masks of a loaded model depend on, as it is set now; a model need not say."""
    told: MaskSettings = getattr(model, "mask_settings", {})
    return told


def read_mask_settings(said: Any) -> MaskSettings:
    """What a file or a worker says that masks depend on.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not isinstance(said, dict) or len(said) > MOST_SETTINGS:
        raise ValueError(said)
    for name, value in said.items():
        texts = [name] if isinstance(value, bool | int) else [name, value]
        if not all(isinstance(text, str) and len(text) <= LONGEST for text in texts):
            raise ValueError(said)
    return dict(said)


def memory_settings(settings: Settings, model_type: str) -> dict[str, str | int | bool]:
    """Those of them that say what a model of the SAM family looks at of the past.

    Parameters
    ----------
    settings : Settings
    model_type : str
        As in its `config.json`. Where it is left to a model's makers, SAM 3 selects its memories
        and the others don't.
    """
    selects = settings.memory_selection
    if selects == "auto":
        selects = "on" if model_type.startswith("sam3") else "off"
    return {
        "memory_selection": selects,
        "prompted_frames": settings.prompted_frames,
        "distractor_memory": settings.distractor_memory,
        "motion_prior": settings.motion_prior,
    }


def differing(then: MaskSettings, now: MaskSettings, *, of_machine: bool = False) -> str:
    """Say what is set otherwise, as far as both are known; empty if nothing is.

    Parameters
    ----------
    then, now : MaskSettings
    of_machine : bool
        Whether those are meant that a machine has a say in, or all others.
    """
    return ", ".join(
        f"{name} {_word(value)}, now {_word(now[name])}"
        for name, value in then.items()
        if name in now and now[name] != value and (name in OF_MACHINE) == of_machine
    )


def _word(value: str | int | bool) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)

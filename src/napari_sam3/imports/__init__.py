"""Labels in: masks drawn or tracked elsewhere, read frame by frame from the formats of `export`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.imports.label_file import LabelFile
    from napari_sam3.imports.open import open_labels
    from napari_sam3.imports.prompts import prompt_with_labels

_HOMES = {"LabelFile": "label_file", "open_labels": "open", "prompt_with_labels": "prompts"}

__all__ = ["LabelFile", "open_labels", "prompt_with_labels"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

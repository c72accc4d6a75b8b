"""Results out: one file a format; each as a writer for a stream of results, and as a function.

The names are loaded when they are first used: each format brings a library of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.export.base import ResultWriter
    from napari_sam3.export.overlay import OverlayWriter, draw_overlay, export_overlay
    from napari_sam3.export.png import LabelPngWriter, export_labels_png
    from napari_sam3.export.table import TableWriter, export_table
    from napari_sam3.export.tiff import LabelTiffWriter, export_labels_tiff

_HOMES = {
    "LabelPngWriter": "png",
    "LabelTiffWriter": "tiff",
    "OverlayWriter": "overlay",
    "ResultWriter": "base",
    "TableWriter": "table",
    "draw_overlay": "overlay",
    "export_labels_png": "png",
    "export_labels_tiff": "tiff",
    "export_overlay": "overlay",
    "export_table": "table",
}

__all__ = [
    "LabelPngWriter",
    "LabelTiffWriter",
    "OverlayWriter",
    "ResultWriter",
    "TableWriter",
    "draw_overlay",
    "export_labels_png",
    "export_labels_tiff",
    "export_overlay",
    "export_table",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Results out: one file a format; each as a writer for a stream of results, and as a function.

The names are loaded when they are first used: each format brings a library of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.export.coco import CocoWriter, export_coco
    from napari_sam3.export.csv_table import TableWriter, export_table
    from napari_sam3.export.ctc import CtcWriter, export_ctc
    from napari_sam3.export.davis import DavisWriter, export_davis
    from napari_sam3.export.geff import GeffWriter, export_geff
    from napari_sam3.export.mot import MotWriter, export_mot
    from napari_sam3.export.ome_zarr import OmeZarrWriter, export_ome_zarr
    from napari_sam3.export.overlay import OverlayWriter, draw_overlay, export_overlay
    from napari_sam3.export.png import LabelPngWriter, export_labels_png
    from napari_sam3.export.registry import Scene, open_writer
    from napari_sam3.export.tiff import LabelTiffWriter, export_labels_tiff
    from napari_sam3.export.writer import ResultWriter
    from napari_sam3.export.youtube_vis import YoutubeVisWriter, export_youtube_vis

_NAMES = {
    "coco": ("CocoWriter", "export_coco"),
    "csv_table": ("TableWriter", "export_table"),
    "ctc": ("CtcWriter", "export_ctc"),
    "davis": ("DavisWriter", "export_davis"),
    "geff": ("GeffWriter", "export_geff"),
    "mot": ("MotWriter", "export_mot"),
    "ome_zarr": ("OmeZarrWriter", "export_ome_zarr"),
    "overlay": ("OverlayWriter", "draw_overlay", "export_overlay"),
    "png": ("LabelPngWriter", "export_labels_png"),
    "registry": ("Scene", "open_writer"),
    "tiff": ("LabelTiffWriter", "export_labels_tiff"),
    "writer": ("ResultWriter",),
    "youtube_vis": ("YoutubeVisWriter", "export_youtube_vis"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "CocoWriter",
    "CtcWriter",
    "DavisWriter",
    "GeffWriter",
    "LabelPngWriter",
    "LabelTiffWriter",
    "MotWriter",
    "OmeZarrWriter",
    "OverlayWriter",
    "ResultWriter",
    "Scene",
    "TableWriter",
    "YoutubeVisWriter",
    "draw_overlay",
    "export_coco",
    "export_ctc",
    "export_davis",
    "export_geff",
    "export_labels_png",
    "export_labels_tiff",
    "export_mot",
    "export_ome_zarr",
    "export_overlay",
    "export_table",
    "export_youtube_vis",
    "open_writer",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

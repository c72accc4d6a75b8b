"""Results out: one file a format; each as a writer for a stream of results, and as a function.

The names are loaded when they are first used: each format brings a library of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.export.base import ResultWriter
    from napari_sam3.export.coco import CocoWriter, export_coco
    from napari_sam3.export.ctc import CtcWriter, export_ctc
    from napari_sam3.export.davis import DavisWriter, export_davis
    from napari_sam3.export.formats import Scene, open_writer
    from napari_sam3.export.geff import GeffWriter, export_geff
    from napari_sam3.export.mot import MotWriter, export_mot
    from napari_sam3.export.ome_zarr import OmeZarrWriter, export_ome_zarr
    from napari_sam3.export.overlay import OverlayWriter, draw_overlay, export_overlay
    from napari_sam3.export.png import LabelPngWriter, export_labels_png
    from napari_sam3.export.table import TableWriter, export_table
    from napari_sam3.export.tiff import LabelTiffWriter, export_labels_tiff
    from napari_sam3.export.youtube_vis import YoutubeVisWriter, export_youtube_vis

_HOMES = {
    "CocoWriter": "coco",
    "CtcWriter": "ctc",
    "DavisWriter": "davis",
    "GeffWriter": "geff",
    "LabelPngWriter": "png",
    "LabelTiffWriter": "tiff",
    "MotWriter": "mot",
    "OmeZarrWriter": "ome_zarr",
    "OverlayWriter": "overlay",
    "ResultWriter": "base",
    "Scene": "formats",
    "TableWriter": "table",
    "YoutubeVisWriter": "youtube_vis",
    "draw_overlay": "overlay",
    "export_coco": "coco",
    "export_ctc": "ctc",
    "export_davis": "davis",
    "export_geff": "geff",
    "export_labels_png": "png",
    "export_labels_tiff": "tiff",
    "export_mot": "mot",
    "export_ome_zarr": "ome_zarr",
    "export_overlay": "overlay",
    "export_table": "table",
    "export_youtube_vis": "youtube_vis",
    "open_writer": "formats",
}

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

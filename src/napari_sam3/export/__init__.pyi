from .coco import CocoWriter as CocoWriter, export_coco as export_coco
from .csv_table import TableWriter as TableWriter, export_table as export_table
from .ctc import CtcWriter as CtcWriter, export_ctc as export_ctc
from .davis import DavisWriter as DavisWriter, export_davis as export_davis
from .geff import GeffWriter as GeffWriter, export_geff as export_geff
from .mot import MotWriter as MotWriter, export_mot as export_mot
from .ome_zarr import OmeZarrWriter as OmeZarrWriter, export_ome_zarr as export_ome_zarr
from .overlay import (
    OverlayWriter as OverlayWriter,
    draw_overlay as draw_overlay,
    export_overlay as export_overlay,
)
from .png import LabelPngWriter as LabelPngWriter, export_labels_png as export_labels_png
from .registry import Scene as Scene, open_writer as open_writer
from .tiff import LabelTiffWriter as LabelTiffWriter, export_labels_tiff as export_labels_tiff
from .writer import ResultWriter as ResultWriter
from .youtube_vis import (
    YoutubeVisWriter as YoutubeVisWriter,
    export_youtube_vis as export_youtube_vis,
)

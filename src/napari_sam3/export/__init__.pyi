from .coco import CocoWriter as CocoWriter, export_coco as export_coco
from .csv_table import TableWriter as TableWriter, export_table as export_table
from .ctc import CtcWriter as CtcWriter, export_ctc as export_ctc
from .cvat import CvatWriter as CvatWriter, export_cvat as export_cvat
from .davis import DavisWriter as DavisWriter, export_davis as export_davis
from .geff import GeffWriter as GeffWriter, export_geff as export_geff
from .imagej_rois import (
    ImageJRoiWriter as ImageJRoiWriter,
    export_imagej_rois as export_imagej_rois,
)
from .label_studio import (
    LabelStudioWriter as LabelStudioWriter,
    export_label_studio as export_label_studio,
)
from .labelme import LabelmeWriter as LabelmeWriter, export_labelme as export_labelme
from .mot import MotWriter as MotWriter, export_mot as export_mot
from .ome_zarr import OmeZarrWriter as OmeZarrWriter, export_ome_zarr as export_ome_zarr
from .overlay import (
    OverlayWriter as OverlayWriter,
    draw_overlay as draw_overlay,
    export_overlay as export_overlay,
)
from .pictures import FramePictures as FramePictures
from .png import LabelPngWriter as LabelPngWriter, export_labels_png as export_labels_png
from .registry import Scene as Scene, open_writer as open_writer
from .tiff import LabelTiffWriter as LabelTiffWriter, export_labels_tiff as export_labels_tiff
from .trackmate import TrackMateWriter as TrackMateWriter, export_trackmate as export_trackmate
from .writer import ResultWriter as ResultWriter
from .yolo import YoloWriter as YoloWriter, export_yolo as export_yolo
from .youtube_vis import (
    YoutubeVisWriter as YoutubeVisWriter,
    export_youtube_vis as export_youtube_vis,
)

"""The sample in napari's File > Open Sample menu."""

from __future__ import annotations

from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.layers.video_layer import LayerData, video_layer


def dividing_cells() -> list[LayerData]:
    """Open the generated movie of dividing cells, and its ground truth as a hidden layer.

    The files are generated at the first call (some seconds) and kept in the user's cache folder.

    Returns
    -------
    list of layer data
        The video as an image layer; its labels, (T, H, W) uint16, with an `ObjectTable` of the
        divisions as `objects` in the metadata.

    Raises
    ------
    VideoError
        If the files can't be written or read.
    """
    import tifffile

    from napari_sam3.plugin.layers.features_table import OBJECTS, make_features
    from napari_sam3.samples import read_lineage, sample_paths
    from napari_sam3.video import open_video

    paths = sample_paths()
    video, arguments, kind = video_layer(open_video(paths.video))
    arguments["name"] = "dividing cells"
    lineage = read_lineage(paths.lineage)
    objects = ObjectTable.from_parents(
        {track.cell_id: track.parent for track in lineage if track.parent},
        {track.cell_id: track.first for track in lineage},
        classes={track.cell_id: "cell" for track in lineage},
    )
    truth = {
        "name": "dividing cells truth",
        "visible": False,
        "metadata": {OBJECTS: objects},
        "features": make_features((), objects),
        **{key: arguments[key] for key in ("scale", "units", "axis_labels")},
    }
    return [(video, arguments, kind), (tifffile.imread(paths.truth), truth, "labels")]

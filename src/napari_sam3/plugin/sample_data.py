"""The sample in napari's File > Open Sample menu."""

from __future__ import annotations

from napari_sam3.plugin.reader import LayerData, video_layer


def dividing_cells() -> list[LayerData]:
    """Open the generated movie of dividing cells, and its ground truth as a hidden layer.

    The files are generated at the first call (some seconds) and kept in the user's cache folder.

    Returns
    -------
    list of layer data
        The video as an image layer; its labels, (T, H, W) uint16, with `parents` (id -> id of
        the mother cell) in the metadata.

    Raises
    ------
    VideoError
        If the files can't be written or read.
    """
    import tifffile

    from napari_sam3.samples import read_lineage, sample_paths
    from napari_sam3.video import open_video

    paths = sample_paths()
    video, arguments, kind = video_layer(open_video(paths.video))
    arguments["name"] = "dividing cells"
    truth = {
        "name": "dividing cells truth",
        "visible": False,
        "metadata": {
            "parents": {t.cell_id: t.parent for t in read_lineage(paths.lineage) if t.parent}
        },
        **{key: arguments[key] for key in ("scale", "units", "axis_labels")},
    }
    return [(video, arguments, kind), (tifffile.imread(paths.truth), truth, "labels")]

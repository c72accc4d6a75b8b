"""Files of other tools that are dropped on napari: labels, boxes, points and tracks as layers."""

from __future__ import annotations

import json

import npe2
import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes, Tracks
from PIL import Image as Picture

from napari_sam3.errors import VideoError
from napari_sam3.plugin.io.label_reader import get_label_reader
from napari_sam3.plugin.layers.prompt_reader import prompts_from_layers
from napari_sam3.plugin.layers.stack_axes import StackAxes

SIZE = (20, 30)
KINDS = {"image": Image, "labels": Labels, "shapes": Shapes, "points": Points, "tracks": Tracks}


def opened(path):
    """The layers that a path becomes, by kind."""
    reader = get_label_reader(str(path))
    assert reader is not None
    return {kind: KINDS[kind](data, **more) for data, more, kind in reader(str(path))}


def pictures(folder, n=3):
    folder.mkdir(exist_ok=True)
    for i in range(n):
        Picture.fromarray(np.full(SIZE, 10 * i, np.uint8)).save(folder / f"f{i}.png")
    return folder


def film(scale=(1, 1, 1)):
    return Image(np.zeros((6, *SIZE), np.uint8), scale=scale)


def labelme(path, *shapes):
    said = [
        {"label": "cell", "points": points, "group_id": group, "shape_type": kind}
        for kind, group, points in shapes
    ]
    size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    path.write_text(json.dumps({"shapes": said, "imagePath": "f0.png", **size}))
    return path


def trackmate(path, roi=""):
    spots = "".join(
        f'<Spot ID="{n}" FRAME="{t}" POSITION_X="{x}" POSITION_Y="4" POSITION_Z="0" RADIUS="3" '
        f'ROI_N_POINTS="{len(roi.split()) // 2}" VISIBILITY="1">{roi}</Spot>'
        for n, t, x in ((1, 0, 5), (2, 1, 6), (3, 2, 4), (4, 2, 8), (5, 3, 9))
    )
    edges = "".join(
        f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}"/>'
        for a, b in ((1, 2), (2, 3), (2, 4), (4, 5))
    )
    path.write_text(
        f'<TrackMate version="7"><Model spatialunits="pixel" timeunits="frame"><AllSpots>{spots}'
        f'</AllSpots><AllTracks><Track TRACK_ID="0">{edges}</Track></AllTracks></Model><Settings>'
        f'<ImageData height="{SIZE[0]}" width="{SIZE[1]}" nframes="6" pixelwidth="1" '
        'pixelheight="1" timeinterval="1"/></Settings></TrackMate>'
    )
    return path


def test_boxes_become_shapes_that_say_the_same(tmp_path):
    path = tmp_path / "mot.txt"
    path.write_text("2,7,3,4,10,5,1,-1,-1,-1\n5,8,1,1,4,4,1,-1,-1,-1\n")
    layers = opened(path)
    assert list(layers) == ["shapes"]
    said = prompts_from_layers(film(), StackAxes(0), None, layers["shapes"])
    assert [(p.frame_index, p.obj_id) for p in said] == [(1, 7), (4, 8)]
    assert [p.box_xyxy.tolist() for p in said] == [[2, 3, 12, 8], [0, 0, 4, 4]]


def test_labels_and_boxes_of_one_file_become_a_layer_each(tmp_path):
    square = [[2, 2], [6, 2], [6, 6], [2, 6]]
    path = labelme(
        tmp_path / "f0.json",
        ("polygon", 4, square),
        ("rectangle", 5, [[10, 10], [14, 15]]),
        ("point", 6, [[20.5, 8.5]]),
    )
    with pytest.warns(UserWarning, match="left out"):
        layers = opened(path)
    assert list(layers) == ["labels", "shapes", "points"]
    assert np.unique(layers["labels"].data[0]).tolist() == [0, 4]
    said = prompts_from_layers(film(), StackAxes(0), layers["points"], layers["shapes"])
    assert [(p.frame_index, p.obj_id) for p in said] == [(0, 5), (0, 6)]
    assert said[1].points_xy.tolist() == [[20.5, 8.5]]


def test_a_folder_of_pictures_with_labels_beside_them_is_a_video_with_labels(tmp_path):
    folder = pictures(tmp_path / "film")
    labelme(folder / "f1.json", ("polygon", 4, [[2, 2], [6, 2], [6, 6]]))
    layers = opened(folder)
    assert list(layers) == ["image", "labels"]
    assert layers["image"].data.shape == layers["labels"].data.shape == (3, *SIZE)
    assert np.unique(layers["labels"].data[1]).tolist() == [0, 4]


def test_spots_become_points_and_tracks_with_their_divisions(tmp_path):
    layers = opened(trackmate(tmp_path / "cells.xml"))
    assert list(layers) == ["points", "tracks"]
    assert layers["points"].size.tolist() == [6] * 5
    assert layers["points"].features["object"].tolist() == [1, 1, 2, 3, 3]
    tracks = layers["tracks"]
    assert tracks.graph == {2: [1], 3: [1]}
    assert tracks.data[tracks.data[:, 0] == 3].tolist() == [[3, 2, 4, 8], [3, 3, 4, 9]]
    said = prompts_from_layers(film(), StackAxes(0), layers["points"])
    assert said[0].points_xy.tolist() == [[5.5, 4.5]]


def test_outlines_of_spots_become_labels_with_tracks(tmp_path):
    layers = opened(trackmate(tmp_path / "cells.xml", "-1.5 -1.5 1.5 -1.5 1.5 1.5 -1.5 1.5"))
    assert list(layers) == ["labels", "tracks"]
    assert (layers["labels"].data[0] == 1).sum() == 9
    assert [d.daughters for d in layers["labels"].metadata["objects"].divisions] == [(2, 3)]


def test_what_tells_no_scale_lies_on_the_video_in_the_window(tmp_path, make_napari_viewer):
    viewer = make_napari_viewer()
    video = viewer.add_image(film().data, scale=(0.04, 0.5, 0.5))
    path = tmp_path / "mot.txt"
    path.write_text("2,7,3,4,10,5,1,-1,-1,-1\n")
    layers = opened(path)
    said = prompts_from_layers(video, StackAxes(0), None, layers["shapes"])
    assert [(p.frame_index, p.box_xyxy.tolist()) for p in said] == [(1, [2, 3, 12, 8])]
    labels = opened(labelme(tmp_path / "a.json", ("polygon", 1, [[2, 2], [6, 2], [6, 6]])))
    assert labels["labels"].scale.tolist() == pytest.approx([0.04, 0.5, 0.5])


@pytest.mark.parametrize("name", ["gt.txt", "cells.xml", "a_seg.npy", "f0.json"])
def test_they_are_found_through_npe2(tmp_path, npe2pm, name):
    path = tmp_path / name
    if name == "gt.txt":
        path.write_text("2,7,3,4,10,5,1,-1,-1,-1\n")
    elif name == "cells.xml":
        trackmate(path)
    elif name == "f0.json":
        labelme(path, ("polygon", 1, [[2, 2], [6, 2], [6, 6]]))
    else:
        np.save(path, {"masks": np.ones(SIZE, np.uint16)}, allow_pickle=True)
    with npe2pm.tmp_plugin(package="napari-sam3"):
        layers = npe2.read([str(path)], stack=False)
    assert layers[0][2] in ("labels", "shapes", "points")


def test_what_is_something_else_is_left_to_others_or_refused_by_what_it_is(tmp_path):
    others = {"notes_gt.txt": "notes", "a.xml": "<svg/>", "a.h5": "no", "b.xml": "", "c.npy": ""}
    for name, text in others.items():
        (tmp_path / name).write_text(text)
        assert get_label_reader(str(tmp_path / name)) is None
    (tmp_path / "a_seg.npy").write_bytes(b"no array")
    with pytest.raises(VideoError, match="can't be read"):
        opened(tmp_path / "a_seg.npy")
    bad = tmp_path / "gt.txt"
    bad.write_text("1,-1,3,4,10,5\n")
    with pytest.raises(VideoError, match="detections without tracks"):
        opened(bad)

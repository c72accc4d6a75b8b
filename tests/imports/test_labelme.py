"""LabelMe's files: shapes of one group are one object, drawn as LabelMe draws them."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.imports.foreign import told_of

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports import open_labels, open_prompts
from napari_sam3.labels.lineage import Division

SIZE = (10, 12)


def shape(points, kind="polygon", group=None, label="cell", **more):
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "shape_type": kind,
        "flags": {},
        **more,
    }


def write(path, *shapes, size=SIZE, **more):
    path.write_text(
        json.dumps(
            {
                "version": "5.4.1",
                "flags": {},
                "shapes": shapes,
                "imagePath": path.with_suffix(".png").name,
                "imageData": None,
                "imageHeight": size[0],
                "imageWidth": size[1],
                **more,
            }
        )
    )
    return path


def png(mask):
    file = io.BytesIO()
    Image.fromarray(np.asarray(mask, np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def bomb():
    """A picture of few bytes that says it has 10^9 px."""
    data = bytearray(base64.b64decode(png([[1]])))
    head = b"IHDR" + struct.pack(">II", 2**15, 2**15) + data[24:29]
    data[12:33] = head + struct.pack(">I", zlib.crc32(head))
    return base64.b64encode(data).decode()


SQUARE = [[1, 2], [4, 2], [4, 5], [1, 5]]


def test_what_an_outline_touches_belongs_to_it(tmp_path):
    """A square from 1 to 4 has four columns: LabelMe has Pillow draw its outline too."""
    labels = open_labels(write(tmp_path / "a.json", shape(SQUARE, group=3)))
    expected = np.zeros(SIZE)
    expected[2:6, 1:5] = 3
    assert labels.shape == (1, *SIZE)
    np.testing.assert_array_equal(labels[0], expected)
    assert labels.objects[3].class_name == "cell"


def test_shapes_of_a_group_are_one_object_and_others_new_ones(tmp_path):
    mask = shape([[6, 6], [8, 7]], "mask", 5, mask=png([[1, 0, 0], [0, 1, 1]]))
    circle = shape([[9, 3], [10, 3]], "circle")
    path = write(tmp_path / "a.json", shape(SQUARE, group=5), mask, circle)
    labels = open_labels(path)
    assert np.unique(labels[0]).tolist() == [0, 5, 6]
    assert np.argwhere(labels[0][6:] == 5).tolist() == [[0, 6], [1, 7], [1, 8]]
    round_one = np.argwhere(labels[0] == 6)
    assert round_one.min(axis=0).tolist() == [2, 8]
    assert round_one.max(axis=0).tolist() == [4, 10]


def test_names_and_mothers_are_known_where_they_are_told(tmp_path):
    write(tmp_path / "0.json", shape(SQUARE, group=1, name="Eve"))
    write(tmp_path / "1.json", shape(SQUARE, group=2, mother=1, born_at=1, name=3))
    labels = open_labels(tmp_path)
    assert labels.objects.names == {1: "Eve"}
    assert labels.objects.divisions == (Division(1, (2,), 1),)


def test_a_folder_is_a_series_with_its_pictures(tmp_path):
    for n in range(4):
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / f"t{n + 5}.png")
    write(tmp_path / "t6.json", shape(SQUARE, group=0))
    write(tmp_path / "t8.json", shape(SQUARE, group=0), shape([[8, 8], [9, 8], [9, 9]]))
    labels, told = told_of(lambda: open_labels(tmp_path))
    assert labels.shape == (4, *SIZE)
    assert labels.processed_frames().tolist() == [1, 3]
    assert labels[1].max() == 1
    assert np.unique(labels[3]).tolist() == [0, 1, 2]
    assert any("raised by one" in one for one in told)
    assert any("group_id (1) are objects of their own" in one for one in told)


def test_without_pictures_numbers_tell_the_frames(tmp_path):
    for n in (0, 2):
        write(tmp_path / f"t{n}.json", shape(SQUARE, group=1))
    labels = open_labels(tmp_path)
    assert labels.processed_frames().tolist() == [0, 2]
    assert labels.may_go_on


def test_rectangles_and_points_are_prompts(tmp_path):
    path = write(
        tmp_path / "a.json",
        shape([[8, 7], [3, 2]], "rectangle", 2),
        shape([[5, 5]], "point", 2),
        shape([[1, 1]], "point"),
        shape(SQUARE, group=4),
    )
    prompts, told = told_of(lambda: open_prompts(path, size=SIZE))
    assert [(p.obj_id, p.frame_index) for p in prompts] == [(2, 0), (5, 0)]
    assert prompts[0].box_xyxy.tolist() == [3, 2, 8, 7]
    assert prompts[0].points_xy.tolist() == [[5, 5]]
    assert prompts[1].points_xy.tolist() == [[1, 1]]
    assert any("'polygon' are left out (1); they are labels" in one for one in told)
    labels, told = told_of(lambda: open_labels(path))
    assert np.unique(labels[0]).tolist() == [0, 4]
    assert any("'rectangle' are left out (1); they are prompts" in one for one in told)


def test_boxes_alone_are_no_labels_and_outlines_alone_no_prompts(tmp_path):
    boxes = write(tmp_path / "a.json", shape([[8, 7], [3, 2]], "rectangle"))
    with pytest.raises(VideoError, match="kind rectangle alone"):
        open_labels(boxes)
    with pytest.raises(PromptFileError, match="no rectangles and no points"):
        open_prompts(write(tmp_path / "b.json", shape(SQUARE)))


WRONG = {
    "three points": [shape([[1, 1], [2, 2]])],
    "far outside": [shape([[1, 1], [2, 2], [1e9, 3]])],
    "outside its image": [shape([[1, 1], [float("nan"), 2], [2, 3]])],
    "circle lies far": [shape([[1, 1], [1e9, 2]], "circle")],
    "leaves its frame": [shape([[9, 9], [19, 19]], "mask", mask=png(np.ones((11, 11))))],
    "its place others": [shape([[1, 1], [3, 3]], "mask", mask=png(np.ones((2, 2))))],
    "can't be read": [shape([[1, 1], [3, 3]], "mask", mask="no picture")],
    "too many pixels": [shape([[0, 0], [9, 9]], "mask", mask=bomb())],
    "can't be the id": [shape(SQUARE, group=2**31)],
    "can't be the id ": [shape(SQUARE, group=-3)],
    "whole number": [shape(SQUARE, group=1.5)],
    "no list of points": [{"label": "a"}],
    "no list of points ": ["a"],
}


@pytest.mark.parametrize("said", WRONG)
def test_what_can_not_be_is_refused(tmp_path, said):
    path = write(tmp_path / "a.json", *WRONG[said])
    with pytest.raises(VideoError, match=said.strip()):
        open_labels(path)[0]


@pytest.mark.parametrize("size", [(0, 5), (10**6, 10**6), (-1, 5), ("a", 5)])
def test_pictures_that_can_not_be_are_refused(tmp_path, size):
    with pytest.raises(VideoError):
        open_labels(write(tmp_path / "a.json", shape(SQUARE), size=size))


def test_pictures_of_two_sizes_and_two_boxes_of_an_object_are_refused(tmp_path):
    write(tmp_path / "0.json", shape(SQUARE))
    write(tmp_path / "1.json", shape(SQUARE), size=(10, 13))
    with pytest.raises(VideoError, match=r"'0.json' is of a picture of .* of one size"):
        open_labels(tmp_path)
    two = [shape([[1, 1], [2, 2]], "rectangle", 1)] * 2
    with pytest.raises(PromptFileError, match="two rectangles on frame 0"):
        open_prompts(write(tmp_path / "2.json", *two))


def test_other_json_is_refused_by_what_is_missing(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"shapes": [], "imageHeight": 3}')
    with pytest.raises(VideoError, match=r"neither COCO .* nor LabelMe"):
        open_labels(path)
    with pytest.raises(PromptFileError, match="lacks one of shapes"):
        open_prompts(path)

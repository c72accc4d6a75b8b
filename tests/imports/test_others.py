"""Labels of other tools: their frames and ids are ours, and what is not sure of them is told."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.labels.lineage import Division

SIZE = (8, 9)
SQUARE = [[0, 0, 4, 0, 4, 3, 0, 3]]


def plane(label: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint16)
    labels[:3, :4] = label
    return labels


def opened(path, **options):
    """Labels, and what is told of them."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        labels = open_labels(path, **options)
    return labels, [str(w.message) for w in said if issubclass(w.category, UserWarning)]


def shown(labels) -> dict[int, list[int]]:
    """Objects of each frame that was processed."""
    return {
        t: np.unique(labels[t][labels[t] > 0]).tolist() for t in labels.processed_frames().tolist()
    }


# ------------------------------------------------------------------------------- CTC


def make_ctc(folder, labels: dict[int, int], table: str, name: str = "mask{:03d}.tif"):
    folder.mkdir()
    for number, label in labels.items():
        tifffile.imwrite(folder / name.format(number), plane(label))
    (folder / "res_track.txt").write_text(table)
    return folder


def test_masks_and_lineage_of_a_challenge_folder_have_one_numbering(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {5: 1, 6: 1, 7: 2}, "1 5 6 0\n2 7 7 1\n3 7 7 1\n")
    labels, told = opened(folder)
    assert shown(labels) == {5: [1], 6: [1], 7: [2]}
    assert labels.objects.divisions == (Division(1, (2, 3), 7),)
    assert len(told) == 1
    assert "first_number" in told[0]
    labels, told = opened(folder, first_number=5)
    assert labels.shape[0] == 3
    assert shown(labels) == {0: [1], 1: [1], 2: [2]}
    assert labels.objects.divisions == (Division(1, (2, 3), 2),)
    assert told == []


def test_a_table_that_counts_otherwise_than_its_masks_is_told(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {1: 1, 2: 1}, "1 0 1 0\n")
    _, told = opened(folder)
    assert any("frames 0 to 1" in one and "1 to 2" in one for one in told)


def test_an_object_that_was_away_is_joined_wherever_the_folder_begins(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {5: 1, 6: 0, 7: 2}, "1 5 5 0\n2 7 7 1\n")
    labels, _ = opened(folder)
    assert shown(labels) == {5: [1], 6: [], 7: [1]}
    assert labels.objects.divisions == ()


def test_sparse_ground_truth_stays_on_its_frames(tmp_path):
    folder = tmp_path / "SEG"
    folder.mkdir()
    for number in (2, 5):
        tifffile.imwrite(folder / f"man_seg{number:03d}.tif", plane(number))
    labels, told = opened(folder)
    assert (labels.shape, told) == ((6, *SIZE), [])
    assert shown(labels) == {2: [2], 5: [5]}


@pytest.mark.parametrize("table", ["1 0 1 0\n1 1 1 0\n", "1 0 1\n", "1 0 a 0\n"])
def test_a_table_that_is_wrong_is_refused(tmp_path, table):
    with pytest.raises(VideoError, match=r"res_track\.txt"):
        open_labels(make_ctc(tmp_path / "01_RES", {0: 1, 1: 1}, table))


def test_two_tables_in_a_folder_are_refused(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {0: 1}, "1 0 0 0\n")
    (folder / "man_track.txt").write_text("1 0 0 0\n")
    with pytest.raises(VideoError, match="two tables"):
        open_labels(folder)


def test_masks_of_more_bits_than_the_first_are_read(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {0: 1}, "1 0 0 0\n")
    tifffile.imwrite(folder / "mask001.tif", plane(0).astype(np.uint32) + 70_000)
    assert open_labels(folder)[1].max() == 70_000


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_hidden_files_and_those_of_file_managers_are_no_labels(tmp_path, kind):
    folder = tmp_path / "labels"
    folder.mkdir()
    for number in range(2):
        file = folder / f"mask{number:03d}.{kind}"
        if kind == "png":
            Image.fromarray(plane(number + 1)).save(file)
        else:
            tifffile.imwrite(file, plane(number + 1))
        (folder / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (folder / "res_track.txt").write_text("1 0 0 0\n2 1 1 0\n")
    for name in ("._res_track.txt", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"\x00\xff")
    if kind == "png":
        (folder / "res_track.txt").unlink()
    labels, told = opened(folder)
    assert shown(labels) == {0: [1], 1: [2]}
    assert told == []


# ------------------------------------------------------------------------------ COCO


def image(number: int, name: str | None = None, **more) -> dict:
    named = {} if name is None else {"file_name": name}
    return {"id": number, "height": SIZE[0], "width": SIZE[1], **named, **more}


def on_image(number: int, image_id: int, **more) -> dict:
    return {"id": number, "image_id": image_id, "category_id": 1, "segmentation": SQUARE, **more}


def write_json(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_images_in_any_order_and_only_some_are_on_the_frames_of_their_names(tmp_path):
    images = [
        image(1, "frame_000005.PNG"),
        image(2, "frame_000002.PNG"),
        image(3, "frame_000000.PNG"),
    ]
    annotations = [
        on_image(1, 1, attributes={"track_id": 3}),
        on_image(2, 2, attributes={"track_id": 4, "occluded": False}),
    ]
    labels, told = opened(write_json(tmp_path / "a.json", images=images, annotations=annotations))
    assert shown(labels) == {0: [], 2: [4], 5: [3]}
    assert told == []


@pytest.mark.parametrize("where", ["top", "attributes"])
def test_tracks_that_count_from_0_are_raised_and_told(tmp_path, where):
    def track(n):
        return {"track_id": n} if where == "top" else {"attributes": {"track_id": n}}

    images = [image(7, "0.png"), image(8, "1.png")]
    annotations = [
        on_image(1, 7, **track(0)),
        on_image(2, 8, **track(0)),
        on_image(3, 8, **track(4)),
    ]
    annotations[2]["segmentation"] = [[4, 4, 8, 4, 8, 7, 4, 7]]
    labels, told = opened(write_json(tmp_path / "a.json", images=images, annotations=annotations))
    assert shown(labels) == {0: [1], 1: [1, 5]}
    assert len(told) == 1
    assert "raised by one" in told[0]


@pytest.mark.parametrize(
    ("images", "frames"),
    [
        ([image(1, frame_id=1), image(2, frame_id=0)], [1, 0]),
        ([image(1, frame_id=2), image(2, frame_id=1)], [1, 0]),
        ([image(1, "x/7.png", frame_index=3), image(2, "x/8.png", frame_index=0)], [3, 0]),
        ([image(4, "b.png"), image(9, "a.png")], [1, 0]),
        ([image(9), image(4)], [1, 0]),
        ([image(1, "x/frame12.png"), image(2, "x/frame10.png")], [12, 10]),
    ],
)
def test_where_images_tell_their_frames(tmp_path, images, frames):
    annotations = [on_image(n, i["id"], track_id=n) for n, i in enumerate(images, 1)]
    labels, _ = opened(write_json(tmp_path / "a.json", images=images, annotations=annotations))
    assert shown(labels) == {frames[0]: [1], frames[1]: [2]}


@pytest.mark.parametrize(
    ("images", "annotations", "message"),
    [
        ([image(1, frame_index=1), image(2)], [], "only some of its images"),
        ([image(1, frame_index=1), image(2, frame_index=1)], [], "two pictures"),
        ([image(1, "0.png"), image(1, "1.png")], [], "one id"),
        ([image(1, "a/0.png"), image(2, "b/0.png")], [], "two pictures are numbered 0"),
        ([image(1, video_id=1), image(2, video_id=2)], [], "several videos"),
        ([image(1, frame_index=-1)], [], "count from 0"),
        ([image(1, frame_index=10**12)], [], "no number of a frame"),
        ([image(1)], [on_image(1, 1, track_id=-1)], "ids go from 1"),
        ([image(1)], [on_image(1, 1, track_id=2**31)], "ids go from 1"),
        ([image(1)], [on_image(1, 1, track_id=1.5)], "whole number"),
        ([image(1)], [on_image(1, 1, track_id="abc")], "can't be read"),
        ([image(1)], [on_image(1, 1), on_image(1, 1)], "two annotations have one id"),
        ([image(1, height=2**20, width=2**20)], [], "px"),
    ],
)
def test_coco_that_can_not_be_sorted_out_is_refused(tmp_path, images, annotations, message):
    path = write_json(tmp_path / "a.json", images=images, annotations=annotations)
    with pytest.raises(VideoError, match=message):
        open_labels(path)


def test_annotations_without_tracks_among_others_are_told(tmp_path):
    images = [image(1, "0.png"), image(2, "1.png")]
    annotations = [on_image(1, 1, track_id="7"), on_image(2, 2), on_image(3, 2, segmentation=[])]
    labels, told = opened(write_json(tmp_path / "a.json", images=images, annotations=annotations))
    assert shown(labels) == {0: [7], 1: [8]}
    assert sum("without a track_id (1)" in one for one in told) == 1
    assert sum("without a mask are left out (1)" in one for one in told) == 1


# ----------------------------------------------------------------------- YouTube-VIS


def vis(names: list[str] | None, *annotations: dict) -> dict:
    named = {} if names is None else {"file_names": names}
    video = {"id": 1, "height": SIZE[0], "width": SIZE[1], "length": 2, **named}
    return {"videos": [video], "annotations": list(annotations)}


def seen(obj_id: int, *masks) -> dict:
    return {"id": obj_id, "video_id": 1, "category_id": 1, "segmentations": list(masks)}


@pytest.mark.parametrize(
    ("names", "frames", "is_told"),
    [
        (None, (0, 1), False),
        (["v/00000.jpg", "v/00001.jpg"], (0, 1), False),
        (["v/00000.jpg", "v/00005.jpg"], (0, 5), False),
        (["v/00005.jpg", "v/00002.jpg"], (5, 2), True),
        (["v/00001.jpg", "v/00002.jpg"], (0, 1), True),
    ],
)
def test_youtube_vis_is_on_the_frames_of_its_names(tmp_path, names, frames, is_told):
    content = vis(names, seen(3, SQUARE, None), seen(4, None, SQUARE))
    labels, told = opened(write_json(tmp_path / "a.json", **content))
    assert shown(labels) == {frames[0]: [3], frames[1]: [4]}
    assert bool(told) == is_told


def test_youtube_vis_ids_from_0_are_raised_and_told(tmp_path):
    content = vis(None, seen(0, SQUARE, None), seen(1, None, SQUARE))
    labels, told = opened(write_json(tmp_path / "a.json", **content))
    assert shown(labels) == {0: [1], 1: [2]}
    assert "raised by one" in told[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (vis(["a.png"], seen(1, SQUARE, None)), "names 1 files"),
        (vis(None, seen(1, SQUARE)), "1 masks"),
        (vis(["a/0.png", "b/0.png"]), "two pictures"),
    ],
)
def test_youtube_vis_that_does_not_fit_is_refused(tmp_path, content, message):
    with pytest.raises(VideoError, match=message):
        open_labels(write_json(tmp_path / "a.json", **content))


def test_coco_of_videos_is_read_by_its_images(tmp_path):
    images = [image(1, "v/0.png", video_id=1), image(2, "v/1.png", video_id=1)]
    annotations = [on_image(1, 2, instance_id=9, video_id=1)]
    content = {"videos": [{"id": 1, "name": "v"}], "images": images, "annotations": annotations}
    labels, _ = opened(write_json(tmp_path / "a.json", **content))
    assert shown(labels) == {0: [], 1: [9]}


# ---------------------------------------------------------------------------- DAVIS


def test_davis_pictures_that_are_not_all_there(tmp_path):
    for number in (0, 3):
        picture = Image.fromarray(plane(number + 1).astype(np.uint8))
        picture.putpalette(list(range(256)) * 3)
        picture.save(tmp_path / f"{number:05d}.png")
    labels, told = opened(tmp_path)
    assert (shown(labels), told) == ({0: [1], 3: [4]}, [])


# ------------------------------------------------------------------- out again and in


@pytest.mark.parametrize(
    "name", ["tiff", "png", "coco", "coco-polygons", "ytvis", "ctc", "ome-zarr"]
)
def test_labels_of_others_come_back_as_they_were_read(tmp_path, name):
    table = "1 5 6 0\n2 8 8 1\n3 8 8 1\n4 5 5 0\n6 7 7 4\n"
    folder = make_ctc(tmp_path / "01_RES", {5: 1, 6: 1, 8: 2}, table)
    both = plane(3)
    both[4:6, 4:6] = 2
    tifffile.imwrite(folder / "mask008.tif", both)
    for number, label in ((5, 4), (7, 6)):
        labels = plane(1) if number == 5 else plane(0)
        labels[5:7, :3] = label
        tifffile.imwrite(folder / f"mask{number:03d}.tif", labels)
    first, _ = opened(folder)
    path = tmp_path / "out" / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=first.shape, objects=first.objects)), first)
    again, told = opened(path)
    assert shown(again) == shown(first) == {5: [1, 4], 6: [1], 7: [4], 8: [2, 3]}
    if FORMATS[name].target != "labels/" and name != "tiff":
        assert again.objects.divisions == first.objects.divisions == (Division(1, (2, 3), 8),)
    assert again.shape == first.shape
    assert told == []


# --------------------------------------------------------------------------- floats


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_whole_floats_are_labels(tmp_path, dtype):
    stack = np.stack([plane(0), plane(7)]).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(2):
        tifffile.imwrite(folder / f"{number}.tif", stack[number])
    for path in (tmp_path / "a.tif", folder):
        with open_labels(path) as labels:
            np.testing.assert_array_equal(labels[1], plane(7))
            assert labels[1].dtype.kind == "u"


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -1.0, 2.0**24 + 2])
def test_floats_that_are_no_labels_are_refused(tmp_path, value):
    stack = np.zeros((2, *SIZE), np.float32)
    stack[1, 2, 3] = value
    tifffile.imwrite(tmp_path / "a.tif", stack)
    with open_labels(tmp_path / "a.tif") as labels:
        assert not labels[0].any()
        with pytest.raises(VideoError, match=r"a\.tif.*value"):
            labels[1]


def test_labels_beyond_the_highest_id_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((1, *SIZE), 2**31, np.uint32))
    with open_labels(tmp_path / "a.tif") as labels, pytest.raises(VideoError, match="2147483647"):
        labels[0]


@pytest.mark.parametrize("where", [0.0, 0.5, 0.9])
def test_damaged_pixels_are_one_clear_error(tmp_path, where):
    path = tmp_path / "a.tif"
    stack = np.random.default_rng(0).integers(0, 9, (2, 60, 60)).astype(np.uint16)
    tifffile.imwrite(path, stack, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[1].dataoffsets[0], tiff.pages[1].databytecounts[0]
    content = bytearray(path.read_bytes())
    at = offset + int(where * length)
    content[at : at + 20] = bytes(20)
    path.write_bytes(content)
    with open_labels(path) as labels:
        np.testing.assert_array_equal(labels[0], stack[0])
        with pytest.raises(VideoError, match="may be damaged"):
            labels[1]


def test_floats_that_were_away_are_checked_before_they_are_joined(tmp_path):
    folder = make_ctc(tmp_path / "01_RES", {0: 1, 1: 0}, "1 0 0 0\n2 2 3 1\n")
    tifffile.imwrite(folder / "mask002.tif", plane(2).astype(np.float32))
    tifffile.imwrite(folder / "mask003.tif", plane(2).astype(np.float32) / 4)
    labels, _ = opened(folder)
    assert labels[2].max() == 1
    with pytest.raises(VideoError, match=r"value 0\.5"):
        labels[3]


def test_one_file_of_a_stack_in_several_is_refused(tmp_path):
    whole = tifffile.OmeXml()
    whole.addimage(np.uint16, (2, *SIZE), (2, 1, 1, *SIZE, 1), axes="TYX")
    text = whole.tostring().replace(
        '<TiffData IFD="0" PlaneCount="2"/>',
        '<TiffData FirstT="0" IFD="0"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstT="1" IFD="0"><UUID FileName="../b.tif">urn:uuid:2</UUID></TiffData>',
    )
    assert "b.tif" in text
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (folder / "a.tif", tmp_path / "b.tif"):
        tifffile.imwrite(place, plane(1), description=text, metadata=None)
    with pytest.raises(VideoError, match="one of several files"):
        open_labels(folder / "a.tif")

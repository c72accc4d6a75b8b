"""Labels come back from every format that they were written to, and hostile files are refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from pycocotools import mask as coco_mask
from tests.export.scene import COME_BACK

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.sidecar import sidecar_path
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.imports.coco import decode_mask
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.video_facts import VideoFacts

SHAPE = (6, 41, 53)
FACTS = VideoFacts(*SHAPE, name="cells.tif", fps=4.0)
OBJECTS = ObjectTable.from_parents(
    {7: 3, 8: 3},
    {7: 3, 8: 3},
    names={3: "Eve", 7: "Ann"},
    classes={3: "cell", 5: "bead", 7: "cell", 8: "cell"},
)


def make_labels() -> np.ndarray:
    """3 divides into 7 and 8 on frame 3; 5 is away on frame 2; frame 0 and 5 are empty."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[1:3, 3:15, 4:20] = 3
    labels[3:5, 3:8, 4:20] = 7
    labels[3:5, 10:15, 4:20] = 8
    for frame_index in (1, 3, 4):
        labels[frame_index, 20:40, 30 + frame_index : 45 + frame_index] = 5
        labels[frame_index, 25:30, 35:38] = 0
    return labels


LABELS = make_labels()


class Scored:
    """Labels with scores, as those that come from a file."""

    shape, dtype = LABELS.shape, LABELS.dtype

    def __getitem__(self, frame_index):
        return LABELS[frame_index]

    def notes(self, frame_index):
        ids = np.unique(LABELS[frame_index]).tolist()
        return {i: ObjectNote(1 - i / 100, "propagated") for i in ids}


@pytest.mark.parametrize("facts", [FACTS, None], ids=["facts", "alone"])
@pytest.mark.parametrize("name", COME_BACK)
def test_labels_come_back(tmp_path, name, facts):
    path = tmp_path / FORMATS[name].target
    scene = Scene(shape=SHAPE, facts=facts, objects=OBJECTS)
    write_all(open_writer(name, path, scene), Scored())
    with open_labels(path) as labels:
        assert labels.shape == SHAPE
        if name != "trackmate" or facts is not None:  # which tells of the video itself
            assert labels.facts == facts
        np.testing.assert_array_equal([labels[t] for t in range(6)], LABELS)
        np.testing.assert_array_equal(labels[-2], LABELS[4])
        if name == "ctc":
            assert labels.objects.divisions == OBJECTS.divisions
        elif "objects" in FORMATS[name].takes:
            assert labels.objects == OBJECTS
        if name.startswith("coco"):
            scores = {i: note.score for i, note in labels.notes(3).items()}
            assert scores == {5: 0.95, 7: 0.93, 8: 0.92}


def test_labels_above_65535_come_back(tmp_path):
    large = LABELS.astype(np.uint32) * 100_000
    for name in ("tiff", "coco", "ytvis", "ome-zarr"):
        path = tmp_path / FORMATS[name].target
        write_all(open_writer(name, path, Scene(shape=SHAPE)), large)
        with open_labels(path) as labels:
            np.testing.assert_array_equal(labels[3], large[3])


def test_pictures_that_begin_later_keep_their_frames(tmp_path):
    """Those made here tell them, and so do facts beside them; those of others begin a series."""
    path = tmp_path / "labels"
    with open_writer("png", path, Scene(shape=SHAPE, facts=FACTS)) as writer:
        writer.write_labels(3, LABELS[3])
    facts = sidecar_path(path).read_text()
    plain = path / "00003.png"

    def check():
        with open_labels(path) as labels:
            assert labels.shape == SHAPE
            np.testing.assert_array_equal(labels[3], LABELS[3])
            assert not labels[0].any()
            assert labels.processed_frames().tolist() == [3]

    check()
    sidecar_path(path).unlink()
    check()
    Image.fromarray(LABELS[3].astype(np.uint8)).save(plain)
    with pytest.warns(UserWarning, match="first_number"), open_labels(path) as labels:
        assert labels.shape == (1, *SHAPE[1:])
    sidecar_path(path).write_text(facts)
    check()


def test_uncompressed_imagej_stacks_are_read_a_frame_at_a_time(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, imagej=True, metadata={"axes": "TYX"})
    with open_labels(tmp_path / "a.tif") as labels:
        np.testing.assert_array_equal([labels[t] for t in range(6)], LABELS)


def test_one_picture_is_one_frame(tmp_path):
    Image.fromarray(LABELS[3].astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(LABELS[3] > 0).save(tmp_path / "b.png")
    with open_labels(tmp_path / "a.png") as labels:
        np.testing.assert_array_equal(labels[0], LABELS[3])
    with open_labels(tmp_path / "b.png") as labels:
        np.testing.assert_array_equal(labels[0], LABELS[3] > 0)


def test_coco_of_others(tmp_path):
    """Without tracks each annotation is an object; runs may be plain numbers."""
    square = np.zeros((8, 9), np.uint8, order="F")
    square[2:5, 3:6] = 1
    plain = {"size": [8, 9], "counts": [26, 3, 5, 3, 5, 3, 27]}
    squeezed = coco_mask.encode(square)
    squeezed["counts"] = squeezed["counts"].decode()
    place = {"image_id": 7, "category_id": 1}
    said = {
        "images": [{"id": 4, "height": 8, "width": 9}, {"id": 7, "height": 8, "width": 9}],
        "annotations": [
            {"id": 11, "segmentation": squeezed, "score": 0.4, **place},
            {"id": 12, "segmentation": [[0, 0, 4, 0, 4, 3, 0, 3]], "score": 0.9, **place},
            {"id": 13, "bbox": [0, 0, 5, 5], **place},
            {"id": 14, "segmentation": plain, "image_id": 4, "category_id": 1},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(said))
    with open_labels(tmp_path / "a.json") as labels:
        assert labels.shape == (2, 8, 9)
        np.testing.assert_array_equal(labels[0] == 14, square)
        assert labels[1][2, 3] == 12  # the higher score keeps the pixel
        assert (labels[1] == 11).sum() == 8
        assert labels.objects.classes == {11: "cat", 12: "cat", 14: "cat"}


def test_labels_inside_an_ome_zarr_are_found(tmp_path):
    scene = Scene(shape=SHAPE)
    for name in ("a", "b"):
        from napari_sam3.export import export_ome_zarr

        export_ome_zarr(tmp_path / "l.ome.zarr", LABELS * (name == "b"), name=name)
    assert scene.facts is None
    with open_labels(tmp_path / "l.ome.zarr" / "labels" / "b") as labels:
        np.testing.assert_array_equal(labels[3], LABELS[3])
    with pytest.raises(VideoError, match="2 sets of labels; name one"):
        open_labels(tmp_path / "l.ome.zarr")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{", "can't be read"),
        ("[]", "neither COCO"),
        ('{"images": [], "annotations": []}', "no images"),
        ('{"videos": [], "annotations": []}', "of 0 videos"),
        (
            '{"images": [{"id": 1, "height": 4, "width": 4}], "annotations": '
            '[{"id": -1, "image_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}]}',
            "ids go from 1",
        ),
        (
            '{"images": [{"id": 1, "height": 4, "width": 4}], "annotations": '
            '[{"id": 1, "image_id": 2, "segmentation": [[0, 0, 1, 0, 1, 1]]}]}',
            "can't be read",
        ),
    ],
)
def test_json_that_is_wrong_is_refused(tmp_path, said, message):
    (tmp_path / "a.json").write_text(said)
    with pytest.raises(VideoError, match=message):
        open_labels(tmp_path / "a.json")


@pytest.mark.parametrize(
    "mask",
    [
        {"size": [4, 4], "counts": [3, 3]},
        {"size": [5, 4], "counts": [20]},
        {"size": [4, 4]},
        [[0, 1]],
        [["a"]],
        [[0, 0, 1, 0, float("nan"), 1]],
        [[0, 0, 1e12, 0, 1, 1]],
        {"size": [4, 4], "counts": "zzzzzzzz"},
        {"size": [4, 4], "counts": "o"},
        {"size": [4, 4], "counts": "o" * 14 + "0"},
        {"size": [4, 4], "counts": "é"},
    ],
)
def test_masks_that_are_wrong_are_refused(tmp_path, mask):
    said = {
        "images": [{"id": 1, "height": 4, "width": 4}],
        "annotations": [{"id": 1, "image_id": 1, "segmentation": mask}],
    }
    (tmp_path / "a.json").write_text(json.dumps(said))
    with pytest.raises(VideoError, match=r"a\.json"), open_labels(tmp_path / "a.json") as labels:
        labels[0]


@pytest.mark.parametrize("seed", range(10))
def test_squeezed_runs_are_read_as_the_reference_reads_them(seed):
    random = np.random.default_rng(seed)
    size = (int(random.integers(1, 90)), int(random.integers(1, 90)))
    mask = random.random(size) < random.choice([0, 0.01, 0.5, 1])
    squeezed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    segmentation = {"size": list(size), "counts": squeezed["counts"].decode()}
    np.testing.assert_array_equal(decode_mask(segmentation, size), mask)


def test_files_that_are_no_labels_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG nothing")
    (tmp_path / "damaged.tif").write_bytes(b"II*\x00nothing")
    tifffile.imwrite(tmp_path / "float.tif", np.full((2, 4, 4), 0.5, np.float32))
    tifffile.imwrite(tmp_path / "four.tif", np.zeros((2, 3, 4, 4), np.uint8))
    tifffile.imwrite(tmp_path / "negative.tif", np.full((2, 4, 4), -1, np.int16))
    (tmp_path / "empty").mkdir()
    zarr.create_group(tmp_path / "group.zarr")
    (tmp_path / "a.txt").touch()
    (tmp_path / "01_RES").mkdir()
    (tmp_path / "01_RES" / "res_track.txt").write_text("1 0 x 0")
    found = [path for path in tmp_path.iterdir() if path.name != "01_RES"]
    for path in [*found, tmp_path / "01_RES", tmp_path / "missing.tif"]:
        with pytest.raises(VideoError), open_labels(path) as labels:
            labels[0]


def test_frames_of_two_sizes_are_refused(tmp_path):
    for n in range(2):
        Image.fromarray(np.zeros((4, 4 + n), np.uint8)).save(tmp_path / f"{n}.png")
    with open_labels(tmp_path) as labels, pytest.raises(VideoError, match="of one size"):
        labels[1]


def test_facts_of_another_video_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS)
    sidecar_path(tmp_path / "a.tif").write_text(VideoFacts(6, 40, 53).to_json())
    with pytest.raises(VideoError, match="delete the wrong one"):
        open_labels(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "name", ["a.json", "a.tif", "a.png", "folder/man_track.txt", "folder/0.png"]
)
def test_a_pipe_is_not_waited_for(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / name)
    with pytest.raises(VideoError, match=r"pipe|no pictures"):
        open_labels((tmp_path / name).parent if "/" in name else tmp_path / name)


@pytest.mark.parametrize("name", ["mask001.tif", "res_track.txt"])
def test_a_link_in_a_folder_is_not_followed(tmp_path, name):
    folder, elsewhere = tmp_path / "01_RES", tmp_path / "elsewhere"
    folder.mkdir()
    for frame_index in range(2):
        tifffile.imwrite(folder / f"mask{frame_index:03d}.tif", np.ones((8, 9), np.uint16))
    (folder / "res_track.txt").write_text("1 0 1 0\n")
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(VideoError, match=f"{name}.* is a link"):
        open_labels(folder)


def test_pictures_of_more_pixels_than_can_be_labelled_are_refused_by_their_heads(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    side = 2**16
    with tifffile.TiffWriter(folder / "a0.tif") as tiff:  # zeros that take no room
        tiff.write(
            iter([b""] * 4),
            shape=(side, side),
            dtype=np.uint16,
            tile=(side // 2, side // 2),
            compression="zlib",
        )
    with pytest.raises(VideoError, match="65536 x 65536 px"):
        open_labels(folder)


@pytest.mark.parametrize("name", ["yolo", "labelme"])
@pytest.mark.parametrize("file_names", [None, tuple(f"cam/IMG_{n + 7:04d}.PNG" for n in range(6))])
def test_files_of_some_frames_are_of_theirs_though_no_other_pictures_lie_there(
    tmp_path, name, file_names
):
    facts = replace(FACTS, file_names=file_names)
    film = np.zeros((*SHAPE, 3), np.uint8)
    scene = Scene(shape=SHAPE, facts=facts, frames=RgbFrames(ArrayVideo(film)), images="png")
    path = tmp_path / FORMATS[name].target
    with open_writer(name, path, scene) as writer:
        for frame_index in (1, 4):
            writer.write_labels(frame_index, LABELS[frame_index])
    with open_labels(path) as labels:
        assert labels.processed_frames().tolist() == [1, 4]
        for frame_index in range(6):
            expected = LABELS[frame_index] * (frame_index in (1, 4))
            np.testing.assert_array_equal(labels[frame_index] > 0, expected > 0)

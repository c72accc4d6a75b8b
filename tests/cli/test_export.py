"""`napari-sam3 export`, and labels from files as prompts of `track`."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tifffile

from napari_sam3.cli import main
from napari_sam3.export import export_ctc, export_labels_tiff, export_youtube_vis
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.sidecar import SHARED
from napari_sam3.imports import open_labels
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video import open_video
from napari_sam3.video.content_hash import hash_content
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.video.video_writer import VideoWriter

T, H, W = 5, 48, 64


def make_labels() -> np.ndarray:
    labels = np.zeros((T, H, W), np.uint16)
    labels[:, 10:20, 10:22] = 4
    labels[1:, 30:40, 30:50] = 9
    return labels


LABELS = make_labels()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    with VideoWriter(path, 5) as writer:
        for labels in LABELS:
            writer.write(np.where(labels > 0, 200, 40).astype(np.uint8))
    return path


def export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


def test_every_format_of_a_stack_with_its_video(tmp_path, video, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS)
    out = tmp_path / "out"
    formats = ",".join(FORMATS)
    arguments = ("-o", out, "--formats", formats, "--video", video, "--pixel-size", "0.5um")
    assert export(tmp_path / "labels.tif", *arguments) == 0
    written = capsys.readouterr().out
    targets = {kind.target.rstrip("/") for kind in FORMATS.values()}
    assert {path.name for path in out.iterdir()} == {*targets, SHARED}
    assert all(str(out / target) in written for target in targets)
    facts = VideoFacts.from_json((out / SHARED).read_text())
    assert (facts.sha256, facts.pixel_size) == (hash_content(video), (0.5, 0.5))
    with (out / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["area_um2"]) == 120 / 4
    assert float(rows[0]["mean_red"]) == pytest.approx(200, abs=3)
    for name in ("tiff", "png", "coco", "ytvis", "ctc", "davis", "ome-zarr"):
        with open_labels(out / FORMATS[name].target) as labels:
            np.testing.assert_array_equal([labels[t] for t in range(T)], LABELS)
            assert labels.facts == facts
    with open_video(out / "overlay.mp4") as film:
        assert len(film) == T


def test_lineage_and_classes_go_from_format_to_format(tmp_path):
    labels = np.zeros((T, H, W), np.uint16)
    labels[:2, :10, :10] = 1
    labels[2:, :10, :5] = 2
    labels[2:, :10, 6:] = 3
    family = ObjectTable()
    family.classify(1, "cell")
    family.mark_division(1, [2, 3], 2)
    export_ctc(tmp_path / "01_RES", labels, objects=family)
    assert export(tmp_path / "01_RES", "-o", tmp_path / "out", "--formats", "ctc,geff") == 0
    assert (tmp_path / "out" / "01_RES" / "res_track.txt").read_text() == (
        "1 0 1 0\n2 2 4 1\n3 2 4 1\n"
    )
    export_youtube_vis(tmp_path / "y.json", labels, objects=family)
    assert export(tmp_path / "y.json", "-o", tmp_path / "o2", "--formats", "coco") == 0
    said = json.loads((tmp_path / "o2" / "coco.json").read_text())
    assert {c["name"] for c in said["categories"]} == {"cell", "object"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--formats", "overlay"], 2, "--video"),
        (["--formats", "xyz"], 2, "no format 'xyz'"),
        (["--formats", "coco", "--pixel-size", "big"], 2, "0.65um"),
        (["--formats", "coco", "--pixel-size", "0um"], 2, "above 0"),
        (["--formats", "coco", "--video", "missing.mp4"], 2, "missing.mp4"),
    ],
)
def test_what_can_not_be_is_said(tmp_path, arguments, code, message, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS)
    out = tmp_path / "out"
    assert export(tmp_path / "labels.tif", "-o", out, *arguments) == code
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_labels_of_another_video_are_refused(tmp_path, video, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS[:3])
    arguments = ("-o", tmp_path / "out", "--formats", "coco", "--video", video)
    assert export(tmp_path / "labels.tif", *arguments) == 2
    assert "(3, 48, 64)" in capsys.readouterr().err


def test_labels_said_to_be_of_another_content_are_warned_about(tmp_path, video, capsys):
    facts = VideoFacts(T, H, W, name="other.mp4", sha256="0" * 64)
    export_labels_tiff(tmp_path / "labels.tif", LABELS, facts=facts)
    arguments = ("-o", tmp_path / "out", "--formats", "mot", "--video", video)
    assert export(tmp_path / "labels.tif", *arguments) == 0
    assert "other.mp4" in capsys.readouterr().err


def test_nothing_is_replaced_unless_told_and_never_what_is_read(tmp_path, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS)
    before = (tmp_path / "labels.tif").read_bytes()
    again = ("-o", tmp_path, "--formats", "tiff", "--overwrite")
    assert export(tmp_path / "labels.tif", *again) == 2
    assert (tmp_path / "labels.tif").read_bytes() == before
    assert export(tmp_path / "labels.tif", "-o", tmp_path / "out", "--formats", "mot") == 0
    assert export(tmp_path / "labels.tif", "-o", tmp_path / "out", "--formats", "mot") == 1
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["tiff", "ctc", "coco", "ome-zarr"])
def test_labels_drawn_before_are_tracked(tmp_path, video, name):
    export_labels_tiff(tmp_path / "drawn.tif", LABELS)
    assert export(tmp_path / "drawn.tif", "-o", tmp_path, "--formats", name) == 0
    path = tmp_path / FORMATS[name].target
    out = ("-o", str(tmp_path / "out"), "--model", "fake", "--formats", "tiff")
    assert main(["track", str(video), "--mask", f"{path}@2", *out]) == 0
    found = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert not found[:2].any()
    np.testing.assert_array_equal(found[2], LABELS[2])


def test_labels_are_taken_on_their_own_frame(tmp_path, video, capsys):
    empty = LABELS.copy()
    empty[0] = 0
    export_labels_tiff(tmp_path / "drawn.tif", empty)
    out = ("-o", str(tmp_path / "out"), "--model", "fake")
    assert main(["track", str(video), "--mask", str(tmp_path / "drawn.tif"), *out]) == 2
    assert "empty on frame 0" in capsys.readouterr().err
    export_labels_tiff(tmp_path / "short.tif", LABELS[:3])
    assert main(["track", str(video), "--mask", str(tmp_path / "short.tif"), *out]) == 2
    assert "3 frames of labels, the video 5" in capsys.readouterr().err


def test_pictures_of_some_frames_are_taken_on_theirs(tmp_path, video, capsys):
    folder = tmp_path / "SEG"
    folder.mkdir()
    for number in (1, 3):
        tifffile.imwrite(folder / f"man_seg{number:03d}.tif", LABELS[number])
    out = ("-o", str(tmp_path / "out"), "--model", "fake", "--formats", "tiff")
    assert main(["track", str(video), "--mask", f"{folder}@3", *out]) == 0
    found = tifffile.imread(tmp_path / "out" / "labels.tif")
    np.testing.assert_array_equal(found[3], LABELS[3])
    assert main(["track", str(video), "--mask", f"{folder}@2", *out, "--overwrite"]) == 2
    assert "empty on frame 2" in capsys.readouterr().err


def test_a_folder_has_the_results_of_one_video(tmp_path, capsys):
    for name, digit in (("a", "0"), ("b", "1")):
        facts = VideoFacts(T, H, W, name=f"{name}.mp4", sha256=digit * 64)
        export_labels_tiff(tmp_path / f"{name}.tif", LABELS, facts=facts)
    out = ("-o", tmp_path / "out", "--formats")
    assert export(tmp_path / "a.tif", *out, "mot") == 0
    assert export(tmp_path / "a.tif", *out, "davis") == 0
    assert export(tmp_path / "b.tif", *out, "ctc") == 1
    assert "results of another video (a.mp4)" in capsys.readouterr().err
    assert export(tmp_path / "b.tif", *out, "ctc", "--overwrite") == 0


def test_a_file_of_others_is_never_replaced(tmp_path, capsys):
    export_labels_tiff(tmp_path / "a.tif", LABELS)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / SHARED).write_text("{}")
    arguments = ("-o", tmp_path / "out", "--formats", "mot", "--overwrite")
    assert export(tmp_path / "a.tif", *arguments) == 1
    assert "would be lost" in capsys.readouterr().err
    assert (tmp_path / "out" / SHARED).read_text() == "{}"


def test_the_number_of_frame_0_can_be_said(tmp_path, capsys):
    folder = tmp_path / "01_RES"
    folder.mkdir()
    for number in (1, 2):
        tifffile.imwrite(folder / f"mask{number:03d}.tif", LABELS[number])
    (folder / "res_track.txt").write_text("4 1 2 0\n9 1 2 0\n")
    out = ("-o", tmp_path / "out", "--formats", "coco")
    assert export(folder, *out) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert told.startswith(f"napari-sam3: warning: {str(folder)!r}: its pictures have the numbers")
    assert export(folder, *out, "--overwrite", "--first-number", "1") == 0
    assert "warning" not in capsys.readouterr().err
    said = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["frame_index"] for image in said["images"]] == [0, 1]


def test_frames_that_were_never_processed_stay_so(tmp_path):
    folder = tmp_path / "SEG"
    folder.mkdir()
    tifffile.imwrite(folder / "man_seg003.tif", LABELS[3])
    tifffile.imwrite(folder / "man_seg001.tif", LABELS[1])
    formats = ("tiff", "png", "coco", "ytvis", "ctc", "davis", "ome-zarr")
    assert export(folder, "-o", tmp_path / "out", "--formats", ",".join(formats)) == 0
    for name in formats:
        with open_labels(tmp_path / "out" / FORMATS[name].target) as labels:
            assert labels.processed_frames().tolist() == [1, 3]
            np.testing.assert_array_equal(labels[3], LABELS[3])


def test_a_format_that_can_not_be_written_does_not_take_the_others(tmp_path, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS.astype(np.uint32) * 1000)
    out = tmp_path / "out"
    assert export(tmp_path / "labels.tif", "-o", out, "--formats", "davis,coco,png,mot") == 1
    printed = capsys.readouterr()
    (line,) = [one for one in printed.err.splitlines() if "error" in one]
    assert "label 4000 can't be written" in line
    assert line.endswith("written: coco.json, labels, mot.txt")
    assert "wrote" in printed.out
    assert {path.name for path in out.iterdir()} == {"coco.json", "labels", "mot.txt", SHARED}


def test_all_formats_are_those_that_can_be_written(tmp_path, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS.astype(np.uint32) * 1000)
    out = tmp_path / "out"
    assert export(tmp_path / "labels.tif", "-o", out, "--formats", "all") == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(told) == 1, "DAVIS holds 255 ids"
    assert "davis" in told[0]
    without = {"davis", "overlay.mp4"}  # the film needs the video
    made = {kind.target.rstrip("/") for kind in FORMATS.values()} - without
    assert {path.name for path in out.iterdir()} == {*made, SHARED}


def test_the_frames_go_along_on_request(tmp_path, video, capsys):
    export_labels_tiff(tmp_path / "labels.tif", LABELS)
    out = tmp_path / "out"
    wanted = ("-o", out, "--formats", "coco,ytvis", "--images", "jpg")
    assert export(tmp_path / "labels.tif", *wanted) == 2
    assert "without the video" in capsys.readouterr().err
    assert export(tmp_path / "labels.tif", *wanted, "--video", video) == 0
    names = [i["file_name"] for i in json.loads((out / "coco.json").read_text())["images"]]
    assert names == [f"{video.stem}/{n:05d}.jpg" for n in range(T)]
    assert {str(p.relative_to(out)) for p in (out / video.stem).iterdir()} == set(names)
    (out / "coco.json").unlink()
    wanted = ("-o", out, "--formats", "coco", "--images", "png", "--video", video)
    assert export(tmp_path / "labels.tif", *wanted) == 1
    assert "exists already" in capsys.readouterr().err

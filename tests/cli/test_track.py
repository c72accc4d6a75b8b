"""`napari-sam3 track`, from prompts to files."""

from __future__ import annotations

import csv
import os
import signal

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.cli import main, track
from napari_sam3.errors import ModelError
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects.tracking import MemoryRun
from napari_sam3.settings import read_settings
from napari_sam3.video import open_video
from napari_sam3.video.video_writer import VideoWriter

T, H, W = 8, 60, 80


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two bright discs on a dark ground, moving a pixel a frame."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    rows, columns = np.mgrid[:H, :W]
    with VideoWriter(path, 10) as writer:
        for t in range(T):
            frame = np.full((H, W, 3), 30, np.uint8)
            for x, y in ((20 + t, 20), (55, 40 - t)):
                frame[(rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 < 9**2] = 200
            writer.write(frame)
    return path


@pytest.fixture
def run(video, tmp_path, capsys):
    """Run `track` on the video; gives exit code, output, errors."""

    def run_track(*arguments: str, path=video):
        out = tmp_path / "out"
        code = main(["track", str(path), "-o", str(out), "--model", "fake", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_track


def frames_with(labels: np.ndarray, obj_id: int) -> list[int]:
    return np.flatnonzero((labels == obj_id).any(axis=(1, 2))).tolist()


def test_writes_every_format(run, tmp_path):
    code, out, _ = run("--point", "20,20", "--box", "44,30,66,50", "--model", "optical-flow")
    assert code == 0
    folder = tmp_path / "out"
    assert "8 of 8 frames" in out
    assert str(folder / "overlay.mp4") in out
    labels = tifffile.imread(folder / "labels.tif")
    assert labels.shape == (T, H, W)
    assert frames_with(labels, 1) == frames_with(labels, 2) == list(range(T))
    assert labels[0, 20, 20] == 1
    assert labels[0, 40, 55] == 2
    for t in range(T):
        with Image.open(folder / "labels" / f"{t:05d}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), labels[t])
    with (folder / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * T
    assert rows[2]["time_s"] == "0.100000"
    assert [row["source"] for row in rows[:4]] == ["prompt"] * 2 + ["propagated"] * 2
    with open_video(folder / "overlay.mp4") as film:
        assert film.shape == (T, H, W, 3)
    assert sorted(p.name for p in folder.iterdir()) == [
        *("labels", "labels.tif", "objects.csv", "overlay.mp4", "video.json")
    ]


def test_ids_join_prompts_and_others_keep_out_of_their_way(run, tmp_path):
    code, _, err = run(
        *("--point", "2:20,20", "--point", "2:22,22@3", "--point", "55,40", "--box", "60,5,75,20"),
        *("--formats", "tiff"),
    )
    assert code == 0
    assert "objects 1, 2, 3 over 8 frames" in err
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert set(np.unique(labels[0])) == {0, 1, 2, 3}
    assert labels[0, 20, 20] == 2
    assert labels[0, 40, 55] == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["labels.tif", "video.json"]


def test_every_label_of_a_mask_is_an_object(run, tmp_path):
    mask = np.zeros((H, W), np.uint8)
    mask[15:25, 15:25] = 4
    mask[35:45, 50:60] = 9
    Image.fromarray(mask).save(tmp_path / "mask.png")
    code, _, _ = run("--mask", str(tmp_path / "mask.png"), "--formats", "tiff")
    assert code == 0
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    np.testing.assert_array_equal(labels[0], mask)


def test_a_black_and_white_mask_is_object_1(run, tmp_path):
    mask = np.zeros((H, W), np.uint8)
    mask[15:25, 15:25] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run("--mask", str(tmp_path / "mask.png"), "--formats", "tiff")
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    np.testing.assert_array_equal(labels[0], mask == 255)


def test_text(run, tmp_path):
    code, _, err = run("--text", "person", "--text", "unicorn", "--formats", "tiff")
    assert code == 0
    assert "'unicorn' finds nothing new on frame 0" in err
    assert set(np.unique(tifffile.imread(tmp_path / "out" / "labels.tif")[0])) == {0, 1, 2}


def test_backward_from_a_frame_writes_that_frame_too(run, tmp_path):
    code, _, _ = run(
        *("--point", "25,20", "--frame", "5", "--direction", "backward", "--frames", "2"),
        *("--formats", "tiff,overlay"),
    )
    assert code == 0
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert frames_with(labels, 1) == [3, 4, 5]
    with open_video(tmp_path / "out" / "overlay.mp4") as film:
        assert len(film) == 3


def test_earlier_results_are_replaced_only_when_told_to(run, tmp_path):
    assert run("--point", "20,20", "--formats", "png")[0] == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "out" / "labels").iterdir()}
    (tmp_path / "out" / "labels" / "notes.png").touch()
    code, _, err = run("--point", "55,40", "--frames", "3", "--formats", "png")
    assert code == 1
    assert err.startswith("napari-sam3: error: ")
    assert "--overwrite" in err
    assert all((tmp_path / "out" / "labels" / n).read_bytes() == b for n, b in before.items())
    arguments = ("--point", "55,40", "--frames", "3", "--formats", "png", "--overwrite")
    assert run(*arguments)[0] == 0
    assert sorted(p.name for p in (tmp_path / "out" / "labels").iterdir()) == [
        *("00000.png", "00001.png", "00002.png", "notes.png")
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--point, --box, --mask, --text or --prompts"),
        (["--point", "300,20"], 2, "300"),
        (["--point", "20,20@99"], 2, "99"),
        (["--box", "30,30,20,20"], 2, "20"),
        (["--box", "1:2,2,9,9", "--box", "1:3,3,9,9"], 2, "box"),
        (["--point", "20,20", "--start", "50"], 2, "50"),
        (["--text", "disc", "--model", "optical-flow"], 2, "text"),
        (["--point", "20,20", "--model", "no-such"], 2, "no-such"),
        (["--point", "20,20", "--device", "abacus"], 1, "abacus"),
        (["--mask", "missing.png"], 2, "missing.png"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(run, tmp_path, arguments, code, message):
    found, _, err = run(*arguments)
    assert found == code
    assert err.startswith("napari-sam3: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "out").exists()


def test_what_a_model_looks_back_at_is_said_for_this_run_alone(run, tmp_path, monkeypatch):
    seen = []
    start = FakeModel.start

    def start_and_look(model, frames):
        seen.append(read_settings())
        return start(model, frames)

    monkeypatch.setattr(FakeModel, "start", start_and_look)
    before = read_settings()
    asked = ["--memory-selection", "on", "--prompted-frames", "4"]
    asked += ["--distractor-memory", "--motion-prior"]
    asked += ["--precision", "float16", "--compile-encoder"]
    code, _, _ = run("--point", "20,20", "--formats", "csv", *asked)
    assert code == 0
    assert (seen[0].memory_selection, seen[0].prompted_frames) == ("on", 4)
    assert (seen[0].distractor_memory, seen[0].motion_prior) == (True, True)
    assert (seen[0].precision, seen[0].compile_encoder) == ("float16", True)
    assert read_settings() == before


def test_a_missing_or_broken_video_is_an_error(run, tmp_path):
    assert run("--point", "1,1", path=tmp_path / "no.mp4")[0] == 2
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    code, _, err = run("--point", "1,1", path=tmp_path / "broken.mp4")
    assert code == 1
    assert "broken.mp4" in err


@pytest.mark.parametrize(
    "content",
    [np.zeros((H, W), np.uint8), np.ones((5, 5), np.uint8), np.ones((H, W, 3), np.uint8)],
    ids=["empty", "another size", "colour"],
)
def test_a_mask_that_says_nothing_is_refused(run, tmp_path, content):
    Image.fromarray(content).save(tmp_path / "mask.png")
    code, _, err = run("--mask", str(tmp_path / "mask.png"))
    assert code in (1, 2)
    assert "mask" in err


def test_wrong_use_is_exit_code_2(video, capsys):
    assert main(["track", str(video)]) == 2
    assert main(["track", str(video), "-o", "x", "--point", "1"]) == 2
    assert main([]) == 2
    assert capsys.readouterr().err.endswith("COMMAND (napari-sam3 --help shows how)\n")


def test_ctrl_c_keeps_what_is_done(run, tmp_path, monkeypatch):
    keep = MemoryRun.keep

    def keep_and_interrupt(self, result):
        keep(self, result)
        if result.frame_index == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(MemoryRun, "keep", keep_and_interrupt)
    before = signal.getsignal(signal.SIGINT)
    code, out, err = run("--point", "20,20")
    assert code == 130
    assert "stopping after this frame" in err
    assert "4 of 8 frames" in out
    assert signal.getsignal(signal.SIGINT) is before
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert frames_with(labels, 1) == [0, 1, 2, 3]
    with open_video(tmp_path / "out" / "overlay.mp4") as film:
        assert len(film) == 4


def test_a_second_ctrl_c_gives_up(run, tmp_path, monkeypatch):
    def interrupt_twice(self, result):
        if result.frame_index == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(MemoryRun, "keep", interrupt_twice)
    code, _, err = run("--point", "20,20", "--formats", "tiff")
    assert code == 130
    assert "interrupted" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_on_the_way_keeps_what_is_done(run, tmp_path, monkeypatch):
    follow = track.follow

    def follow_and_fail(propagation, on_result):
        def take(result):
            if result.frame_index == 4:
                raise ModelError("the device is gone; try again")
            on_result(result)

        return follow(propagation, take)

    monkeypatch.setattr(track, "follow", follow_and_fail)
    code, _, err = run("--point", "20,20", "--formats", "tiff")
    assert code == 1
    assert "kept" in err
    assert "error: the device is gone" in err
    labels = tifffile.imread(tmp_path / "out" / "labels.tif")
    assert frames_with(labels, 1) == [0, 1, 2, 3]


def test_one_format_that_fails_does_not_take_the_others(run, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.export.overlay.draw_overlay", _disk_full)
    code, _, err = run("--point", "20,20")
    assert code == 1
    assert "No space left" in err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("labels", "labels.tif", "objects.csv", "video.json")
    ]


def test_a_full_disk_is_one_line_that_says_what_was_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.export.temporary_frames.TemporaryFrames.append", _disk_full)
    code, _, err = run("--point", "20,20", "--formats", "tiff,csv,mot")
    assert code == 1
    (line,) = [one for one in err.splitlines() if "error" in one]
    assert "labels.tif' can't be written (No space left on device)" in line
    assert line.endswith("nor can objects.csv; nor can mot.txt; written: nothing")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_id_that_a_format_does_not_hold_is_refused_before_tracking(run, tmp_path):
    code, out, err = run("--point", "70000:20,20", "--formats", "tiff,ctc")
    assert code == 1
    assert "label 70000" in err
    assert "frames" not in out
    assert run("--point", f"{2**31 - 1}:20,20", "--formats", "tiff")[0] == 0
    assert tifffile.imread(tmp_path / "out" / "labels.tif").max() == 2**31 - 1


def _disk_full(*_args, **_options):
    raise OSError(28, "No space left on device")


def test_boxes_and_labels_of_other_tools_are_tracked(run, tmp_path):
    """MOT's boxes are cut to the film; YOLO's outlines take their size from it."""
    boxes, outlines = tmp_path / "mot.txt", tmp_path / "yolo.txt"
    boxes.write_text("1,3,-4,11,26,20,1,-1,-1,-1\n1,5,900,900,5,5,1,-1,-1,-1\n")
    outlines.write_text("0 0.5 0.5 0.75 0.5 0.75 0.75 0.5 0.75\n")
    code, _, err = run("--prompts", str(boxes), "--mask", f"7:{outlines}", "--formats", "tiff")
    assert code == 0, err
    assert "outside the frame is left out (1)" in err
    first = tifffile.imread(tmp_path / "out" / "labels.tif")[0]
    assert np.unique(first).tolist() == [0, 3, 7]
    assert first[10:30, :21].all()
    assert (first[30:46, 40:61] == 7).all()


def test_boxes_given_as_a_mask_and_the_other_way_round_are_refused_in_a_line(run, tmp_path):
    boxes, outlines = tmp_path / "mot.txt", tmp_path / "yolo.txt"
    boxes.write_text("1,3,-4,11,26,20,1,-1,-1,-1\n")
    outlines.write_text("0 0.5 0.5 0.75 0.5 0.75 0.75 0.5 0.75\n")
    code, _, err = run("--mask", str(boxes))
    assert code
    assert "give them as prompts" in err
    code, _, err = run("--prompts", str(outlines))
    assert code
    assert "give it as a mask" in err

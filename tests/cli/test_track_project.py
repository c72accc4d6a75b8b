"""`napari-sam3 track --project` and `export` of one: kept as it goes, gone on with after a kill."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.cli import main
from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.models.fake import FakeTracker
from napari_sam3.projects import Project
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt

T = 12

# the process ends as by `kill -9` when the given frame is about to be kept
KILLED = """
import os, signal, sys
from napari_sam3.cli import main
from napari_sam3.projects import Project
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt

keep, frame = Project.keep, int(sys.argv[1])

def keep_or_die(self, result, *, of_run=False, **options):
    if of_run and result.frame_index == frame:
        self.flush()  # frames are written behind
        os.kill(os.getpid(), signal.SIGKILL)
    return keep(self, result, of_run=of_run, **options)

Project.keep = keep_or_die
main(sys.argv[2:])
"""


@pytest.fixture
def video(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t in range(T):
        Image.fromarray(np.full((60, 80), 10 * t, np.uint8)).save(folder / f"{t:03}.png")
    return folder


@pytest.fixture
def track(video, tmp_path, capsys):
    """The command, without its prompts; `track()` runs it."""
    base = ["track", str(video), "--model", "fake", "--project", str(tmp_path / "a.sam3")]

    def run(*arguments):
        code = main([*base, *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    run.base = base
    return run


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("recover", ["exact", "quick"])
def test_killed_it_goes_on_with_the_same_command(track, video, tmp_path, monkeypatch, recover):
    asked = ["--point", "20,20", "--box", "40,10,60,30@6", "--direction", "both", "--start", "6"]
    again = ["--overwrite", "--formats", "tiff", "-o", str(tmp_path / "whole")]
    assert main(["track", str(video), "--model", "fake", *asked, *again]) == 0
    whole = tifffile.imread(tmp_path / "whole" / "labels.tif")

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "3", *track.base, *asked], capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    with Project.open(tmp_path / "a.sam3", read_only=True) as project:
        assert project.problems == ()
        (left,) = project.frames_left
        assert left[0] == 3
        assert left[-1] == 0

    computed = []
    step = FakeTracker.step

    def note(self, source, target, *states):
        computed.append((source, target))
        return step(self, source, target, *states)

    monkeypatch.setattr(FakeTracker, "step", note)
    results = ["-o", str(tmp_path / "out"), "--formats", "tiff,csv"]
    code, out, err = track(*asked, *results, "--recover", recover)
    assert code == 0
    assert "going on where it stopped" in err
    assert ("may not be the same" in err) == (recover == "quick")
    assert "kept in" in out
    assert (tifffile.imread(tmp_path / "out" / "labels.tif") == whole).all()
    if recover == "quick":
        assert max(source for source, target in computed if target < source) <= left[0] + 1
    assert track(*asked)[2].startswith("all frames are done already")


def test_other_prompts_are_not_mixed_in(track):
    assert track("--point", "20,20", "--frames", "3")[0] == 0
    code, _, err = track("--point", "30,20", "--frames", "3")
    assert code == 2
    assert "other prompts" in err


def test_another_model_does_not_go_on_with_it(track, tmp_path):
    with Project.create(tmp_path / "a.sam3", tmp_path / "frames", (T, 60, 80)) as project:
        project.save_prompts(PromptList([SavedPrompt(0, 1, np.array([[9.0, 9]]))], model="other"))
        project.begin_run("forward", 0)
    code, _, err = track()
    assert code == 2
    assert "tracked by 'other'" in err
    code, _, err = track("--model", "auto")
    assert code == 1
    assert "'other'" in err  # the project's own, which is not there


@pytest.mark.parametrize(
    "wrong",
    [
        ["--point", "300,20"],
        ["--point", "2,2", "--start", "99"],
        ["--point", "2,2", "--model", "no-such"],
    ],
)
def test_a_wrong_request_leaves_no_project(track, tmp_path, wrong):
    assert track(*wrong)[0] in (1, 2)
    assert not (tmp_path / "a.sam3").exists()


def test_without_prompts_or_a_place_there_is_nothing_to_do(track, video, capsys):
    assert track()[0] == 2
    assert main(["track", str(video), "--point", "2,2"]) == 2
    assert "--project" in capsys.readouterr().err


def test_a_project_in_use_is_left_alone(track, tmp_path):
    assert track("--point", "20,20", "--frames", "2")[0] == 0
    with Project.open(tmp_path / "a.sam3"):
        code, _, err = track()
        assert code == 1
        assert "in this program" in err


def test_prompts_from_files(track, tmp_path, video):
    (tmp_path / "one.csv").write_text(
        "video,frame,object,kind,x,y,x1,y1,label,text\n"
        "frames,0,3,point,20,20,,,1,\nother.mp4,0,4,point,20,20,,,1,\n"
    )
    code, _, err = track("--prompts", str(tmp_path / "one.csv"), "--point", "50,40")
    assert code == 0
    assert "objects 1, 3" in err
    again = ["--prompts", str(tmp_path / "a.sam3"), "-o", str(tmp_path / "o"), "--formats", "tiff"]
    assert main(["track", str(video), "--model", "fake", *again]) == 0
    assert np.unique(tifffile.imread(tmp_path / "o" / "labels.tif")).tolist() == [0, 1, 3]


def test_a_project_is_exported_with_all_that_is_known(track, tmp_path, capsys):
    track("--point", "20,20", "--frames", "4")
    with Project.open(tmp_path / "a.sam3") as project:
        project.objects.set(ObjectInfo(1, "Ann", "cell"))
        project.save_objects(project.objects)
    out = tmp_path / "out"
    assert main(["export", str(tmp_path / "a.sam3"), "-o", str(out), "--formats", "csv,png"]) == 0
    with (out / "objects.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["frame"], r["name"], r["class"], r["source"]) for r in rows] == [
        (str(t), "Ann", "cell", "prompt" if t == 0 else "propagated") for t in range(4)
    ]
    # of the video, found by itself
    assert {v for k, v in rows[2].items() if k.startswith("mean")} == {"20"}
    assert len(list((out / "labels").iterdir())) == 4


def test_the_video_of_an_exported_project_may_be_lost(track, tmp_path, video, capsys):
    track("--point", "20,20", "--frames", "2")
    video.rename(tmp_path / "gone")
    arguments = ["export", str(tmp_path / "a.sam3"), "-o", str(tmp_path / "out"), "--formats"]
    assert main([*arguments, "overlay"]) == 2
    assert "not found" in capsys.readouterr().err
    assert main([*arguments, "tiff"]) == 0
    assert main([*arguments, "overlay", "--video", str(tmp_path / "gone")]) == 0

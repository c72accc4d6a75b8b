"""Channels, depth and scenes on the command line: asked for, chosen, kept, exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam3 import Sam3VideoPredictor, run_batch, track_video
from napari_sam3.cli import main
from napari_sam3.errors import ProjectError, RequestError, VideoError
from napari_sam3.projects import Project
from napari_sam3.video import PlaneChoice, open_video
from napari_sam3.video.video_facts import describe_video

CLICK = [{"frame": 0, "points": [[16, 10]]}]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """T, C, Z, Y, X, with a bright square in the second channel alone, on the last plane."""
    data = np.full((3, 2, 2, 24, 32), 100, np.uint16)
    data[:, 1, 1, 5:15, 10:22] = 3000
    path = tmp_path / "cells.ome.tif"
    metadata = {"axes": "TCZYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(path, data, ome=True, metadata=metadata, photometric="minisblack")
    return path


def track(path: Path, *arguments: object) -> int:
    said = ("--point", "16,10", "--model", "fake", "--formats", "tiff", *arguments)
    return main(["track", str(path), *map(str, said)])


def test_what_is_missing_is_asked_by_its_option(stack, tmp_path, capsys):
    assert track(stack, "-o", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "5 axes TCZYX" in told
    assert "--channel 0" in told
    assert "'DAPI', 'GFP'" in told
    assert "--z max" in told


@pytest.mark.parametrize(
    "chosen",
    [
        ("--channel", "2", "--z", "0"),
        ("--channel", "RFP", "--z", "0"),
        ("--channel", "0", "--z", "9"),
        ("--channel", "0", "--z", "0", "--scene", "3"),
    ],
)
def test_what_the_file_does_not_hold_is_a_wrong_call_too(stack, tmp_path, capsys, chosen):
    assert track(stack, *chosen, "-o", tmp_path / "out") == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "there is no" in told
    assert not (tmp_path / "out").exists()


def test_a_project_keeps_the_choice_and_refuses_another(stack, tmp_path, capsys):
    chosen = ("--channel", "GFP", "--z", "max")
    folder = tmp_path / "a.sam3"
    assert track(stack, *chosen, "--project", folder, "-o", tmp_path / "out") == 0
    said = json.loads((folder / "project.json").read_text())["video"]
    assert said["choice"] == {"channel": 1, "z": "max"}
    with Project.open(folder, read_only=True) as project:
        assert project.video.choice == PlaneChoice(1, "max")
    capsys.readouterr()
    assert track(stack, "--channel", "1", "--z", "max", "--project", folder) == 0
    assert "done already" in capsys.readouterr().err
    assert track(stack, "--channel", "0", "--z", "max", "--project", folder) == 1
    assert "the project is of cells.ome.tif with channel 1, z max" in capsys.readouterr().err


def test_an_export_of_a_project_shows_its_channel(stack, tmp_path):
    folder = tmp_path / "a.sam3"
    assert track(stack, "--channel", "1", "--z", "1", "--project", folder) == 0
    assert main(["export", str(folder), "-o", str(tmp_path / "out"), "--formats", "csv"]) == 0
    rows = (tmp_path / "out" / "objects.csv").read_text().splitlines()
    assert float(rows[1].rpartition(",")[2]) > 1000  # the mean within the mask
    named = ("--video", str(stack), "--channel", "DAPI", "--z", "0")
    assert main(["export", str(folder), "-o", str(tmp_path / "b"), "--formats", "csv", *named]) == 0
    rows = (tmp_path / "b" / "objects.csv").read_text().splitlines()
    assert float(rows[1].rpartition(",")[2]) == 100


def test_a_damaged_choice_is_told(stack, tmp_path):
    folder = tmp_path / "a.sam3"
    with open_video(stack, channel=1, z=0) as video:
        Project.create(folder, video, video.shape).close()
    place = folder / "project.json"
    said = json.loads(place.read_text())
    said["video"]["choice"] = {"channel": -3}
    place.write_text(json.dumps(said))
    with Project.open(folder, read_only=True) as project:
        assert any("choice" in problem for problem in project.problems)


def test_a_batch_chooses_in_all_videos_and_goes_on(stack, tmp_path):
    def run(**choice):
        return run_batch(
            [stack], CLICK, tmp_path / "out", model="fake", formats=["csv"], **choice
        ).rows[0]

    assert "which depth" in run(channel="GFP").error
    assert run(channel="GFP", z=1).state == "done"
    assert run(channel=1, z=1).state == "skipped"
    row = run(channel=0, z=1)
    assert row.state == "failed"
    assert "with channel 1, z 1; this is channel 0, z 1" in row.error


def test_scripts_choose_by_the_same_names(stack, tmp_path):
    with track_video(stack, CLICK, model="fake", channel="GFP", z="mean") as tracked:
        assert tracked.shape == (3, 24, 32)
        tracked.export(tmp_path / "a.csv")
    frames = (frame for frame in np.zeros((3, 24, 32), np.uint8))
    with track_video(frames, CLICK, model="fake") as tracked:
        tracked.export(tmp_path / "b.csv")
    with pytest.raises(VideoError, match="which depth"):
        track_video(stack, CLICK, model="fake", channel=0)
    with open_video(stack, channel=0, z=0) as video:
        with pytest.raises(VideoError, match="open already"):
            track_video(video, CLICK, model="fake", channel=1, z=0)
        assert describe_video(video).shape == (3, 24, 32)
        with (
            track_video(stack, CLICK, model="fake", channel=1, z=0, project=tmp_path / "c.sam3"),
            pytest.raises(ProjectError),
        ):
            track_video(video, CLICK, model="fake", project=tmp_path / "c.sam3")


def test_a_request_chooses(stack):
    predictor = Sam3VideoPredictor("fake")
    start = {"type": "start_session", "resource_path": str(stack)}
    with pytest.raises(RequestError, match="which channel"):
        predictor.handle_request(start)
    answer = predictor.handle_request({**start, "channel": "GFP", "z": "max"})
    predictor.handle_request({"type": "close_session", "session_id": answer["session_id"]})

"""Objects found by themselves, on the command line: as first prompts, and as proposals."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_sam3.cli import main
from napari_sam3.session.prompt_files import read_prompts
from napari_sam3.session.saved_prompts import SavedPrompt

T, H, W = 8, 80, 100
AT = {0: (20, 20), 1: (70, 50)}  # centres of what is there all the time
LATE, SINCE = (30, 62), 4


def disc(x, y, radius=9):
    rows, columns = np.ogrid[:H, :W]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two bright discs that stay; a third that comes in on frame 4."""
    frames = np.full((T, H, W), 30, np.uint8)
    for t in range(T):
        for x, y in [*AT.values(), *([LATE] if t >= SINCE else [])]:
            frames[t][disc(x, y)] = 200
    path = tmp_path_factory.mktemp("video") / "film.tif"
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run a command; gives exit code, its JSON and what people are told."""
    monkeypatch.chdir(tmp_path)

    def run_command(*words):
        code = main([*map(str, words), "--json"])
        told = capsys.readouterr()
        return code, json.loads(told.out), told.err

    return run_command


def track(run, video, *words):
    return run("track", video, "--model", "optical-flow", "-o", "out", "--formats", "tiff", *words)


def test_detect_writes_prompts_that_track_takes(run, video):
    code, facts, told = run("detect", video, "--frame", 5, "-o", "found/prompts.json")
    assert code == 0
    assert "blobs found 3 objects on frame 5" in told
    assert len(facts["objects"]) == 3
    prompts = read_prompts("found/prompts.json")
    assert [(p.frame_index, p.obj_id) for p in prompts] == [(5, 1), (5, 2), (5, 3)]
    assert sorted(p.mask.bbox for p in prompts) == sorted(tuple(o["box"]) for o in facts["objects"])
    code, _, _ = track(run, video, "--prompts", "found/prompts.json")
    assert code == 0
    labels = tifffile.imread("out/labels.tif")
    assert len({labels[6, y, x] for x, y in (*AT.values(), LATE)} - {0}) == 3


def test_detect_replaces_nothing_without_leave(run, video):
    assert run("detect", video, "-o", "p.json")[0] == 0
    assert run("detect", video, "-o", "p.json")[0] == 1
    assert run("detect", video, "-o", "p.json", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--detector", "nobody"], 2, "there are: blobs"),
        (["--detector", "blobs:dark"], 2, "finds nothing on frame 0"),
        (["--frame", "99"], 2, "99"),
        (["--detector", "fake"], 2, "fake:WORD"),
    ],
)
def test_what_can_not_be_found_is_told(run, video, words, code, said):
    done, facts, _ = run("detect", video, "-o", "p.json", *words)
    assert done == code
    assert said in facts["error"]


def test_track_begins_with_all_that_is_found(run, video):
    code, facts, told = track(run, video, "--detect", "blobs")
    assert code == 0
    assert facts["detected"] == 2
    assert "blobs found 2 objects on frame 0" in told
    labels = tifffile.imread("out/labels.tif")
    for t in range(T):
        assert {labels[t, y, x] for x, y in AT.values()} == {1, 2}
    assert not labels[:, LATE[1], LATE[0]].any()


def test_what_is_pointed_at_is_not_found_again(run, video):
    x, y = AT[0]
    code, facts, _ = track(run, video, "--detect", "blobs", "--point", f"7:{x},{y}")
    assert code == 0
    assert facts["detected"] == 1
    labels = tifffile.imread("out/labels.tif")
    assert labels[0, y, x] == 7
    assert labels[0, AT[1][1], AT[1][0]] == 1


def test_what_comes_in_later_is_proposed_and_not_taken(run, video):
    code, facts, told = track(run, video, "--detect", "blobs", "--detect-every", 3)
    assert code == 0
    assert "1 new object seen on frame 6, not tracked" in told
    proposed = facts["proposed"]
    assert (proposed["objects"], proposed["frames"]) == ([3], [6])
    (prompt,) = read_prompts(proposed["file"])
    assert isinstance(prompt, SavedPrompt)
    assert (prompt.frame_index, prompt.obj_id) == (6, 3)
    assert prompt.mask.holds(*LATE)
    assert set(np.unique(tifffile.imread("out/labels.tif"))) == {0, 1, 2}


def test_a_proposal_given_back_is_tracked_beside_the_others(run, video):
    track(run, video, "--detect", "blobs", "--detect-every", 3)
    code, facts, _ = run(
        *("track", video, "--model", "optical-flow", "--detect", "blobs", "--formats", "tiff"),
        *("--prompts", "out/proposals.json", "--direction", "both", "--detect-every", 2, "-o", "2"),
    )
    assert code == 0
    labels = tifffile.imread("2/labels.tif")
    assert labels[7, LATE[1], LATE[0]] == 3
    assert {labels[7, y, x] for x, y in AT.values()} == {1, 2}
    assert facts["objects"] == [1, 2, 3]


def test_own_prompts_alone_are_tracked_and_all_else_proposed(run, video):
    x, y = AT[0]
    _, facts, _ = track(run, video, "--point", f"{x},{y}", "--detect-every", 4)
    assert facts["objects"] == [1]
    assert "detected" not in facts
    assert (facts["proposed"]["objects"], facts["proposed"]["frames"]) == ([2, 3], [0, 4])


def test_where_nothing_comes_in_it_is_said(run, video):
    _, facts, told = track(run, video, "--detect", "blobs", "--detect-every", 2, "--frames", 3)
    assert "nothing new on the 2 frames looked at" in told
    assert facts["proposed"]["objects"] == []


def test_proposals_stand_in_the_project_and_the_same_command_goes_on(run, video):
    words = ["track", video, "--model", "optical-flow", "--detect", "blobs"]
    words += ["--project", "film.sam3"]
    assert run(*words, "--frames", 5, "--detect-every", 4)[0] == 0
    assert len(read_prompts("film.sam3/proposals.json")) == 1
    code, facts, told = run(*words, "--frames", 5)
    assert (code, facts["frames"]) == (0, 0)
    assert "all frames are done already" in told


def test_a_model_finds_what_a_word_names(run, video):
    code, facts, _ = track(run, video, "--detect", "fake:person")
    assert (code, facts["detected"]) == (0, 2)

"""Every command, wrongly asked for and failing: exit codes, and what is said of it."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from napari_sam3.cli import main
from napari_sam3.export import export_labels_tiff

VERBS = {
    "demo": (),
    "track": ("VIDEO",),
    "batch": ("PROMPTS", "VIDEO"),
    "open": ("VIDEO",),
    "review": ("LABELS",),
    "export": ("LABELS",),
    "pack": ("PROJECT",),
    "proxy": ("VIDEO",),
    "models list": (),
    "models get": ("NAME",),
    "models check": ("NAME",),
    "models folder": ("NAME",),
    "models forget": ("NAME",),
    "models token": (),
    "certificates": ("FOLDER",),
    "completion": ("SHELL",),
    "doctor": (),
}
"""Each with what can't be left out of it."""

NEEDS = {"export": ["--formats", "csv", "-o", "out"], "batch": ["-o", "out"]}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, weights_home):
    """A folder to be in, with a video, labels, and what is neither."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")
    (tmp_path / "frames").mkdir()
    for t in range(3):
        Image.fromarray(np.full((40, 50), 50 * t, np.uint8)).save(tmp_path / f"frames/{t}.png")
    labels = np.zeros((3, 40, 50), np.uint16)
    labels[:, 10:20, 10:20] = 1
    export_labels_tiff(tmp_path / "labels.tif", labels)
    (tmp_path / "broken.mp4").write_text("no video")
    (tmp_path / "click.csv").write_text("frame,object,kind,x,y\n0,1,point,12,12\n")
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run a command; gives exit code, output, lines of errors."""

    def run(*words):
        code = main([*words])
        said = capsys.readouterr()
        return code, said.out, said.err.splitlines()

    return run


def assert_one_line(lines):
    (line,) = lines
    assert line.startswith("napari-sam3: error: ")
    assert "usage:" not in line


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_is_none_is_a_wrong_call(call, verb):
    given = ["bash" if need == "SHELL" else "frames" for need in VERBS[verb]]
    code, out, lines = call(*verb.split(), *given, *NEEDS.get(verb, ()), "--nonsense")
    assert (code, out) == (2, "")
    assert_one_line(lines)
    assert "--nonsense" in lines[0]
    assert f"napari-sam3 {verb} --help" in lines[0]


@pytest.mark.parametrize("verb", [verb for verb, needs in VERBS.items() if needs])
def test_a_missing_argument_is_a_wrong_call(call, verb):
    code, out, lines = call(*verb.split(), *NEEDS.get(verb, ()))
    assert (code, out) == (2, "")
    assert_one_line(lines)
    assert f"napari-sam3 {verb} --help" in lines[0]


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["demo"],
            ["track", "--point", "1,1", "-o", "out"],
            ["open"],
            ["review"],
            ["proxy"],
            ["pack"],
        ),
        *(["export", "--formats", "csv", "-o", "out"], ["models", "folder"]),
        ["export", "labels.tif", "--formats", "csv", "-o", "out", "--video"],
        ["track", "frames", "-o", "out", "--prompts"],
        ["track", "frames", "-o", "out", "--mask"],
        ["batch", "-o", "out"],
    ],
)
def test_a_file_that_is_not_there_is_a_wrong_call(call, home, words):
    code, out, lines = call(*words, "missing.json")
    assert (code, out) == (2, "")
    assert_one_line(lines)
    assert "'missing.json'" in lines[0]
    assert not (home / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["demo", "broken.mp4", "--headless"], "broken.mp4"),
        (["track", "broken.mp4", "--point", "1,1", "-o", "out"], "broken.mp4"),
        (["track", "frames", "--point", "1,1", "-o", "click.csv"], "name a folder"),
        (["track", "frames", "--point", "1,1", "-o", "out", "--model", "edgetam"], "models get"),
        (["batch", "click.csv", "frames", "-o", "labels.tif"], "name another one"),
        (["review", "broken.mp4"], "broken.mp4"),
        (["export", "broken.mp4", "--formats", "csv", "-o", "out"], "broken.mp4"),
        (["proxy", "broken.mp4"], "broken.mp4"),
        (["models", "folder", "frames"], "frames"),
        (["models", "token", "--check"], "napari-sam3 models token"),
        (["certificates", "."], "name a new one"),
    ],
)
def test_what_fails_is_said_in_one_line_with_what_to_do(call, words, told):
    code, _, lines = call(*words)
    assert code == 1
    assert_one_line(lines)
    assert told in lines[0]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (
            ["track", "frames", "--point", "12,12", "-o", "out", "--formats", "csv"],
            {"frames": 3, "frames_done": 3, "objects": [1], "written": ["out/objects.csv"]},
        ),
        (["track", "frames", "--point", "12,12", "--project", "a.sam3"], {"frames_done": 3}),
        (["batch", "click.csv", "frames", "-o", "out"], {"summary": "out/summary.csv"}),
        (["review", "labels.tif"], {"frames": 3, "n_checked": 0}),
        (
            ["export", "labels.tif", "-o", "out", "--formats", "csv"],
            {"frames": 3, "written": ["out/objects.csv"]},
        ),
        (["models"], {"auto": "optical-flow"}),
        (["models", "list"], {"auto": "optical-flow"}),
    ],
)
def test_json_is_one_object_with_all_else_on_stderr(call, words, facts):
    if words[0] in ("track", "batch"):
        words = [*words, "--model", "fake"]
    code, out, _ = call(*words, "--json")
    told = json.loads(out)
    assert (code, told["exit_code"]) == (0, 0)
    assert {key: told[key] for key in facts} == facts
    assert "error" not in told


def test_json_of_a_batch_has_a_row_for_each_video(call):
    code, out, _ = call("batch", "click.csv", "frames", "no.mp4", "-o", "out", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"]) == (1, 1)
    done, failed = told["rows"]
    assert (done["video"], done["frames"], done["state"]) == ("frames", 3, "done")
    assert (failed["state"], "no.mp4" in failed["error"]) == ("failed", True)


def test_json_of_the_models_says_what_each_takes(call):
    _, out, _ = call("models", "--json", "list")
    models = {model["name"]: model for model in json.loads(out)["models"]}
    assert models["optical-flow"]["is_ready"]
    assert "points" in models["optical-flow"]["takes"]
    assert models["sam3"]["licence"] == "SAM License"
    assert not models["sam3"]["is_ready"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["track", "broken.mp4", "--point", "1,1", "-o", "o"], 1), (["track", "broken.mp4"], 2)],
)
def test_json_tells_an_error_too(call, words, expected):
    code, out, lines = call(*words, "--json")
    told = json.loads(out)
    assert code == told["exit_code"] == expected
    assert lines == [f"napari-sam3: error: {told['error']}"]


def test_a_word_that_is_nearly_one_is_guessed(call):
    _, _, (line,) = call("track", "frames", "--point", "1,1", "-o", "out", "--fromats", "csv")
    assert "did you mean --formats?" in line


def test_models_that_nobody_knows_are_wrong_calls_everywhere(call):
    for words in (
        ["models", "get", "nope"],
        ["models", "check", "nope"],
        ["models", "forget", "nope"],
        ["track", "frames", "--point", "1,1", "-o", "out", "--model", "nope"],
        ["batch", "click.csv", "frames", "-o", "out", "--model", "nope"],
    ):
        code, _, lines = call(*words)
        assert (words, code) == (words, 2)
        assert_one_line(lines)


@pytest.fixture
def type_in(monkeypatch):
    """Put a text on standard input."""

    def put(text):
        stream = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stream)

    return put


TABLE = "video,frame,object,kind,x,y\nframes,0,7,point,12,12\n"
JSON = """
{"format": "napari-sam3 prompts", "version": 1,
 "prompts": [{"frame": 0, "object": 7, "points": [[12, 12]]}]}
"""


@pytest.mark.parametrize("text", [TABLE, JSON], ids=["table", "JSON"])
def test_prompts_are_read_from_standard_input(call, type_in, text):
    type_in(text)
    results = ["-o", "out", "--formats", "csv", "--model", "fake", "--json"]
    code, out, _ = call("track", "frames", "--prompts", "-", *results)
    assert (code, json.loads(out)["objects"]) == (0, [7])


def test_a_batch_reads_prompts_from_standard_input(call, type_in):
    for more in ([], ["frames"]):  # the video that the table names, and one that was named
        type_in(TABLE)
        code, out, _ = call("batch", "-", *more, "-o", "out", "--model", "fake", "--json")
        (row,) = json.loads(out)["rows"]
        assert (code, row["video"], row["objects"]) == (0, "frames", 1)


@pytest.mark.parametrize("text", ["", "{", "nothing,of,this\n1,2,3\n", "\0"])
def test_what_is_no_prompt_on_standard_input_is_said_in_one_line(call, type_in, text):
    type_in(text)
    code, _, lines = call("batch", "-", "frames", "-o", "out", "--model", "fake")
    assert code == 2
    assert_one_line(lines)
    assert "standard input" in lines[0]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_commands_options_formats_and_models(call, shell):
    code, out, _ = call("completion", shell)
    assert code == 0
    for word in ("track", "prompts-beside", "ome-zarr", "sam2.1-tiny"):
        assert word in out


def test_another_shell_is_a_wrong_call(call):
    code, _, lines = call("completion", "abc")
    assert code == 2
    assert_one_line(lines)
    assert "fish" in lines[0]

"""`napari-sam3 models` as a person uses it, against a hub of our own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hub_server import Repo
from tests.models.weights.folders import model_files, write_model

from napari_sam3.cli import main
from napari_sam3.models.weights import resumable_download, save_token

SAM3, EDGETAM = "facebook/sam3", "yonigozlan/EdgeTAM-hf"
BIG = "model.safetensors"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    monkeypatch.setattr(resumable_download, "LARGE", 10_000)
    monkeypatch.setattr(resumable_download, "CHUNK", 4_000)
    monkeypatch.setattr(resumable_download, "PAUSE", 0.0)


@pytest.fixture
def repos(hub):
    hub.repos[EDGETAM] = Repo(model_files("edgetam_video", 50_000), {BIG})
    hub.repos[SAM3] = Repo(model_files("sam3_video", 50_000), {BIG}, "pending")
    return hub.repos


def test_the_list_tells_state_size_licence_and_prompts(hub, capsys):
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "SAM License" in lines["sam3"]
    assert "3.4 GB" in lines["sam3"]
    assert "no token" in lines["sam3"]
    assert "text, exemplars, points, boxes, masks" in lines["sam3"]
    assert "to download" in lines["sam2.1-tiny"]
    assert "ready" in lines["optical-flow"]
    assert lines["auto:"].startswith("auto: optical-flow, because")
    assert "fake" not in lines
    assert hub.requests == []  # the net was not asked


def test_get_says_the_licence_and_fetches_once(repos, hub, capsys):
    assert main(["models", "get", "edgetam"]) == 0
    out = capsys.readouterr().out
    assert "Apache-2.0 (https://www.apache.org/licenses/LICENSE-2.0)" in out
    assert "edgetam is here: " in out
    asked = len(hub.requests)
    assert main(["models", "get", "edgetam"]) == 0
    assert "is here already" in capsys.readouterr().out
    assert len(hub.requests) == asked
    assert main(["models"]) == 0
    assert "edgetam           200 kB  Apache-2.0" in capsys.readouterr().out


def test_a_download_that_breaks_off_is_an_error_that_says_how_to_go_on(repos, hub, capsys):
    hub.cuts = [100_000] + [0] * 10
    assert main(["models", "get", "edgetam"]) == 1
    assert "it goes on from there" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "to download (1" in capsys.readouterr().out
    hub.cuts = []
    assert main(["models", "get", "edgetam"]) == 0


def test_an_interrupted_download_says_that_it_can_go_on(repos, hub, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(resumable_download.PartialFile, "_write", interrupt)
    assert main(["models", "get", "edgetam"]) == 130
    assert "what has come is kept" in capsys.readouterr().err


def test_gated_step_by_step(repos, hub, capsys, monkeypatch):
    assert main(["models", "get", "sam3"]) == 1
    assert "napari-sam3 models token" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", io.StringIO("hf_good\n"))
    assert main(["models", "token"]) == 0
    assert "of somebody" in capsys.readouterr().out
    assert main(["models", "check", "sam3"]) == 1
    out = capsys.readouterr().out
    assert "asking as somebody" in out
    assert "sam3: gated: pending" in out
    assert main(["models"]) == 0
    assert "gated: pending" in capsys.readouterr().out
    repos[SAM3].access = "granted"
    assert main(["models", "check", "sam3"]) == 0
    assert main(["models", "get", "sam3"]) == 0
    out = capsys.readouterr().out
    assert "military" in out
    assert "https://huggingface.co/facebook/sam3/blob/main/LICENSE" in out


def test_a_token_is_checked_before_it_is_saved(hub, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("hf_wrong\n"))
    assert main(["models", "token"]) == 1
    assert "does not accept the token" in capsys.readouterr().err
    assert main(["models", "token", "--check"]) == 1
    save_token("hf_good")
    assert main(["models", "token", "--check"]) == 0


def test_a_folder_of_the_persons_own(weights_home, tmp_path, capsys):
    folder = write_model(tmp_path / "cells")
    assert main(["models", "folder", str(folder)]) == 0
    assert "use it with: --model cells" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert "cells" in capsys.readouterr().out
    assert main(["models", "forget", "cells"]) == 0
    assert main(["models", "forget", "cells"]) == 2
    assert main(["models", "folder", str(tmp_path)]) == 1
    assert "inside it has one" in capsys.readouterr().err


def test_track_says_how_to_get_what_is_missing(weights_home, disc_folder, tmp_path, capsys):
    arguments = ["track", str(disc_folder), "--point", "34,40", "-o", str(tmp_path / "out")]
    assert main([*arguments, "--model", "sam2.1-tiny"]) == 1
    told = capsys.readouterr().err
    assert "(156 MB, licence Apache-2.0" in told
    assert "Get... in the window, or 'napari-sam3 models get sam2.1-tiny' in a terminal" in told


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys\n"
        "from napari_sam3.cli import main\n"
        "main(sys.argv[1:])\n"
        "print({'torch', 'transformers', 'huggingface_hub', 'numpy'} & set(sys.modules))"
    )
    for arguments in (["--help"], ["models", "--help"], ["doctor", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("set()\n")


def test_the_list_imports_no_torch_while_nothing_is_here(tmp_path):
    code = (
        "import sys\n"
        "from napari_sam3.cli import main\n"
        "assert main(['models']) == 0\n"
        "assert not {'torch', 'transformers', 'numpy.testing', 'av'} & set(sys.modules)"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)


def test_an_end_of_input_in_place_of_a_token(weights_home, capsys, monkeypatch):
    def end(prompt):
        raise EOFError

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", end)
    assert main(["models", "token"]) == 1
    assert "the token is empty" in capsys.readouterr().err


def test_a_reader_that_goes_away_and_a_terminal_without_the_signs(tmp_path):
    command = [sys.executable, "-m", "napari_sam3.cli", "models"]
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "k\u00e4se")}
    environment["PYTHONIOENCODING"] = "ascii:strict"
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert rb"k\xe4se" in done.stdout
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk of Linux that is full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_for_the_output_is_one_line(tmp_path, more):
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub")}
    command = [sys.executable, "-m", "napari_sam3.cli", "models", *more]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("napari-sam3: error: what it tells")


def test_auto_is_nothing_to_get(weights_home, capsys):
    for action in ("get", "check"):
        assert main(["models", action, "auto"]) == 2
        assert "name the one to get" in capsys.readouterr().err

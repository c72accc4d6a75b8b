"""The report, and the run on the sample."""

from __future__ import annotations

import json
import sys

import pytest
from tests.models.weights.folders import write_model

from napari_sam3.cli import doctor, main
from napari_sam3.models.weights import use_folder
from napari_sam3.samples import CellMovie, make_cells, sample_files


@pytest.fixture(scope="module")
def movie():
    """The beginning of a small sample."""
    whole = make_cells(size=(120, 160))
    return CellMovie(whole.frames[:5], whole.labels[:5], whole.lineage)


@pytest.fixture
def sample(tmp_path, monkeypatch, movie):
    """In a cache folder of its own."""
    monkeypatch.setattr(sample_files, "make_cells", lambda: movie)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")


def test_the_report_is_plain_text_with_all_sections(weights_home, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("NAPARI_SAM3_FEATURES_MB", "64")
    use_folder(write_model(tmp_path / "cells"))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for section in ("system", "packages", "video", "devices", "settings", "folders", "models"):
        assert f"[{section}]\n" in out
    told = [" ".join(line.split()) for line in out.splitlines()]  # however wide the columns are
    for fact in ("libx264 yes", "features_mb 64 (environment)", "HF_TOKEN set", "cpu"):
        assert any(fact in line for line in told)
    assert f" in {tmp_path / 'cells'}\n" in out
    assert "could not be found out" not in out
    assert "hf_secret" not in out


def test_the_run_tells_figures(sample, capsys):
    assert main(["doctor", "--run", "optical-flow", "--frames", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["exit_code"] == 0
    figures = report["run"]
    assert figures["model"] == "optical-flow"
    assert figures["objects, frames"] == "3, 4"
    assert figures["overlap with the truth, mean IoU"] > 0.5
    for measured in (
        "first mask, s",
        "first pass, frames a second",
        "second pass, after corrections, s",
    ):
        assert figures[measured] > 0
    assert figures["peak of the process's memory, bytes"] > 2**25


def test_a_model_with_words_is_tried_with_words(sample, capsys):
    assert main(["doctor", "--run", "fake", "--frames", "2"]) == 0
    assert "objects found by the word 'cell'" in capsys.readouterr().out


def test_a_model_of_the_sam_family_runs(sample, weights_home, tmp_path, capsys):
    from tests.models.sam import tiny

    use_folder(tiny.save(tiny.make_sam2(), tmp_path / "little"))
    arguments = ["doctor", "--run", "little", "--frames", "2", "--device", "cpu", "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["models"]["little"].startswith("on disk, 5.8 MB in ")
    assert report["run"]["precision"] == "float32"
    assert report["run"]["first pass, frames a second"] > 0


def test_the_run_tells_what_a_step_costs_a_gpu(sample, weights_home, tmp_path, capsys):
    from tests.models.sam import tiny

    use_folder(tiny.save(tiny.make_sam2(), tmp_path / "little"))
    arguments = ["doctor", "--run", "little", "--frames", "4", "--device", "cpu", "--json"]
    arguments += ["--precision", "float16"]  # which the CPU leaves alone
    assert main(arguments) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    step = "a step of 3 objects"
    parts = {name: run[f"{step}: {name}, s"] for name in ("memory_attention", "mask_decoder")}
    assert 0 < sum(parts.values()) < run[f"{step}, s"]
    assert run["image encoder, s a frame"] > 0
    assert run[f"{step}: waits for the device (as on a GPU)"] == 3  # whatever the objects
    assert run[f"{step}: brought from the device (as on a GPU), bytes"] > 0
    assert run[f"{step}: casts of weights"] == 0
    assert run[f"{step}: operations"] > 100


def test_a_run_that_fails_ends_the_report_with_the_reason(weights_home, sample, capsys):
    assert main(["doctor", "--run", "sam2.1-tiny"]) == 1
    out = capsys.readouterr().out
    assert "[models]" in out
    assert "error  the weights of 'sam2.1-tiny' are not on this machine" in out


def test_a_resolution_that_a_model_does_not_have_is_refused(weights_home, sample, capsys):
    arguments = ["doctor", "--json", "--run", "optical-flow", "--resolution", "512"]
    assert main(arguments) == 1
    error = json.loads(capsys.readouterr().out)["run"]["error"]
    assert "'optical-flow' has no working resolution" in error
    assert "--resolution 512" in error


def test_a_broken_installation_is_told_with_the_rest(weights_home, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari_sam3.models.sam.device_facts", None)
    monkeypatch.setattr(doctor, "has_codec", lambda name, mode: 1 / 0)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "PyTorch can't be imported" in out
    assert "could not be found out  ZeroDivisionError" in out
    assert "[models]" in out


def test_nobodys_name_and_no_password_is_told(weights_home, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor.Path, "home", lambda: tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "http://me:secret@mirror")
    monkeypatch.setenv("NAPARI_SAM3_MODEL", str(tmp_path / "gone"))
    use_folder(write_model(tmp_path / "cells"))
    for arguments in (["doctor"], ["doctor", "--json"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert str(tmp_path) not in out
        assert "secret" not in out
        assert "http://...@mirror" in out


def test_a_wrong_model_for_auto_does_not_hide_the_others(weights_home, monkeypatch, capsys):
    monkeypatch.setenv("NAPARI_SAM3_MODEL", "nope")
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "no model is called 'nope'" in out
    assert "edgetam           to download" in out

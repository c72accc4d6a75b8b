"""`napari-sam3 track --scheduler`: the same results, computed elsewhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_sam3 import __version__
from napari_sam3.cli import FAILED, main
from napari_sam3.projects import Project
from tests.conftest import make_disc_film

from .conftest import wait_until

PROMPTS = ("--point", "34,40", "--box", "66,62,98,94")


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, make_disc_film(12), photometric="rgb")
    return path


def track(film, out, *more):
    return main(["track", str(film), *PROMPTS, "-o", str(out), "--formats", "tiff", *more])


def test_writes_what_is_written_here(cluster, film, tmp_path, capsys):
    assert track(film, tmp_path / "here", "--model", "optical-flow") == 0
    there = ("--model", "optical-flow", "--scheduler", cluster.address)
    assert track(film, tmp_path / "there", *there) == 0
    assert "12 of 12 frames" in capsys.readouterr().out
    ours, theirs = (tifffile.imread(tmp_path / f / "labels.tif") for f in ("here", "there"))
    assert np.array_equal(ours, theirs)
    assert ours.any()


@pytest.mark.sweep
def test_a_project_is_kept_and_gone_on_with_here(cluster, film, tmp_path):
    project = tmp_path / "film.sam3"
    more = ("--model", "fake", "--project", str(project))
    assert track(film, tmp_path / "a", *more, "--scheduler", cluster.address) == 0
    with Project.open(project) as kept:
        assert len(kept.labels.processed_frames()) == 12
        assert kept.prompts.model == "fake"
    assert track(film, tmp_path / "b", *more) == 0
    ours, theirs = (tifffile.imread(tmp_path / f / "labels.tif") for f in ("a", "b"))
    assert np.array_equal(ours, theirs)


def test_an_address_that_is_not_encrypted_is_refused(film, tmp_path, capsys):
    assert track(film, tmp_path / "a", "--scheduler", "tcp://192.0.2.7:8786") == FAILED
    assert "neither encrypted nor on this machine" in capsys.readouterr().err


def test_doctor_tells_who_computes_there(cluster, capsys):
    def ask():
        assert main(["doctor", "--scheduler", cluster.address, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["scheduler"]
        return found, [told for told in found.values() if isinstance(told, dict)]

    # what a test before has let go is given back when its worker comes to it
    wait_until(lambda: {told["sessions"] for told in ask()[1]} == {"0 of 2"})
    found, workers = ask()
    assert found["workers"] == 2
    assert found["encrypted"].startswith("no")
    assert sorted(told["name"] for told in workers) == ["one", "two"]
    for told in workers:
        assert told["napari-sam3"] == __version__
        assert "optical-flow" in told["models"].split(", ")
        assert told["roots"] == str(cluster.root.resolve())
        assert told["a call, ms"] > 0


def test_doctor_tells_that_nobody_answers(capsys):
    assert main(["doctor", "--scheduler", "tcp://127.0.0.1:9"]) == 1
    assert "does not answer" in capsys.readouterr().out

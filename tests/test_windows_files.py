"""What writes files, on a system that refuses what Windows refuses (`tests/windows_files.py`)."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.batch.plan import plan_batch
from napari_sam3.errors import VideoError
from napari_sam3.export import export_labels_tiff
from napari_sam3.imports import open_labels
from napari_sam3.projects.folders import project_for
from tests.windows_files import refusing

HOME = Path(__file__).parents[1]


def as_package(code, **names):
    """Do something as if it stood in the package: the tests themselves are held to nothing."""
    exec(compile(textwrap.dedent(code), "package.py", "exec"), {"os": os, "Path": Path, **names})


REFUSED = {
    "deleting what is open": "with open(a) as file:\n    a.unlink()",
    "renaming what is open": "with open(a) as file:\n    a.rename(c)",
    "replacing what is open": "with open(b) as file:\n    a.replace(b)",
    "moving a folder with an open file": "with open(f / 'x') as file:\n    f.rename(c)",
    "renaming to a name that is taken": "a.rename(b)",
    "replacing a folder": "a.replace(f)",
    "deleting what is read-only": "a.chmod(0o444)\na.unlink()",
    "writing what is read-only": "a.chmod(0o444)\na.write_text('')",
    "a name that differs by case": "(a.parent / 'A').touch()",
    "a reserved name": "(a.parent / 'nul.txt').touch()",
    "a sign that no name has": "(a.parent / 'what?').mkdir()",
    "a name with a dot at its end": "a.rename(a.parent / 'c.')",
    "a long path": "(f / ('x' * 240)).touch()",
    "a link": "c.symlink_to(a)",
    "opening a folder": "os.open(f, os.O_RDONLY)",
}


@pytest.fixture
def files(tmp_path):
    a, b, c, f = (tmp_path / name for name in "abcf")
    f.mkdir()
    for file in (a, b, f / "x"):
        file.write_text("text")
    return {"a": a, "b": b, "c": c, "f": f}


@pytest.mark.parametrize("deed", REFUSED)
def test_refused(files, tmp_path, deed):
    with refusing(tmp_path), pytest.raises(OSError) as told:
        as_package(REFUSED[deed], **files)
    if sys.platform != "win32":
        assert told.value.winerror


@pytest.mark.parametrize("deed", ["a.unlink()", "b.replace(a)", "a.write_text('')"])
def test_what_is_mapped_stays_as_it_is(files, tmp_path, deed):
    with files["a"].open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped, refusing(tmp_path), pytest.raises(OSError):
        as_package(deed, **files)
    assert files["a"].read_text() == "text"


def test_all_else_is_done(files, tmp_path):
    with refusing(tmp_path) as rules:
        as_package(
            """
            with open(a) as file:
                assert file.read() == "text"
            a.replace(b)
            b.rename(c)
            f.rename(a)
            (a / "y").write_text("more")
            c.unlink()
            """,
            **files,
        )
    assert rules.refused == []
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "x", "y"]


# few, for each is a process that imports all that its tests need
GROUPS = {
    "labels and projects": [
        "tests/test_whole_files.py",
        "tests/test_plain_files.py",
        "tests/labels",
        "tests/projects",
    ],
    "results, labels of others, caches": [
        "tests/export",
        "tests/imports",
        "tests/models/weights",
        "tests/video/test_index_store.py",
        "tests/video/test_proxy.py",
        "tests/samples",
    ],
    "window and commands": [
        "tests/plugin/test_project_places.py",
        "tests/cli/test_track.py",
        "tests/cli/test_export.py",
        "tests/batch",
    ],
}


@pytest.mark.sweep
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("group", GROUPS)
def test_files_are_written_as_windows_lets_them(group):
    with tempfile.TemporaryDirectory() as folder:  # whose path is as short as Windows' own
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "tests.windows_files"),
                *("-p", "no:cacheprovider", "-m", "not sweep and not formats"),
                *("--basetemp", f"{folder}/t", *GROUPS[group]),
            ],
            **{"cwd": HOME, "capture_output": True, "text": True, "check": False},
        )
    assert done.returncode == 0, done.stdout[-4000:]


def test_labels_that_are_shown_are_not_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.whole_files.time.sleep", lambda pause: None)
    place, labels = tmp_path / "labels.tif", np.ones((3, 20, 30), np.uint16)
    export_labels_tiff(place, labels)
    with refusing(tmp_path):
        with open_labels(place) as shown:
            with pytest.raises(VideoError, match="it may be open"):
                export_labels_tiff(place, 2 * labels)
            np.testing.assert_array_equal(shown[2], labels[2])
        export_labels_tiff(place, 2 * labels)
    with open_labels(place) as shown:
        np.testing.assert_array_equal(shown[2], 2 * labels[2])
    assert [path.name for path in tmp_path.glob("*.tif")] == ["labels.tif"]


def test_a_video_called_as_no_windows_file_can_be_gets_a_project_that_can(tmp_path):
    video = tmp_path / "films" / 'aux.12:30 "what?" .mp4'
    video.parent.mkdir()
    video.write_bytes(b"film")
    places = [
        project_for(video, tmp_path / "projects"),
        *(tmp_path / "out" / planned.name for planned in plan_batch([video], text="cell")),
    ]
    with refusing(tmp_path):
        for place in places:
            as_package("place.mkdir(parents=True)", place=place)


def test_what_is_installed_needs_no_link():
    """The link to the manifest at the top is for readers of the repository."""
    with (HOME / "pyproject.toml").open("rb") as file:
        build = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]
    for target in (*build["wheel"]["packages"], *build["sdist"]["include"]):
        place = HOME / target
        assert not place.is_symlink()
        assert not [path for path in place.rglob("*") if path.is_symlink()]

"""Projects that are damaged: opened as far as they can be, telling what is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil

import pytest

from napari_sam3.errors import ProjectError, StoreError
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.projects import Project, ProjectState, is_project
from tests.projects.conftest import SHAPE, STATE, T, contents

SMALL = ("project.json", "prompts.json", "layers.json", "objects.csv")
ALL = (*SMALL, "labels.zarr", "frames.jsonl")


def snapshot(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith("lock")
    }


def spoil(folder, name, how):
    """Damage a file so that its backup is no help either."""
    (folder / f"{name}.bak").unlink(missing_ok=True)
    place = folder / name
    if how == "missing":
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        return
    if place.is_dir():
        place = place / "zarr.json"
    content = place.read_bytes()
    place.write_bytes({"cut": content[: len(content) // 2], "garbage": os.urandom(200)}[how])


@pytest.mark.parametrize("how", ["missing", "cut", "garbage"])
@pytest.mark.parametrize("name", ALL)
def test_each_file_may_be_lost_and_the_rest_is_there(folder, name, how):
    with Project.open(folder, read_only=True) as project:
        before = contents(project)
    spoil(folder, name, how)
    spoiled = snapshot(folder)

    with Project.open(folder, read_only=True) as project:
        assert project.problems
        told = " ".join(project.problems)
        assert name in told or name == "frames.jsonl"
        now = contents(project)
        for part, says in before.items():
            is_lost = name in {
                "state": ("project.json",),
                "run": ("project.json", "frames.jsonl"),
                "prompts": ("prompts.json",),
                "layers": ("layers.json",),
                "objects": ("objects.csv",),
                "labels": ("labels.zarr",) if how == "missing" else (),
            }.get(part, ())
            if not is_lost:
                assert now[part] == says, part
        assert snapshot(folder) == spoiled  # nothing is changed by looking

    if name in SMALL:
        with Project.open(folder) as project:
            assert snapshot(folder).keys() >= spoiled.keys()
            assert {n: b for n, b in snapshot(folder).items() if n in SMALL} == {
                n: b for n, b in spoiled.items() if n in SMALL
            }
            save_all(project)
        if how != "missing":
            assert (folder / f"{name}.damaged").read_bytes() == spoiled[name]
        with Project.open(folder) as project:
            assert project.problems == ()


def save_all(project):
    project.save_state(ProjectState(frame=1))
    project.save_prompts([])
    project.save_layers({"a": 1})
    project.save_objects(ObjectTable())


@pytest.mark.parametrize("how", ["missing", "garbage"])
@pytest.mark.parametrize("name", SMALL)
def test_the_file_before_is_taken_where_there_is_one(folder, name, how):
    with Project.open(folder) as project:
        save_all(project)
    backup = folder / f"{name}.bak"
    kept = backup.read_bytes()
    spoil(folder, name, how)
    backup.write_bytes(kept)
    with Project.open(folder) as project:
        assert any("last change is lost" in p for p in project.problems)
        assert ("Points" in project.layers) == (name == "layers.json")
        assert (len(project.prompts) > 0) == (name == "prompts.json")
        assert (len(project.objects) > 0) == (name == "objects.csv")


def test_damage_is_never_backed_up_over_what_is_good(folder):
    with Project.open(folder) as project:
        project.save_layers({"second": 2})
    (folder / "layers.json").write_text("{")
    with Project.open(folder) as project:
        assert "Points" in project.layers
        project.save_layers({"third": 3})
    assert "Points" in (folder / "layers.json.bak").read_text()
    assert (folder / "layers.json.damaged").read_text() == "{"


def test_without_any_size_there_is_nothing_to_open(folder):
    for name in ALL:
        if name != "prompts.json":
            spoil(folder, name, "missing")
    assert is_project(folder)
    before = snapshot(folder)
    with pytest.raises(ProjectError, match="size of the video"):
        Project.open(folder)
    assert snapshot(folder) == before


def test_lost_labels_are_set_aside_and_begun_anew(folder):
    spoil(folder, "labels.zarr", "garbage")
    spoil(folder, "frames.jsonl", "missing")
    with Project.open(folder) as project:
        assert "results are lost" in " ".join(project.problems)
        assert project.labels.processed_frames().size == 0
        assert len(project.prompts) == 3
        assert project.frames_left == (range(2, 12),)
    assert (folder / "labels.zarr.damaged" / "c.4.0.0").exists()


HOSTILE = {
    "state is a list": (("state",), []),
    "frame behind the end": (("state", "frame"), T),
    "a frame that is true": (("state", "frame"), True),
    "a huge resolution": (("state", "resolution"), 10**30),
    "no direction": (("state", "direction"), "sideways"),
    "a model that is a list": (("state", "model"), ["x"]),
    "text without end": (("state", "text"), "x" * 10**5),
    "limits that fall": (("state", "contrast_limits"), [5, 1]),
    "limits that are words": (("state", "contrast_limits"), ["a", "b"]),
    "an axis that is no number": (("state", "fixed"), {"x": 0}),
    "object 0": (("state", "current_object"), 0),
    "a run that is a word": (("run",), "yes"),
    "a run from nowhere": (("run", "start"), -1),
    "a run that goes nowhere": (("run", "direction"), None),
    "a run of no number": (("run", "number"), "1"),
    "stale frames behind the end": (("run", "stale"), [[0, 10**9]]),
    "stale frames by three": (("run", "stale"), [[0, 1, 2]]),
    "a video that is a word": (("video",), "film.mp4"),
    "a shape of two": (("video", "shape"), [3, 4]),
    "a shape that takes all memory": (("video", "shape"), [2**31, 2**31, 2**31]),
    "a shape that is another": (("video", "shape"), [3, 4, 5]),
    "a path with a zero byte": (("video", "path"), "a\0b"),
    "a path that is a number": (("video", "path"), 5),
    "a path that never ends": (("video", "path"), "/dev/zero"),
    "a relative path far up": (("video", "relative_path"), "../" * 200 + "etc"),
    "bytes that are a word": (("video", "bytes"), "many"),
    "a rate below zero": (("video", "fps"), -1),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_value_that_can_not_be_costs_that_value_alone(folder, what):
    (*path, key), value = HOSTILE[what]
    place = folder / "project.json"
    said = json.loads(place.read_text())
    inner = said
    for part in path:
        inner = inner[part]
    inner[key] = value
    place.write_text(json.dumps(said))
    with Project.open(folder) as project:
        assert len(project.prompts) == 3
        assert project.labels.processed_frames().size == 5
        assert tuple(project.labels.shape) == project.video.shape == SHAPE
        project.find_video()
        assert project.frames_left in ((range(7, 12),), ())
        if "path" not in what and key not in ("bytes", "fps"):
            assert project.problems
        if path == ["state"]:
            kept = json.loads(json.dumps(project.state.to_json()))
            as_new = ProjectState().to_json()
            assert kept == {**STATE.to_json(), "fixed": kept["fixed"], key: kept[key]}
            assert kept[key] == as_new[key]


PROMPTS = {
    "a frame behind the end": {"frame": T},
    "object 0": {"object": 0},
    "points by three": {"points": [[1, 2, 3]]},
    "endless points": {"points": [[1e400, 2]]},
    "points outside": {"points": [[-5, 2]]},
    "a mask of another size": {"answer": {"size": [2, 2], "counts": [0, 4]}},
    "a mask that takes all memory": {"answer": {"size": [2**40, 2**40], "counts": [2**80]}},
    "runs that do not add up": {"answer": {"size": list(SHAPE[1:]), "counts": [1, 2]}},
    "a field nobody knows": {"colour": "red"},
}


@pytest.mark.parametrize("what", PROMPTS)
def test_a_prompt_that_can_not_be_is_lost_alone(folder, model, what):
    from napari_sam3.projects import open_session

    place = folder / "prompts.json"
    said = json.loads(place.read_text())
    said["prompts"][0].update(PROMPTS[what])
    place.write_text(json.dumps(said))
    with Project.open(folder) as project, open_session(project, model) as session:
        assert len(project.problems) == 1
        assert "lost" in project.problems[0]
        assert session.object_ids == (1, 2)
        assert len(list(session.propagate("forward", 3))) == T - 3


def test_a_row_that_can_not_be_is_lost_alone(folder):
    with (folder / "objects.csv").open("a") as file:
        file.write("x,Bob,cell,,\n")
    with Project.open(folder) as project:
        assert "row 3" in project.problems[0]
        assert project.objects[1].name == "Ann"


def test_labels_that_can_not_be_read_just_now_are_not_lost(folder, monkeypatch):
    def refuse(*args, **options):
        error = StoreError("Input/output error")
        error.errno = errno.EIO
        raise error

    before = snapshot(folder)
    with monkeypatch.context() as patched:
        patched.setattr("napari_sam3.labels.label_store.LabelStore.open", refuse)
        with pytest.raises(ProjectError, match="Input/output"):
            Project.open(folder)
    assert snapshot(folder) == before
    with Project.open(folder) as project:
        assert project.problems == ()
        assert not project.is_read_only

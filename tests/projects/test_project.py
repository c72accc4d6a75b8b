"""Projects: made, opened again with all that was in them, by one writer at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.errors import ProjectError, ProjectReadOnlyError, StoreError, StoreReadOnlyError
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.projects import Project, is_project, list_projects, project_for
from napari_sam3.values import FrameResult, ObjectMask
from tests.projects.conftest import SHAPE, STATE, H, W, contents


def test_all_that_was_saved_is_there_again(folder):
    with Project.open(folder) as project:
        assert project.problems == ()
        assert not project.is_read_only
        assert project.state == STATE
        assert project.objects[1].name == "Ann"
        assert project.objects.daughters(1) == (2,)
        assert project.layers == {"Points": {"data": [[0, 1.5, 2]]}}
        assert [(p.frame_index, p.obj_id) for p in project.prompts] == [(2, 1), (3, 1), (4, 2)]
        assert project.labels.processed_frames().tolist() == [2, 3, 4, 5, 6]
        assert project.labels.notes(4)[2] == ObjectNote(0.9, "propagated")
        assert project.frames_left == (range(7, 12),)
        before = contents(project)
    with Project.open(folder, read_only=True) as again:
        assert contents(again) == before


def test_it_can_be_read_without_us(folder):
    assert json.loads((folder / "project.json").read_text())["video"]["shape"] == list(SHAPE)
    assert (folder / "objects.csv").read_text().splitlines() == [
        *("id,name,class,mother,divides_at", "1,Ann,cell,,5", "2,,,1,")
    ]


def test_what_is_the_same_is_not_written_again(folder):
    with Project.open(folder) as project:
        before = (folder / "prompts.json").stat().st_mtime_ns
        project.save_prompts(project.prompts)
        project.save_state(replace(project.state))
        assert (folder / "prompts.json").stat().st_mtime_ns == before


def test_labels_follow_a_mask_and_its_notes(tmp_path):
    mask = np.zeros((H, W), bool)
    mask[5:9, 6:8] = True
    found = ObjectMask.from_mask(mask, 0.25)
    with Project.create(tmp_path / "a.sam3", None, SHAPE) as project:
        assert project.keep(FrameResult(3, {7: found}), prompted=[7])
        project.labels.lock(3)
        assert not project.keep(FrameResult(3, {}))
        assert ((project.labels[3] == 7) == mask).all()
        assert project.labels.notes(3) == {7: ObjectNote(0.25, "prompt")}


@pytest.mark.parametrize("kind", ["file", "full", "project"])
def test_nothing_that_is_there_is_taken_for_a_new_project(tmp_path, folder, kind):
    place = tmp_path / "other"
    if kind == "file":
        place.write_text("mine")
    elif kind == "full":
        place.mkdir()
        (place / "mine.txt").write_text("mine")
    else:
        place = folder
    before = sorted(place.iterdir()) if place.is_dir() else place.read_text()
    with pytest.raises(ProjectError, match="name"):
        Project.create(place, None, SHAPE)
    assert (sorted(place.iterdir()) if place.is_dir() else place.read_text()) == before
    assert not list(tmp_path.glob(".*"))


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "new").mkdir()
    with Project.create(tmp_path / "new", None, SHAPE) as project:
        assert is_project(tmp_path / "new")
        assert project.find_video() is None
        assert "array" in project.video_problem


@pytest.mark.parametrize("name", ["nothing.sam3", "frames"])
def test_what_is_no_project_is_not_opened(tmp_path, video, name):
    with pytest.raises(ProjectError, match=name):
        Project.open(tmp_path / name)


# ------------------------------------------------------------------ one writer at a time


def test_a_second_opening_is_read_only_and_says_why(folder):
    with Project.open(folder) as first, Project.open(folder) as second:
        assert not first.is_read_only
        assert "in this program" in second.why_read_only
        before = contents(second)
        changes = [
            lambda: second.save_state(replace(STATE, frame=1)),
            lambda: second.save_prompts([]),
            lambda: second.save_layers({}),
            lambda: second.save_objects(ObjectTable()),
            lambda: second.begin_run("forward", 0),
            lambda: second.end_run(),
        ]
        for change in changes:
            with pytest.raises(ProjectReadOnlyError, match="in this program"):
                change()
        with pytest.raises(StoreReadOnlyError):
            second.keep(FrameResult(0, {}))
        assert contents(second) == before
    with Project.open(folder) as third:
        assert not third.is_read_only


def test_a_closed_project_is_not_written_behind_the_back_of_its_next_holder(folder):
    with Project.open(folder) as project:
        pass
    with pytest.raises(ProjectReadOnlyError, match="closed"):
        project.save_layers({})


HOLD = """
import sys
from napari_sam3.projects import Project
project = Project.open(sys.argv[1])
print(project.why_read_only, flush=True)
sys.stdin.read()
"""


def test_a_lock_dies_with_its_process(folder):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline().strip() == "None"
        with Project.open(folder) as project:
            assert f"process {other.pid}" in project.why_read_only
    finally:
        other.kill()
        other.communicate()
    with Project.open(folder) as project:
        assert project.why_read_only is None


def test_where_files_can_not_be_locked_it_is_read_only(folder, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("napari_sam3.projects.lock.FileLock.acquire", refuse)
    with Project.open(folder) as project:
        assert "network" in project.why_read_only
        assert project.labels.is_read_only


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="rights do not bind here")
def test_a_folder_without_write_access_is_read_only(folder):
    (folder / "lock").unlink()
    folder.chmod(0o500)
    try:
        with Project.open(folder) as project:
            assert "can't be written" in project.why_read_only
            assert project.state == STATE
    finally:
        folder.chmod(0o700)


# ------------------------------------------------------------------------------- places


def test_the_project_of_a_video_has_a_place(tmp_path, video):
    place = project_for(video)
    assert place.parent == tmp_path / "kept"
    assert place.name.startswith("frames-")
    assert place.suffix == ".sam3"
    assert not is_project(place)
    Project.create(place, video, SHAPE).close()
    assert project_for(video) == place
    assert list_projects() == [place]
    (video / "000.png").write_bytes((video / "001.png").read_bytes())
    assert project_for(video) != place


def test_a_disk_without_room_is_told_and_nothing_is_lost(folder, monkeypatch):
    with Project.open(folder) as project:
        before = (folder / "layers.json").read_text()

        def full(*args):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            with pytest.raises(ProjectError, match="room on the disk"):
                project.save_layers({"new": 1})
        assert (folder / "layers.json").read_text() == before
        assert not list(folder.glob(".*"))
        project.save_layers({"new": 1})
    with Project.open(folder) as project:
        assert project.layers == {"new": 1}


def test_what_can_not_be_closed_is_told_and_closed_by_the_next_opening(folder, full_disk):
    project = Project.open(folder)
    make_room = full_disk(folder)
    project.labels.draw(9, np.full((H, W), 3))
    with pytest.raises(ProjectError, match="room on the disk"):
        project.save_layers({"new": 1})
    with pytest.raises(ProjectError, match="room on the disk"):
        project.close()
    with pytest.raises(ProjectError, match=r"film.sam3.*No space left.*room"):
        Project.open(folder)
    make_room()
    with Project.open(folder) as project:
        assert not project.is_read_only
        assert project.layers == {"new": 1}
        assert (project.labels[9] == 3).all()


def test_prompts_that_make_results_stale_are_kept_while_there_is_no_room(folder, full_disk):
    project = Project.open(folder)
    assert project.run is not None
    assert project.prompts
    make_room = full_disk(folder)
    with pytest.raises(ProjectError, match="room on the disk"):
        project.save_prompts([])
    make_room()
    project.close()
    with Project.open(folder) as project:
        assert not project.prompts


def test_what_a_full_disk_does_not_take_is_carried_elsewhere(folder, tmp_path, full_disk):
    project = Project.open(folder)
    full_disk(folder)
    project.labels.draw(9, np.full((H, W), 3))
    project.labels[2, 0, 0] = 7
    with pytest.raises(ProjectError):
        project.save_layers({"new": 1})
    full = tmp_path / "full"
    make_room = full_disk(full)
    with pytest.raises(ProjectError, match=r"full.*No space left.*choose a folder"):
        project.carry_to(full / "film.sam3")
    assert list(full.iterdir()) == []
    make_room()
    project.carry_to(tmp_path / "new.sam3")
    assert project.is_read_only
    with Project.open(tmp_path / "new.sam3") as carried:
        assert not carried.problems
        assert carried.layers == {"new": 1}
        assert (carried.labels[9] == 3).all()
        assert carried.labels[2, 0, 0] == 7
        assert carried.state == STATE
    with Project.open(folder) as project:  # as it was, and held by nobody
        assert not project.is_read_only
        assert not project.labels.is_processed(9)


def test_two_that_close_it_wait_for_each_other(folder, monkeypatch):
    project = Project.open(folder)
    begun, may_fail = threading.Event(), threading.Event()
    errors = []

    def fail(*_args):
        begun.set()
        may_fail.wait()
        raise OSError(28, "No space left on device")

    def close():
        try:
            project.close()
        except StoreError as exc:
            errors.append(exc)

    with monkeypatch.context() as patched:
        patched.setattr(ChunkFolder, "write", fail)
        project.labels.draw(9, np.full((H, W), 3))
        threads = [threading.Thread(target=close) for _ in range(2)]
        threads[0].start()
        begun.wait()
        assert project.is_ending
        threads[1].start()
        may_fail.set()
        for thread in threads:
            thread.join()
    assert len(errors) == 2
    assert not project.is_read_only  # there is something left to write
    assert not project.is_ending
    project.close()


class Killed(BaseException):
    """The process ends here."""


def test_ended_at_any_moment_a_small_file_is_as_before_or_as_after(folder, monkeypatch):
    """Between each two things that saving asks of the system; what was left is tidied by nobody."""
    seen = set()
    for end in range(20):
        with Project.open(folder) as project:
            assert project.problems == ()
            project.save_layers({"now": "before"})
            calls = iter(range(99))

            def ending(call, calls=calls, end=end):
                def count(*args, **options):
                    if next(calls) == end:
                        raise Killed
                    return call(*args, **options)

                return count

            with monkeypatch.context() as patched:
                for name in ("replace", "rename", "unlink", "open"):
                    patched.setattr(Path, name, ending(getattr(Path, name)))
                patched.setattr("os.fsync", ending(os.fsync))
                patched.setattr("shutil.copyfile", ending(shutil.copyfile))
                try:
                    project.save_layers({"now": "after"})
                    break
                except Killed:
                    pass
        with Project.open(folder) as project:
            seen.add(project.layers["now"])
    assert end > 4
    assert seen == {"before", "after"}


def test_ids_go_up_to_the_highest_that_a_prompt_may_name(tmp_path):
    mask = ObjectMask.from_mask(np.ones((H, W), bool))
    with Project.create(tmp_path / "a.sam3", None, SHAPE) as project:
        project.keep(FrameResult(0, {2**31 - 1: mask}))
    with Project.open(tmp_path / "a.sam3") as project:
        assert (project.labels[0] == 2**31 - 1).all()


def test_an_id_that_an_older_project_can_not_hold_is_refused(tmp_path):
    mask = ObjectMask.from_mask(np.ones((H, W), bool))
    folder = tmp_path / "a.sam3"
    Project.create(folder, None, SHAPE).close()
    shutil.rmtree(folder / "labels.zarr")
    (folder / "frames.jsonl").unlink()
    LabelStore.create(folder, SHAPE, np.uint16).close()
    with Project.open(folder) as project, pytest.raises(ProjectError, match="65535"):
        project.keep(FrameResult(0, {65536: mask}))

"""Projects that a stranger made to do harm: opened, looked at, changed, closed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from napari_sam3.errors import ProjectError, PromptFileError, Sam3Error
from napari_sam3.projects import Project, is_project, list_projects
from napari_sam3.projects.video_reference import _is_foreign
from napari_sam3.session.prompt_files import read_prompts
from tests.projects.conftest import SHAPE
from tests.projects.test_damage import save_all

SMALL = ("project.json", "prompts.json", "layers.json", "objects.csv")
PARTS = (*SMALL, "labels.zarr", "labels.zarr/zarr.json", "labels.zarr/c.2.0.0", "frames.jsonl")


def use(folder):
    """Open a project, look, draw, save and close, as far as it lets one."""
    try:
        with Project.open(folder) as project:
            np.asarray(project.labels[2])
            project.labels.draw(5, np.ones(SHAPE[1:], np.uint16))
            save_all(project)
    except Sam3Error as exc:
        return str(exc)
    return None


def lay(place, target):
    """Put a link where a part was; the part itself becomes the target, outside."""
    if place.exists():
        place.rename(target)
    elif not target.exists():
        target.write_bytes(b"mine")
    place.symlink_to(target)


def contents_of(place):
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    return {p: p.read_bytes() for p in files}


@pytest.mark.parametrize("name", PARTS)
def test_a_link_at_a_part_is_refused_and_not_followed(folder, tmp_path, name):
    target = tmp_path / "mine"
    lay(folder / name, target)
    before = contents_of(target)
    told = use(folder)
    assert told is not None
    assert name in told
    assert "link" in told
    with pytest.raises(ProjectError, match="link"):
        Project.open(folder, read_only=True)
    assert contents_of(target) == before
    assert (folder / name).is_symlink()  # as it was, to be looked into


@pytest.mark.parametrize("name", ["lock", "lock.json"])
@pytest.mark.parametrize("is_hard", [False, True])
def test_what_is_laid_at_the_lock_is_not_written_to(folder, tmp_path, name, is_hard):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (folder / name).unlink(missing_ok=True)
    (os.link if is_hard else os.symlink)(mine, folder / name)
    use(folder)
    assert mine.read_bytes() == b"mine"
    with Project.open(folder, read_only=True) as project:
        assert project.labels.is_processed(2)


@pytest.mark.parametrize(
    "name",
    [
        "project.json.bak",
        "prompts.json.damaged",
        "frames.jsonl.damaged",
        "labels.zarr/.new",
        "labels.zarr/zarr.json.damaged",
        "labels.zarr/c.5.0.0",
        "film.mp4",
    ],
)
def test_a_link_at_any_other_name_is_not_followed(folder, tmp_path, name):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    for part in ("prompts.json", "frames.jsonl"):  # damaged, so that they are set aside
        with (folder / part).open("ab") as file:
            file.write(b"{\n")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(mine)
    use(folder)
    assert mine.read_bytes() == b"mine"
    assert not mine.is_symlink()


def test_files_with_other_names_elsewhere_keep_their_content_there(folder, tmp_path):
    """As in a backup of hard links: what is written replaces, and is never written into."""
    copy = shutil.copytree(folder, tmp_path / "backup.sam3", copy_function=os.link)
    before = contents_of(copy)
    with Project.open(folder) as project:
        project.labels.draw(5, np.ones(SHAPE[1:], np.uint16))
        save_all(project)
    assert contents_of(copy) == before
    with Project.open(folder, read_only=True) as project:
        assert project.labels[5].all()
        assert project.problems == ()


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_never_ends_is_refused_at_once(folder, name, kind, monkeypatch):
    place = folder / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        monkeypatch.chdir(place.parent)  # names of sockets are short
        server = socket.socket(socket.AF_UNIX)
        server.bind(place.name)
    else:
        try:
            os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("needs the right to make devices")
    told = use(folder)
    assert told is not None
    assert name in told
    assert "pipe" in told


def test_a_pipe_at_the_lock_leaves_it_to_be_read(folder):
    (folder / "lock").unlink(missing_ok=True)
    os.mkfifo(folder / "lock")
    with Project.open(folder) as project:
        assert "lock" in project.why_read_only
        assert "pipe" in project.why_read_only
        assert project.labels.is_processed(2)


@pytest.mark.parametrize("name", [*SMALL, "labels.zarr/zarr.json", "frames.jsonl"])
def test_a_file_too_large_is_refused_before_it_is_read(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(8 * 2**30)  # a hole: it takes no room
    told = use(folder)
    assert told is not None
    assert name in told
    assert "MB" in told


def test_json_of_too_many_values_is_damage(folder, monkeypatch):
    monkeypatch.setattr("napari_sam3.plain_files.MOST_VALUES", 1000)
    (folder / "layers.json").write_text("[" + "[]," * 500 + "[]]")
    with Project.open(folder, read_only=True) as project:
        assert any("layers.json" in p and "values" in p for p in project.problems)


@pytest.mark.parametrize("shape", [[10**9, 60, 90], [12, 10**6, 10**6], [2, 2**20, 2**9]])
def test_a_shape_beyond_all_memory_is_not_believed(folder, shape):
    for name in ("project.json", "labels.zarr/zarr.json", "frames.jsonl"):
        text = (folder / name).read_text()
        for said in ("[12, 60, 90]", "[12,60,90]", "[\n    12,\n    60,\n    90\n  ]"):
            text = text.replace(said, json.dumps(shape))
        text = text.replace(json.dumps([1, *SHAPE[1:]]), json.dumps([1, *shape[1:]]))
        (folder / name).write_text(text)
    (folder / "project.json.bak").unlink(missing_ok=True)
    with pytest.raises(ProjectError):
        Project.open(folder)


def test_masks_of_few_bytes_do_not_fill_the_memory(folder, monkeypatch):
    monkeypatch.setattr("napari_sam3.session.saved_prompts._MOST_MASKED", 10_000)
    mask = {"size": [60, 90], "counts": [0, 5400]}
    prompts = [{"frame": 0, "object": i, "mask": mask} for i in (1, 2)]
    said = {"format": "napari-sam3 prompts", "version": 1, "prompts": prompts}
    (folder / "prompts.json").write_text(json.dumps(said))
    with Project.open(folder, read_only=True) as project:
        assert [p.obj_id for p in project.prompts] == [1]
        assert any("a prompt is lost" in p for p in project.problems)
    with pytest.raises(PromptFileError, match="prompt 2"):
        read_prompts(folder)


# ------------------------------------------------------------------------------ the video


def with_video(folder, **said):
    place = folder / "project.json"
    data = json.loads(place.read_text())
    data["video"].update(said)
    place.write_text(json.dumps(data))


@pytest.mark.parametrize("path", ["/dev/zero", "http://127.0.0.1:9/a.mp4", "concat:a|b", "pipe:0"])
def test_what_is_no_file_is_no_video(folder, path):
    with_video(folder, path=path, relative_path=path)
    with Project.open(folder) as project:
        assert project.find_video() is None


def test_a_pipe_is_no_video(folder, tmp_path):
    os.mkfifo(tmp_path / "film.mp4")
    with_video(folder, path=str(tmp_path / "film.mp4"), relative_path="../film.mp4")
    with Project.open(folder) as project:
        assert project.find_video() is None


@pytest.mark.parametrize("content_hash", [None, "0" * 64])
def test_a_file_of_the_person_is_not_opened_unless_its_content_is_known(
    folder, tmp_path, content_hash
):
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    with_video(
        folder,
        path="/nowhere/x.mp4",
        relative_path="../secret.mp4",
        content_hash=content_hash,
        bytes=None,
    )
    with Project.open(folder) as project:
        assert project.find_video() is None
        assert "point_to" in project.video_problem


def test_a_link_to_the_video_in_the_project_is_not_followed(folder, video):
    (folder / "frames").symlink_to(video)
    with_video(folder, path="/nowhere/frames", relative_path="frames")
    (video.parent / "elsewhere").mkdir()
    moved = folder.rename(video.parent / "elsewhere" / "film.sam3")
    with Project.open(moved) as project:
        assert project.find_video() is None


def test_windows_asks_no_computer_but_the_projects_own():
    film = r"\\server\data\film.mp4"
    assert _is_foreign(film, r"C:\Users\a\film.sam3", is_windows=True)
    assert _is_foreign("//evil/a/film.mp4", r"\\server\data\film.sam3", is_windows=True)
    assert _is_foreign(r"\\.\pipe\a", r"C:\film.sam3", is_windows=True)
    assert not _is_foreign(film, r"\\SERVER\data\work\film.sam3", is_windows=True)
    assert not _is_foreign(r"D:\film.mp4", r"C:\film.sam3", is_windows=True)
    assert not _is_foreign(film, "/home/a/film.sam3", is_windows=False)


# ---------------------------------------------------------------------------- its folders


def test_a_copy_elsewhere_takes_no_links_along(folder, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (folder / "notes.txt").symlink_to(mine)
    (folder / "readme.txt").write_text("kept")
    os.mkfifo(folder / "pipe")
    Project.open(folder).carry_to(tmp_path / "copy.sam3")
    assert (tmp_path / "copy.sam3" / "readme.txt").read_text() == "kept"
    assert not os.path.lexists(tmp_path / "copy.sam3" / "notes.txt")
    assert not os.path.lexists(tmp_path / "copy.sam3" / "pipe")


def test_a_link_at_project_json_is_told_and_not_asked(tmp_path):
    place = tmp_path / "a.sam3"
    place.mkdir()
    (place / "project.json").symlink_to(tmp_path / "nowhere")
    assert is_project(place)
    with pytest.raises(ProjectError, match="link"):
        Project.open(place)


MAKE_AND_DIE = """
import os, sys
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.projects import Project
LabelStore.open = lambda *args, **options: os._exit(1)
Project.create(sys.argv[1], None, (2, 4, 5))
"""


def test_what_a_killed_making_left_goes_with_the_next(tmp_path):
    place = tmp_path / "film.sam3"
    subprocess.run([sys.executable, "-c", MAKE_AND_DIE, str(place)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".film.sam3-")
    assert list_projects(tmp_path) == []
    Project.create(place, None, (2, 4, 5)).close()
    assert [p.name for p in tmp_path.iterdir()] == ["film.sam3"]


def test_what_another_process_is_making_stays(tmp_path):
    from napari_sam3.projects.lock import ProjectLock

    draft = tmp_path / ".film.sam3-0123456789ab"
    draft.mkdir()
    lock = ProjectLock(draft)
    assert lock.take() is None
    Project.create(tmp_path / "film.sam3", None, (2, 4, 5)).close()
    assert draft.exists()
    lock.give_back()

"""Projects that are moved, damaged, or have lost their video; and who reads them."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QTimer

from napari_sam3.cli import display, main
from napari_sam3.errors import ProjectError
from napari_sam3.plugin.io.label_reader import get_label_reader
from napari_sam3.plugin.io.project_reader import get_project_reader, read_project
from napari_sam3.plugin.io.video_reader import get_reader
from napari_sam3.plugin.layers import project_layers as restore
from napari_sam3.projects import Project
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.values import FrameResult, ObjectMask
from tests.projects.conftest import full_disk

from .conftest import disc
from .test_project import N_FRAMES, SIZE, clip, open_again, own_projects, results

__all__ = ["clip", "full_disk", "open_again", "own_projects"]


@pytest.fixture
def project_folder(clip, tmp_path):
    """A project of a copy of the clip, with a click and three frames of results."""
    video = tmp_path / "videos" / "film.mp4"
    video.parent.mkdir()
    shutil.copy(clip, video)
    folder = tmp_path / "work" / "mine.sam3"
    with Project.create(folder, video, (N_FRAMES, *SIZE)) as project:
        click = SavedPrompt(0, 1, np.array([[30.5, 20.5]]), np.array([True]))
        project.save_prompts(PromptList([click], model="fake"))
        project.begin_run("forward", 0)
        for t in range(3):
            mask = ObjectMask.from_mask(disc(t, 20, 30, SIZE), 0.5)
            project.keep(FrameResult(t, {1: mask}), prompted=[1] if t == 0 else [], of_run=True)
    return folder


def test_readers_take_projects_and_nothing_else(project_folder, tmp_path):
    assert get_project_reader(project_folder) is read_project
    assert get_reader(project_folder) is None
    assert get_label_reader(project_folder) is None
    (tmp_path / "empty.sam3").mkdir()
    for other in (tmp_path, tmp_path / "empty.sam3", tmp_path / "none", 3, [project_folder] * 2):
        assert get_project_reader(other) is None


def test_a_project_is_read_without_a_window(project_folder):
    layers = read_project(project_folder)
    assert [kind for _, _, kind in layers] == ["image", "labels", "points"]
    assert np.array_equal(layers[1][0][2] == 1, disc(2, 20, 30, SIZE))
    np.testing.assert_allclose(layers[2][0], [[0, 20, 30]])
    with Project.open(project_folder) as project:  # which nobody holds
        assert not project.is_read_only


def test_a_lost_video_is_said_and_pointed_to(
    project_folder, open_again, tmp_path, qtbot, work, close
):
    elsewhere = tmp_path / "elsewhere.mp4"
    shutil.move(tmp_path / "videos" / "film.mp4", elsewhere)
    dock = open_again(project_folder)
    assert [layer.name for layer in dock.viewer.layers] == ["film objects", "film clicks"]
    standing = dock.state.project
    assert standing.is_video_lost
    assert any("'film.mp4' was not found" in problem for problem in standing.problems)
    assert not dock.project_panel.find_video.native.isHidden()
    dock.project_opener.point_to(elsewhere)
    qtbot.waitUntil(lambda: not dock.state.project.is_video_lost)
    assert dock.viewer.layers[0] is dock.video_panel.video.value
    assert "stopped after frame 2; 9 frames are left" in dock.guidance.text()
    work(dock, dock.propagate)
    assert np.array_equal(results(dock).planes[11] == 1, disc(11, 20, 30, SIZE))
    close(dock)
    with Project.open(project_folder) as project:
        assert project.find_video() == elsewhere


def test_a_project_of_an_array_asks_for_it(tmp_path, open_again):
    folder = tmp_path / "array.sam3"
    Project.create(folder, None, (N_FRAMES, *SIZE)).close()
    dock = open_again(folder)
    assert any("choose it" in problem for problem in dock.state.project.problems)
    image = dock.viewer.add_image(np.zeros((N_FRAMES, *SIZE), np.uint8))
    assert not dock.state.project.is_video_lost
    assert dock.state.tracked(image).project is dock.projects.current


def test_frames_are_decoded_and_masks_drawn_where_the_window_does_not_wait(
    tmp_path, open_dock, qtbot, monkeypatch
):
    video, folder = tmp_path / "film.tif", tmp_path / "mine.sam3"
    frames = np.random.default_rng(0).integers(300, 900, (N_FRAMES, *SIZE), dtype=np.uint16)
    tifffile.imwrite(video, frames)
    with Project.create(folder, video, (N_FRAMES, *SIZE)) as project:
        painted = {"role": "masks", "name": "painted", "frames": {"0": {}}}
        project.save_layers({"layers": [painted]})
    asked = set()
    for name in ("video_layer", "_make_masks"):
        made = getattr(restore, name)

        def make(*args, made=made):
            asked.add(threading.current_thread())
            return made(*args)

        monkeypatch.setattr(restore, name, make)
    monkeypatch.setitem(restore._MAKERS, "masks", restore._make_masks)
    dock = open_dock()
    dock.project_opener.open(folder)
    qtbot.waitUntil(lambda: dock.projects.project is not None)
    assert {"film", "painted"} <= {layer.name for layer in dock.viewer.layers}
    assert dock.viewer.layers["film"].contrast_limits == [frames[0].min(), frames[0].max()]
    assert asked
    assert threading.main_thread() not in asked


@pytest.mark.parametrize("what", ["the window is closed", "a layer is deleted"])
def test_while_a_project_is_being_shown(project_folder, open_dock, qtbot, what):
    dock = open_dock()
    layers, done = dock.viewer.layers, []

    def act():
        if what == "a layer is deleted":
            del layers[0]
        else:
            dock.shut_down()
        done.append(what)

    def when_the_first_layer_is_there(_event):
        layers.events.inserted.disconnect(when_the_first_layer_is_there)
        QTimer.singleShot(0, act)  # before the next one comes

    layers.events.inserted.connect(when_the_first_layer_is_there)
    dock.project_opener.open(project_folder)
    qtbot.waitUntil(lambda: bool(done) and not dock.projects.is_busy)
    assert len(layers) == 0
    assert dock.projects.project is None
    with Project.open(project_folder) as project:
        assert not project.is_read_only, "nobody holds it any more"


def test_a_damaged_project_opens_as_far_as_it_can(project_folder, open_again, notes):
    (project_folder / "project.json").write_text("{")
    (project_folder / "project.json.bak").unlink()
    (project_folder / "layers.json").write_text('{"layers": [{"role": "points", "data": 3}, 5]}')
    dock = open_again(project_folder)
    labels = dock.viewer.layers["mine objects"].data
    assert np.array_equal(labels[2] == 1, disc(2, 20, 30, SIZE))
    problems = " ".join(dock.state.project.problems)
    assert "project.json is damaged" in problems
    assert "the layer of points can't be shown as it was" in problems
    assert any("project.json is damaged" in text for _, text in notes)
    assert "• project.json is damaged" in dock.project_panel.status.text()


def test_a_project_is_moved_and_the_work_goes_on(
    project_folder, open_again, tmp_path, qtbot, work, close
):
    dock = open_again(project_folder)
    target = tmp_path / "archive" / "of 2026" / "mine.sam3"
    dock.project_opener.move_to(project_folder)  # there it is
    qtbot.waitUntil(lambda: not dock.projects.is_busy)
    assert dock.projects.project.folder == project_folder
    dock.project_opener.move_to(target)
    qtbot.waitUntil(lambda: not dock.projects.is_busy)
    assert not project_folder.exists()
    assert dock.projects.project.folder == target
    layer = results(dock).layer
    layer.selected_label = 1
    layer.paint((2, 60, 5), 1)
    work(dock, dock.propagate)
    close(dock)
    with Project.open(target) as project:
        assert not project.problems
        assert project.labels[2][60, 5] == 1
        assert project.labels.is_processed(N_FRAMES - 1)
    other = tmp_path / "other disk"
    other.mkdir()
    for name in ("archive", "videos"):  # they are found from each other
        shutil.move(tmp_path / name, other / name)
    with Project.open(other / "archive" / "of 2026" / "mine.sam3") as project:
        assert project.find_video() == other / "videos" / "film.mp4"


def test_a_project_on_a_full_disk_is_saved_elsewhere(
    project_folder, open_again, tmp_path, qtbot, full_disk, notes, close
):
    dock = open_again(project_folder)
    make_room = full_disk(tmp_path)
    layer = results(dock).layer
    layer.selected_label = 1
    layer.paint((2, 60, 5), 1)
    dock.prompt_panel.text.value = "a word"
    qtbot.waitUntil(lambda: dock.projects.current.failure != "")
    assert any("room on the disk" in text and "elsewhere" in text for _, text in notes)
    dock.project_opener.move_to(tmp_path / "full" / "mine.sam3")  # there is none there either
    qtbot.waitUntil(lambda: not dock.projects.is_busy)
    assert dock.projects.project.folder == project_folder
    assert not dock.projects.project.is_read_only
    assert results(dock).layer.editable
    make_room()
    assert Project.open(project_folder).is_read_only  # another one leaves the window its own
    assert not dock.projects.project.is_read_only
    full_disk(project_folder)
    target = tmp_path / "archive" / "mine.sam3"
    dock.project_opener.move_to(target)
    qtbot.waitUntil(lambda: not dock.projects.is_busy)
    assert dock.projects.project.folder == target
    assert not project_folder.exists()
    close(dock)
    with Project.open(target) as project:
        assert not project.problems
        assert project.labels[2][60, 5] == 1
        assert project.state.text == "a word"


def test_a_project_that_can_not_be_closed_is_closed_when_there_is_room(
    project_folder, open_again, qtbot, full_disk, notes, monkeypatch, close
):
    monkeypatch.setattr("napari_sam3.plugin.controllers.autosave.RETRY_MS", 50)
    dock = open_again(project_folder)
    make_room = full_disk(project_folder)
    dock.prompt_panel.text.value = "a word"
    close(dock)
    assert any("can't be closed yet" in text and "room" in text for _, text in notes)
    assert Project.open(project_folder, read_only=True).state.text == ""
    make_room()
    qtbot.waitUntil(lambda: any("saved and closed now" in text for _, text in notes))
    with Project.open(project_folder) as project:
        assert not project.is_read_only
        assert project.state.text == "a word"


def test_what_could_not_be_opened_is_opened_when_it_is_dropped_again(
    project_folder, open_dock, qtbot, notes, monkeypatch
):
    def fail(folder, **options):
        raise ProjectError("the network is away")

    dock = open_dock()
    with monkeypatch.context() as patched:
        patched.setattr("napari_sam3.plugin.controllers.project_opener.open_project", fail)
        dock.viewer.open(str(project_folder), plugin="napari-sam3")
        qtbot.waitUntil(lambda: any("the network is away" in text for _, text in notes))
    dock.viewer.open(str(project_folder), plugin="napari-sam3")
    qtbot.waitUntil(lambda: dock.projects.project is not None)


def test_open_says_what_is_missing(tmp_path, monkeypatch, capsys):
    assert main(["open", str(tmp_path / "none.sam3")]) == 2
    assert "there is no file or folder" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(display, "find_spec", lambda name: None)
    assert main(["open", str(tmp_path)]) == 1
    assert "napari is not installed" in capsys.readouterr().err

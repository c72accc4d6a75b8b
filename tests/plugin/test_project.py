"""Work that is kept: a project made by the way, and opened again as it was."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import ProjectReadOnlyError, StoreError
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.plugin.layers.transforms import map_points
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.projects import Project, list_projects, pack_project
from napari_sam3.video.video_writer import VideoWriter

from .conftest import click, disc

N_FRAMES, SIZE = 12, (64, 96)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small video file."""
    path = tmp_path_factory.mktemp("clip") / "film.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (N_FRAMES, *SIZE, 3), dtype=np.uint8)
    with VideoWriter(path, 10) as writer:
        for frame in frames:
            writer.write(frame)
    return path


@pytest.fixture(autouse=True)
def own_projects(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "projects"))
    return tmp_path / "projects"


@pytest.fixture
def begin(open_dock, clip, qtbot):
    """A function that opens the clip in a window of its own, with a click on object 1."""

    def begin():
        dock = open_dock()
        dock.viewer.open(str(clip), plugin="napari-sam3")
        dock.new_prompts()
        dock.tracking_panel.direction.value = "forward"
        dock.prompt_panel.points.value.add([[0, 20, 30]])
        return dock

    return begin


@pytest.fixture
def open_again(open_dock, qtbot):
    """A function that opens a project in a window of its own, as if it was dropped there."""

    def open_again(folder):
        dock = open_dock()
        dock.viewer.open(str(folder), plugin="napari-sam3")
        qtbot.waitUntil(lambda: dock.projects.project is not None)
        return dock

    return open_again


def results(dock):
    return dock.tracking.results


def is_disc(plane, frame_index, obj_id=1, y=20, x=30):
    return np.array_equal(plane == obj_id, disc(frame_index, y, x, SIZE))


def test_first_results_on_a_file_make_a_project(begin, work, own_projects, qtbot, close):
    dock = begin()
    assert list_projects(own_projects) == []
    work(dock, dock.propagate)
    (folder,) = list_projects(own_projects)
    assert dock.projects.project.folder == folder
    qtbot.waitUntil(lambda: dock.state.project.saved_at != "")
    assert dock.project_panel.place.toolTip() == str(folder)
    close(dock)
    with Project.open(folder) as project:
        assert not project.problems
        assert project.run.is_over
        assert len(project.prompts) == 1
        for t in range(N_FRAMES):
            assert is_disc(project.labels[t], t)
        assert project.labels.notes(0)[1].source == "prompt"
        assert project.labels.notes(5)[1].source == "propagated"


def test_what_was_erased_of_a_lasso_stays_erased_in_another_window(
    begin, open_again, work, qtbot, close
):
    dock = begin()
    dock.state.boxes.add_polygons([[0, 30, 10], [0, 30, 40], [0, 45, 40], [0, 45, 10]])
    dock.state.boxes.features = dock.state.boxes.features.assign(object=2)
    work(dock, dock.segment_frame)
    layer = dock.tracking.results.layer
    gone = np.asarray(layer.data[0]) == 2
    gone[:, :25] = False
    assert gone.any()
    layer.data_setitem((np.zeros(gone.sum(), int), *np.nonzero(gone)), 0)
    work(dock, dock.segment_frame)
    left = np.asarray(layer.data[0]) == 2
    assert left.any()
    assert not left[gone].any()
    folder = dock.projects.project.folder
    qtbot.waitUntil(lambda: dock.state.project.saved_at != "")
    close(dock)
    dock = open_again(folder)
    qtbot.waitUntil(lambda: dock.state.boxes is not None and len(dock.state.boxes.data) == 1)
    work(dock, dock.segment_frame)
    np.testing.assert_array_equal(np.asarray(results(dock).layer.data[0]) == 2, left)


def test_an_id_that_the_project_can_not_hold_is_refused_at_the_prompt(begin, work, notes):
    dock = begin()
    work(dock, dock.segment_frame)
    layer = dock.tracking.results.layer
    before = np.asarray(layer.data).copy()
    click(dock, 20, 30, obj_id=65536)
    work(dock, dock.segment_frame)
    assert any("object 65536 can't be kept: ids in this project" in text for _, text in notes)
    np.testing.assert_array_equal(np.asarray(layer.data), before)
    assert 65536 not in dock.tracking.session.session.object_ids


def test_an_array_and_a_person_who_wants_none_make_no_project(
    open_dock, begin, film, work, own_projects
):
    dock = open_dock()
    dock.viewer.add_image(film)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 30, 40]])
    work(dock, dock.segment_frame)
    other = begin()
    other.settings_panel.keep.value = False
    work(other, other.segment_frame)
    assert list_projects(own_projects) == []
    assert other.project_panel.group.text() == "Project: results are not kept"


def test_a_project_comes_back_as_it_was(begin, open_again, work, own_projects, qtbot, close):
    dock = begin()
    points, boxes = dock.prompt_panel.points.value, dock.prompt_panel.boxes.value
    dock.prompt_panel.object.value = 2
    corners = np.array([[3, 9.5, 59.5], [3, 9.5, 79.5], [3, 29.5, 79.5], [3, 29.5, 59.5]])
    boxes.add_rectangles(corners)
    boxes.name = "my boxes"
    dock.prompt_panel.sign.value = "exclude"
    dock.prompt_panel.object.value = 1
    points.add([[0, 20, 34]])
    dock.tracking_panel.length.value = 9
    dock.video_panel.video.value.gamma = 1.5
    work(dock, dock.propagate)
    desk = dock.tracking.objects
    desk.rename(results(dock).layer, 2, "left one")
    dock.viewer.dims.set_current_step(0, 7)
    camera = getattr(dock.viewer, "scene", dock.viewer).camera
    camera.center, camera.zoom = (0, 20, 30), 7.5
    before = np.asarray(results(dock).planes)
    close(dock)

    again = open_again(*list_projects(own_projects))
    camera = getattr(again.viewer, "scene", again.viewer).camera
    assert (camera.center[-2:], camera.zoom) == ((20, 30), 7.5)
    assert not again.state.project.problems
    assert [layer.name for layer in again.viewer.layers] == [
        "film", "film objects", "my boxes", "film clicks",
    ]  # fmt: skip
    np.testing.assert_array_equal(np.asarray(results(again).planes), before)
    new_points, new_boxes = again.prompt_panel.points.value, again.prompt_panel.boxes.value
    np.testing.assert_array_equal(new_points.data, points.data)
    assert list(new_points.features["label"]) == ["include", "exclude"]
    np.testing.assert_array_equal(new_boxes.data[0], boxes.data[0])
    assert list(new_boxes.features["object"]) == [2]
    np.testing.assert_allclose(new_points.border_color, points.border_color)
    np.testing.assert_allclose(new_boxes.edge_color, boxes.edge_color)
    assert results(again).layer.metadata["objects"][2].name == "left one"
    assert again.video_panel.video.value.gamma == 1.5
    assert again.viewer.dims.current_step[0] == 7
    fields = again.tracking_panel
    assert (fields.direction.value, fields.length.value) == ("forward", 9)
    assert again.prompt_panel.object.value == 1
    # painting, its undo, and a click of another object go on as they did
    layer = results(again).layer
    layer.selected_label = 2
    layer.paint((7, 60, 5), 2)
    assert results(again).planes[7][60, 5] == 2
    layer.undo()
    np.testing.assert_array_equal(results(again).planes[7], before[7])
    again.prompt_panel.object.value = 5
    new_points.add([[7, 50, 80]])
    np.testing.assert_allclose(new_points.border_color[-1], layer.get_color(5), atol=1e-6)
    work(again, again.segment_frame)
    assert results(again).planes[7][50, 80] == 5


def test_a_packed_project_opens_and_is_painted_on(
    begin, open_again, work, own_projects, qtbot, close
):
    dock = begin()
    work(dock, dock.propagate)
    (folder,) = list_projects(own_projects)
    close(dock)
    pack_project(folder)
    dock = open_again(folder)
    layer = results(dock).layer
    assert dock.projects.project.problems == ()
    assert all(is_disc(np.asarray(layer.data[t]), t) for t in range(N_FRAMES))
    assert dock.projects.project.labels.is_packed
    layer.data_setitem((np.array([3]), np.array([1]), np.array([2])), 1)
    close(dock)
    with Project.open(folder) as project:
        assert not project.problems
        assert not project.labels.is_packed
        assert project.labels[3][1, 2] == 1
        assert all(is_disc(project.labels[t], t) for t in range(N_FRAMES) if t != 3)


@pytest.mark.parametrize("is_shown", [False, True])
def test_a_video_that_was_given_a_scale_lies_under_its_layers_again(
    begin, open_dock, open_again, clip, work, own_projects, qtbot, is_shown, close
):
    dock = begin()
    work(dock, dock.propagate)
    film = dock.tracking.video()
    film.scale, film.translate, film.units = (0.5, 2, 3), (0, 5, 6), ("s", "um", "um")
    dock.prompt_panel.points.value.add([[1, 22, 33]])
    close(dock)
    (folder,) = list_projects(own_projects)
    if is_shown:  # where the file says that it is
        again = open_dock()
        again.viewer.open(str(clip), plugin="napari-sam3")
        again.project_opener.open(folder)
        qtbot.waitUntil(lambda: again.projects.project is not None)
    else:
        again = open_again(folder)
    film = again.tracking.video()
    np.testing.assert_allclose(film.scale[1:], (1, 1) if is_shown else (2, 3))
    for layer in (again.prompt_panel.points.value, results(again).layer):
        np.testing.assert_allclose(map_points(layer, film, [[1, 22, 33]]), [[1, 22, 33]], atol=1e-9)


def test_what_was_painted_and_wiped_is_a_prompt_again(begin, open_again, work, own_projects, close):
    dock = begin()
    work(dock, dock.propagate)
    planes = results(dock).planes
    planes[4, 50:60, 5:15] = 1  # by hand, as napari's tools do
    planes[9] = 0
    close(dock)
    again = open_again(*list_projects(own_projects))
    painted = results(again).painted()
    assert list(painted) == [(4, 1)]
    assert painted[4, 1][55, 10]
    work(again, again.propagate)
    planes = results(again).planes
    assert planes[4][55, 10] == 1
    assert not planes[9].any()  # it stays off the frame
    assert planes[5].any()


def paint_a_mask(dock):
    """Prompt object 7 on frame 2 by a mask in a layer of its own, and go to that frame."""
    masks = dock.viewer.add_labels(np.zeros((N_FRAMES, *SIZE), int), name="mine", scale=(0.1, 1, 1))
    masks.data[2, 40:50, 60:80] = 7
    dock.prompt_panel.masks.value = masks
    dock.viewer.dims.set_current_step(0, 2)


def test_masks_in_a_layer_of_their_own_come_back(begin, open_again, work, own_projects, close):
    dock = begin()
    paint_a_mask(dock)
    work(dock, dock.propagate)
    dock.viewer.dims.set_current_step(0, 5)
    before = np.asarray(results(dock).planes)
    assert (before[6] == 7).any()
    close(dock)
    again = open_again(*list_projects(own_projects))
    assert again.prompt_panel.masks.value.name == "mine"
    assert (again.prompt_panel.masks.value.data[2, 45, 70]) == 7
    work(again, again.propagate)
    np.testing.assert_array_equal(np.asarray(results(again).planes), before)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    begin, open_again, work, own_projects, qtbot, gate, monkeypatch, close
):
    dock = begin()
    dock.propagate()
    gate.let(5)
    qtbot.waitUntil(lambda: dock.tracking.job is not None and dock.tracking.job.frames_done == 6)
    folder = dock.projects.project.folder
    dock.stop()
    gate.open()
    qtbot.waitUntil(lambda: dock.tracking.job is None)
    close(dock)

    again = open_again(folder)
    n_done = len(results(again).drawn_frames())
    assert 6 <= n_done < N_FRAMES
    assert f"stopped after frame {n_done - 1}" in again.guidance.text()
    kept = Checkpoint.from_bytes((folder / "checkpoint.bin").read_bytes())
    assert kept.frame == n_done - 1
    work(again, again.propagate)
    for t in range(N_FRAMES):
        assert is_disc(results(again).planes[t], t)
    assert again.state.frames_done == N_FRAMES - n_done
    assert again.projects.project.run.number == 1
    assert again.projects.project.run.nearly == ()


def test_a_checkpoint_that_can_not_be_used_is_told(
    begin, open_again, work, own_projects, qtbot, gate, notes, close
):
    dock = begin()
    dock.propagate()
    gate.let(5)
    qtbot.waitUntil(lambda: dock.tracking.job is not None and dock.tracking.job.frames_done == 6)
    folder = dock.projects.project.folder
    dock.stop()
    gate.open()
    qtbot.waitUntil(lambda: dock.tracking.job is None)
    close(dock)
    (folder / "checkpoint.bin").write_bytes(b"nothing")
    again = open_again(folder)
    work(again, again.propagate)
    assert any("checkpoint.bin can't be used" in note for note in map(str, notes))
    for t in range(N_FRAMES):
        assert is_disc(results(again).planes[t], t)


def test_earlier_work_is_offered_and_left_alone(
    begin, open_dock, clip, work, own_projects, qtbot, close
):
    dock = begin()
    work(dock, dock.segment_frame)
    close(dock)
    (first,) = list_projects(own_projects)
    second = begin()
    qtbot.waitUntil(lambda: second.state.project.earlier != "")
    assert second.guidance.text().startswith("Earlier work on this video was kept")
    assert not second.project_panel.offer.isHidden()
    work(second, second.segment_frame)
    assert second.project_panel.offer.isHidden()
    assert second.projects.project.folder == first.with_name(f"{first.stem}-2.sam3")
    close(second)
    third = open_dock()
    (image,) = third.viewer.open(str(clip), plugin="napari-sam3")
    qtbot.waitUntil(lambda: third.state.project.earlier != "")
    third.project_panel.offer.accept.click()
    qtbot.waitUntil(lambda: third.projects.project is not None)
    assert third.projects.project.folder == list_projects(own_projects)[0]
    assert third.video_panel.video.value is image  # the layer that was there
    assert len(third.viewer.layers) == 4


def test_a_second_window_looks_on(
    begin, open_dock, open_viewer, work, own_projects, qtbot, notes, close
):
    dock = begin()
    work(dock, dock.propagate)
    qtbot.waitUntil(lambda: dock.state.project.saved_at != "")
    dock.projects.project.flush()
    viewer = open_viewer()  # whose dock is opened after the layers
    viewer.open(str(dock.projects.project.folder), plugin="napari-sam3")
    other = open_dock(viewer)
    qtbot.waitUntil(lambda: other.projects.project is not None)
    assert "open for writing" in other.state.project.why_read_only
    assert "can be looked at, but not changed" in other.guidance.text()
    assert not other.tracking_panel.propagate.enabled
    assert not results(other).layer.editable
    other.propagate()
    assert any("can be looked at, but not changed" in text for _, text in notes)
    with pytest.raises(ProjectReadOnlyError):
        other.tracking.chosen.check_writable()
    n_layers = len(other.viewer.layers)
    other.viewer.dims.set_current_step(0, 5)
    dock.prompt_panel.object.value = 2
    dock.prompt_panel.points.value.add([[3, 40, 60]])
    work(dock, dock.propagate)
    dock.projects.autosaves[dock.projects.current].close()
    dock.projects.project.flush()
    other.project_panel.reload.native.click()
    qtbot.waitUntil(lambda: len(other.prompt_panel.points.value.data) == 2)
    assert results(other).layer.data[3][40, 60] == 2
    assert other.projects.project.is_read_only
    assert other.viewer.dims.current_step[0] == 5
    assert len(other.viewer.layers) == n_layers
    close(dock)
    assert is_disc(np.asarray(results(other).layer.data[3]), 3)
    n_layers = len(other.viewer.layers)
    folder = other.projects.project.folder
    other.project_opener.open(folder)  # now that it is free
    qtbot.waitUntil(lambda: not other.projects.project.is_read_only)
    assert len(other.viewer.layers) == n_layers
    assert results(other).layer.editable
    assert other.tracking_panel.propagate.enabled


def test_work_of_its_own_begins_beside_what_can_only_be_looked_at(
    begin, open_again, work, own_projects
):
    dock = begin()
    work(dock, dock.propagate)
    dock.projects.project.flush()
    other = open_again(dock.projects.project.folder)
    other.reset()
    other.new_prompts()
    points = other.prompt_panel.points.value
    assert points.editable
    assert points.mode == "add"
    points.add([[0, 30, 50]])
    work(other, other.segment_frame)
    assert other.projects.project.folder != dock.projects.project.folder
    assert len(list_projects(own_projects)) == 2


def test_masks_can_be_painted_only_where_they_are_kept(begin, open_again, work):
    dock = begin()
    paint_a_mask(dock)
    work(dock, dock.segment_frame)
    dock.projects.autosaves[dock.projects.current].close()
    other = open_again(dock.projects.project.folder)
    painted = other.prompt_panel.masks.value
    assert painted.name == "mine"
    assert not painted.editable  # a reload would take away what is painted
    other.reset()
    assert painted.editable


def test_a_dock_that_is_opened_again_takes_up_the_work(begin, open_dock, work, qtbot):
    dock = begin()
    work(dock, dock.segment_frame)
    names = {layer.name for layer in dock.viewer.layers}
    dock.shut_down()
    again = open_dock(dock.viewer)
    qtbot.waitUntil(lambda: again.projects.project is not None)
    assert {layer.name for layer in again.viewer.layers} == names  # that of boxes is a new one
    assert len(again.viewer.layers) == len(names)
    work(again, again.propagate)
    assert is_disc(results(again).planes[N_FRAMES - 1], N_FRAMES - 1)


def test_a_full_disk_stops_the_work_and_is_said(begin, work, monkeypatch, notes):
    dock = begin()
    work(dock, dock.segment_frame)
    draw = LabelStore.draw

    def draw_until_full(self, frame_index, *args, **options):
        if frame_index > 3:
            raise StoreError("there is no room left; make room, and propagate again")
        return draw(self, frame_index, *args, **options)

    monkeypatch.setattr(LabelStore, "draw", draw_until_full)
    work(dock, dock.propagate)
    assert dock.state.outcome is Outcome.FAILED
    assert "there is no room left" in dock.guidance.text()
    assert any("there is no room left" in text for _, text in notes)
    monkeypatch.setattr(LabelStore, "draw", draw)
    work(dock, dock.propagate)
    assert dock.state.outcome is Outcome.TRACKED
    assert is_disc(results(dock).planes[N_FRAMES - 1], N_FRAMES - 1)


def kept_in(folder):
    """What a project says of the work."""
    with Project.open(folder, read_only=True) as project:
        assert project.problems == ()
        told = {entry["role"]: entry for entry in project.layers["layers"]}
        return {
            "clicks": told["points"]["data"],
            "prompts": [(p.frame_index, p.obj_id) for p in project.prompts],
            "frames": project.labels.processed_frames().tolist(),
            "labels": project.labels[:].tolist(),
            "objects": project.objects.to_rows(),
            "run": project.run is not None and project.run.is_over,
        }


def test_a_reset_and_its_undo_are_kept(begin, open_again, work, own_projects, close):
    dock = begin()
    work(dock, dock.propagate)
    dock.tracking.objects.rename(results(dock).layer, 1, "Ann")
    (folder,) = list_projects(own_projects)
    dock.reset()
    dock.tracking.undo()
    close(dock)
    before = kept_in(folder)
    assert before["frames"] == list(range(N_FRAMES))
    assert before["prompts"] == [(0, 1)]
    assert before["run"]
    again = open_again(folder)
    assert not again.tracking.undo()  # from here on there is a history
    again.reset()
    close(again)
    after = kept_in(folder)
    assert not after["frames"] + after["prompts"] + after["clicks"] + after["objects"]
    assert list_projects(own_projects) == [folder]


def test_the_project_follows_undo_and_redo(begin, work, own_projects, close):
    dock = begin()
    work(dock, dock.segment_frame)
    work(dock, dock.propagate)
    (folder,) = list_projects(own_projects)
    n_done = len(dock.state.current.history.done)
    dock.tracking.go_to(n_done - 1)
    project = dock.projects.project
    project.flush()
    assert len(project.labels.processed_frames()) < N_FRAMES
    assert project.run is None
    dock.tracking.go_to(n_done)
    close(dock)
    kept = kept_in(folder)
    assert kept["frames"] == list(range(N_FRAMES))
    assert kept["run"]


def test_an_object_is_removed_from_work_that_was_opened_again(
    begin, open_again, work, own_projects, close
):
    dock = begin()
    work(dock, dock.propagate)
    close(dock)
    (folder,) = list_projects(own_projects)
    again = open_again(folder)
    assert np.any(results(again).planes[3] == 1)
    work(again, lambda: again.remove_object(1))
    assert not np.any(np.asarray(results(again).planes) == 1)
    close(again)
    with Project.open(folder, read_only=True) as project:
        assert not len(project.prompts)

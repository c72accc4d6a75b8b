"""Scripts in a viewer: `attach`, with the fake model."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from napari.layers import Labels, Points, Shapes, Tracks

import napari_sam3
from napari_sam3.errors import (
    FrameIndexError,
    LayerError,
    MissingPromptError,
    ModelUnavailableError,
    PropagationError,
    PropagationRunningError,
    RequestError,
    UnknownObjectError,
)
from napari_sam3.imports import open_labels
from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.controllers.live_drawing import LiveDrawing
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.projects import Project

from .conftest import SHAPE, disc


@pytest.fixture
def viewer(open_viewer, film):
    viewer = open_viewer()
    viewer.add_image(film, name="film")
    return viewer


@pytest.fixture
def session(viewer):
    with napari_sam3.attach(viewer, "film", "fake") as session:
        yield session


def test_prompt_and_propagate(session, viewer):
    shown = session.add_prompt(0, points=[[40.5, 30.5]])
    assert list(shown.objects) == [1]
    points = viewer.layers["film clicks"]
    np.testing.assert_allclose(points.data, [[0, 30, 40]])
    assert points.features["object"].tolist() == [1]
    seen = []
    done = session.propagate(on_frame=lambda result: seen.append(result.frame_index))
    assert done == SHAPE[0]
    assert seen == list(range(SHAPE[0]))
    assert session.labels is viewer.layers["film objects"]
    np.testing.assert_array_equal(session.array[9] == 1, disc(9, 30, 40))
    np.testing.assert_array_equal(session.result(9).objects[1].mask, disc(9, 30, 40))


def test_the_places_worth_a_look_are_listed(session):
    assert session.review() == ()
    session.add_prompt(0, points=[[40.5, 30.5]])
    session.propagate()
    assert session.review() == ()
    wrong = session.array[9]
    wrong[wrong == 1] = 0
    wrong[:12, :12] = 1  # far from where it was and will be
    session.array[9] = wrong
    places = session.review()
    assert {(place.obj_id, place.frame_index) for place in places} & {(1, 9), (1, 10)}
    assert all(str(place) for place in places)
    assert list(places) == sorted(places, key=lambda place: -place.value)


def test_all_kinds_of_prompts_are_drawn_in_layers(session, viewer):
    mask = np.zeros(SHAPE[1:], bool)
    mask[50:60, 5:15] = True
    session.add_prompt(0, points=[[40, 30], [45, 30]], point_labels=[1, 0])
    session.add_prompt(1, box=[60, 10, 80, 30])
    found = session.add_prompt(2, mask=mask)
    assert session.object_ids == (1, 2, 3)
    np.testing.assert_array_equal(found.objects[3].mask, mask)
    assert viewer.layers["film clicks"].features["label"].tolist() == ["include", "exclude"]
    box = viewer.layers["film boxes"]
    assert (len(box.data), box.features["object"].tolist()) == (1, [2])
    np.testing.assert_allclose(box.data[0].min(axis=0), [1, 9.5, 59.5])
    np.testing.assert_array_equal(np.asarray(viewer.layers["film masks"].data[2]) == 3, mask)
    # a correction adds to what was said on the frame
    session.add_prompt(1, points=[[70, 40]], obj_id=2)
    assert session.result(1).objects[2].mask[39, 69]
    found = session.add_prompt(0, text="person")
    assert len(found.objects) == 3
    session.remove_object(4)
    assert session.object_ids == (1, 2, 3, 5)


def test_a_prompt_that_fails_changes_nothing(session, viewer):
    session.add_prompt(0, points=[[40, 30]])
    n_layers = len(viewer.layers)
    for wrong, error in (
        ({"points": [[400, 30]]}, RequestError),
        ({"points": [[40, 30]], "obj_id": 0}, RequestError),
        ({"text": "dog", "obj_id": 4}, RequestError),
        ({"mask": np.zeros((3, 3), bool)}, RequestError),
        ({}, MissingPromptError),
    ):
        with pytest.raises(error):
            session.add_prompt(0, **wrong)
    with pytest.raises(FrameIndexError):
        session.add_prompt(SHAPE[0], points=[[40, 30]])
    assert len(viewer.layers["film clicks"].data) == 1
    assert len(viewer.layers) == n_layers
    assert session.object_ids == (1,)


def test_what_a_model_refuses_is_taken_off_the_layers(viewer, notes):
    with napari_sam3.attach(viewer, "film", "optical-flow") as session:
        session.add_prompt(0, points=[[40, 30]])
        with pytest.raises(RequestError, match="text"):
            session.add_prompt(0, text="cell")
        assert session.propagate(max_frame_num_to_track=2, progress=False) == 2
    assert not notes


def test_unknown_model_is_an_exception_of_its_own_kind(viewer, notes):
    with napari_sam3.attach(viewer, "film", "no-such-model") as session:
        with pytest.raises(ModelUnavailableError):
            session.add_prompt(0, points=[[40, 30]])
        session.choose_model("fake")
        assert session.add_prompt(0, points=[[40, 30]]).objects
        assert len(viewer.layers["film clicks"].data) == 1
    assert not notes


@pytest.mark.parametrize("way", ["false", "raise", "stop"])
def test_a_callback_stops_at_exactly_its_frame(session, way):
    session.add_prompt(0, points=[[40, 30]])

    def on_frame(result):
        if result.frame_index == 4:
            if way == "raise":
                raise ZeroDivisionError
            if way == "stop":
                session.stop()
            return False
        return None

    if way == "raise":
        with pytest.raises(ZeroDivisionError):
            session.propagate(on_frame=on_frame)
    else:
        assert session.propagate(on_frame=on_frame) == 5
    assert session.array.processed_frames().tolist() == [0, 1, 2, 3, 4]
    assert session.propagate() == SHAPE[0]  # and it goes on


def test_errors_of_the_model_are_raised(session, monkeypatch, notes):
    def fail(self, source, target, *args):
        raise ValueError(f"no frame {target}")

    session.add_prompt(0, points=[[40, 30]])
    monkeypatch.setattr(FakeTracker, "step", fail)
    with pytest.raises(napari_sam3.errors.PropagationError, match="no frame 1") as caught:
        session.propagate()
    assert isinstance(caught.value.__cause__, ValueError)
    assert not notes


def test_window_lives_while_a_script_waits(session, viewer, gate):
    from qtpy.QtCore import QTimer

    session.add_prompt(0, points=[[40, 30]])
    told = []

    def tell():
        told.append(session.array.processed_frames().tolist())
        with pytest.raises(PropagationRunningError):
            session.propagate()
        gate.open()

    QTimer.singleShot(0, tell)
    assert session.propagate() == SHAPE[0]
    assert told == [[0]]


def test_a_video_that_is_deleted_meanwhile(session, viewer, gate):
    from qtpy.QtCore import QTimer

    session.add_prompt(0, points=[[40, 30]])

    def delete():
        viewer.layers.clear()
        gate.open()

    QTimer.singleShot(0, delete)
    with pytest.raises(LayerError, match="deleted"):
        session.propagate()
    with pytest.raises(LayerError, match="not in the viewer"):
        session.array  # noqa: B018
    with pytest.raises(LayerError, match="not in the viewer"):
        session.propagate()


def test_ctrl_c_stops_and_keeps_what_is_done(session):
    session.add_prompt(0, points=[[40, 30]])

    def on_frame(result):
        if result.frame_index == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        session.propagate(on_frame=on_frame)
    assert session.array.processed_frames().tolist() == [0, 1, 2, 3]


def test_layers_of_ones_own(session, viewer):
    points = Points([[0, 30, 40], [0, 31, 41], [3, 20, 20]], features={"object": [4, 4, 0]})
    shapes = Shapes([[[0, 50, 50], [0, 50, 60], [0, 60, 60], [0, 60, 50]]], name="mine")
    shown = session.prompt_with_layers(points, shapes)
    assert points in viewer.layers
    assert sorted(shown.objects) == [4, 6]
    assert session.object_ids == (4, 5, 6)
    labels = np.zeros(SHAPE, np.uint8)
    labels[7, 10:20, 10:20] = 2
    labels[8, 10:20, 10:20] = 3  # not asked for
    session.prompt_with_layers(masks=Labels(labels), frames=[7])
    assert session.object_ids == (2, 4, 5, 6)
    points.add([[400, 1, 1]])
    with pytest.warns(UserWarning, match="outside the video"):
        session.propagate()


def test_taking_back(session, viewer):
    session.add_prompt(0, points=[[40, 30]])
    session.add_prompt(0, points=[[80, 30]])
    shown = session.take_back_prompt(0, 2)
    assert list(shown.objects) == [1]
    assert len(viewer.layers["film clicks"].data) == 1
    with pytest.raises(UnknownObjectError):
        session.take_back_prompt(0, 2)
    with pytest.raises(UnknownObjectError):
        session.remove_object(7)
    session.remove_object(1)
    assert session.object_ids == ()
    assert not np.asarray(session.array[0]).any()
    with pytest.raises(MissingPromptError):
        session.propagate()


def test_results_as_tracks_and_files(session, viewer, tmp_path):
    with pytest.raises(MissingPromptError, match="propagate first"):
        session.tracks()
    session.add_prompt(0, points=[[40.5, 30.5]])
    session.propagate()
    session.objects.classify(1, "cell")
    tracks = session.tracks()
    assert tracks in viewer.layers
    assert session.tracks() is tracks
    np.testing.assert_allclose(tracks.data[3], [1, 3, 36, 49], atol=0.51)
    for name, kind in (("labels.tif", None), ("coco.json", None), ("a", "davis"), ("o.mp4", None)):
        assert session.export(tmp_path / "new" / name, kind).exists()
    with open_labels(tmp_path / "new" / "coco.json") as labels:
        np.testing.assert_array_equal(labels[9] == 1, disc(9, 30, 40))
        assert labels.objects.classes == {1: "cell"}
    with pytest.raises(RequestError):
        session.export(tmp_path / "no-ending")


def test_a_project_keeps_the_work_and_goes_on(viewer, film, tmp_path, monkeypatch):
    steps = []
    step = FakeTracker.step

    def counting(self, source, target, *args):
        steps.append(target)
        return step(self, source, target, *args)

    monkeypatch.setattr(FakeTracker, "step", counting)
    place = tmp_path / "film.sam3"
    with napari_sam3.attach(viewer, "film", "fake", project=place) as session:
        session.add_prompt(0, points=[[40.5, 30.5]])
        session.propagate(on_frame=lambda result: result.frame_index < 9)
    viewer.layers.clear()
    viewer.add_image(film, name="film")
    steps.clear()
    with napari_sam3.attach(viewer, "film", "fake", project=place) as session:
        assert len(viewer.layers["film clicks"].data) == 1
        np.testing.assert_array_equal(session.array[9] == 1, disc(9, 30, 40))
        assert session.propagate() == SHAPE[0] - 10
        assert min(steps) == 10
    with Project.open(place) as project:
        assert project.run.is_over
        assert project.state.model == "fake"
        np.testing.assert_array_equal(project.labels[19] == 1, disc(19, 30, 40))


def test_texts_and_examples_of_a_project_are_not_asked_again(viewer, film, tmp_path, monkeypatch):
    place = tmp_path / "film.sam3"
    said = {"frame": 0, "text": "person", "boxes": [[20, 30, 40, 50]], "exemplar": True}
    napari_sam3.track_video(film, [said], model="fake", project=place).close()
    monkeypatch.setattr(FakeTracker, "detect", None)  # nobody asks
    with napari_sam3.attach(viewer, "film", "fake", project=place) as session:
        assert viewer.layers["film boxes"].features["label"].tolist() == ["example"]
        assert len(session.add_prompt(0, points=[[100, 10]]).objects) == 3


def test_attaching(viewer, film):
    with pytest.raises(LayerError, match="there are: 'film'"):
        napari_sam3.attach(viewer, "fim")
    with pytest.raises(LayerError, match="Labels"):
        napari_sam3.attach(viewer, viewer.add_labels(np.zeros(SHAPE, int)))
    session = napari_sam3.attach(viewer, "film", "fake")
    assert napari_sam3.attach(viewer, viewer.layers["film"], "fake") is session
    session.add_prompt(0, points=[[40, 30]])
    viewer.layers.remove("film")
    with pytest.raises(LayerError, match="not in the viewer"):
        session.propagate()
    session.close()
    with pytest.raises(LayerError, match="closed"):
        session.propagate()


def test_what_goes_wrong_in_drawing_ends_the_work(session, monkeypatch):
    session.add_prompt(0, points=[[40, 30]])
    draw = LiveDrawing.draw

    def draw_three(self, result, **options):
        if result.frame_index == 3:
            raise ValueError("no such colour")
        draw(self, result, **options)

    monkeypatch.setattr(LiveDrawing, "draw", draw_three)
    with pytest.raises(PropagationError, match="no such colour"):
        session.propagate(on_frame=lambda result: True)
    monkeypatch.setattr(LiveDrawing, "draw", draw)
    assert session.propagate(on_frame=lambda result: True) == SHAPE[0]


def test_a_dock_on_the_same_layer_shares_all(viewer, open_dock, work, qtbot):
    dock = open_dock(viewer)
    session = napari_sam3.attach(viewer, "film")
    session.add_prompt(0, points=[[40, 30]])
    assert dock.prompt_panel.points.value is viewer.layers["film clicks"]
    phases = []
    session.propagate(on_frame=lambda result: phases.append(dock.is_running))
    assert all(phases)
    assert dock.guidance.text()
    dock.prompt_panel.object.value = 2
    dock.prompt_panel.points.value.add([[0, 20, 60]])  # the person goes on
    work(dock, dock.propagate)
    assert session.object_ids == (1, 2)
    assert [layer.name for layer in viewer.layers].count("film objects") == 1
    np.testing.assert_array_equal(session.array[9] == 2, disc(9, 20, 60))
    tracks = session.tracks()
    with qtbot.waitSignal(dock.objects_panel.tracks.shown):
        dock.objects_panel.show_tracks()
    assert session.tracks() is tracks
    assert [layer for layer in viewer.layers if isinstance(layer, Tracks)] == [tracks]
    dock.tracking.objects.rename(session.labels, 2, "Ann")
    assert set(tracks.features["name"]) == {"", "Ann"}
    dock.propagate()
    with pytest.raises(PropagationRunningError):
        session.propagate()
    dock.shut_down()
    with pytest.raises(LayerError, match="closed"):
        session.propagate()


def test_a_dock_that_comes_later_is_kept_away(viewer, open_dock, session, notes):
    session.add_prompt(0, points=[[40, 30]])
    dock = open_dock(viewer)
    dock.new_prompts()
    dock.prompt_panel.points.value.add([[0, 60, 60]])
    dock.propagate()
    assert "a script works on the layer 'film'" in notes[-1][1]
    assert session.propagate() == SHAPE[0]
    session.close()
    dock.propagate()
    assert dock.is_running


@pytest.mark.parametrize(
    "axes",
    [
        *["t", 0, {"time": 0}, np.arange(2), (0,)],
        *[StackAxes("t"), StackAxes(True), StackAxes(0, "c"), StackAxes(0, fixed=[1])],
        *[StackAxes(np.arange(2)), StackAxes(0, fixed={"z": 0}), StackAxes(7)],
    ],
    ids=repr,
)
def test_axes_of_a_wrong_kind_are_refused_before_anything_is_done(viewer, axes):
    with pytest.raises(LayerError, match=r"axes must be a StackAxes|axis 7 .* can't be time"):
        napari_sam3.attach(viewer, "film", "fake", axes=axes)
    with napari_sam3.attach(viewer, "film", "fake", axes=StackAxes(np.int64(0))) as session:
        assert session.axes.time == 0


def test_a_script_undoes_and_redoes_what_it_did(session):
    session.add_prompt(0, points=[[40, 30]], obj_id=1)
    assert session.undo().startswith("segment")
    assert session.undo() == "click on object 1"
    assert session.undo() == ""
    assert len(session.result(0).objects) == 0
    assert session.redo() == "click on object 1"
    assert session.redo().startswith("segment")
    assert list(session.result(0).objects) == [1]


def test_objects_are_split_swapped_and_merged(session):
    session.add_prompt(0, points=[[40.5, 30.5]])
    session.add_prompt(0, points=[[20.5, 10.5]], obj_id=2)
    session.propagate()
    one, other = (np.asarray(session.array) == obj_id for obj_id in (1, 2))
    tail = session.split_object(1, 10)
    np.testing.assert_array_equal(session.array[:10] == 1, one[:10])
    np.testing.assert_array_equal(session.array[10:] == tail, one[10:])
    session.swap_objects(2, tail, 15)
    np.testing.assert_array_equal(session.array[15:] == 2, one[15:])
    session.swap_objects(2, tail, 15)
    session.merge_objects([tail], into=1)
    np.testing.assert_array_equal(np.asarray(session.array) == 1, one)
    np.testing.assert_array_equal(np.asarray(session.array) == 2, other)
    with pytest.raises(LayerError, match="on no frame before it"):
        session.split_object(1, 0)
    assert session.object_ids == (1, 2)

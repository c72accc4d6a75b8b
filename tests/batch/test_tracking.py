"""One video without a window: `track_video`."""

from __future__ import annotations

import numpy as np
import pytest

import napari_sam3
from napari_sam3 import track_video
from napari_sam3.errors import ProjectError, PromptFileError, RequestError, Sam3Error, VideoError
from napari_sam3.imports import open_labels
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects import Project
from tests.batch.conftest import N_FRAMES, SIZE

FILM = np.random.default_rng(0).integers(0, 255, (N_FRAMES, *SIZE), dtype=np.uint8)
CLICK = {"frame": 0, "points": [[30, 20]]}


def test_prompts_of_all_kinds():
    mask = np.zeros(SIZE, bool)
    mask[40:44, 60:65] = True
    with track_video(
        FILM,
        [
            {"frame": np.int64(0), "points": np.array([[30.0, 20.0]]), "object": 4},
            {"frame": 1, "box": (5, 6, 10, 12)},
            {"frame": 2, "mask": mask},
            {"frame": 0, "text": "dog"},
        ],
        model=FakeModel(),
    ) as tracked:
        assert tracked.is_complete
        assert tracked.object_ids == (4, 5, 6, 7)
        assert tracked.shape == tracked.labels.shape == (N_FRAMES, *SIZE)
        np.testing.assert_array_equal(tracked.result(2).objects[6].mask, mask)
        np.testing.assert_array_equal(tracked.labels[2] == 6, mask)
        assert tracked.scores(2) == pytest.approx({4: 0.9, 5: 0.9, 6: 1.0, 7: 0.8})
        assert tracked.labels.notes(2)[6].source == "prompt"
        assert tracked.labels.notes(3)[6].source == "propagated"


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ([], "nothing to track"),
        (None, "nothing to track"),
        ([{"frame": 0}], "prompt 1: there is nothing to go by"),
        ([CLICK, {"frame": 99, "points": [[1, 1]]}], "prompt 2: .*out of range"),
        ([{"frame": 0, "mask": np.zeros(SIZE, bool)}], "no pixel"),
        ([{"frame": 0, "point": [1, 1]}], "no field 'point'"),
        ("no-such-file.json", "can't be read"),
    ],
)
def test_wrong_prompts(prompts, words):
    with pytest.raises(PromptFileError, match=words):
        track_video(FILM, prompts, model="fake")


def test_boxes_of_another_tool_are_prompts_cut_to_the_video(tmp_path):
    place = tmp_path / "gt.txt"
    place.write_text("2,4,-9,11,30,20,1,-1,-1,-1\n")
    with track_video(FILM, place, model="fake") as tracked:
        assert tracked.object_ids == (4,)
        rows, columns = np.nonzero(tracked.labels[1] == 4)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 29, 0, 19)


def test_a_callback_stops_and_a_project_goes_on(tmp_path, films):
    place = tmp_path / "a.sam3"
    seen: list[int] = []

    def on_frame(result):
        seen.append(result.frame_index)
        return result.frame_index < 2

    options = {"model": "fake", "project": place, "on_frame": on_frame}
    with track_video(films[0], [CLICK], **options) as tracked:
        assert not tracked.is_complete
        assert tracked.labels.processed_frames().tolist() == [0, 1, 2]
    with pytest.raises(RequestError, match="other prompts"):
        track_video(films[0], [{"frame": 0, "points": [[31, 20]]}], **options)
    with track_video(
        films[0], None, **{**options, "on_frame": lambda r: seen.append(0)}
    ) as tracked:
        assert tracked.is_complete
    assert seen == [0, 1, 2, 0, 0, 0]
    with Project.open(place) as project:  # nobody holds it any more
        assert not project.is_read_only
        assert project.run.is_over
    with pytest.raises(ProjectError):
        track_video(films[2], [CLICK], **options)
    with Project.open(place) as project:
        assert not project.is_read_only


def test_what_a_callback_raises_comes_out(films, tmp_path):
    def fail(result):
        raise ZeroDivisionError

    for project in (None, tmp_path / "a.sam3"):
        with pytest.raises(ZeroDivisionError):
            track_video(films[0], [CLICK], model="fake", project=project, on_frame=fail)
    with track_video(films[0], [CLICK], model="fake", project=project) as tracked:
        assert tracked.is_complete


def test_prompts_of_other_videos_are_left_out(films):
    told = [{**CLICK, "video": "films/a"}, {**CLICK, "video": "c", "points": [[9, 9]]}]
    with track_video(films[2], told, model="fake") as tracked:
        assert tracked.object_ids == (1,)
        assert tracked.labels[0][9, 9] == 1
    with pytest.raises(PromptFileError, match="no prompts for 'c'"):
        track_video(films[2], told[:1], model="fake")


def test_exports(tmp_path, films):
    with track_video(films[0], [CLICK], model="fake") as tracked:
        tracked.objects.classify(1, "cell")
        for name, kind in (("out/labels.tif", None), ("out/masks.json", "coco"), ("x_RES", None)):
            path = tracked.export(tmp_path / name, kind)
            with open_labels(path) as labels:
                np.testing.assert_array_equal(labels[5], tracked.labels[5])
                if kind == "coco":
                    assert labels.objects.classes == {1: "cell"}
        assert tracked.export(tmp_path / "film.mp4").stat().st_size
        with pytest.raises(RequestError, match="does not say which format"):
            tracked.export(tmp_path / "results")
        with pytest.raises(RequestError, match="no format 'avi'"):
            tracked.export(tmp_path / "results", "avi")


def test_an_export_that_can_not_be_written_says_where_and_what_to_do(tmp_path, films):
    (tmp_path / "file").touch()
    with (
        track_video(films[0], [{"frame": 0, "points": [[30, 20]]}], model="fake") as tracked,
        pytest.raises(VideoError, match=r"file.*can't be written.*check the folder"),
    ):
        tracked.export(tmp_path / "file" / "labels.tif")


def test_it_is_public_and_asks_for_no_window():
    assert napari_sam3.track_video is track_video
    assert "track_video" in dir(napari_sam3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"direction": np.array(["forward", "both"])}, "must be 'forward'"),
        ({"start_frame_index": N_FRAMES}, "out of range"),
        ({"max_frame_num_to_track": np.arange(2)}, "must be an integer"),
        ({"contrast_limits": "ab"}, "two rising finite numbers"),
        ({"model": 5}, "no model"),
        ({"prompts": 5}, "prompts must be a list"),
        ({"prompts": {"frame": 0, "points": [[1, 1]]}}, "prompts must be a list"),
    ],
)
def test_a_wrong_argument_is_refused_before_a_project_is_made(films, tmp_path, wrong, message):
    project = tmp_path / "a.sam3"
    with pytest.raises(Sam3Error, match=message):
        track_video(films[0], **{"prompts": [CLICK], "model": "fake", "project": project, **wrong})
    assert not project.exists()


def test_numbers_of_numpy_are_numbers(films, tmp_path):
    numbers = {"start_frame_index": np.int64(1), "max_frame_num_to_track": np.int16(2)}
    limits = np.array([0, 255], np.uint8)
    for _ in range(2):  # the second time it is gone on with
        with track_video(
            films[0],
            [CLICK],
            model="fake",
            project=tmp_path / "a.sam3",
            contrast_limits=limits,
            **numbers,
        ) as tracked:
            assert tracked.labels.processed_frames().tolist() == [0, 1, 2]

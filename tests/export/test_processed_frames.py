"""Frames that were never processed and frames with nothing on them: told apart, out and in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.sidecar import read_processed, sidecar_path
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.imports.file_label_stack import FileLabelStack
from napari_sam3.labels.label_stack import LabelStack
from tests.export.scene import COME_BACK, FACTS, LABELS, SHAPE

PROCESSED = [1, 2, 5]  # nothing is on frame 5


def partly(dtype=np.uint16, factor: int = 1) -> LabelStack:
    stack = LabelStack(SHAPE, dtype)
    for frame_index in PROCESSED:
        stack.draw(frame_index, LABELS[frame_index].astype(dtype) * factor)
    return stack


@pytest.mark.parametrize("facts", [FACTS, None], ids=["facts", "alone"])
@pytest.mark.parametrize("name", COME_BACK)
def test_they_are_told_apart_out_and_in(tmp_path, name, facts):
    path = tmp_path / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=SHAPE, facts=facts)), partly())
    with open_labels(path) as labels:
        assert labels.shape == SHAPE
        assert labels.processed_frames().tolist() == PROCESSED
        np.testing.assert_array_equal(labels[2], LABELS[2])
        planes = FileLabelStack(labels)
        assert planes.processed_frames().tolist() == PROCESSED
        again = tmp_path / "again" / FORMATS[name].target
        write_all(open_writer(name, again, Scene(shape=SHAPE)), planes)
    with open_labels(again) as labels:
        assert labels.processed_frames().tolist() == PROCESSED


@pytest.mark.parametrize(
    "name", ["mot", "csv", "geff", "yolo", "cvat", "labelme", "trackmate", "imagej"]
)
def test_what_does_not_come_back_has_it_beside(tmp_path, name):
    path = tmp_path / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=SHAPE)), partly())
    assert read_processed(path, SHAPE[0]) == PROCESSED


def test_a_stack_of_32_bits_tells_it_too(tmp_path):
    path = tmp_path / "labels.tif"
    write_all(open_writer("tiff", path, Scene(shape=SHAPE)), partly(np.uint32, 100_000))
    with open_labels(path) as labels:
        assert labels.processed_frames().tolist() == PROCESSED
        assert labels[1].max() == 500_000


@pytest.mark.parametrize("name", [*COME_BACK, "mot"])
def test_where_all_were_processed_nothing_is_beside(tmp_path, name):
    """Nor what an earlier result of the same name had there."""
    path = tmp_path / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=SHAPE)), partly())
    write_all(open_writer(name, path, Scene(shape=SHAPE)), LABELS)
    assert [place.name for place in tmp_path.iterdir()] == [path.name]
    if name != "mot":
        with open_labels(path) as labels:
            assert labels.processed_frames().tolist() == list(range(SHAPE[0]))


def test_a_file_of_others_beside_a_result_stays(tmp_path):
    sidecar_path(tmp_path / "mot.txt").write_text('{"fps": 30}')
    write_all(open_writer("mot", tmp_path / "mot.txt", Scene(shape=SHAPE)), LABELS)
    assert sidecar_path(tmp_path / "mot.txt").read_text() == '{"fps": 30}'


@pytest.mark.parametrize("said", ["9", "0-99999999999", [1], 7])
def test_frames_that_are_not_there_are_refused(tmp_path, said):
    path = tmp_path / "davis"
    write_all(open_writer("davis", path, Scene(shape=SHAPE)), partly())
    place = sidecar_path(path)
    place.write_text(json.dumps({**json.loads(place.read_text()), "processed_frames": said}))
    with pytest.raises(VideoError, match="delete it"):
        open_labels(path)


def test_a_film_is_of_the_whole_video(tmp_path):
    class Grey:
        size = SHAPE[1:]

        def __len__(self):
            return SHAPE[0]

        def __getitem__(self, frame_index):
            return np.full((*self.size, 3), 90, np.uint8)

    seen = []
    scene = Scene(shape=SHAPE, frames=Grey(), on_progress=lambda done, of: seen.append((done, of)))
    write_all(open_writer("overlay", tmp_path / "o.mp4", scene), partly())
    assert seen[-1] == (SHAPE[0], SHAPE[0])

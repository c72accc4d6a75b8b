"""What all annotation formats have in common: facts of the video, and what is replaced when."""

from __future__ import annotations

import pytest

from napari_sam3.errors import VideoError
from napari_sam3.export import (
    CocoWriter,
    CtcWriter,
    CvatWriter,
    DavisWriter,
    GeffWriter,
    ImageJRoiWriter,
    LabelmeWriter,
    LabelStudioWriter,
    MotWriter,
    OmeZarrWriter,
    Scene,
    TrackMateWriter,
    YoloWriter,
    YoutubeVisWriter,
    open_writer,
)
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.sidecar import read_sidecar, sidecar_path
from tests.export.scene import FACTS, LABELS, SHAPE, names, result_of

WRITERS = {
    "coco": CocoWriter,
    "ytvis": YoutubeVisWriter,
    "ctc": CtcWriter,
    "mot": MotWriter,
    "davis": DavisWriter,
    "ome-zarr": OmeZarrWriter,
    "geff": GeffWriter,
    "yolo": YoloWriter,
    "cvat": CvatWriter,
    "labelme": LabelmeWriter,
    "label-studio": LabelStudioWriter,
    "trackmate": TrackMateWriter,
    "imagej": ImageJRoiWriter,
}


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].needs_video])
def test_every_format_brings_the_facts_of_the_video(tmp_path, name):
    path = tmp_path / FORMATS[name].target
    with open_writer(name, path, Scene(shape=SHAPE, facts=FACTS)) as writer:
        writer.write(result_of(LABELS, 0))
    assert read_sidecar(path) == FACTS
    assert names(tmp_path) == {path.name, sidecar_path(path).name}


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupted_run_leaves_what_was_there(tmp_path, name):
    path = tmp_path / FORMATS[name].target
    WRITERS[name](path, SHAPE, facts=FACTS).close()
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def write_and_stop():
        with WRITERS[name](path, SHAPE) as writer:
            writer.write(result_of(LABELS, 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_there_is_replaced(tmp_path, name):
    path = tmp_path / FORMATS[name].target
    for labels in (LABELS, LABELS * (LABELS == 5)):
        with WRITERS[name](path, SHAPE) as writer:
            for frame_index in (4, 1, 1):
                writer.write(result_of(labels, frame_index))
    with WRITERS[name](tmp_path / "fresh", SHAPE) as writer:
        for frame_index in (1, 4):
            writer.write(result_of(LABELS * (LABELS == 5), frame_index))
    fresh = tmp_path / "fresh"
    written = sorted(f.relative_to(path) for f in path.rglob("*") if f.is_file())
    assert written == sorted(f.relative_to(fresh) for f in fresh.rglob("*") if f.is_file())
    for file in written:
        assert (path / file).read_bytes() == (fresh / file).read_bytes()


@pytest.mark.parametrize("name", ["ctc", "davis", "geff", "ome-zarr", "yolo", "labelme"])
def test_a_folder_of_other_things_is_never_replaced(tmp_path, name):
    path = tmp_path / "folder"
    WRITERS[name](path, SHAPE).close()
    (path / "thesis.txt").write_text("precious")
    if name != "ome-zarr":  # which only adds
        with pytest.raises(VideoError, match=r"thesis\.txt"):
            WRITERS[name](path, SHAPE)
    (path / "thesis.txt").rename(tmp_path / "thesis.txt")
    with WRITERS[name](path, SHAPE) as writer:
        writer.write(result_of(LABELS, 0))
        (tmp_path / "thesis.txt").rename(path / "thesis.txt")  # while it is tracking
        if name != "ome-zarr":
            with pytest.raises(VideoError, match=r"thesis\.txt"):
                writer.close()
    assert (path / "thesis.txt").read_text() == "precious"


def test_facts_of_another_video_are_refused(tmp_path):
    with pytest.raises(ValueError, match="are not those of a video"):
        MotWriter(tmp_path / "mot.txt", (5, 41, 53), facts=FACTS)


def test_a_film_needs_the_video(tmp_path):
    with pytest.raises(ValueError, match="without the video"):
        open_writer("overlay", tmp_path / "o.mp4", Scene(shape=SHAPE))

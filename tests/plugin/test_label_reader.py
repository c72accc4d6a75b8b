"""Labels of other programs become layers; what holds none is left to other readers."""

import os

import npe2
import numpy as np
import pytest
from napari.layers import Labels
from PIL import Image

from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.writer import write_all
from napari_sam3.imports.file_label_stack import FileLabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.io.label_reader import get_label_reader
from napari_sam3.video.video_facts import VideoFacts

SHAPE = (4, 30, 40)
FACTS = VideoFacts(
    *SHAPE, fps=4.0, timestamps=(0.0, 0.25, 0.5, 0.75), pixel_size=(0.5, 0.4), unit="um"
)
LABELS = np.zeros(SHAPE, np.uint16)
LABELS[1, 3:9, 4:8] = 1
LABELS[2, 3:9, 4:8] = 2
OBJECTS = ObjectTable.from_parents({2: 1}, {2: 2}, names={2: "Ann"}, classes={1: "cell"})
READ = ["coco", "ytvis", "ctc", "davis", "ome-zarr"]


def write(folder, name, facts=FACTS):
    path = folder / FORMATS[name].target
    scene = Scene(shape=SHAPE, facts=facts, objects=OBJECTS)
    write_all(open_writer(name, path, scene), LABELS)
    return path


@pytest.mark.parametrize("name", READ)
def test_labels_become_a_scaled_layer(tmp_path, name):
    path = write(tmp_path, name)
    ((data, arguments, kind),) = get_label_reader(str(path))(str(path))
    assert kind == "labels"
    layer = Labels(data, **arguments)
    assert layer.scale.tolist() == pytest.approx([0.25, 0.5, 0.4])
    assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"]
    np.testing.assert_array_equal(np.asarray(data), LABELS)
    if name == "ctc":
        assert layer.metadata["objects"].divisions == OBJECTS.divisions
    elif name != "davis":
        assert layer.metadata["objects"] == OBJECTS
        assert layer.features["class"].tolist() == [None, "cell", None]
        assert layer.features["mother"].tolist() == [None, None, 1]


def test_unsteady_time_is_counted_in_frames(tmp_path):
    facts = VideoFacts(*SHAPE, fps=4.0, timestamps=(0.0, 0.1, 0.5, 0.75))
    path = write(tmp_path, "mot", facts)
    path = write(tmp_path, "ytvis", facts)
    ((_, arguments, _),) = get_label_reader(path)(path)
    assert arguments["scale"][0] == 1
    assert arguments["units"][0] == "pixel"


def test_a_layer_reads_only_the_frames_that_are_looked_at_and_can_be_painted_in(tmp_path):
    path = write(tmp_path, "davis")
    ((data, arguments, _),) = get_label_reader(path)(path)
    assert isinstance(data, FileLabelStack)
    seen = []
    read = data.file._read
    data.file._read = lambda n: seen.append(n) or read(n)
    layer = Labels(data, **arguments)
    seen.clear()
    assert data[2].max() == 2
    assert data[2].max() == 2
    assert seen == [2]
    layer.data_setitem((np.array([3]), np.array([5]), np.array([6])), 9)
    assert data[3][5, 6] == 9
    layer.undo()
    assert not data[3].any()
    assert data.notes(2)[2].source == "imported"
    data.draw(1, np.full(SHAPE[1:], 5))
    assert (data[1] == 5).all()
    assert 1 not in seen
    assert data.max() == 5
    with Image.open(path / "00001.png") as image:
        np.testing.assert_array_equal(np.asarray(image), LABELS[1])


@pytest.mark.parametrize("name", READ)
def test_labels_are_found_through_npe2(tmp_path, npe2pm, name):
    path = write(tmp_path, name)
    with npe2pm.tmp_plugin(package="napari-sam3"):
        ((data, _, kind),) = npe2.read([str(path)], stack=False)
    assert kind == "labels"
    assert data.shape == SHAPE


def test_hidden_files_do_not_hide_labels_and_are_none(tmp_path):
    path = write(tmp_path, "davis")
    for file in list(path.iterdir()):
        (path / f"._{file.name}").write_bytes(b"Mac OS X")
    assert get_label_reader(path) is not None
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "._res_track.txt").write_bytes(b"Mac OS X")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(pictures / "0.png")
    assert get_label_reader(pictures) is None


def test_what_holds_no_labels_is_left_to_others(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "image.zarr").mkdir()
    (tmp_path / "image.zarr" / "zarr.json").write_text('{"attributes": {"ome": {}}}')
    (tmp_path / "grey").mkdir()
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "grey" / "0.png")
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    for path in [*tmp_path.iterdir(), tmp_path / "missing.json"]:
        assert get_label_reader(str(path)) is None
    assert get_label_reader([]) is None


def test_what_never_ends_is_declined_at_once(tmp_path):
    (tmp_path / "frames").mkdir()
    os.mkfifo(tmp_path / "frames" / "0.png")
    (tmp_path / "a.zarr").mkdir()
    with (tmp_path / "a.zarr" / "zarr.json").open("wb") as file:
        file.truncate(8 * 2**30)
    for name in ("frames", "a.zarr"):
        assert get_label_reader(str(tmp_path / name)) is None

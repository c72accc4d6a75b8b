"""Labels on disk: what is written is there, is shown, and any reader of zarr understands it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_sam3.errors import StoreError, StoreReadOnlyError
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

SHAPE = (12, 40, 50)
ONE_FRAME = 40 * 50 * 2


def frame(label: int) -> np.ndarray:
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[label : label + 20, 10:30] = label
    return labels


@pytest.fixture
def store(tmp_path):
    """Frames 0 to 5 drawn, with notes; 6 drawn as background."""
    with LabelStore.create(tmp_path / "results", SHAPE, cache_bytes=2 * ONE_FRAME) as store:
        for i in range(6):
            store.draw(i, frame(i + 1), {i + 1: ObjectNote(i / 10, "propagated")}, run=2)
        store.draw(6, np.zeros(SHAPE[1:], int))
        yield store


def test_everything_is_there_again(store):
    store[1, 2, 3] = 77
    store.annotate(2, {3: ObjectNote(None, "imported"), 9: ObjectNote(0.25, "prompt")})
    store.lock(4)
    store.lock(10)
    expected = store[:]
    store.close()
    again = LabelStore.open(store.folder)
    np.testing.assert_array_equal(again[:], expected)
    assert (again.shape, again.dtype, again.problems) == (SHAPE, np.uint16, ())
    assert again.processed_frames().tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert again.is_processed(6)
    assert not again.is_processed(7)
    assert again.notes(1) == {2: ObjectNote(0.1, "propagated"), 77: ObjectNote(None, "painted")}
    assert again.notes(2) == {3: ObjectNote(None, "imported"), 9: ObjectNote(0.25, "prompt")}
    assert again.locked_frames().tolist() == [4, 10]
    assert again.frames_of_run(2).tolist() == [0, 1, 2, 3, 4, 5]
    assert (again.min(), again.max()) == (0, 77)
    again.close()


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", ">u2"])
def test_any_integer_type_comes_back(tmp_path, dtype):
    with LabelStore.create(tmp_path, (2, 3, 4), dtype) as store:
        store.draw(1, np.full((3, 4), 100))
    with LabelStore.open(tmp_path) as again:
        assert again.dtype == np.dtype(dtype).newbyteorder("=")
        assert again.max() == 100
        assert again[1, 2, 3] == 100


def test_a_reader_of_zarr_sees_the_same(store):
    store.flush()
    array = zarr.open_array(store.folder / "labels.zarr", mode="r")
    np.testing.assert_array_equal(array[:], store[:])
    assert array.chunks == (1, *SHAPE[1:])
    assert array.metadata.dimension_names == ("t", "y", "x")


def test_frames_leave_memory_and_are_shown_from_disk(tmp_path):
    store = LabelStore.create(tmp_path, (400, 40, 50), cache_bytes=3 * ONE_FRAME)
    for i in range(400):
        store.draw(i, frame(i % 20 + 1))
    store.flush()
    assert store.memory_bytes <= 3 * ONE_FRAME
    for i in (0, 7, 399, 200):
        np.testing.assert_array_equal(store[i], frame(i % 20 + 1))
    store.close()


def test_what_is_painted_is_written_without_being_asked(store, monkeypatch):
    store.flush()
    written = threading.Event()
    write = ChunkFolder.write

    def write_and_tell(self, frame_index, chunk):
        write(self, frame_index, chunk)
        written.set()

    monkeypatch.setattr(ChunkFolder, "write", write_and_tell)
    store[3, 0, 0] = 50
    assert written.wait(60)
    with LabelStore.open(store.folder, read_only=True) as other:
        assert other[3, 0, 0] == 50


def test_is_written_when_a_script_ends_without_closing(tmp_path):
    script = (
        "import sys; from napari_sam3.labels.label_store import LabelStore\n"
        "store = LabelStore.create(sys.argv[1], (3, 4, 5))\n"
        "store.draw(0, [[1] * 5] * 4); store[1, 2, 3] = 9"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    with LabelStore.open(tmp_path) as store:
        assert store[0].min() == 1
        assert store[1, 2, 3] == 9


def test_read_only_shows_everything_and_changes_nothing(store):
    store.lock(0)
    store.close()
    before = {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()}
    looked_at = LabelStore.open(store.folder, read_only=True)
    assert looked_at.is_read_only
    np.testing.assert_array_equal(looked_at[5], frame(6))
    with pytest.raises(StoreReadOnlyError, match="looked at only"):
        looked_at[5, 0, 0] = 1
    with pytest.raises(ValueError, match="looked at only"):
        looked_at.draw(5, frame(1))
    with pytest.raises(StoreReadOnlyError):
        looked_at.annotate(5, {1: ObjectNote(None, "painted")})
    with pytest.raises(StoreReadOnlyError):
        looked_at.lock(5)
    np.testing.assert_array_equal(looked_at[5], frame(6))
    looked_at.close()
    assert {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()} == before


def test_closed_it_can_still_be_looked_at(store):
    store.close()
    np.testing.assert_array_equal(store[0], frame(1))
    with pytest.raises(StoreReadOnlyError, match="closed"):
        store[0, 0, 0] = 1
    store.close()


def test_a_copy_is_in_memory_and_its_own(store):
    store.lock(2)
    copy = store.copy()
    copy[0] = 5
    np.testing.assert_array_equal(store[0], frame(1))
    assert copy.notes(3) == store.notes(3)
    assert copy.is_locked(2)
    assert not hasattr(copy, "folder")


def test_lines_of_old_states_go_when_it_is_opened(store):
    path = store.folder / "frames.jsonl"
    for i in range(30):
        store.draw(0, frame(i + 1))
        store.flush()
    store.close()
    assert len(path.read_bytes().splitlines()) > 30
    LabelStore.open(store.folder).close()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line.get("frame") for line in lines] == [None, 0, 1, 2, 3, 4, 5, 6]
    with LabelStore.open(store.folder) as again:
        np.testing.assert_array_equal(again[0], frame(30))


def test_refuses_what_it_should_not_touch(store, tmp_path):
    with pytest.raises(StoreError, match="holds labels already"):
        LabelStore.create(store.folder, SHAPE)
    with pytest.raises(StoreError, match="holds no labels"):
        LabelStore.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    other = tmp_path / "other"
    zarr.create_array(other / "labels.zarr", shape=(4, 8, 8), chunks=(2, 8, 8), dtype="uint16")
    with pytest.raises(StoreError, match="not a label store"):
        LabelStore.open(other)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        LabelStore.create(tmp_path / "file", SHAPE)
    with pytest.raises(ValueError, match="float32"):
        LabelStore.create(tmp_path / "new", SHAPE, np.float32)


def test_says_so_if_a_newer_version_wrote_it(store):
    store.close()
    path = store.folder / "frames.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":3'))
    before = {p: p.read_bytes() for p in Path(store.folder).rglob("*") if p.is_file()}
    with pytest.raises(StoreError, match="update napari-sam3"):
        LabelStore.open(store.folder)
    assert {p: p.read_bytes() for p in Path(store.folder).rglob("*") if p.is_file()} == before

"""A disk that is full: said clearly, nothing lost, and writing goes on once there is room."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from napari_sam3.errors import StoreError
from napari_sam3.labels import store_recovery
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.frame_records import RecordFile
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

SHAPE = (40, 30, 40)
NOTES = {1: ObjectNote(0.5, "propagated")}


def frame(label: int) -> np.ndarray:
    return np.full(SHAPE[1:], label, np.uint16)


@pytest.fixture
def store(tmp_path):
    """Frames 0 to 3 are on disk."""
    store = LabelStore.create(tmp_path / "results", SHAPE, cache_bytes=1)
    for i in range(4):
        store.draw(i, frame(i + 1), NOTES)
    store.flush()
    yield store
    store.close()


@pytest.fixture(params=["chunks", "lines"])
def disk(request, monkeypatch):
    """A disk with room or without, for either part of the store."""

    class Disk:
        is_full = True
        error = errno.ENOSPC

    def fill(kind, name):
        write = getattr(kind, name)

        def write_if_there_is_room(*args):
            if Disk.is_full:
                raise OSError(Disk.error, os.strerror(Disk.error))
            write(*args)

        monkeypatch.setattr(kind, name, write_if_there_is_room)

    if request.param == "chunks":
        fill(ChunkFolder, "write")
    else:
        fill(RecordFile, "append")
    return Disk


def test_says_so_and_keeps_what_is_there_readable(store, disk):
    lines = (store.folder / "frames.jsonl").read_bytes()
    store.draw(5, frame(6), NOTES)
    with pytest.raises(
        StoreError, match=r"(?s)results.*No space left.*MB are free.*Make room"
    ) as e:
        store.flush()
    assert e.value.errno == errno.ENOSPC
    assert isinstance(e.value, OSError)
    assert "1 frames wait in memory" in str(store.failure)
    with pytest.raises(StoreError, match="Make room"):
        store.draw(6, frame(7))
    assert not store.is_processed(6)
    for i in (0, 1, 2, 3, 5):
        np.testing.assert_array_equal(store[i], frame(i + 1))
    store[2, 3, 4] = 99  # painting goes on
    assert store[2, 3, 4] == 99
    assert (store.folder / "frames.jsonl").read_bytes() == lines
    with LabelStore.open(store.folder, read_only=True) as other:
        assert other.problems == ()
        np.testing.assert_array_equal(other[:4], np.stack([frame(i + 1) for i in range(4)]))
    disk.is_full = False


def test_goes_on_when_room_was_made(store, disk):
    store.draw(5, frame(6), NOTES)
    with pytest.raises(StoreError):
        store.flush()
    store[2, 3, 4] = 99
    store.lock(1)
    with pytest.raises(StoreError):
        store.close()
    disk.is_full = False
    assert store.draw(6, frame(7))
    store.close()
    assert store.failure is None
    with LabelStore.open(store.folder) as again:
        assert again.problems == ()
        assert again[2, 3, 4] == 99
        assert again.is_locked(1)
        for i in (0, 1, 3, 5, 6):
            np.testing.assert_array_equal(again[i], frame(i + 1))


def test_a_disk_that_fails_otherwise_has_another_remedy(store, disk):
    disk.error = errno.EIO
    store.draw(5, frame(6))
    with pytest.raises(StoreError, match="See whether that disk") as error:
        store.flush()
    assert error.value.errno == errno.EIO
    disk.is_full = False


def test_a_store_opens_on_a_full_disk(store, monkeypatch):
    store.draw(0, frame(9))  # a line too many
    store.flush()
    path = store.folder / "frames.jsonl"
    with path.open("ab") as file:
        file.write(b'{"frame":2,"cr')

    def refuse(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(store_recovery, "write_records", refuse)
        again = LabelStore.open(store.folder)
    assert again.problems == ()
    np.testing.assert_array_equal(again[0], frame(9))
    again.draw(6, frame(7))
    again.close()
    with LabelStore.open(store.folder) as again:
        assert again.problems == ()
        assert again.processed_frames().tolist() == [0, 1, 2, 3, 6]


LIMITED = """
import resource, sys
from napari_sam3.errors import StoreError
from napari_sam3.labels.label_store import LabelStore

store = LabelStore.create(sys.argv[1], (40, 30, 40))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    for i in range(40):
        store.draw(i, [[i + 1] * 40] * 30)
    store.flush()
except StoreError as error:
    print("full")
with LabelStore.open(sys.argv[1], read_only=True) as seen:
    there = seen.processed_frames().tolist()
    assert there == list(range(len(there))) and 2 < len(there) < 40, there
    assert not seen.problems
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for i in range(40):
    store.draw(i, [[i + 1] * 40] * 30)
store.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files")
def test_a_line_that_fits_in_part_is_taken_off_again(tmp_path):
    folder = tmp_path / "results"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("full\n", "")
    with LabelStore.open(folder) as again:
        assert again.problems == ()
        np.testing.assert_array_equal(again[:, 5, 5], np.arange(1, 41))

"""Label folders that a stranger made to fill the memory, or to reach other files."""

from __future__ import annotations

import os
import shutil
import zlib

import numpy as np
import pytest
from numcodecs.zstd import Zstd

from napari_sam3.errors import StoreError
from napari_sam3.labels.frame_codec import FrameCodec
from napari_sam3.labels.frame_records import ChunkFacts, FrameRecord
from napari_sam3.labels.label_store import LabelStore

SHAPE = (10, 30, 40)
BOMB = bytes(Zstd(level=1).encode(bytes(2**28)))


@pytest.fixture
def folder(tmp_path):
    with LabelStore.create(tmp_path / "labels", SHAPE) as store:
        for i in range(8):
            store.draw(i, np.full(SHAPE[1:], i + 1, np.uint16))
    return tmp_path / "labels"


def put_chunk(folder, frame_index, chunk, *, is_told):
    (folder / "labels.zarr" / f"c.{frame_index}.0.0").write_bytes(chunk)
    if is_told:
        facts = ChunkFacts(zlib.crc32(chunk), len(chunk), 0, 1)
        with (folder / "frames.jsonl").open("ab") as file:
            file.write(FrameRecord(frame_index, facts).to_line())


def without_its_size(chunk):
    """The same zstd frame with a window in its head instead of the size of its content."""
    kind, is_single = chunk[4] >> 6, chunk[4] >> 5 & 1
    size = (is_single, 2, 4, 8)[kind]
    return chunk[:4] + bytes([chunk[4] & 0b11111, 0x50]) + chunk[5 + (not is_single) + size :]


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("chunk", [BOMB, without_its_size(BOMB)], ids=["sized", "unsized"])
def test_a_chunk_that_inflates_beyond_its_frame_is_lost(folder, chunk, is_told):
    put_chunk(folder, 3, chunk, is_told=is_told)
    with LabelStore.open(folder) as store:
        assert store[3].max() == 0
        assert not store.is_processed(3)
        assert (store[4] == 5).all()
        assert any("frame" in p and "3" in p and "lost" in p for p in store.problems)


def test_a_chunk_larger_than_its_frame_is_not_read(folder):
    put_chunk(folder, 3, b"", is_told=False)
    with (folder / "labels.zarr" / "c.3.0.0").open("r+b") as file:
        file.truncate(8 * 2**30)
    with LabelStore.open(folder) as store:
        assert not store.is_processed(3)
        assert (store[4] == 5).all()


@pytest.mark.parametrize("size", [(1, 1), (12, 10), (16, 16), (200, 300), (300, 400)])
def test_what_is_squeezed_here_says_its_size(size):
    codec = FrameCodec(size, np.dtype(np.uint16))
    frame = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size)
    assert (codec.unpack(codec.pack(frame)) == frame).all()


def test_a_line_too_long_costs_its_frame_alone(folder, monkeypatch):
    monkeypatch.setattr("napari_sam3.labels.frame_records.MOST_LINE", 300)
    path = folder / "frames.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4:4] = [b"[" * 1000 + b"\n"]
    path.write_bytes(b"".join(lines))
    with LabelStore.open(folder) as store:
        assert (store[7] == 8).all()
        assert any("1 lines" in p for p in store.problems)
    with LabelStore.open(folder) as store:
        assert store.problems == ()


@pytest.mark.parametrize("name", ["labels.zarr", "frames.jsonl"])
def test_nothing_is_made_over_a_link(tmp_path, name):
    mine = tmp_path / "mine"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / name).symlink_to(mine)  # to where nothing is
    with pytest.raises(StoreError):
        LabelStore.create(tmp_path / "new", SHAPE)
    assert not mine.exists()


def test_labels_too_large_to_be_read_again_are_not_begun(tmp_path):
    with pytest.raises(ValueError, match="too large"):
        LabelStore.create(tmp_path, (10, 2**15, 2**14))


def test_lines_are_added_to_a_file_of_its_own(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)
    before = (copy / "frames.jsonl").read_bytes()
    with (folder / "frames.jsonl").open("rb") as file:
        assert os.fstat(file.fileno()).st_nlink == 2
    with LabelStore.open(folder) as store:
        store.draw(9, np.ones(SHAPE[1:], np.uint16))
    assert (copy / "frames.jsonl").read_bytes() == before
    with LabelStore.open(copy, read_only=True) as store:
        assert not store.is_processed(9)

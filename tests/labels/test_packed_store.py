"""A store whose frames are packed, many in a file, is what it was before, for us and for others."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress

import numpy as np
import pytest
import zarr

from napari_sam3.errors import StoreError, StoreReadOnlyError
from napari_sam3.labels import frame_records, shard_folder
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.shard_folder import ShardFolder, crc32c

SHAPE = (10, 30, 40)
EMPTY = (5, 9)  # never processed


def frame(i: int) -> np.ndarray:
    labels = np.random.default_rng(i).integers(0, 2, SHAPE[1:]).astype(np.uint16)
    return labels * (i + 1)


def note(i: int) -> dict[int, ObjectNote]:
    return {i + 1: ObjectNote(0.5, "propagated")}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("napari_sam3.labels.packing.FRAMES_IN_SHARD", 4)


@pytest.fixture
def folder(tmp_path):
    """A store with notes and a locked frame, not packed."""
    with LabelStore.create(tmp_path, SHAPE) as store:
        for i in sorted(set(range(SHAPE[0])) - set(EMPTY)):
            store.draw(i, frame(i), note(i))
        store.lock(2)
    return tmp_path


@pytest.fixture
def packed(folder):
    with LabelStore.open(folder) as store:
        store.pack()
    return folder


def files(folder):
    return sorted(path.name for path in (folder / "labels.zarr").iterdir())


SHARDS = ["0.0.0", "1.0.0", "2.0.0", "zarr.json"]
CHUNKS = [*(f"c.{i}.0.0" for i in range(SHAPE[0]) if i not in EMPTY), "zarr.json"]


def assert_whole(store, but=()):
    for i in sorted(set(range(SHAPE[0])) - set(but)):
        assert store.is_processed(i) == (i not in EMPTY)
        np.testing.assert_array_equal(store[i], 0 if i in EMPTY else frame(i))
        assert store.notes(i) == ({} if i in EMPTY else note(i))
        assert store.is_locked(i) == (i == 2)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("read_only", [False, True])
def test_it_reads_as_before(packed, read_only):
    assert files(packed) == SHARDS
    with LabelStore.open(packed, read_only=read_only) as store:
        assert store.is_packed
        assert store.problems == ()
        assert_whole(store)
        assert store.check() == ()
    assert files(packed) == SHARDS


def test_the_open_store_goes_on(folder):
    with LabelStore.open(folder) as store:
        seen = []
        store.pack(seen.append)
        assert seen == [4, 7, 8]
        assert_whole(store)
        store.unpack()
        assert files(folder) == CHUNKS
        assert_whole(store)
        store.unpack()  # nothing to do
        store.pack()
        store.pack()
        assert_whole(store)


def test_zarr_itself_reads_it(packed):
    array = zarr.open_array(packed / "labels.zarr", mode="r")
    assert array.shards == (4, *SHAPE[1:])
    assert array.chunks == (1, *SHAPE[1:])
    for i in range(SHAPE[0]):
        np.testing.assert_array_equal(array[i], 0 if i in EMPTY else frame(i))


def test_what_zarr_packed_is_read(packed):
    array = zarr.open_array(packed / "labels.zarr", mode="r+")
    array[:] = np.stack([frame(i) for i in range(SHAPE[0])])
    with LabelStore.open(packed, read_only=True) as store:
        for i in range(SHAPE[0]):
            np.testing.assert_array_equal(store[i], frame(i))


def test_the_lines_of_frames_stay_and_tell_the_chunks(folder):
    LabelStore.open(folder).close()  # which leaves one line a frame
    lines = (folder / "frames.jsonl").read_bytes().splitlines()
    with LabelStore.open(folder) as store:
        store.pack()
    head, *after = (folder / "frames.jsonl").read_bytes().splitlines()
    assert after == lines[1:]
    assert json.loads(head)["version"] == 2
    shards = ShardFolder(folder / "labels.zarr", SHAPE, np.dtype(np.uint16), 4)
    told = {said["frame"]: said["crc"] for said in map(json.loads, after)}
    assert {i: zlib.crc32(shards.read(i)) for i in told} == told
    with LabelStore.open(folder) as store:
        store.unpack()
    assert (folder / "frames.jsonl").read_bytes().splitlines() == lines


def test_an_older_release_says_that_it_does_not_know_it(packed, monkeypatch):
    monkeypatch.setattr(frame_records, "VERSION", 1)
    before = files(packed), (packed / "frames.jsonl").read_bytes()
    with pytest.raises(StoreError, match=r"newer napari-sam3 \(version 2.*update napari-sam3"):
        LabelStore.open(packed)
    assert (files(packed), (packed / "frames.jsonl").read_bytes()) == before


@pytest.mark.parametrize("how", ["draw", "paint", "clear", "restore"])
def test_what_is_written_later_unpacks_it(packed, how):
    with LabelStore.open(packed) as store:
        if how == "draw":
            store.draw(5, frame(7), note(7))
        elif how == "paint":
            store[5] = frame(7)
        elif how == "clear":
            store.restore(LabelStack(SHAPE).snapshot([3]))
        else:
            store.restore(store.snapshot([3]))
            store.draw(5, frame(7), note(7))
        store.flush()
        assert not store.is_packed
        assert_whole(store, but=[3, 5])
    with LabelStore.open(packed) as store:
        assert store.problems == ()
        assert_whole(store, but=[3, 5])
        np.testing.assert_array_equal(store[3], 0 if how == "clear" else frame(3))
        np.testing.assert_array_equal(store[5], 0 if how == "clear" else frame(7))
    wanted = set(CHUNKS) - {"c.3.0.0"} if how == "clear" else {*CHUNKS, "c.5.0.0"}
    assert set(files(packed)) == wanted


def test_notes_and_locks_leave_it_packed(packed):
    with LabelStore.open(packed) as store:
        store.lock(3)
        store.annotate(4, {5: ObjectNote(0.25, "propagated")})
    assert files(packed) == SHARDS
    with LabelStore.open(packed) as store:
        assert store.is_packed
        assert store.problems == ()
        assert store.is_locked(3)
        assert store.notes(4)[5].score == 0.25
        np.testing.assert_array_equal(store[4], frame(4))


def test_what_is_only_looked_at_is_not_packed(folder):
    with LabelStore.open(folder, read_only=True) as store, pytest.raises(StoreReadOnlyError):
        store.pack()
    assert files(folder) == CHUNKS


@pytest.mark.parametrize("then", ["pack", "unpack"])
def test_who_looks_on_is_not_disturbed(folder, then):
    with LabelStore.open(folder) as store:
        if then == "unpack":
            store.pack()
        with LabelStore.open(folder, read_only=True, cache_bytes=1) as other:
            getattr(store, then)()
            assert_whole(other)
            assert other.problems == ()


def test_one_frame_and_an_empty_store_are_packed(tmp_path):
    for name, n_frames in (("one", 1), ("none", 0)):
        with LabelStore.create(tmp_path / name, (1, 8, 8)) as store:
            if n_frames:
                store.draw(0, np.ones((8, 8), np.uint16))
            store.pack()
        with LabelStore.open(tmp_path / name) as store:
            assert store.problems == ()
            assert store.is_packed
            assert (store[0] == n_frames).all()


# ------------------------------------------------------------------- it fails


def is_switched(calls):
    """Whether the description was replaced: then it goes on, whatever fails."""
    return "zarr.json" in [path.name for path in calls[:-1]]


@pytest.mark.parametrize("deed", ["pack", "unpack"])
@pytest.mark.parametrize("fails_at", range(8))
def test_a_full_disk_leaves_it_as_it_was(folder, monkeypatch, deed, fails_at):
    from napari_sam3 import whole_files

    with LabelStore.open(folder) as store:
        if deed == "unpack":
            store.pack()
        before = files(folder)
        replace, calls = whole_files._replace, []

        def fail(part, path):
            calls.append(path)
            if len(calls) == fails_at + 1:
                raise OSError(28, os.strerror(28))
            replace(part, path)

        told = ""
        with monkeypatch.context() as patched, suppress(StoreError):
            patched.setattr(whole_files, "_replace", fail)
            told = "it failed"
            getattr(store, deed)()
            told = ""
        assert bool(told) == (len(calls) > fails_at)
        if told and not is_switched(calls):
            assert files(folder) == before
        assert_whole(store)
        store.draw(5, frame(5), note(5))
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert_whole(store, but=[5])
        np.testing.assert_array_equal(store[5], frame(5))


# ------------------------------------------------------------------- damage


def test_a_damaged_frame_in_a_shard_is_one_frame(packed):
    flip(packed / "labels.zarr" / "0.0.0", 60)
    with LabelStore.open(packed) as store:
        (problem,) = store.problems
        assert "labels of frame 0 are lost" in problem
        assert_whole(store, but=[0])


def test_a_lost_shard_is_its_frames(packed):
    (packed / "labels.zarr" / "1.0.0").unlink()
    with LabelStore.open(packed) as store:
        assert store.problems == ("the labels of frames 4, 6-7 are lost (damaged or gone)",)
        assert_whole(store, but=[4, 6, 7])
        store.draw(4, frame(4), note(4))
    with LabelStore.open(packed) as store:
        assert store.problems == ()
        assert_whole(store, but=[6, 7])


@pytest.mark.parametrize("read_only", [False, True])
def test_without_its_index_a_shard_is_read_as_the_lines_tell(packed, read_only):
    flip(packed / "labels.zarr" / "1.0.0", -20)
    with LabelStore.open(packed, read_only=read_only) as store:
        (problem,) = store.problems
        assert "the index of 1.0.0" in problem
        assert_whole(store)
        if read_only:
            return
        store.unpack()
        store.pack()
    with LabelStore.open(packed) as store:
        assert store.problems == ()
        assert_whole(store)


def test_of_a_shard_that_is_cut_off_the_first_frames_are_read(packed):
    path = packed / "labels.zarr" / "0.0.0"
    size = len(ShardFolder(path.parent, SHAPE, np.dtype(np.uint16), 4).read(0))
    path.write_bytes(path.read_bytes()[: size + 9])
    with LabelStore.open(packed) as store:
        assert "the labels of frames 1-3 are lost" in store.problems[0]
        assert_whole(store, but=[1, 2, 3])


@pytest.mark.parametrize("read_only", [False, True])
def test_a_lost_description_is_made_again(packed, read_only):
    (packed / "labels.zarr" / "zarr.json").unlink()
    with LabelStore.open(packed, read_only=read_only) as store:
        assert "zarr.json" in store.problems[0]
        assert_whole(store)
    if not read_only:
        assert zarr.open_array(packed / "labels.zarr", mode="r").shards == (4, *SHAPE[1:])


def test_lost_lines_lose_no_labels(packed):
    (packed / "frames.jsonl").unlink()
    with LabelStore.open(packed) as store:
        assert "the scores, sources and locks" in store.problems[0]
        for i in range(SHAPE[0]):
            np.testing.assert_array_equal(store[i], 0 if i in EMPTY else frame(i))
    with LabelStore.open(packed) as store:
        assert store.is_packed
        assert store.problems == ()


# ------------------------------------------------------- a stranger's folder


def test_an_index_that_points_elsewhere_reads_nothing(packed):
    path = packed / "labels.zarr" / "0.0.0"
    content = path.read_bytes()
    index = np.frombuffer(content[-68:-4], "<u8").reshape(4, 2).copy()
    for offset, size in ((2**63, 8), (0, 2**62), (2**64 - 9, 2**64 - 9), (len(content), 10**9)):
        index[0] = offset, size
        said = index.tobytes()
        path.write_bytes(content[:-68] + said + crc32c(said).to_bytes(4, "little"))
        shards = ShardFolder(path.parent, SHAPE, np.dtype(np.uint16), 4)
        with pytest.raises(OSError, match="index names what is not in"):
            shards.read(0)


def test_a_chunk_larger_than_any_is_not_read(tmp_path, monkeypatch):
    with LabelStore.create(tmp_path, SHAPE) as store:
        store.draw(0, frame(0))
        store.pack()
    monkeypatch.setattr(shard_folder, "most_chunk_bytes", lambda shape, dtype: 10)
    with LabelStore.open(tmp_path, read_only=True) as store:
        assert "takes at most 10" in store.problems[0]
        assert not store.is_processed(0)


@pytest.mark.parametrize("frames_in_shard", [0, 11, 20_000, True, "4", None])
def test_shards_of_another_size_than_any_of_ours_are_not_read(packed, frames_in_shard):
    path = packed / "labels.zarr" / "zarr.json"
    said = json.loads(path.read_text())
    said["chunk_grid"]["configuration"]["chunk_shape"][0] = frames_in_shard
    path.write_text(json.dumps(said))
    with LabelStore.open(packed, read_only=True) as store:
        assert "is of other labels" in store.problems[0]
        assert_whole(store)


@pytest.mark.skipif(os.name == "nt", reason="links")
def test_a_link_in_place_of_a_shard_is_left_alone(packed, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret"
    shard = packed / "labels.zarr" / "1.0.0"
    shard.rename(elsewhere)
    shard.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a link"):
        LabelStore.open(packed)
    assert elsewhere.exists()


def test_the_check_sum_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4 has others


def test_what_was_left_of_a_killed_packing_goes(folder):
    """Shards that no description tells of yet."""
    chunks = ChunkFolder(folder / "labels.zarr", SHAPE, np.dtype(np.uint16))
    shards = ShardFolder(folder / "labels.zarr", SHAPE, np.dtype(np.uint16), 4)
    shards.fill(0, chunks, [0, 1, 2, 3])
    (folder / "labels.zarr" / ".1.0-0123456789abcdef.0").touch()
    (folder / "labels.zarr" / ".zarr-0123456789abcdef.json").touch()
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert_whole(store)
    assert files(folder) == CHUNKS


def test_chunks_that_are_packed_and_left_over_go(folder, packed):
    old = LabelStack(SHAPE)
    chunks = ChunkFolder(packed / "labels.zarr", SHAPE, np.dtype(np.uint16))
    chunks.write(3, chunks.codec.pack(old[0]))
    with LabelStore.open(packed, read_only=True) as store:
        assert_whole(store)
    with LabelStore.open(packed) as store:
        assert_whole(store)
    assert files(packed) == SHARDS

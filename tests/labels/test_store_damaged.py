"""A store whose files were damaged opens as far as it can, and says what is lost."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import StoreError
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

SHAPE = (10, 30, 40)


@pytest.fixture
def folder(tmp_path):
    """A store of eight frames with notes."""
    with LabelStore.create(tmp_path, SHAPE) as store:
        for i in range(8):
            store.draw(i, frame(i), {i + 1: ObjectNote(0.5, "propagated")})
    return tmp_path


def frame(i: int) -> np.ndarray:
    labels = np.random.default_rng(i).integers(0, 2, SHAPE[1:]).astype(np.uint16)
    return labels * (i + 1)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)


def assert_whole(store, but=()):
    for i in set(range(8)) - set(but):
        assert store.is_processed(i)
        np.testing.assert_array_equal(store[i], frame(i))


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_chunk_is_a_frame_never_processed(folder, read_only, is_small, monkeypatch):
    flip(folder / "labels.zarr" / "c.3.0.0", 60)
    if not is_small:
        monkeypatch.setattr("napari_sam3.labels.label_store.CHECKED_BYTES", 0)
    with LabelStore.open(folder, read_only=read_only) as store:
        assert len(store.problems) == is_small
        assert store[3].max() == 0
        assert not store.is_processed(3)
        assert store.notes(3) == {}
        assert len(store.check()) == 1
        assert "labels of frame 3 are lost" in store.problems[0]
        assert_whole(store, but=[3])
        if not read_only:
            store.draw(3, frame(3))
    with LabelStore.open(folder) as store:
        assert store[3].any() != read_only


@pytest.mark.parametrize("place", [3, 7], ids=["in the middle", "the last written"])
@pytest.mark.parametrize("damage", ["gone", "cut off", "flipped"])
def test_what_is_seen_when_it_is_opened_is_told_then(folder, place, damage):
    path = folder / "labels.zarr" / f"c.{place}.0.0"
    if damage == "gone":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        flip(path, 60)
    with LabelStore.open(folder) as store:
        assert store[place].max() == 0
        if (damage, place) != ("gone", 7):  # that is how a sudden end looks
            assert f"{place}" in store.problems[0]
            assert "lost" in store.problems[0]
        assert not store.is_processed(place)
        assert_whole(store, but=[place])


def test_a_damaged_line_costs_the_notes_of_its_frame(folder):
    lines = (folder / "frames.jsonl").read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"frame":2', b'"frame";2')
    (folder / "frames.jsonl").write_bytes(b"".join(lines))
    with LabelStore.open(folder) as store:
        assert_whole(store)
        assert store.notes(2) == {}
        assert store.notes(3) == {4: ObjectNote(0.5, "propagated")}
        assert store.problems == (
            "the scores, sources and locks of frames 2 are lost; their labels are there",
        )
    assert (folder / "frames.jsonl.damaged").read_bytes() == b"".join(lines)
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert_whole(store)


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\n\n", b"[]\n{}\n1\nnull\n"])
def test_without_its_lines_the_labels_are_there(folder, content):
    if content is None:
        (folder / "frames.jsonl").unlink()
    else:
        (folder / "frames.jsonl").write_bytes(content)
    with LabelStore.open(folder, read_only=True) as store:
        assert_whole(store)
    with LabelStore.open(folder) as store:
        assert "frames 0-7 are lost; their labels are there" in store.problems[0]
        assert_whole(store)
        assert store.max() == 8
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert store.processed_frames().tolist() == list(range(8))


def test_a_line_torn_at_the_end_is_no_loss(folder):
    path = folder / "frames.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"frame":3,"crc":12')
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert_whole(store)
    assert path.read_bytes() == whole


def test_a_last_line_whose_chunk_never_came_is_taken_back(folder):
    path = folder / "frames.jsonl"
    whole = path.read_bytes()
    for ahead in (
        b'{"frame":3,"crc":12,"bytes":99,"labels":[0,1],"notes":{"1":[0.1,"prompt"]}}\n',
        b'{"frame":9,"crc":12,"bytes":99,"labels":[0,1]}\n',
    ):
        path.write_bytes(whole + ahead)
        with LabelStore.open(folder) as store:
            assert store.problems == ()
            assert_whole(store)
            assert store.notes(3) == {4: ObjectNote(0.5, "propagated")}
            assert not store.is_processed(9)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [None, b"", b'{"zarr_format": 3}'])
def test_without_the_description_of_the_array_the_lines_tell_it(folder, content):
    path = folder / "labels.zarr" / "zarr.json"
    before = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with LabelStore.open(folder, read_only=True) as store:
        assert "zarr.json" in store.problems[0]
        assert_whole(store)
    with LabelStore.open(folder) as store:
        assert_whole(store)
    assert path.read_bytes() == before


def test_without_both_it_says_what_to_restore(folder):
    (folder / "frames.jsonl").write_bytes(b"")
    (folder / "labels.zarr" / "zarr.json").write_bytes(b"")
    with pytest.raises(StoreError, match=r"zarr\.json.*can't be read.*restore"):
        LabelStore.open(folder)


def test_no_flipped_byte_keeps_it_from_opening(folder):
    rng = np.random.default_rng(4)
    files = [folder / "frames.jsonl", folder / "labels.zarr" / "zarr.json"]
    whole = [path.read_bytes() for path in files]
    for _ in range(60):
        for path, content in zip(files, whole, strict=True):
            path.write_bytes(content)
        path = files[int(rng.integers(2))]
        flip(path, int(rng.integers(path.stat().st_size)))
        with LabelStore.open(folder, read_only=True) as store:
            seen = [np.array_equal(store[i], frame(i)) for i in range(8)]
            assert sum(seen) >= 7 or store.problems


def test_what_a_killed_process_left_of_a_chunk_goes(folder):
    left = folder / "labels.zarr" / ".c.3.0-0123456789abcdef.0"
    left.write_bytes(b"half")
    with LabelStore.open(folder, read_only=True) as store:
        assert_whole(store)
        assert left.exists()
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert_whole(store)
        assert not left.exists()

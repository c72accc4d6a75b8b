"""Frames brought back as they were, in memory and on disk, down to "never processed"."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from napari_sam3.errors import StoreError, StoreReadOnlyError
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import PAINTED, ObjectNote

SHAPE = (6, 20, 30)
NOTES = {1: ObjectNote(0.5, "propagated")}


def frame(label: int) -> np.ndarray:
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[label : label + 8, 5:15] = label
    return labels


def described(stack: LabelStack) -> list:
    """All that is said of each frame."""
    return [
        (
            stack[t].tolist(),
            dict(stack.notes(t)),
            stack.is_processed(t),
            [t in stack.frames_of_run(run) for run in range(4)],
            stack.is_locked(t),
        )
        for t in range(SHAPE[0])
    ]


@pytest.fixture(params=["in memory", "on disk"])
def stack(request, tmp_path):
    """Frames 0 to 2 drawn by run 1, frame 2 as background; 4 and 5 never processed, 5 locked."""
    if request.param == "in memory":
        stack = LabelStack(SHAPE)
    else:
        stack = LabelStore.create(tmp_path, SHAPE, cache_bytes=1)
    for t in range(2):
        stack.draw(t, frame(t + 1), NOTES, run=1)
    stack.draw(2, np.zeros(SHAPE[1:], int), run=1)
    stack.lock(5)
    yield stack
    stack.close()


def draw_and_paint_over(stack: LabelStack) -> None:
    for t in range(SHAPE[0] - 1):
        stack.draw(t, frame(7), {7: ObjectNote(0.9, "prompt")}, run=2)
    stack[1, 3:9, 3:9] = 4
    stack[5, 0, 0] = 9


def test_everything_is_as_it_was(stack):
    before = described(stack)
    snapshot = stack.snapshot(range(SHAPE[0]))
    draw_and_paint_over(stack)
    after, later = described(stack), stack.snapshot(range(SHAPE[0]))
    stack.restore(snapshot)
    assert described(stack) == before
    assert stack.max() == 2
    assert stack.take_edits([1, 4, 9]) == {}
    stack.restore(later)
    assert described(stack) == after
    assert set(stack.take_edits([4, 9])) == {(1, 4), (5, 9)}


def test_and_is_so_when_it_is_opened_again(tmp_path):
    with LabelStore.create(tmp_path, SHAPE) as store:
        store.draw(0, frame(1), NOTES, run=1)
        store.lock(3)
        before = described(store)
        snapshot = store.snapshot(range(SHAPE[0]))
        draw_and_paint_over(store)
        store.flush()
        store.restore(snapshot)
    for read_only in (True, False):
        with LabelStore.open(tmp_path, read_only=read_only) as again:
            assert again.problems == ()
            assert described(again) == before
    assert sorted(path.name for path in (tmp_path / "labels.zarr").glob("c.*")) == ["c.0.0.0"]


def test_a_lock_stays_as_it_is(stack):
    snapshot = stack.snapshot([1, 5])
    stack.lock(1)
    stack.lock(5, False)
    stack[1] = 3
    stack.restore(snapshot)
    assert stack.locked_frames().tolist() == [1]
    np.testing.assert_array_equal(stack[1], frame(2))


def test_what_was_painted_and_not_taken_yet_is_so_again(stack):
    stack[1, 0, 0] = 6
    snapshot = stack.snapshot([1])
    stack[1, 0, 1] = 6
    assert list(stack.take_edits([6])) == [(1, 6)]
    stack.restore(snapshot)
    (mask,) = stack.take_edits([6]).values()
    assert np.argwhere(mask).tolist() == [[0, 0]]
    assert stack.notes(1)[6] == PAINTED


def test_labels_in_memory_are_shared_not_copied():
    stack = LabelStack((1000, 200, 300))
    noise = np.random.default_rng(0).integers(0, 9, (200, 300))
    for t in range(3):
        stack.draw(t, noise)
    snapshot, other = stack.snapshot(range(1000)), stack.snapshot([1])
    assert snapshot.states[1].packed is other.states[1].packed
    assert snapshot.memory_bytes == 3 * other.memory_bytes
    assert snapshot.frames == tuple(range(1000))
    np.testing.assert_array_equal(snapshot.labels(2), noise)
    assert not snapshot.labels(3).any()


def test_a_log_says_how_frames_were_before_they_changed(stack):
    before = stack.snapshot(range(SHAPE[0]))
    log = stack.log_changes()
    draw_and_paint_over(stack)
    stack.annotate(2, NOTES)
    assert log.take() == before
    assert len(log.take()) == 0
    stack.lock(0)
    stack.draw(0, frame(3))  # refused
    assert len(log.take()) == 0
    stack.annotate(3, NOTES)
    assert log.take().frames == (3,)


def test_tells_which_frames_are_restored(stack):
    told = []
    stack.restored.connect(told.append)
    stack.restore(stack.snapshot([4, 1]))
    stack.restore(stack.snapshot([]))
    assert told == [(1, 4)]


def test_comes_back_in_labels_of_another_type(stack):
    stack[1, 0, 0] = 6
    before, snapshot = described(stack), stack.snapshot(range(SHAPE[0]))
    wide = LabelStack(SHAPE, np.uint32)
    wide.lock(5)
    wide.restore(snapshot)
    assert described(wide) == before
    assert wide.take_edits([6]).keys() == {(1, 6)}
    wide[0] = 70_000
    with pytest.raises(ValueError, match="70000"):
        stack.restore(wide.snapshot([1, 0]))
    assert described(stack) == before


@pytest.mark.parametrize("shape", [(6, 20, 31), (7, 20, 30)])
def test_refuses_frames_of_other_labels(stack, shape):
    before = described(stack)
    with pytest.raises(ValueError, match=r"\(6, 20, 30\)"):
        stack.restore(LabelStack(shape).snapshot([0, shape[0] - 1]))
    assert described(stack) == before


def test_refuses_what_may_only_be_looked_at(tmp_path):
    with LabelStore.create(tmp_path, SHAPE) as store:
        snapshot = store.snapshot([0])
    with pytest.raises(StoreReadOnlyError):
        store.restore(snapshot)


# ------------------------------------------------------------- when it is cut short


@pytest.fixture
def cleared(tmp_path):
    """A store of three frames, the middle one brought back to never processed."""
    with LabelStore.create(tmp_path, SHAPE) as store:
        nothing = store.snapshot([1])
        for t in range(3):
            store.draw(t, frame(t + 1), NOTES)
        store.flush()
        chunk = (tmp_path / "labels.zarr" / "c.1.0.0").read_bytes()
        store.restore(nothing)
    return tmp_path, chunk


def test_a_chunk_that_was_to_go_goes_at_the_next_opening(cleared):
    folder, chunk = cleared
    place = folder / "labels.zarr" / "c.1.0.0"
    place.write_bytes(chunk)
    for read_only in (True, False):
        with LabelStore.open(folder, read_only=read_only) as store:
            assert store.problems == ()
            assert store.processed_frames().tolist() == [0, 2]
        assert place.exists() == read_only
    with LabelStore.open(folder) as store:
        store.draw(1, frame(2), NOTES)  # the same again: that chunk is wanted
    with LabelStore.open(folder) as store:
        assert store.processed_frames().tolist() == [0, 1, 2]
        assert store.problems == ()


def test_a_chunk_of_which_no_line_tells_stays(cleared):
    folder, _ = cleared
    with LabelStore.open(folder) as store:
        store.draw(1, frame(5), NOTES)
    lines = (folder / "frames.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "frames.jsonl").write_bytes(b"".join(lines[:-1]) + b"{}\n")
    with LabelStore.open(folder) as store:
        assert "frames 1 are lost; their labels are there" in store.problems[0]
        np.testing.assert_array_equal(store[1], frame(5))


def test_a_frame_whose_next_chunk_never_came_is_as_never_processed(cleared):
    folder, _ = cleared
    path = folder / "frames.jsonl"
    path.write_bytes(path.read_bytes() + b'{"frame":1,"crc":12,"bytes":99,"labels":[0,1]}\n')
    with LabelStore.open(folder) as store:
        assert store.problems == ()
        assert store.processed_frames().tolist() == [0, 2]


def test_on_a_full_disk_nothing_is_brought_back_in_part(tmp_path, monkeypatch):
    store = LabelStore.create(tmp_path, SHAPE)
    nothing = store.snapshot(range(SHAPE[0]))
    store.draw(0, frame(1), NOTES)
    store.flush()
    after = described(store)

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(ChunkFolder, "write", fail)
        store.draw(1, frame(2))
        with pytest.raises(StoreError):
            store.flush()
        with pytest.raises(StoreError, match="Make room"):
            store.restore(nothing)
        assert described(store)[0] == after[0]
        assert store.is_processed(1)
    store.restore(nothing)
    store.close()
    with LabelStore.open(tmp_path) as again:
        assert again.processed_frames().size == 0
        assert again.problems == ()


def test_a_log_of_what_is_done_by_hand_leaves_out_the_rest(stack):
    log = stack.log_changes(only_by_hand=True)
    stack.draw(1, frame(4))
    stack.annotate(0, NOTES)
    before = stack.snapshot([1])
    stack[1, 0, 0] = 3
    stack.draw(2, frame(4))
    assert log.take() == before

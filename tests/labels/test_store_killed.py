"""A process that draws, paints and takes back is killed, often: what it had finished is there."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.labels.frame_snapshot import FramesSnapshot
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and fork")

KILLS = 30
SHAPE = (8, 90, 160)

# A process that is ready for work has children, which are killed: starting Python takes long.
# What a child begins and has finished it says in lines, never more than one ahead of doing it.
NURSERY = """
import os, sys
import zarr
from tests.labels.test_store_killed import work
from napari_sam3.labels.label_store import LabelStore

for line in sys.stdin:
    folder, seed = line.split()
    child = os.fork()
    if child == 0:
        work(LabelStore, folder, int(seed))
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


def content(frame_index: int, version: int) -> np.ndarray:
    """What a frame holds in a version: stripes and a block, all of it different from others."""
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[:: version % 7 + 2] = frame_index + 1
    labels[version % 50 : version % 50 + 30, 40:90] = version
    return labels


def drawn_notes(frame_index: int, version: int) -> dict[int, ObjectNote]:
    return {60_000: ObjectNote(version % 100 / 100, "propagated")}


def work(store_type: type[LabelStore], folder: str, seed: int) -> None:
    """Draw, paint and take back as fast as it goes; say what is begun, and what is finished."""
    tell(f"pid {os.getpid()}")
    chance = random.Random(seed)
    store = store_type.open(folder, cache_bytes=2 * 90 * 160 * 2)
    nothing = LabelStack(SHAPE).snapshot(range(SHAPE[0]))
    unsaid = []
    for version in itertools.count((seed + 1) * 1000):
        frame_index = chance.randrange(SHAPE[0])
        is_painted = chance.random() < 0.3
        tell(f"begun {frame_index} {version}")
        if is_taken_back(version):
            store.restore(FramesSnapshot(SHAPE[1:], {frame_index: nothing.states[frame_index]}))
        elif is_painted:
            store[frame_index] = content(frame_index, version)
            store.annotate(frame_index, drawn_notes(frame_index, version))
        else:
            store.draw(
                frame_index, content(frame_index, version), drawn_notes(frame_index, version)
            )
        unsaid.append(f"finished {frame_index} {version}")
        if chance.random() < 0.3:
            store.flush()
            for line in unsaid:
                tell(line)
            unsaid.clear()


def is_taken_back(version: int) -> bool:
    """Whether this version of a frame is one that was never processed."""
    return version % 4 == 0


def tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


@pytest.fixture
def nursery():
    process = subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=Path(__file__).parents[2],
    )
    yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.mark.sweep
def test_killed_at_any_moment_it_has_what_was_finished(nursery, tmp_path):
    chance = random.Random(11)
    LabelStore.create(tmp_path, SHAPE).close()
    begun: list[set[int]] = [set() for _ in range(SHAPE[0])]
    finished = [0] * SHAPE[0]
    kept = 0
    for seed in range(KILLS):
        nursery.stdin.write(f"{tmp_path} {seed}\n")
        pid = int(nursery.stdout.readline().split()[1])
        left = max(0, chance.randrange(-8, 60))  # 0: while it opens
        while True:
            if left == 0:
                os.kill(pid, signal.SIGKILL)
            left -= 1
            line = nursery.stdout.readline()
            if line == "ended\n":
                break
            said, frame_index, version = line.split()
            if said == "begun":
                begun[int(frame_index)].add(int(version))
            else:
                finished[int(frame_index)] = int(version)
        with LabelStore.open(tmp_path) as store:
            assert store.problems == ()
            for frame_index in range(SHAPE[0]):
                version = version_there(store, frame_index)
                possible = {v for v in begun[frame_index] if v >= finished[frame_index]}
                if version is None:
                    possible = {v for v in possible if is_taken_back(v)} or {0}
                    version = min(possible)
                assert version in possible
                assert version >= finished[frame_index]
                finished[frame_index] = version
                kept += version > 0
    assert kept > KILLS  # it was not killed before it had done anything


def version_there(store: LabelStore, frame_index: int) -> int | None:
    """Which version a frame is in, whole and with its notes; None if it is as never processed."""
    labels = store[frame_index]
    if not store.is_processed(frame_index):
        assert not labels.any()
        assert store.notes(frame_index) == {}
        return None
    notes = dict(store.notes(frame_index))
    version = int(labels.max())
    np.testing.assert_array_equal(labels, content(frame_index, version))
    assert notes.pop(60_000) == drawn_notes(frame_index, version)[60_000]
    assert {note.source for note in notes.values()} <= {"painted"}
    return version

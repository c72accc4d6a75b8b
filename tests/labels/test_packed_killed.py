"""A process is killed at every step of packing and unpacking: every frame is there after each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_sam3.labels import packing
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and fork"),
]

SHAPE = (10, 30, 40)
PACKED_IN = 4
DRAWN = 5
EMPTY = (DRAWN, 9)
STEPS = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir"}


def frame(i: int) -> np.ndarray:
    labels = np.random.default_rng(i).integers(0, 2, SHAPE[1:]).astype(np.uint16)
    return labels * (i + 1)


def make(folder: Path, *, is_packed: bool) -> None:
    with LabelStore.create(folder, SHAPE) as store:
        for i in sorted(set(range(SHAPE[0])) - set(EMPTY)):
            store.draw(i, frame(i), {i + 1: ObjectNote(0.5, "propagated")})
        if is_packed:
            store.pack()


def do(deed: str, folder: Path) -> None:
    with LabelStore.open(folder) as store:
        if deed == "draw":
            store.draw(DRAWN, frame(DRAWN), {DRAWN + 1: ObjectNote(0.5, "propagated")})
        elif deed == "clear":
            store.restore(LabelStore.open(folder.parent / "none", read_only=True).snapshot([3]))
        else:
            getattr(store, deed)()


def check(deed: str, folder: Path, *, read_only: bool) -> None:
    """All frames are what they were, but for the one that was written to."""
    with LabelStore.open(folder, read_only=read_only) as store:
        assert store.problems == (), store.problems
        for i in range(SHAPE[0]):
            is_there = store.is_processed(i)
            if i == 3 and deed == "clear":
                assert is_there or not store[i].any()
            elif i == DRAWN and deed == "draw":
                pass
            else:
                assert is_there == (i not in EMPTY)
            np.testing.assert_array_equal(store[i], frame(i) if is_there else 0)
            if is_there:
                assert store.notes(i)[i + 1].score == 0.5
        if not read_only:
            array = zarr.open_array(folder / "labels.zarr", mode="r")
            np.testing.assert_array_equal(array[:], np.stack([store[i] for i in range(SHAPE[0])]))


def go(home: Path, deed: str) -> None:
    """Do it as often as it has steps, each time killed one step later."""
    packing.FRAMES_IN_SHARD = PACKED_IN
    make(home / "before", is_packed=deed != "pack")
    LabelStore.create(home / "none", SHAPE).close()
    n_steps = 0
    while True:
        folder = home / f"after-{n_steps}"
        shutil.copytree(home / "before", folder)
        child = os.fork()
        if child == 0:
            left = [n_steps]

            def strike(event: str, arguments: object, left: list[int] = left) -> None:
                if event in STEPS:
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(strike)
            do(deed, folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check(deed, folder, read_only=True)
        check(deed, folder, read_only=False)
        check(deed, folder, read_only=False)
        shutil.rmtree(folder)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
        n_steps += 1
    print(n_steps)


@pytest.mark.parametrize("deed", ["pack", "unpack", "draw", "clear"])
def test_killed_at_any_step_every_frame_is_there(tmp_path, deed):
    script = (
        "import sys; from pathlib import Path; from tests.labels.test_packed_killed import go;"
        "go(Path(sys.argv[1]), sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), deed],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30

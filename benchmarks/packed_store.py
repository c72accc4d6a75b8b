"""Measure what packing a project's labels brings and costs: files, bytes, time, reading.

    python benchmarks/packed_store.py [--frames 1000] [--folder FOLDER]

Frames of 1920 x 1080 with 20 objects that move. Each reading is of a store opened anew with no
frame in memory; what the system keeps of files it keeps, so the disk itself is not measured. Times
are of the processor, but for those of packing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import zarr

from napari_sam3.labels.label_store import LabelStore

HEIGHT, WIDTH, OBJECTS = 1080, 1920, 20


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as home:
        folder = Path(home) / "work"
        make(folder, arguments.frames)
        print("| | files | MB | on disk | open ms | 100 at random ms | all ms | all by zarr ms |")
        print("|---|---|---|---|---|---|---|---|")
        print(f"| a file a frame | {measure(folder)} |")
        with LabelStore.open(folder) as store:
            packing = waited(store.pack)
        print(f"| packed | {measure(folder)} |")
        with LabelStore.open(folder) as store:
            unpacking = waited(store.unpack)
        print(f"\npacked in {packing:.2f} s, unpacked in {unpacking:.2f} s")


def make(folder: Path, frames: int) -> None:
    """A store of round things with rough outlines, all moving together."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    wave = 60 + 8 * np.sin(y / 7) + 5 * np.cos(x / 5)
    base = np.zeros((HEIGHT, WIDTH), np.uint32)
    for obj_id, place in enumerate(rng.integers(100, (900, 1800), (OBJECTS, 2)).tolist(), 1):
        base[np.hypot(y - place[0], x - place[1]) < wave] = obj_id
    with LabelStore.create(folder, (frames, HEIGHT, WIDTH), np.uint32) as store:
        for n in range(frames):
            store.draw(n, np.roll(base, (n % 200, 2 * (n % 300)), (0, 1)))


def measure(folder: Path) -> str:
    """The cells of a row."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    blocks = sum(getattr(path.stat(), "st_blocks", 0) for path in files) * 512 / 1e6
    opening = timed(lambda: LabelStore.open(folder, read_only=True))
    with LabelStore.open(folder, read_only=True) as store:
        n_frames = store.shape[0]
    chosen = random.Random(5).sample(range(n_frames), min(100, n_frames))
    some = best(lambda: read(LabelStore.open(folder, read_only=True, cache_bytes=1), chosen))
    whole = best(lambda: read(LabelStore.open(folder, read_only=True), range(n_frames)))
    others = timed(lambda: read(zarr.open_array(folder / "labels.zarr", mode="r"), range(n_frames)))
    cells = (str(len(files)), f"{size:.1f}", f"{blocks:.1f} MB")
    times = (1000 * seconds for seconds in (opening, some, whole, others))
    return " | ".join((*cells, *(f"{ms:.0f}" for ms in times)))


def read(labels: LabelStore | zarr.Array, frames: Iterable[int]) -> None:
    """Look at frames."""
    for frame_index in frames:
        np.asarray(labels[frame_index])


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor that it takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def waited(work: Callable[[], object]) -> float:
    """Seconds that one waits for it."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best(work: Callable[[], object]) -> float:
    """Seconds at the least of three tries."""
    return min(timed(work) for _ in range(3))


if __name__ == "__main__":
    main()

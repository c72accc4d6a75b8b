"""Does memory grow, or a step get slower, with the length of a video?

Ten thousand frames through a tiny network of the real architecture (random weights), behind the
session that people use. Frames are made when they are asked for; encoded frames and checkpoints of
tracks are kept up to budgets, made so small here that they are full by frame 100. What is left to
grow are the masks themselves, packed: the session's result. Columns: the process's memory at
frame 100 and at the end, and the median time of the 50 frames before each.

    python benchmarks/sam_memory.py [sam2] [edgetam] [sam3_tracker] [sam3] [--frames 10000]
                                    [--objects 1]

Each model runs in a process of its own, from the repository's folder.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.models.sam.tiny import MAKERS, save

from napari_sam3 import VideoSession
from napari_sam3.models.sam import objects
from napari_sam3.models.sam.feature_cache import SHARED_FEATURES
from napari_sam3.models.sam.load import load_sam

EARLY, WINDOW = 100, 50
SIZE = (120, 160)


class Film:
    """Frames of noise that moves, made when they are asked for."""

    dtype = np.dtype(np.uint8)

    def __init__(self, n_frames: int) -> None:
        self.shape = (n_frames, *SIZE, 3)
        self._noise = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return np.roll(self._noise, 3 * frame_index, axis=1)


def resident_bytes() -> int:
    """Memory of this process that is in use (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def measure(family: str, n_frames: int, n_objects: int) -> None:
    torch.set_num_threads(1)
    SHARED_FEATURES.set_budget(8 * 2**20, 0)
    objects.CHECKPOINT_BYTES = 2**20
    with TemporaryDirectory() as folder:
        model = load_sam(save(MAKERS[family](), Path(folder)), "cpu")
    times: list[float] = []
    memory: dict[int, int] = {}
    with VideoSession(Film(n_frames), model) as session:
        for obj_id in range(1, n_objects + 1):
            session.add_prompt(0, points=[[20 * obj_id, 60]], obj_id=obj_id)
        begin = perf_counter()
        for result in session.propagate():
            times.append(perf_counter() - begin)
            assert result.objects, f"nothing is seen on frame {result.frame_index}"
            if result.frame_index in (EARLY, n_frames - 1):
                memory[result.frame_index] = resident_bytes()
            begin = perf_counter()
    early, late = memory[EARLY] / 2**20, memory[n_frames - 1] / 2**20
    before, after = (
        1e3 * median(part) for part in (times[EARLY - WINDOW : EARLY], times[-WINDOW:])
    )
    print(
        f"| {family} | {n_objects} | {early:.0f} | {late:.0f} | {100 * (late / early - 1):+.1f} % "
        f"| {before:.1f} | {after:.1f} | {100 * (after / before - 1):+.0f} % |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("families", nargs="*", default=list(MAKERS))
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        measure(options.families[0], options.frames, options.objects)
        return
    print(
        f"| model | objects | MB at {EARLY} | MB at the end | grown | ms at {EARLY} | ms | slower |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for family in options.families:
        counts = ["--frames", str(options.frames), "--objects", str(options.objects)]
        subprocess.run([sys.executable, __file__, family, *counts, "--alone"], check=True)


if __name__ == "__main__":
    main()

"""What do labels on disk cost: writing, showing, painting, undoing, memory, room?

    python benchmarks/label_store.py [--frames 10000] [--folder FOLDER] [--stores LabelStore ...]

Frames of 1920 x 1080 with 20 objects that move and change their outlines. Each store has a process
of its own. Written with `draw`, one frame after the other; shown in a random order; painted and
undone through a napari Labels layer in a viewer without a window, 40 brush events a stroke (brush
of 20 px), each stroke on another frame. Memory is what the process grows by (resident), beyond
what it has when the store is empty. NumPy is what napari itself costs: as many frames as fit.
zarr is what napari users do: `add_labels(zarr.open_array(...))`, default codec, a chunk a frame.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import zarr
from napari.components import ViewerModel
from pycocotools import mask as coco

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

HEIGHT, WIDTH, OBJECTS = 1080, 1920, 20
DISTINCT = 60
STORES = ("NumPy", "LabelStack", "LabelStore", "zarr")
NUMPY_FRAMES = 60
SHOWN = 300
STROKES = 12
EVENTS = 40
NOTES = {obj_id: ObjectNote(0.987, "propagated") for obj_id in range(1, OBJECTS + 1)}


def make_film(count: int) -> list[np.ndarray]:
    """Frames of moving blobs with lively outlines, as masks of a network are."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    centres = rng.random((OBJECTS, 2)) * (WIDTH, HEIGHT)
    speeds = rng.normal(0, 4, (OBJECTS, 2))
    radii, phases = rng.uniform(60, 160, OBJECTS), rng.uniform(0, 2 * np.pi, (OBJECTS, 6))
    film = []
    for t in range(count):
        frame = np.zeros((HEIGHT, WIDTH), np.uint16)
        for n in range(OBJECTS):
            waves = sum(
                0.12 / (m + 1) * np.sin((m + 2) * angles + phases[n, m] + 0.1 * t) for m in range(6)
            )
            reach = radii[n] * (1 + waves + rng.normal(0, 0.015, len(angles)))
            ring = np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
            outline = np.rint(centres[n] + speeds[n] * t + ring).astype(np.int32)
            mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [outline], 1)
            frame[(mask > 0) & (frame == 0)] = n + 1
        film.append(frame)
    return film


def rle_bytes(film: list[np.ndarray]) -> float:
    """Bytes a frame of the compressed RLE of COCO, all objects."""
    total = 0
    for frame in film:
        for obj_id in np.unique(frame[frame > 0]):
            total += len(coco.encode(np.asfortranarray(frame == obj_id))["counts"])
    return total / len(film)


def times(work: Callable[[int], Any], places: Any) -> np.ndarray:
    """Milliseconds of each call."""
    taken = []
    for place in places:
        start = time.perf_counter()
        work(place)
        taken.append(time.perf_counter() - start)
    return np.array(taken) * 1000


def measure_array(labels: Any, frames: int) -> dict[str, float]:
    """Showing, painting and undoing through napari."""
    rng = np.random.default_rng(1)
    shown = times(lambda t: np.asarray(labels[t]), rng.permutation(frames)[:SHOWN])
    viewer = ViewerModel()
    layer = viewer.add_labels(labels)
    layer.brush_size = 20
    slider = times(lambda t: viewer.dims.set_current_step(0, t), rng.permutation(frames)[:50])
    brush: list[float] = []
    undo: list[float] = []
    for t in rng.permutation(frames)[:STROKES].tolist():
        viewer.dims.set_current_step(0, t)
        y, x = rng.integers(100, 700), rng.integers(100, 1000)
        with layer.block_history():
            brush += times(
                lambda n, t=t, y=y, x=x: layer.paint((t, y + 5 * n, x + 15 * n), 7), range(EVENTS)
            ).tolist()
        undo += times(lambda _: layer.undo(), [0]).tolist()
    return {
        "show": float(np.median(shown)),
        "show_95": float(np.percentile(shown, 95)),
        "slider": float(np.median(slider)),
        "brush": float(np.median(brush)),
        "brush_95": float(np.percentile(brush, 95)),
        "brush_worst": max(brush),
        "undo": float(np.median(undo)),
        "undo_worst": max(undo),
    }


def measure(kind: str, frames: int, film: list[np.ndarray], folder: Path) -> dict[str, float]:
    """One store, in its own process."""
    shape = (frames, HEIGHT, WIDTH)
    process = psutil.Process()
    labels: Any
    if kind == "NumPy":
        labels = np.zeros(shape, np.uint16)
    elif kind == "zarr":
        labels = zarr.create_array(
            folder / "plain.zarr", shape=shape, chunks=(1, HEIGHT, WIDTH), dtype=np.uint16
        )
    elif kind == "LabelStack":
        labels = LabelStack(shape)
    else:
        labels = LabelStore.create(folder / "store", shape)
    if isinstance(labels, LabelStack):

        def draw(t: int) -> None:
            labels.draw(t, film[t % DISTINCT], NOTES, run=1)
    else:

        def draw(t: int) -> None:
            labels[t] = film[t % DISTINCT]

    empty = process.memory_info().rss
    most = empty
    written = []
    start = time.perf_counter()
    for first in range(0, frames, 100):
        written.append(times(draw, range(first, min(frames, first + 100))))
        most = max(most, process.memory_info().rss)
    if kind == "LabelStore":
        labels.flush()
    whole = time.perf_counter() - start
    found = {
        "frames": frames,
        "write": float(np.median(np.concatenate(written))),
        "write_99": float(np.percentile(np.concatenate(written), 99)),
        "write_all": whole / frames * 1000,
        "memory": (most - empty) / 1e6,
    }
    if kind == "LabelStore":
        found["opened_again"] = _open_again(labels)
        labels = LabelStore.open(folder / "store")
        found["kept"] = labels.memory_bytes / 1e6
    found |= measure_array(labels, frames)
    if kind in ("zarr", "LabelStore"):
        where = folder / ("plain.zarr" if kind == "zarr" else "store")
        files = [path.stat() for path in where.rglob("*")]
        found["bytes"] = sum(s.st_size for s in files) / frames
        found["blocks"] = sum(s.st_blocks * 512 for s in files) / frames
    elif kind == "LabelStack":
        found["bytes"] = sum(map(len, labels._packed.values())) / frames
    return found


def _open_again(labels: LabelStore) -> float:
    labels.close()
    start = time.perf_counter()
    LabelStore.open(labels.folder).close()
    return (time.perf_counter() - start) * 1000


def _work(kind: str, frames: int, folder: str, answer: str) -> None:
    film = make_film(DISTINCT)
    Path(answer).write_text(json.dumps(measure(kind, frames, film, Path(folder))))


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--zarr-frames", type=int, default=300)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    parser.add_argument("--folder", help="on the disk that counts; default: a temporary one")
    given = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"{psutil.virtual_memory().total / 1e9:.0f} GB, {platform.platform()}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, zarr {zarr.__version__}")
    print(f"load {os.getloadavg()[0]:.2f}\n")
    rle = rle_bytes(make_film(DISTINCT))
    print(
        "| store | frames | write ms (99 %) | with flush | show ms (95 %) | napari's slider ms ",
        end="",
    )
    print("| brush event ms (95 %; worst) | undo a stroke ms (worst) | memory MB | kB a frame |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    details = {}
    for kind in given.stores:
        frames = {"NumPy": NUMPY_FRAMES, "zarr": given.zarr_frames}.get(kind, given.frames)
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            answer = Path(folder) / "answer.json"
            process = multiprocessing.get_context("spawn").Process(
                target=_work, args=(kind, frames, folder, str(answer))
            )
            process.start()
            process.join()
            m = json.loads(answer.read_text())
        details[kind] = m
        print(
            f"| {kind} | {frames} | {m['write']:.1f} ({m['write_99']:.1f}) | {m['write_all']:.1f} "
            f"| {m['show']:.1f} ({m['show_95']:.1f}) | {m['slider']:.1f} "
            f"| {m['brush']:.2f} ({m['brush_95']:.2f}; {m['brush_worst']:.1f}) "
            f"| {m['undo']:.1f} ({m['undo_worst']:.1f}) | {m['memory']:.0f} "
            f"| {m.get('bytes', HEIGHT * WIDTH * 2) / 1000:.1f} |",
            flush=True,
        )
    print(f"\nCOCO RLE of the same: {rle / 1000:.1f} kB a frame")
    if "LabelStore" not in details:
        return
    store = details["LabelStore"]
    print(
        f"LabelStore takes {store['bytes'] / rle:.2f} times that, {store['blocks'] / rle:.2f} ",
        end="",
    )
    print(f"in blocks of the disk. Opened again in {store['opened_again']:.0f} ms, ", end="")
    print(f"then {store['kept']:.1f} MB in memory.")


if __name__ == "__main__":
    main()

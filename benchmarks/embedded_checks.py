"""What `embedded_tracker.py` checks beside its tables: scores, second masks, many objects."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.samples.cells import make_cells
from napari_sam3.values import Frames, Journal, Keyframe, ObjectMask, ObjectPrompt

BINS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Believed(NamedTuple):
    """One object on one frame: the score it was given, its overlap with the truth."""

    score: float
    overlap: float


def follow(
    film: Frames, prompts: dict[int, dict[int, np.ndarray]], frames: range
) -> dict[int, dict[int, ObjectMask]]:
    """Objects by frame; `prompts` holds masks by object and frame."""
    tracker = OpticalFlowModel().start(film)
    journal = Journal(
        {
            i: {
                f: Keyframe(ObjectPrompt(mask=m), ObjectMask.from_mask(m)) for f, m in masks.items()
            }
            for i, masks in prompts.items()
        }
    )
    found = tracker.propagate(journal, frames, lambda: 0)
    return {f.frame_index: dict(f.objects) for f in found if f.objects is not None}


def second_mask(film: Frames, truths: dict[int, list[np.ndarray | None]]) -> tuple[float, ...]:
    """Mean J between two prompted frames, 0 and the middle: from the one, the other, and both."""
    middle = len(film) // 2
    firsts, seconds = {}, {}
    for i, masks in truths.items():
        last = masks[middle] if middle < len(masks) else None
        if masks[0] is not None and last is not None and last.any():
            firsts[i], seconds[i] = {0: masks[0]}, {middle: last}
    runs = (
        follow(film, firsts, range(middle + 1)),
        follow(film, seconds, range(middle, -1, -1)),
        follow(film, {i: firsts[i] | seconds[i] for i in firsts}, range(middle + 1)),
    )
    return tuple(
        float(np.mean([b.overlap for b in compare(run, {i: truths[i] for i in firsts}, middle)]))
        for run in runs
    )


def compare(
    found: dict[int, dict[int, ObjectMask]],
    truths: dict[int, list[np.ndarray | None]],
    end: int,
) -> list[Believed]:
    """Score and overlap of every object on the frames from 1 to `end`, without it; absent is 0."""
    pairs = []
    for i, masks in truths.items():
        for f, truth in enumerate(masks[:end]):
            if f and f in found and truth is not None and truth.any():
                mask = found[f].get(i)
                common = 0.0
                if mask is not None:
                    other = ObjectMask.from_mask(truth)
                    common = 0.0 if other is None else mask.overlap(other)
                pairs.append(Believed(0.0 if mask is None else mask.score, common))
    return pairs


def print_reliability(pairs: dict[str, list[Believed]], plot: Path | None) -> None:
    """Table of score against overlap: of all, and of each half of the sequences."""
    names = list(pairs)
    halves = {
        "all": names,
        "first half": names[::2],
        "second half": names[1::2],
    }
    print("\nScores of what is seen, against the overlap with the truth\n")
    print("| score | " + " | ".join(f"{h}: n | J | J > 0.5" for h in halves) + " |")
    print("|---|" + "---|" * (3 * len(halves)))
    for low, high in pairwise(BINS):
        cells = []
        for chosen in halves.values():
            seen = [b for n in chosen for b in pairs[n] if low <= b.score < high and b.score]
            right = np.mean([b.overlap > 0.5 for b in seen]) if seen else np.nan
            mean = np.mean([b.overlap for b in seen]) if seen else np.nan
            cells.append(f"{len(seen)} | {mean:.2f} | {right:.2f}")
        print(f"| {low:.1f} to {high:.1f} | " + " | ".join(cells) + " |")
    if plot is not None:
        cv2.imwrite(str(plot), draw_reliability([b for n in names for b in pairs[n] if b.score]))


def draw_reliability(seen: list[Believed], side: int = 420) -> np.ndarray:
    """Scores to the right, overlaps upwards: every frame a dot, the mean of every bin a bar."""
    margin = 46
    picture = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)

    def place(x: float, y: float) -> tuple[int, int]:
        return round(margin + x * side), round(margin + (1 - y) * side)

    for tick in np.linspace(0, 1, 6):
        cv2.line(picture, place(tick, 0), place(tick, 1), (232, 232, 232), 1)
        cv2.line(picture, place(0, tick), place(1, tick), (232, 232, 232), 1)
        for text, (x, y), (dx, dy) in (
            (f"{tick:.1f}", place(tick, 0), (-10, 18)),
            (f"{tick:.1f}", place(0, tick), (-32, 5)),
        ):
            _write(picture, text, (x + dx, y + dy))
    cv2.line(picture, place(0, 0), place(1, 1), (190, 190, 190), 1, cv2.LINE_AA)
    for b in seen:
        cv2.circle(picture, place(b.score, b.overlap), 2, (222, 176, 130), -1, cv2.LINE_AA)
    for low, high in pairwise(BINS):
        inside = [b.overlap for b in seen if low <= b.score < high]
        if inside:
            mean = float(np.mean(inside))
            cv2.line(picture, place(low, mean), place(high, mean), (40, 60, 200), 3, cv2.LINE_AA)
    _write(picture, "score", (margin + side // 2 - 18, side + 2 * margin - 8))
    _write(picture, "overlap with the truth (red: mean of a bin)", (margin, margin - 16))
    return picture


def _write(picture: np.ndarray, text: str, place: tuple[int, int]) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (60, 60, 60), 1, cv2.LINE_AA)


def many_objects(count: int = 100, side: int = 1024, frames: int = 12) -> tuple[float, float]:
    """Frames a second, and J, of discs that drift on noisy grey frames, followed at once."""
    rng = np.random.default_rng(0)
    across = int(np.ceil(count**0.5))
    places = np.stack(np.meshgrid(*2 * [np.arange(across)], indexing="ij"), -1).reshape(-1, 2)
    places = (places[:count] + 0.5) * side / across + rng.uniform(-12, 12, (count, 2))
    speeds, radii = rng.uniform(-3, 3, (count, 2)), rng.uniform(10, 22, count)
    rows, columns = np.ogrid[:side, :side]

    def disc(i: int, t: int) -> np.ndarray:
        x, y = places[i] + t * speeds[i]
        return np.asarray((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radii[i] ** 2)

    pictures = []
    for t in range(frames):
        grey = np.full((side, side), 20, np.float32)
        for i in range(count):
            grey[disc(i, t)] = 150
        grey = cv2.GaussianBlur(grey, (0, 0), 1.2) + rng.normal(0, 4, grey.shape)
        grey = np.clip(grey, 0, 255).astype(np.uint8)
        pictures.append(np.repeat(grey[..., None], 3, axis=2))
    film = Pictures(pictures)
    prompts = {i + 1: {0: disc(i, 0)} for i in range(count)}
    began = time.perf_counter()
    found = follow(film, prompts, range(frames))
    seconds = time.perf_counter() - began
    last = {i + 1: [disc(i, t) for t in range(frames)] for i in range(count)}
    return (frames - 1) / seconds, float(np.mean([b.overlap for b in compare(found, last, frames)]))


class Pictures:
    """Frames in memory."""

    def __init__(self, pictures: Iterable[np.ndarray]) -> None:
        self.pictures = list(pictures)
        self.size = self.pictures[0].shape[:2]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return self.pictures[frame_index]


def draw_hardest(target: Path, count: int = 5) -> None:
    """Pictures of the generated time-lapse where the overlap is least: truth green, found red."""
    film, truth = generated()
    ids = np.unique(truth[0])[1:]
    truths: dict[int, list[np.ndarray | None]] = {
        int(i): [np.asarray(labels == i) for labels in truth] for i in ids
    }
    found = follow(
        film, {i: {0: m[0]} for i, m in truths.items() if m[0] is not None}, range(len(film))
    )
    worst = []
    for i, masks in truths.items():
        for f, mask in enumerate(masks):
            seen = found[f].get(i)
            if f and mask is not None and mask.sum() > 30:
                other = ObjectMask.from_mask(mask)
                assert other is not None
                worst.append((0.0 if seen is None else seen.overlap(other), i, f))
    tiles: list[np.ndarray] = []
    met: set[int] = set()
    for overlap, i, f in sorted(worst):
        if i in met:
            continue  # one frame an object
        met.add(i)
        mask, seen = truths[i][f], found[f].get(i)
        assert mask is not None
        rows, columns = np.nonzero(mask)
        y, x = round(float(rows.mean())), round(float(columns.mean()))
        tiles.append(_draw_tile(film[f], mask, seen, (x, y), f"frame {f}: {overlap:.2f}"))
        if len(tiles) == count:
            break
    cv2.imwrite(str(target), cv2.cvtColor(np.hstack(tiles), cv2.COLOR_RGB2BGR))


def generated() -> tuple[Pictures, np.ndarray]:
    """The sample time-lapse as grey pictures, and its truth."""
    movie = make_cells(frames=30)
    pictures = (p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in movie.frames)
    return Pictures(pictures), np.asarray(movie.labels)


def _draw_tile(
    frame: np.ndarray,
    truth: np.ndarray,
    seen: ObjectMask | None,
    centre: tuple[int, int],
    text: str,
) -> np.ndarray:
    radius, zoom = 32, 4
    padded = np.pad(frame, ((radius, radius), (radius, radius), (0, 0)))
    x, y = centre
    tile = cv2.resize(padded[y : y + 2 * radius, x : x + 2 * radius], None, fx=zoom, fy=zoom)
    for mask, colour in (
        (truth, (0, 220, 0)),
        (None if seen is None else seen.mask, (255, 40, 40)),
    ):
        if mask is None:
            continue
        part = np.pad(mask, radius)[y : y + 2 * radius, x : x + 2 * radius].astype(np.uint8)
        large = cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, lines, -1, colour, 1)
    cv2.putText(tile, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(tile)

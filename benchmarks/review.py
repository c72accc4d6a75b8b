"""Does the queue of doubtful places lead a person to where a correction helps most?

    python benchmarks/review.py [DATA] [--seeds N] [--cache FOLDER]

A simulated person: the first frame of each object is prompted with the truth's mask, and the
embedded model propagates. Then 1, 2, 3, 5 masks are taken from the truth, one after the other, at
the place that the queue names first (`napari_sam3.review`), and after each one it is propagated
again. Beside it the same number of masks at even distances, at random places (the mean of several
seeds), and on the frame that is truly worst after each propagation, which nobody knows (an oracle).
J is the mean overlap with the truth on frames 1 to n - 2, the corrected ones included, where an
object that is rightly absent counts as 1.

The second table: of all frames with J under 0.5, how many lie within the first tenth of the queue
of all inputs together; a place stands for the frames that hang on it (`Place.first` to `last`).

DATA holds one folder a sequence, with `frames/*.jpg` and `masks/*.png` (255 is the object), as in
DAVIS 2016; without it only the generated sample is looked at. The cache keeps what was propagated:
it is for who changes the queue alone.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from embedded_tracker import open_sequence

from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.review import Place, Review
from napari_sam3.samples.cells import CellMovie, make_cells
from napari_sam3.values import (
    Journal,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    PackedMask,
    label_image,
    without_overlap,
)

COUNTS = (1, 2, 3, 5)
BAD = 0.5

Key = tuple[int, int]
"""Object id, frame index."""

Lines = list[list[np.ndarray]]
"""Masks of an object on every frame, for each line of descent that it may be followed in."""


class Propagated(NamedTuple):
    frames: list[dict[int, PackedMask]]
    overlaps: dict[int, np.ndarray]

    @property
    def mean(self) -> float:
        return float(np.mean([o[1:-1].mean() for o in self.overlaps.values()]))


class Input:
    """A film with its truth; what was propagated on it is kept."""

    def __init__(self, name: str, film: object, lines: dict[int, Lines], cache: Path | None):
        self.name, self.film, self.cache = name, film, cache
        self.lines = lines
        self.truths = {i: known[0] for i, known in lines.items()}
        self.tracker = OpticalFlowModel().start(film)
        self.keyframes: dict[Key, Keyframe] = {}
        self.first = self.propagate(())
        # of an object that divides, the daughter that is followed
        self.truths = {
            i: max(known, key=lambda m, i=i: self._fit(i, m)) for i, known in lines.items()
        }
        self.first = self._scored(self.first.frames)

    def __len__(self) -> int:
        return len(self.film)

    def propagate(self, corrections: Iterable[Key]) -> Propagated:
        keys = sorted({*corrections, *((i, 0) for i in self.truths)})
        text = f"{self.name} {keys}"
        place = self.cache and self.cache / f"{hashlib.md5(text.encode()).hexdigest()}.pickle"
        if place is not None and place.exists():
            return self._scored(pickle.loads(place.read_bytes()))
        journal: dict[int, dict[int, Keyframe]] = {}
        for obj_id, frame_index in keys:
            mask = self.truths[obj_id][frame_index]
            made = Keyframe(ObjectPrompt(mask=mask), ObjectMask.from_mask(mask))
            kept = self.keyframes.setdefault((obj_id, frame_index), made)
            journal.setdefault(obj_id, {})[frame_index] = kept
        found = self.tracker.propagate(Journal(journal), range(len(self)), lambda: 0)
        frames = [
            {i: PackedMask.pack(m) for i, m in without_overlap(f.objects).items()}
            for f in found
            if f.objects is not None
        ]
        if place is not None:
            place.write_bytes(pickle.dumps(frames))
        return self._scored(frames)

    def _scored(self, frames: list[dict[int, PackedMask]]) -> Propagated:
        return Propagated(frames, {i: _overlaps(frames, i, t) for i, t in self.truths.items()})

    def _fit(self, obj_id: int, masks: list[np.ndarray]) -> float:
        return float(_overlaps(self.first.frames, obj_id, masks).mean())

    def review(self, shown: Propagated, corrections: Iterable[Key]) -> list[Place]:
        prompted = {*corrections, *((i, 0) for i in self.truths)}
        review = Review()
        for t, objects in enumerate(shown.frames):
            notes = {i: ObjectNote(m.score, "propagated") for i, m in objects.items()}
            notes |= {i: ObjectNote(None, "prompt") for i, frame in prompted if frame == t}
            labels = label_image({i: m.unpack() for i, m in objects.items()}, self.film.size)
            review.look(t, labels, notes)
        return review.places()


def _overlaps(
    frames: list[dict[int, PackedMask]], obj_id: int, truth: list[np.ndarray]
) -> np.ndarray:
    scores = []
    for objects, mask in zip(frames, truth, strict=True):
        found, true = objects.get(obj_id), ObjectMask.from_mask(mask)
        if found is None or true is None:
            scores.append(float(found is true))
        else:
            scores.append(found.unpack().overlap(true))
    return np.array(scores)


# ------------------------------------------------------------------------- who chooses

Chooser = Callable[[Input, Propagated, list[Key]], Key | None]


def by_queue(film: Input, shown: Propagated, corrections: list[Key]) -> Key | None:
    places = film.review(shown, corrections)
    return (places[0].obj_id, places[0].frame_index) if places else None


def by_truth(film: Input, shown: Propagated, corrections: list[Key]) -> Key | None:
    every = [(i, t) for i in film.truths for t in range(1, len(film)) if (i, t) not in corrections]
    return min(every, key=lambda key: shown.overlaps[key[0]][key[1]])


def step_by_step(film: Input, choose: Chooser) -> list[float]:
    corrections: list[Key] = []
    shown, means = film.first, {}
    for count in range(1, max(COUNTS) + 1):
        chosen = choose(film, shown, corrections)
        if chosen is not None:
            corrections.append(chosen)
            shown = film.propagate(corrections)
        means[count] = shown.mean
    return [means[count] for count in COUNTS]


def at_even_distances(film: Input) -> list[float]:
    """Over the frames; of several objects one after the other gets its turn, evenly too."""
    ids, means = sorted(film.truths), []
    for count in COUNTS:
        frames = [round(len(film) * (n + 1) / (count + 1)) for n in range(count)]
        keys = [(ids[n * len(ids) // count], t) for n, t in enumerate(frames)]
        means.append(film.propagate(keys).mean)
    return means


def at_random(film: Input, seeds: int) -> list[float]:
    ids, means = sorted(film.truths), []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        frames = rng.permutation(np.arange(1, len(film)))[: max(COUNTS)]
        keys = [(int(rng.choice(ids)), int(t)) for t in frames]
        means.append([film.propagate(keys[:count]).mean for count in COUNTS])
    return np.mean(means, axis=0).tolist()


# ------------------------------------------------------------------------------- tables


def print_means(films: list[Input], seeds: int) -> None:
    print("\n| input | corrected where | none | " + " | ".join(map(str, COUNTS)) + " |")
    print("|---|---|---|" + "---|" * len(COUNTS))
    rows: dict[str, list[list[float]]] = {}
    for film in films:
        for name, means in {
            "the queue says": step_by_step(film, by_queue),
            "at even distances": at_even_distances(film),
            f"at random ({seeds} seeds)": at_random(film, seeds),
            "truly worst (oracle)": step_by_step(film, by_truth),
        }.items():
            rows.setdefault(name, []).append([film.first.mean, *means])
            _print_row(film.name, name, rows[name][-1])
    for name, means in rows.items():
        _print_row("**mean**", name, np.mean(means, axis=0))


def _print_row(film: str, name: str, means: Iterable[float]) -> None:
    print(f"| {film} | {name} | " + " | ".join(f"{j:.3f}" for j in means) + " |", flush=True)


def print_found(films: list[Input]) -> None:
    queue = sorted(
        ((place, film) for film in films for place in film.review(film.first, ())),
        key=lambda pair: -pair[0].value,
    )
    first = queue[: max(1, round(len(queue) / 10))]
    bad, found, spanned, frames = 0, 0, 0, 0
    print("\n| input | frames of objects | J under 0.5 | within the first tenth of the queue |")
    print("|---|---|---|---|")
    for film in films:
        is_bad = {i: o < BAD for i, o in film.first.overlaps.items()}
        reached = {i: np.zeros(len(film), bool) for i in is_bad}
        for place, of in first:
            if of is film:
                reached[place.obj_id][place.first : place.last + 1] = True
        counts = [
            sum(int(np.count_nonzero(flags)) for flags in each)
            for each in (
                is_bad.values(),
                [is_bad[i] & reached[i] for i in is_bad],
                reached.values(),
            )
        ]
        total = len(film) * len(is_bad)
        print(f"| {film.name} | {total} | {counts[0]} | {counts[1]} |")
        bad, found, spanned, frames = (
            a + b for a, b in zip((bad, found, spanned, frames), (*counts, total), strict=True)
        )
    share = found / bad if bad else 1.0
    print(f"| **all** | {frames} | {bad} | {found} ({share:.0%}) |\n")
    print(
        f"{len(queue)} places; the first {len(first)} stand for {spanned / frames:.0%} of frames."
    )


def sample_lines(movie: CellMovie) -> dict[int, Lines]:
    """Of each cell of the first frame: itself, and after a division each of its daughters."""
    children: dict[int, list[int]] = {}
    for track in movie.lineage:
        children.setdefault(track.parent, []).append(track.cell_id)

    def descents(cell_id: int) -> list[list[int]]:
        below = [line for child in children.get(cell_id, []) for line in descents(child)]
        return [[cell_id, *line] for line in below] or [[cell_id]]

    ids = [int(i) for i in np.unique(movie.labels[0]) if i]
    return {
        i: [[np.isin(frame, line) for frame in movie.labels] for line in descents(i)] for i in ids
    }


class GreyFilm:
    """Frames of the sample as a model sees them."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.size = frames, frames.shape[1:]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return np.repeat(self.frames[frame_index][..., None], 3, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of sequences")
    parser.add_argument("--seeds", type=int, default=3, help="of the random places (default 3)")
    parser.add_argument("--cache", type=Path, help="folder for what was propagated")
    arguments = parser.parse_args()
    films = []
    if arguments.data is None:
        print("no folder of sequences was named: the generated sample alone is looked at")
    else:
        for folder in sorted(p for p in arguments.data.iterdir() if (p / "frames").is_dir()):
            film, truths = open_sequence(folder)
            films.append(Input(folder.name, film, {1: [truths]}, arguments.cache))
    movie = make_cells()
    films.append(Input("sample", GreyFilm(movie.frames), sample_lines(movie), arguments.cache))
    print_found(films)
    print_means(films, arguments.seeds)


if __name__ == "__main__":
    main()

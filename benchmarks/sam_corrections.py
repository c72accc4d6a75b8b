"""What does a step cost after 1, 10 and 50 corrections of an object, with and without a cap?

Real-size models with random weights (they cost what real ones cost), random feature maps. One
object, prompted on every second frame; then frames are followed with full memories. Times are the
best of the rounds, for other work only ever adds to them; on a busy machine the processor's time
with one thread (OMP_NUM_THREADS=1) says more than the clock.

    python benchmarks/sam_corrections.py [edgetam] [sam2.1-tiny] [--corrections 1 10 50]
                                        [--nearest 0 4] [--rounds 3]

Run from the repository's folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.sam_objects import SIZE, WARM, Maps, make_model

from napari_sam3.models.sam.bank import Bank
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.values import Journal, Keyframe, ObjectPrompt


def measure(model: Any, n_corrections: int, nearest: int, rounds: int) -> tuple[float, float]:
    """Seconds of a step behind so many prompted frames, by the clock and of the processor."""
    last = 2 * n_corrections - 2
    n_frames = last + WARM + rounds
    rules = MemoryRules(nearest=nearest)
    tracker = ObjectTracker(model, Maps(model), SIZE, n_frames, Device("cpu"), rules)
    prompt = ObjectPrompt(np.array([[900.0, 500.0]]), np.array([True]))
    keyframe = Keyframe(prompt, tracker.segment(0, prompt))
    journal = Journal({1: dict.fromkeys(range(0, last + 1, 2), keyframe)})
    # two frames are followed, and what was remembered of the second counts for all that lie before
    *_, _last = tracker.propagate(Journal({1: {0: keyframe}}), range(3), int)
    bank = tracker._tracks[1, 1].bank
    assert bank is not None
    list(tracker.propagate(journal, range(1), int))
    memory = bank.recent[2]
    recent = {i: memory for i in range(last + 1, last + WARM) if i not in journal.objects[1]}
    tracker._tracks[1, 1].take_up({}, Bank(last + WARM - 1, recent))
    times, worked = [], []
    begin, before = perf_counter(), process_time()
    for tracked in tracker.propagate(journal, range(last + WARM, n_frames), int):
        if tracked.objects is not None:
            times.append(perf_counter() - begin)
            worked.append(process_time() - before)
        begin, before = perf_counter(), process_time()
    return min(times), min(worked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["edgetam", "sam2.1-tiny"])
    parser.add_argument("--corrections", type=int, nargs="*", default=[1, 10, 50])
    parser.add_argument("--nearest", type=int, nargs="*", default=[0, 4], help="0: no cap")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| model | nearest | prompted frames | s a step | s of the processor |")
    print("|---|---|---|---|---|", flush=True)
    for name in arguments.models:
        model = make_model(name)
        for nearest in arguments.nearest:
            for count in arguments.corrections:
                seconds, worked = measure(model, count, nearest, arguments.rounds)
                print(
                    f"| {name} | {nearest or 'all'} | {count} | {seconds:.2f} | {worked:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

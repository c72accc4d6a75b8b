"""What does a step cost that an accelerator feels: waits, casts, operations, for many objects?

Counted, not timed, on a CPU: the networks are tiny ones of the real architectures, for neither the
number of layers nor that of objects depends on how wide a layer is. Each counted step has full
memories and features of the frame at hand. Casts are those of autocast to bfloat16.

    python benchmarks/sam_step_costs.py [edgetam] [sam2] [--objects 1 4 16 64] [--look-alikes]

With `--look-alikes` distractor memory and motion prior are on, and motion has begun to count.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sam_objects import Maps
from tests.models.sam import tiny

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.half_weights import hold_weights
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.network import TOGETHER
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.models.sam.step_costs import StepCosts, counting
from napari_sam3.values import Journal, Keyframe, ObjectPrompt

SIZE = (270, 480)
WARM = 9  # frames until memories are full; the next one has no checkpoint, as each eighth has
STEADY = 17  # until motion counts, too


def count_step(model: Any, n_objects: int, device: Device, rules: MemoryRules) -> StepCosts:
    """What one frame costs with so many objects, all prompted on the first one."""
    warm = STEADY if rules.motion else WARM
    tracker = ObjectTracker(model, Maps(model), SIZE, warm + 1, device, rules)
    tracker.network.together = TOGETHER  # as on an accelerator
    points = [np.array([[40.0 + 6 * i, 40.0 + 2 * i]]) for i in range(n_objects)]
    prompts = [ObjectPrompt(point, np.array([True])) for point in points]
    objects = {
        number: {0: Keyframe(prompt, tracker.segment(0, prompt))}
        for number, prompt in enumerate(prompts, 1)
    }
    journal = Journal(objects)
    for _ in tracker.propagate(journal, range(warm), int):
        pass
    with counting(device.torch) as costs:
        for _ in tracker.propagate(journal, range(warm, warm + 1), int):
            pass
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["edgetam", "sam2"])
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 4, 16, 64])
    parser.add_argument("--look-alikes", action="store_true")
    arguments = parser.parse_args()
    rules = MemoryRules(anchors=arguments.look_alikes, motion=arguments.look_alikes)
    device = Device("cpu")
    device.precision = "bfloat16"  # autocast, as on a card that computes in it
    torch.set_num_threads(1)
    for name in arguments.models:
        model = tiny.MAKERS[name]()
        hold_weights(model, torch.bfloat16)  # as a model that is loaded to such a card
        for n_objects in arguments.objects:
            costs = count_step(model, n_objects, device, rules)
            print(
                f"| {name} | {n_objects} | {costs.waits} | {costs.bytes_to_host:,} "
                f"| {costs.casts} | {costs.weight_casts} | {costs.operations} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

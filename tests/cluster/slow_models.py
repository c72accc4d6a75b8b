"""The fake model, slower: loaded into the workers of the tests, by name."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from napari_sam3.errors import WeightsMissingError
from napari_sam3.models.base import Capabilities
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.registry import ModelEntry, register_model
from napari_sam3.values import Concept

_DOG = Concept("dog")


class _SlowTracker(FakeTracker):
    def step(self, source, target, states, fixed):
        time.sleep(self.model.pause)
        return super().step(source, target, states, fixed)


class SlowModel(FakeModel):
    """A frame takes a while."""

    name = "slow"
    pause = 0.05

    def start(self, frames):
        return _SlowTracker(self, frames)


class _CountedTracker(FakeTracker):
    def step(self, source, target, states, fixed):
        time.sleep(self.model.pause)
        with Path(os.environ["TESTS_STEPS"]).open("a") as file:
            file.write(f"{os.getpid()} {target}\n")
        return super().step(source, target, states, fixed)


class CountedModel(FakeModel):
    """Writes down which process has computed which frame."""

    name = "counted"
    pause = 0.01

    def start(self, frames):
        return _CountedTracker(self, frames)


class CountedSlowlyModel(CountedModel):
    """The same, and a frame takes half a second."""

    name = "counted-slowly"
    pause = 0.5


class _HeldTracker(FakeTracker):
    def step(self, source, target, states, fixed):
        while target == 5 and not Path(os.environ["TESTS_STEPS"]).with_name("go.txt").exists():
            time.sleep(0.02)
        return super().step(source, target, states, fixed)


class HeldModel(FakeModel):
    """Waits on frame 5 until it is let go, by a file "go.txt" in the cluster's folder."""

    name = "held"

    def start(self, frames):
        return _HeldTracker(self, frames)


class VerySlowModel(SlowModel):
    """A frame takes seconds."""

    name = "very-slow"
    pause = 3.0


class _DeadlyTracker(FakeTracker):
    def step(self, source, target, states, fixed):
        if target == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(source, target, states, fixed)


class DeadlyModel(FakeModel):
    """Frame 5 kills the process."""

    name = "deadly"

    def start(self, frames):
        return _DeadlyTracker(self, frames)


class _MortalTracker(FakeTracker):
    def step(self, source, target, states, fixed):
        if target == 3:
            try:
                Path(os.environ["TESTS_DIED"]).touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().step(source, target, states, fixed)


class MortalModel(FakeModel):
    """Frame 3 kills a process, once."""

    name = "mortal"

    def start(self, frames):
        return _MortalTracker(self, frames)


class _NewcomerTracker(FakeTracker):
    """A disc that nobody has prompted is met on frame 4, and another one on frame 7."""

    def propagate(self, journal, frames, new_id):
        met = {}
        for tracked in super().propagate(journal, frames, new_id):
            for place in (4, 7):
                if tracked.frame_index >= place and place not in met:
                    met[place] = new_id()
            if tracked.objects is None:
                yield tracked
                continue
            seen = self.detect(tracked.frame_index, _DOG)[:1]
            found = {met[place]: mask for place in sorted(met) for mask in seen}
            yield tracked._replace(objects={**tracked.objects, **found})


class NewcomerModel(FakeModel):
    """Meets objects on the way."""

    name = "newcomers"

    def start(self, frames):
        return _NewcomerTracker(self, frames)


class OnTwoModel(FakeModel):
    """Only the worker "two" has its weights."""

    name = "on-two"

    def __init__(self, *arguments, **options):
        if "two" not in sys.argv:
            raise WeightsMissingError("on-two is not on this machine")
        super().__init__(*arguments, **options)


class SetModel(FakeModel):
    """Says that it computes in the float of its worker, or of here."""

    name = "set"

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        name = sys.argv[sys.argv.index("--name") + 1] if "--name" in sys.argv else "here"
        self.mask_settings = {"precision": f"float of {name}"}


class OnNoneModel(FakeModel):
    """Nobody has its weights."""

    name = "on-none"

    def __init__(self, *arguments, **options):
        raise WeightsMissingError("on-none is not on this machine")


for _model in (
    CountedModel,
    CountedSlowlyModel,
    SlowModel,
    HeldModel,
    VerySlowModel,
    DeadlyModel,
    MortalModel,
    NewcomerModel,
    OnTwoModel,
    SetModel,
    OnNoneModel,
):
    register_model(
        ModelEntry(
            _model.name,
            "for tests",
            Capabilities(text=True, exemplars=True),
            f"{__name__}:{_model.__name__}",
            is_for_tests=True,
        )
    )

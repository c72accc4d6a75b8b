"""What a tracker remembers of an object, and what of it is looked at on a further frame.

Transformers looks at the tracked frames right before, whatever was seen on them, and in SAM 2.1 and
EdgeTAM at every prompted frame. `MemoryRules` says otherwise: by them

- of the prompted frames the nearest ones and the first are looked at, so that a step costs the same
  after the fiftieth correction as after the fifth;
- of the tracked frames the last one is looked at, and before it those on which the object was
  believed to be there, as far back as it takes, but nothing of what lies around a correction: the
  way of SAM 3's makers. A frame's place in time is then its rank among them, as the makers have it;
- tracked frames that tell the object from its look-alikes are looked at as prompted ones are
  (`look_alikes`).

They also say whether its motion is remembered (`motion_prior`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from napari_sam3.models.mask_settings import memory_settings
from napari_sam3.models.sam.motion_prior import Motion
from napari_sam3.settings import Settings

GOOD = 0.01
"""Score over which SAM 3's makers keep a tracked frame."""


class Memory(NamedTuple):
    """What a tracker remembers of an object on a frame, in upstream's shapes.

    `features` and `position` (of the memory's map) are None where only the pointer is looked at.
    `score` is how much the object was believed to be there, 0..1, times the overlap expected of its
    mask: what memories are selected by.
    """

    features: Tensor | None
    position: Tensor | None
    pointer: Tensor
    score: float = 1.0

    def as_output(self) -> dict[str, Any]:
        """In the form of what upstream's sessions keep of a frame."""
        output = {"object_pointer": self.pointer}
        if self.features is not None and self.position is not None:
            output |= {"maskmem_features": self.features, "maskmem_pos_enc": self.position}
        return output


class Past(NamedTuple):
    """What is remembered of an object, by frame.

    Attributes
    ----------
    conditioning : mapping of frame index to Memory
        Of prompted frames.
    recent : mapping of frame index to Memory
        Of tracked ones.
    anchors : mapping of frame index to Memory
        Of tracked ones that are looked at as prompted ones are; they may be among the recent ones.
    motion : Motion or None
        How it moved, where that counts.
    """

    conditioning: Mapping[int, Memory]
    recent: Mapping[int, Memory]
    anchors: Mapping[int, Memory] = MappingProxyType({})
    motion: Motion | None = None


@dataclass(frozen=True)
class Reach:
    """How many frames back a model looks, at least: for spatial memories and for pointers."""

    spatial: int
    pointers: int


@dataclass(frozen=True)
class MemoryRules:
    """What is looked at otherwise than transformers does.

    Attributes
    ----------
    nearest : int
        Prompted frames, beside the first; 0: as the model's config says.
    selects : bool
        Whether tracked frames are chosen by their score.
    anchors : bool
        Whether those that tell the object from look-alikes stay, beside the prompted ones.
    motion : bool
        Whether the object's motion has a say in which of the decoder's masks is taken.
    """

    nearest: int = 0
    selects: bool = False
    anchors: bool = False
    motion: bool = False

    @classmethod
    def of_settings(cls, settings: Settings, model_type: str) -> MemoryRules:
        """What is set for a model whose `config.json` says this type."""
        told = memory_settings(settings, model_type)
        return cls(
            settings.prompted_frames,
            told["memory_selection"] == "on",
            settings.distractor_memory,
            settings.motion_prior,
        )

    @property
    def are_upstreams(self) -> bool:
        """Whether nothing is looked at otherwise."""
        return not (self.nearest or self.selects or self.anchors)

    @property
    def ask_for_alternatives(self) -> bool:
        """Whether it matters which masks the decoder offers beside the one that it takes."""
        return self.anchors or self.motion

    def kept(
        self, recent: Mapping[int, Memory], frame_index: int, is_prompted: bool, reach: Reach
    ) -> dict[int, Memory]:
        """What of the tracked frames up to `frame_index` can still be looked at.

        Of those that are selected a few more are kept than are looked at, for the newest ones fall
        away at a correction: as many as one takes.
        """
        if not self.selects:
            # seen from the frame after `frame_index`, that one is 1 away
            ages = {i: abs(frame_index - i) + 1 for i in recent}
            spare = 0
        else:
            cleared = reach.spatial + 1
            newest = sorted(recent, key=lambda i: abs(frame_index - i))
            if is_prompted:
                newest = [i for i in newest if abs(frame_index - i) > cleared]
            ages, good = {}, 0
            for index in newest:
                # the newest may be looked at whatever its score is
                if recent[index].score > GOOD or index == frame_index:
                    good += 1
                    ages[index] = good
            spare = cleared
        kept = {}
        for index, memory in recent.items():
            age = ages.get(index)
            if age is None or age > reach.pointers + spare:
                continue
            if age > reach.spatial + spare:
                memory = memory._replace(features=None, position=None)
            kept[index] = memory
        return kept


class LookedAt(NamedTuple):
    """Memories with the places in time that the model is told of them.

    Attributes
    ----------
    maps : list of (int, Memory)
        Whose spatial memories are looked at; 0 for prompted frames and anchors, else how far back.
    pointers : list of (int, Memory)
        Whose pointers are; how far back.
    """

    maps: list[tuple[int, Memory]]
    pointers: list[tuple[int, Memory]]


def look_back(
    past: Past, frame_index: int, step: int, rules: MemoryRules, reach: Reach, most_prompted: int
) -> LookedAt:
    """Choose what is looked at on a frame.

    Parameters
    ----------
    past : Past
    frame_index : int
    step : int
        1 forward, -1 backward.
    rules : MemoryRules
    reach : Reach
    most_prompted : int
        Prompted frames that the model's config allows, the nearest; -1: all.
    """
    prompted = _nearest_prompted(past.conditioning, frame_index, rules, most_prompted)
    # one that was left out counts as a tracked one
    others = {i: m for i, m in past.conditioning.items() if i not in prompted}
    # and an anchor as a prompted one; where it is one of the last, its place there stays empty
    recent = {i: m for i, m in past.recent.items() if i not in past.anchors}
    tracked = {**others, **recent}
    always = {**prompted, **past.anchors}
    last = frame_index - step
    if rules.selects:
        good = [i for i in recent if recent[i].score > GOOD]
        good = sorted(good, key=lambda i: abs(frame_index - i))[: reach.pointers]
        # the last frame in any case: where it is a prompted one, its place stays empty
        ranked = [last, *(i for i in good if i != last)]
        # the makers' loop ends before the oldest one's pointer
        n_pointers = min(reach.pointers, len(ranked) - 1)
    else:
        ranked = [frame_index - age * step for age in range(1, reach.pointers + 1)]
        n_pointers = reach.pointers
    ages = [(rank, tracked[i]) for rank, i in enumerate(ranked, 1) if i in tracked]
    near = [pair for pair in reversed(ages) if pair[0] <= reach.spatial]
    return LookedAt(
        [(0, memory) for memory in always.values()]
        + [(rank, memory) for rank, memory in near if memory.features is not None],
        [((frame_index - i) * step, memory) for i, memory in always.items()]
        + [pair for pair in ages if pair[0] <= n_pointers],
    )


def _nearest_prompted(
    conditioning: Mapping[int, Memory], frame_index: int, rules: MemoryRules, most: int
) -> dict[int, Memory]:
    """The prompted frames that are looked at, in the order met."""
    if rules.nearest:
        first = list(conditioning)[:1]
        most = rules.nearest
    else:
        first = []
    if most < 0:
        return dict(conditioning)
    nearest = sorted(conditioning, key=lambda i: abs(frame_index - i))[:most]
    return {i: m for i, m in conditioning.items() if i in nearest or i in first}

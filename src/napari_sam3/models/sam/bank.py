"""What a tracker can still look at of an object's past, and nothing else.

Upstream keeps the outputs of all frames of a video and looks at a few: the spatial memories of
the six frames before (`num_maskmem` - 1), the pointers of the fifteen before
(`max_object_pointers_in_encoder` - 1), and conditioning frames. A bank holds nothing but those
memories and pointers (what was prompted is kept with its keyframe), so it is pruned without loss by
the way it is made, and however long the video is, its size stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_sam3.models.sam.network import Memory


@dataclass(frozen=True)
class Reach:
    """How many frames back a model looks, at least: for spatial memories and for pointers."""

    spatial: int
    pointers: int


@dataclass(frozen=True, eq=False)
class Bank:
    """Memories of the tracked frames up to `frame_index`; never changed.

    Attributes
    ----------
    frame_index : int
        The frame after which this is what is remembered.
    recent : mapping of frame index to Memory
        Of tracked frames, not of prompted ones, the oldest first.
    """

    frame_index: int
    recent: Mapping[int, Memory] = field(default_factory=dict)

    def after(self, frame_index: int, memory: Memory | None, reach: Reach) -> Bank:
        """What is remembered one frame on; `memory` is None if that frame is a prompted one."""
        known = dict(self.recent)
        if memory is not None:
            known[frame_index] = memory
        # seen from the frame after `frame_index`, that one is 1 away
        recent = {}
        for index, old in known.items():
            age = abs(frame_index - index) + 1
            if age <= reach.spatial:
                recent[index] = old
            elif age <= reach.pointers:
                recent[index] = Memory(None, None, old.pointer)
        return Bank(frame_index, recent)

    @property
    def nbytes(self) -> int:
        """Size of the memories, without the positions that all share."""
        return sum(
            m.pointer.nbytes + (0 if m.features is None else m.features.nbytes)
            for m in self.recent.values()
        )

    def moved_to(self, device: str) -> Bank:
        """The same on another device."""
        return Bank(
            self.frame_index,
            {
                index: Memory(
                    None if m.features is None else m.features.to(device),
                    m.position,  # one for all: where it is needed it is
                    m.pointer.to(device),
                )
                for index, m in self.recent.items()
            },
        )

"""What a tracker can still look at of an object's past, and nothing else.

Upstream keeps the outputs of all frames of a video and looks at a few: the spatial memories of
the six frames before (`num_maskmem` - 1), the pointers of the fifteen before
(`max_object_pointers_in_encoder` - 1), and conditioning frames. A bank holds nothing but those
memories and pointers (what was prompted is kept with its keyframe), so it is pruned without loss by
the way it is made, and however long the video is, its size stays. Where memories are selected by
their score (`memory`) it holds the newest good ones instead, some more than are looked at; where
look-alikes are remembered (`look_alikes`), the newest frames that show them, too; and where the
object's motion counts (`motion_prior`), that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_sam3.models.sam.alternatives import Alternatives
from napari_sam3.models.sam.look_alikes import AREAS, MOST_ANCHORS, is_anchor
from napari_sam3.models.sam.memory import Memory, MemoryRules, Reach
from napari_sam3.models.sam.motion_prior import Motion, motion_after
from napari_sam3.models.saved_states import StateReader, StateWriter

_HALF = "bfloat16"


@dataclass(frozen=True, eq=False)
class Bank:
    """Memories of the tracked frames up to `frame_index`; never changed.

    Attributes
    ----------
    frame_index : int
        The frame after which this is what is remembered.
    recent : mapping of frame index to Memory
        Of tracked frames, not of prompted ones, the oldest first.
    anchors : mapping of frame index to Memory
        Of those since the last prompted frame that tell the object from its look-alikes.
    areas : tuple of float
        Of the masks since then, as far as `look_alikes` asks for them.
    motion : Motion or None
        How the object moved, since then or since it was lost.
    """

    frame_index: int
    recent: Mapping[int, Memory] = field(default_factory=dict)
    anchors: Mapping[int, Memory] = field(default_factory=dict)
    areas: tuple[float, ...] = ()
    motion: Motion | None = None

    def after(
        self,
        frame_index: int,
        memory: Memory | None,
        reach: Reach,
        rules: MemoryRules,
        offered: Alternatives | None = None,
    ) -> Bank:
        """What is remembered one frame on.

        Parameters
        ----------
        frame_index : int
        memory : Memory or None
            None if that frame is a prompted one.
        reach : Reach
        rules : MemoryRules
        offered : Alternatives, optional
            What the decoder offered there, where it was asked.
        """
        known = dict(self.recent)
        if memory is not None:
            known[frame_index] = memory
        recent = rules.kept(known, frame_index, memory is None, reach)
        if memory is None:
            # what led to a correction may have been the look-alike itself
            return Bank(frame_index, recent)
        anchors, areas = dict(self.anchors), self.areas
        if rules.anchors and offered is not None:
            if is_anchor(frame_index, offered, areas, anchors):
                newest = list(anchors)[-(MOST_ANCHORS - 1) :]
                anchors = {**{i: anchors[i] for i in newest}, frame_index: memory}
            areas = (*areas, float(offered.area))[-AREAS:]
        motion = None
        if rules.motion and offered is not None:
            motion = motion_after(self.motion, offered)
        return Bank(frame_index, recent, anchors, areas, motion)

    @property
    def nbytes(self) -> int:
        """Size of the memories, without the positions that all share."""
        return sum(
            m.pointer.nbytes + (0 if m.features is None else m.features.nbytes)
            for m in (*self.recent.values(), *self.anchors.values())
        )

    def save(self, writer: StateWriter) -> Any:
        """As JSON; the positions, which all share, are left out."""
        recent = _put_all(self.recent, writer)
        if not self.areas and self.motion is None:
            return recent
        return {
            "recent": recent,
            "anchors": _put_all(self.anchors, writer),
            "areas": list(self.areas),
            "motion": None if self.motion is None else self.motion.save(),
        }

    @classmethod
    def load(
        cls,
        told: Any,
        frame_index: int,
        step: int,
        like: Memory,
        reach: Reach,
        rules: MemoryRules,
        reader: StateReader,
    ) -> Bank:
        """What `save` made, of a track that goes by `step`.

        Parameters
        ----------
        like : Memory
            One of the same network, on the device: they have the same shapes and positions.
        """
        nothing: dict[str, Any] = {"anchors": [], "areas": [], "motion": None}
        more = told if isinstance(told, dict) else {"recent": told, **nothing}
        recent = _take_all(more["recent"], like, reader)
        anchors = _take_all(more["anchors"], like, reader)
        for index in (*recent, *anchors):
            if (frame_index - index) * step < 0:
                raise ValueError(f"frame {index} is not remembered at {frame_index}")
        is_prompted = frame_index not in recent
        if rules.kept(recent, frame_index, is_prompted, reach).keys() != recent.keys():
            raise ValueError(f"frames {sorted(recent)} are not what is remembered at {frame_index}")
        areas = tuple(reader.number(area, 0) for area in more["areas"])
        if len(anchors) > MOST_ANCHORS or len(areas) > AREAS:
            raise ValueError(f"{len(anchors)} anchors, {len(areas)} areas")
        if any(memory.features is None for memory in anchors.values()):
            raise ValueError("an anchor without a map")
        motion = None if more["motion"] is None else Motion.load(more["motion"], reader)
        return cls(frame_index, recent, anchors, areas, motion)

    def moved_to(self, device: torch.device) -> Bank:
        """The same on another device."""
        return moved_together([self], device)[0]


def moved_together(banks: Sequence[Bank], device: torch.device) -> list[Bank]:
    """The same banks on another device, sent in one piece for each type of number.

    Positions stay where they are: one for all, where it is needed.
    """
    tensors = [
        tensor
        for bank in banks
        for memory in (*bank.recent.values(), *bank.anchors.values())
        for tensor in (memory.features, memory.pointer)
        if tensor is not None and not _is_on(tensor, device)
    ]
    if not tensors:
        return list(banks)
    moved = _send(tensors, device)
    return [
        replace(bank, recent=_placed(bank.recent, moved), anchors=_placed(bank.anchors, moved))
        for bank in banks
    ]


def _placed(memories: Mapping[int, Memory], moved: Mapping[int, Tensor]) -> dict[int, Memory]:
    """Memories with what was moved in place of what it was, by its `id`."""
    return {
        index: m._replace(
            features=m.features if m.features is None else moved.get(id(m.features), m.features),
            pointer=moved.get(id(m.pointer), m.pointer),
        )
        for index, m in memories.items()
    }


def _send(tensors: Sequence[Tensor], device: torch.device) -> dict[int, Tensor]:
    """Tensors on another device, by the `id` of what they were."""
    alike: dict[tuple[torch.device, torch.dtype], dict[int, Tensor]] = {}
    for tensor in tensors:
        alike.setdefault((tensor.device, tensor.dtype), {})[id(tensor)] = tensor
    sent = {}
    for group in alike.values():
        flat = torch.cat([tensor.flatten() for tensor in group.values()]).to(device)
        parts = flat.split([tensor.numel() for tensor in group.values()])
        for key, part in zip(group, parts, strict=True):
            # not a view: it would keep the memory of all of them
            sent[key] = part.view(group[key].shape).clone()
    return sent


def _is_on(tensor: Tensor, device: torch.device) -> bool:
    same = tensor.device.type == device.type
    return same and device.index in (None, tensor.device.index)


def _put_all(memories: Mapping[int, Memory], writer: StateWriter) -> list[Any]:
    return [
        [
            index,
            None if m.features is None else _put(m.features, writer),
            _put(m.pointer, writer),
            m.score,
        ]
        for index, m in memories.items()
    ]


def _take_all(told: Any, like: Memory, reader: StateReader) -> dict[int, Memory]:
    """What `_put_all` made, if it is of the shapes of `like`."""
    assert like.features is not None
    memories = {}
    for index, features, pointer, score in told:
        maps = None if features is None else _take(features, like.features, reader)
        memories[reader.count(index)] = Memory(
            maps,
            None if maps is None else like.position,
            _take(pointer, like.pointer, reader),
            reader.number(score, 0, 1),
        )
    return memories


def _put(tensor: Tensor, writer: StateWriter) -> list[str]:
    """Name and type of a tensor's array; NumPy knows no bfloat16, so that is kept as its bits."""
    tensor = tensor.detach().cpu().contiguous()
    dtype = str(tensor.dtype).removeprefix("torch.")
    array = tensor.view(torch.int16).numpy().view(np.uint16) if dtype == _HALF else tensor.numpy()
    return [writer.put(array), dtype]


def _take(told: Any, like: Tensor, reader: StateReader) -> Tensor:
    """What `_put` made, if it is of the shape of `like`; on its device."""
    name, dtype = told
    if dtype not in ("float32", "float16", _HALF):
        raise ValueError(f"{dtype!r} is no type of a memory"[:80])
    array = reader.array(name, "uint16" if dtype == _HALF else dtype, tuple(like.shape))
    if dtype != _HALF:
        return torch.from_numpy(array.copy()).to(like.device)
    tensor = torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"array {name!r} holds what is no number")
    return tensor.to(like.device)

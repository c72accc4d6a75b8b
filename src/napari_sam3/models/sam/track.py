"""One object followed in one direction: its masks, and the memory to go on with.

A track begins at the object's first keyframe (of its direction) and meets the further ones on its
way. A frame of it depends on the keyframes met by then and on nothing else: a new keyframe makes
only what follows it invalid, and the rest is given again without computing. Upstream, given all
prompts at once, also looks at those ahead; a click on frame 500 would then change frames 1 to 499,
and have them all computed again before frame 501 could be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from napari_sam3.models.sam.bank import Bank
from napari_sam3.values import Keyframe, ObjectMask, PackedMask

SPACING = 8
"""Frames between two checkpoints, as long as there is room for all of them."""


class Track:
    """One object in one direction (1 forward, -1 backward)."""

    def __init__(self, direction: int) -> None:
        self.direction = direction
        self.masks: dict[int, PackedMask | None] = {}
        self.checkpoints: dict[int, Bank] = {}
        self._keyframes: dict[int, Keyframe] = {}  # in the order met
        self._bank: Bank | None = None
        self._spacing = SPACING
        self._nbytes = 0  # of the checkpoints

    def set_keyframes(self, keyframes: Mapping[int, Keyframe]) -> None:
        """Take over an object's keyframes; forget the frames that a change reaches."""
        new = {i: keyframes[i] for i in sorted(keyframes, key=lambda i: i * self.direction)}
        changed = [
            i for i in {**self._keyframes, **new} if self._keyframes.get(i) is not new.get(i)
        ]
        self._keyframes = new
        if changed:
            first = min(changed, key=lambda i: i * self.direction)
            self.masks = {i: m for i, m in self.masks.items() if self._is_before(i, first)}
            self._keep_checkpoints([i for i in self.checkpoints if self._is_before(i, first)])
            if self._bank is not None and not self._is_before(self._bank.frame_index, first):
                self._bank = None

    @property
    def entry(self) -> int:
        """The frame it begins on."""
        return next(iter(self._keyframes))

    def reaches(self, frame_index: int) -> bool:
        """Whether it has begun by that frame."""
        return not self._is_before(frame_index, self.entry)

    def mask(self, frame_index: int) -> ObjectMask | None:
        """The mask of a frame that was computed; None also where it was not."""
        packed = self.masks.get(frame_index)
        return None if packed is None else packed.unpack()

    def prepare(self, frame_index: int) -> range:
        """Go back to where computing must begin to get to a frame; gives the frames to compute.

        Empty where the frame is known or lies before the track.
        """
        if frame_index in self.masks or not self.reaches(frame_index):
            return range(0)
        direction = self.direction
        if self._bank is not None and self._bank.frame_index == frame_index - direction:
            return range(frame_index, frame_index + direction, direction)
        banks = [b for b in (self._bank, *self.checkpoints.values()) if b is not None]
        usable = [b for b in banks if self._is_before(b.frame_index, frame_index)]
        self._bank = max(usable, key=lambda b: b.frame_index * direction, default=None)
        begin = self.entry if self._bank is None else self._bank.frame_index + direction
        return range(begin, frame_index + direction, direction)

    @property
    def bank(self) -> Bank | None:
        """What is remembered after the frame computed last; None before the first."""
        return self._bank

    def bank_after(self, frame_index: int) -> Bank | None:
        """What was remembered after a frame, where that is known still."""
        if self._bank is not None and self._bank.frame_index == frame_index:
            return self._bank
        return self.checkpoints.get(frame_index)

    def keyframe(self, frame_index: int) -> Keyframe | None:
        """What was said of the object on a frame."""
        return self._keyframes.get(frame_index)

    def met(self, frame_index: int) -> Mapping[int, Keyframe]:
        """The keyframes before a frame, in the order met."""
        return {i: k for i, k in self._keyframes.items() if self._is_before(i, frame_index)}

    def put(self, frame_index: int, mask: ObjectMask | None, bank: Bank) -> None:
        """Take the frame after the one computed last."""
        self._bank = bank
        self.masks[frame_index] = None if mask is None else PackedMask.pack(mask)

    def wants_checkpoint(self, frame_index: int) -> bool:
        """Whether the bank after this frame is to be kept (`keep`)."""
        return frame_index % self._spacing == 0

    def keep(self, bank: Bank) -> None:
        """Take a checkpoint: a bank of this track, in the computer's own memory."""
        self.checkpoints[bank.frame_index] = bank
        self._nbytes += bank.nbytes

    @property
    def is_at_checkpoint(self) -> bool:
        """Whether the way goes on from a checkpoint, which is in the computer's own memory."""
        bank = self._bank
        return bank is not None and self.checkpoints.get(bank.frame_index) is bank

    def go_on_from(self, bank: Bank) -> None:
        """Take the bank, which is that of now on another device."""
        self._bank = bank

    def take_up(self, masks: Mapping[int, ObjectMask | None], bank: Bank) -> None:
        """Go on from the bank's frame; `masks` of frames up to it an earlier process computed."""
        self._bank = bank
        for frame_index, mask in masks.items():
            self.masks[frame_index] = None if mask is None else PackedMask.pack(mask)
        self.keep(bank.moved_to(torch.device("cpu")))

    def thin(self, nbytes: int) -> None:
        """Drop every second checkpoint until they fit."""
        while self._nbytes > nbytes and len(self.checkpoints) > 1:
            self._spacing *= 2
            self._keep_checkpoints([i for i in self.checkpoints if i % self._spacing == 0])

    def _keep_checkpoints(self, frame_indices: Iterable[int]) -> None:
        self.checkpoints = {i: self.checkpoints[i] for i in frame_indices}
        self._nbytes = sum(bank.nbytes for bank in self.checkpoints.values())

    def _is_before(self, frame_index: int, other: int) -> bool:
        return (frame_index - other) * self.direction < 0

"""What is remembered of the objects that a concept found, where our rules choose what is looked at.

Upstream's session keeps the memories of its objects and looks at the newest. By `MemoryRules` they
are kept here instead, an object a bank, as those of what was pointed at: while a frame is computed
the tracker asks here what it looks at (`upstream.looking_back_by`), and its decoder is overheard
for scores and for what else it offers; then what the session has of the frame is taken out of it.

A frame on which the detector found the object anew counts as a prompted one. It is no correction:
it confirms what was followed, so nothing around it is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from napari_sam3.models.sam.alternatives import Alternatives, Offer, bring_over, offer_of, only
from napari_sam3.models.sam.bank import Bank
from napari_sam3.models.sam.memory import LookedAt, Memory, MemoryRules, Past, Reach, look_back
from napari_sam3.models.sam.motion_prior import choice_by
from napari_sam3.models.sam.network import scores_of
from napari_sam3.models.sam.upstream import looking_back_by

_QUALITY, _PRESENCE = 1, 3  # of what a decoder gives


@dataclass
class _Known:
    """What is remembered of an object; `conditioning` are the frames that the detector told."""

    bank: Bank
    conditioning: dict[int, Memory] = field(default_factory=dict)


@dataclass
class _Heard:
    """What the decoder said of an object on the frame that is being computed."""

    score: Tensor
    offer: Offer | None = None
    place: int | None = None


class ConceptMemory:
    """The memories of one concept's objects in one direction. Fulfils `upstream.MemoryChoice`.

    Parameters
    ----------
    tracker : Sam3TrackerVideoModel
        That follows them.
    rules : MemoryRules
    step : int
        1 forward, -1 backward.
    n_frames : int
        Of the video.
    """

    def __init__(self, tracker: Any, rules: MemoryRules, step: int, n_frames: int) -> None:
        config = tracker.config
        self._tracker = tracker
        self._rules = rules
        self._step = step
        self._most_pointers = min(n_frames, config.max_object_pointers_in_encoder)
        self._reach = Reach(config.num_maskmem - 1, self._most_pointers - 1)
        self._most_prompted: int = config.max_cond_frame_num
        self._known: dict[int, _Known] = {}  # by the object's number in the session
        self._heard: dict[int, _Heard] = {}
        self._asked: int | None = None  # whose mask is decoded next
        self._position: Tensor | None = None

    @contextmanager
    def looking_back(self) -> Iterator[None]:
        """Compute a frame by the rules."""
        self._heard.clear()
        self._asked = None
        handle = self._tracker.mask_decoder.register_forward_hook(self._listen)
        try:
            with looking_back_by(self._tracker, self):
                yield
        finally:
            handle.remove()

    def take(self, session: Any, frame_index: int) -> None:
        """Remember what a session has of the frame just computed, and empty the session of it."""
        scores, offered = self._bring_over()
        known: dict[int, _Known] = {}
        for number in session.obj_ids:
            outputs = session.output_dict_per_obj[session.obj_id_to_idx(number)]
            told, tracked = outputs["cond_frame_outputs"], outputs["non_cond_frame_outputs"]
            before = self._known.get(number)
            output = told[frame_index] if frame_index in told else tracked[frame_index]
            memory = self._remember(output, scores.get(number, 1.0))
            if before is None:
                known[number] = _Known(Bank(frame_index), {frame_index: memory})
            else:
                known[number] = before
                before.bank = before.bank.after(
                    frame_index, memory, self._reach, self._rules, offered.get(number)
                )
                if frame_index in told:
                    before.bank = _without(before.bank, frame_index)
                    before.conditioning[frame_index] = memory
                    self._prune(before.conditioning)
            told.clear()
            tracked.clear()
        self._known = known

    def forget(self) -> None:
        """Give back the memory."""
        self._known.clear()
        self._heard.clear()

    # ---------------------------------------------------------- asked by upstream

    def maps(self, session: Any, obj_idx: int, frame_idx: int) -> list[tuple[int, dict[str, Any]]]:
        """See `upstream.MemoryChoice`."""
        self._asked = session.obj_idx_to_id(obj_idx)
        seen = self._look_back(self._asked, frame_idx)
        return [(place, memory.as_output()) for place, memory in seen.maps]

    def pointers(
        self, session: Any, obj_idx: int, frame_idx: int
    ) -> tuple[list[int], list[Tensor], int]:
        """See `upstream.MemoryChoice`."""
        seen = self._look_back(session.obj_idx_to_id(obj_idx), frame_idx)
        ages = [age for age, _ in seen.pointers]
        return ages, [memory.pointer for _, memory in seen.pointers], self._most_pointers

    def _look_back(self, number: int, frame_index: int) -> LookedAt:
        known = self._known[number]
        past = Past(known.conditioning, known.bank.recent, known.bank.anchors)
        return look_back(
            past, frame_index, self._step, self._rules, self._reach, self._most_prompted
        )

    def _listen(self, _decoder: Any, _inputs: Any, output: Any) -> Any:
        number, self._asked = self._asked, None
        if number is None:  # a new object, of which only the pointer is made
            return None
        heard = _Heard(scores_of(output[_PRESENCE], output[_QUALITY])[1])
        self._heard[number] = heard
        if not self._rules.ask_for_alternatives:
            return None
        heard.offer = offer_of(output)
        choose = choice_by(self._known[number].bank.motion)
        if choose is None or len(heard.offer.quality) == 1:
            return None
        # upstream goes on with it at once, so that each object is waited for here
        (alternatives,) = bring_over([heard.offer])
        heard.place = choose(alternatives)
        if heard.place == alternatives.chosen:
            return None
        chosen = only(output, heard.place)
        heard.score = scores_of(chosen[_PRESENCE], chosen[_QUALITY])[1]
        return chosen

    # ------------------------------------------------------------------ plumbing

    def _bring_over(self) -> tuple[Mapping[int, float], Mapping[int, Alternatives]]:
        """Scores, and what there was to choose from where that is asked for, by number."""
        heard = self._heard
        if not heard:
            return {}, {}
        told = torch.stack([each.score for each in heard.values()]).cpu().tolist()
        scores = dict(zip(heard, told, strict=True))
        offers = {number: each.offer for number, each in heard.items() if each.offer is not None}
        offered = dict(zip(offers, bring_over([*offers.values()]), strict=True))
        for number, each in heard.items():
            if each.place is not None:
                offered[number] = offered[number]._replace(chosen=each.place)
        return scores, offered

    def _remember(self, output: Mapping[str, Tensor], score: float) -> Memory:
        position = output["maskmem_pos_enc"]
        if self._position is None or self._position.dtype != position.dtype:
            self._position = position.clone()  # the same for every memory: kept once
        features, pointer = output["maskmem_features"], output["object_pointer"]
        return Memory(features, self._position, pointer, score)

    def _prune(self, conditioning: dict[int, Memory]) -> None:
        """Keep the first, and the newest as far as they may be looked at."""
        most = max(self._rules.nearest, self._most_prompted, self._most_pointers)
        for frame in list(conditioning)[1:-most]:
            del conditioning[frame]


def _without(bank: Bank, frame_index: int) -> Bank:
    """A bank that does not hold a frame, which counts as a prompted one."""
    recent, anchors = (
        {i: memory for i, memory in memories.items() if i != frame_index}
        for memories in (bank.recent, bank.anchors)
    )
    return replace(bank, recent=recent, anchors=anchors)

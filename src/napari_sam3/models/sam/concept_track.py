"""A concept followed from the frame it was asked on in one direction, a frame at a time.

Each step is what `Sam3VideoModel` does for a frame: detect, carry the objects known on with the
tracker, match the two, take up what is new. It goes through the model's own steps, on a session of
its own that is pruned after each frame, and keeps packed masks of every frame passed. Concepts do
not see each other in the model, so each can have a session for itself: asking for one more makes
nothing computed before invalid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import Sam3VideoInferenceSession, Sam3VideoModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from napari_sam3.models.sam.cleanup import clean_masks, drop_doubles
from napari_sam3.models.sam.concept_memory import ConceptMemory
from napari_sam3.models.sam.concept_prompt import ConceptPrompt
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.sam3_vision import Sam3Views
from napari_sam3.models.sam.upscale import SURE, masks_at_size, shrink_mask
from napari_sam3.values import ObjectMask, PackedMask

FORGET_AFTER = 300
"""Frames without a pixel after which an object is followed no longer, in an unbroken row.

Upstream follows it for ever, so that each frame takes longer the more has passed through the
picture. What comes back later than this is found anew.
"""

_PROMPT = 0  # the one prompt of a session


class Detector:
    """Where a concept is on one frame.

    Takes upstream's clean-up out of the model, which would ask a hub for a kernel and skip the
    step without it, and does it itself.
    """

    def __init__(self, model: Sam3VideoModel) -> None:
        self.model = model
        self.max_overlap: float = model.config.det_nms_thresh
        self.max_hole_area: int = model.config.fill_hole_area
        model.det_nms_thresh = 0.0
        model.fill_hole_area = 0

    def detect(
        self, session: Sam3VideoInferenceSession, view: Sam3VisionEncoderOutput
    ) -> dict[str, Tensor]:
        """Find a session's concept: "mask" (N, h, w) logits, "scores" (N,), "bbox" (N, 4)."""
        seen: Any = view  # annotated as a tensor
        found: dict[str, Tensor] = self.model.run_detection(
            inference_session=session, vision_embeds=seen
        )[_PROMPT]
        keep = drop_doubles(found["mask"], found["scores"], self.max_overlap)
        return {name: values[keep] for name, values in found.items()}

    def clean(self, logits: Tensor) -> Tensor:
        """Fill the holes of (N, h, w) masks and take their specks away."""
        return clean_masks(logits, self.max_hole_area)


def new_session(
    model: Sam3VideoModel, prompt: ConceptPrompt, n_frames: int
) -> Sam3VideoInferenceSession:
    """A session of upstream's that looks for one concept and never touches a frame's pixels."""
    session = Sam3VideoInferenceSession(
        inference_device=model.device, inference_state_device=model.device, dtype=torch.float32
    )
    frames: Any = range(n_frames)  # nothing but their number is asked for
    session.processed_frames = frames
    session.prompts[_PROMPT] = ""
    session.prompt_embeddings[_PROMPT] = prompt
    session.prompt_attention_masks[_PROMPT] = prompt.mask
    return session


class ConceptTrack:
    """One concept in one direction.

    Parameters
    ----------
    detector : Detector
    views : Sam3Views
    prompt : ConceptPrompt
    anchor : int
        Frame that the concept is looked for from.
    step : int
        1 or -1.
    size : (height, width)
        Of the video, px.
    cleans_up : bool
        Whether an object that its first frames do not confirm is removed.
    rules : MemoryRules, optional
        What of the objects' past is looked at; as transformers does if left out.

    Attributes
    ----------
    reached : int
        The last frame computed; the one before `anchor` at first.
    first_seen : dict of number to frame index
        Every object seen so far, by its number in this track, in the order seen.
    removed : dict of number to frame index
        Those that the clean-up took away, and where.
    named : dict of number to object id, or None
        Those that it began with, where these were known already.
    """

    def __init__(
        self,
        detector: Detector,
        views: Sam3Views,
        prompt: ConceptPrompt,
        anchor: int,
        step: int,
        size: tuple[int, int],
        *,
        cleans_up: bool = False,
        rules: MemoryRules | None = None,
    ) -> None:
        self.anchor = anchor
        self.step = step
        self.cleans_up = cleans_up
        self.reached = anchor - step
        self.first_seen: dict[int, int] = {}
        self.removed: dict[int, int] = {}
        self.named: dict[int, int] | None = None
        self._detector = detector
        self._model = detector.model
        self._views = views
        self._size = size
        n_frames = len(views.features.frames)
        self._session = new_session(self._model, prompt, n_frames)
        self._memory: ConceptMemory | None = None
        if rules is not None and not (rules.are_upstreams and not rules.motion):
            self._memory = ConceptMemory(self._model.tracker_model, rules, step, n_frames)
        self._frames: dict[int, dict[int, PackedMask]] = {}
        self._absent: dict[int, int] = {}  # for how many frames, by number

    def has(self, frame_index: int) -> bool:
        """Whether a frame has been computed."""
        return frame_index in self._frames

    def missing_until(self, frame_index: int) -> range:
        """The frames up to and with this one that are yet to be computed, in order."""
        return range(self.reached + self.step, frame_index + self.step, self.step)

    def masks(self, frame_index: int) -> dict[int, ObjectMask]:
        """The objects seen on a frame, by number; what the clean-up took away later included."""
        return {track: m.unpack() for track, m in self._frames.get(frame_index, {}).items()}

    def advance(self) -> int:
        """Compute the next frame; called inside `Device.computing()`.

        Returns
        -------
        int
            That frame.
        """
        frame_index = self.reached + self.step
        detections = self._detector.detect(self._session, self._views.detector(frame_index))
        logits, scores, hidden = self._compute(frame_index, detections)
        shown = [track for track in logits if track not in hidden]
        masks = self._enlarge([logits[track] for track in shown], [scores[t] for t in shown])
        self._frames[frame_index] = {
            track: PackedMask.pack(mask)
            for track, mask in zip(shown, masks, strict=True)
            if mask is not None
        }
        for number in self._frames[frame_index]:
            self.first_seen.setdefault(number, frame_index)
        self.reached = frame_index
        self._prune(frame_index)
        return frame_index

    def begin_with(self, shown: Mapping[int, ObjectMask]) -> None:
        """Take objects up on the anchor, by id, in place of looking for them.

        Called inside `Device.computing()`, before any `advance`.
        """
        known = dict(list(shown.items())[: self._model.max_num_objects])
        side, device = self._model.low_res_mask_size, self._model.device
        masks = [shrink_mask(mask, side, device) for mask in known.values()]
        logits = torch.cat(masks)[:, 0] if masks else torch.zeros(0, side, side, device=device)
        scores = torch.tensor([mask.score for mask in known.values()], device=device)
        boxes = torch.zeros(len(known), 4, device=device)  # of detections; nobody asks for them
        found = {"mask": logits * 2 * SURE - SURE, "scores": scores, "bbox": boxes}
        self._compute(self.anchor, found)
        self._frames[self.anchor] = {n: PackedMask.pack(m) for n, m in enumerate(known.values())}
        self.named = dict(enumerate(known))
        self.first_seen = dict.fromkeys(self.named, self.anchor)
        # they were there before, so that the clean-up of new ones does not concern them
        before = self.anchor - self.step * self._model.hotstart_delay
        self._session.obj_first_frame_idx.update(dict.fromkeys(self.named, before))
        self.reached = self.anchor
        self._prune(self.anchor)

    def end(self) -> None:
        """Give back the model's memory; what was computed stays to be looked at."""
        self._session.reset_state()
        if self._memory is not None:
            self._memory.forget()

    def _prune(self, frame_index: int) -> None:
        """Drop all that no later frame looks at; `frame_index` is the last one computed."""
        prune_session(self._session, self._model, frame_index)
        if self._memory is not None:
            self._memory.take(self._session, frame_index)

    def _compute(
        self, frame_index: int, detections: dict[str, Tensor]
    ) -> tuple[Mapping[int, Tensor], Mapping[int, float], set[int]]:
        """One frame: logits and scores by track, and which tracks are not to be shown."""
        with self._memory.looking_back() if self._memory is not None else nullcontext():
            return self._compute_as_upstream(frame_index, detections)

    def _compute_as_upstream(
        self, frame_index: int, detections: dict[str, Tensor]
    ) -> tuple[Mapping[int, Tensor], Mapping[int, float], set[int]]:
        model, session, reverse = self._model, self._session, self.step < 0
        maps = self._views.tracker(frame_index)
        session.cache.cache_vision_features(
            frame_index, {"vision_feats": maps.features, "vision_pos_embeds": maps.positions}
        )
        tracked, tracker_scores = model.run_tracker_propagation(session, frame_index, reverse)
        tracked = self._detector.clean(tracked)
        carried = list(session.obj_ids)
        plan, told = model.run_tracker_update_planning_phase(
            inference_session=session,
            frame_idx=frame_index,
            reverse=reverse,
            det_out=detections,
            tracker_low_res_masks_global=tracked,
            tracker_obj_scores_global=tracker_scores,
            det_idx_to_prompt_id=dict.fromkeys(range(len(detections["mask"])), _PROMPT),
            streaming=not self.cleans_up,
        )
        model.run_tracker_update_execution_phase(
            session, frame_index, detections, plan, reverse=reverse
        )
        new: list[int] = plan["new_det_obj_ids"]
        logits = dict(zip(carried, tracked, strict=True))
        first = self._detector.clean(detections["mask"][plan["new_det_out_inds"]])
        logits.update(zip(new, first, strict=True))
        for track in plan["reconditioned_obj_ids"]:
            logits[track] = detections["mask"][plan["trk_id_to_max_iou_high_conf_det"][track]]
        scores = dict(zip(carried, tracker_scores.flatten().sigmoid().tolist(), strict=True))
        scores.update((track, told["obj_id_to_score"][track]) for track in new)
        _take_over(session, told)
        self._forget_absent(carried, tracked)
        extra = told["extra_metadata"]
        newly_removed: set[int] = plan["obj_ids_newly_removed"]
        self.removed.update(dict.fromkeys(newly_removed, frame_index))
        return logits, scores, newly_removed | extra["suppressed_obj_ids"][frame_index]

    def _enlarge(
        self, logits: Sequence[Tensor], scores: Sequence[float]
    ) -> Sequence[ObjectMask | None]:
        if not logits:
            return ()
        return masks_at_size(torch.stack(list(logits)).float(), self._size, scores)

    def _forget_absent(self, carried: Sequence[int], tracked: Tensor) -> None:
        """Let go of what has not been seen for long."""
        seen = (tracked > 0).flatten(1).any(dim=1).tolist() if carried else []
        for number, is_seen in zip(carried, seen, strict=True):
            self._absent[number] = 0 if is_seen else self._absent.get(number, 0) + 1
            is_last = len(self._session.obj_ids) == 1  # upstream can't be without any again
            if self._absent[number] >= FORGET_AFTER and not is_last:
                self._session.remove_object(number)
                del self._absent[number]


def _take_over(session: Sam3VideoInferenceSession, told: Mapping[str, Any]) -> None:
    """Make what a frame has changed the session's own, as upstream's forward does at its end."""
    session.obj_ids = list(told["obj_ids"])
    for name in ("obj_id_to_score", "obj_id_to_last_occluded", "max_obj_id"):
        setattr(session, name, told[name])
    for name in (
        "obj_first_frame_idx",
        "unmatched_frame_inds",
        "trk_keep_alive",
        "overlap_pair_to_frame_inds",
        "removed_obj_ids",
    ):
        setattr(session, name, told["extra_metadata"][name])


def prune_session(
    session: Sam3VideoInferenceSession, model: Sam3VideoModel, frame_index: int
) -> None:
    """Drop all that no later frame looks at; `frame_index` is the last one computed.

    Upstream keeps everything, and copies all that it has noted on every frame.
    """
    alive = set(session.obj_ids)
    session.cache.clear_all()
    # told of one frame, and read on that frame only
    session.obj_id_to_tracker_score_frame_wise = defaultdict(dict)
    session.suppressed_obj_ids = defaultdict(set)
    for notes in (session.obj_id_to_score, session.obj_first_frame_idx, session.trk_keep_alive):
        for track in notes.keys() - alive:
            del notes[track]
    session.removed_obj_ids = set()
    _shorten(session.unmatched_frame_inds, model.hotstart_unmatch_thresh, alive)
    _shorten(session.overlap_pair_to_frame_inds, model.hotstart_dup_thresh, alive)
    for index, outputs in session.output_dict_per_obj.items():
        session.mask_inputs_per_obj[index].clear()
        session.frames_tracked_per_obj[index].clear()
        prune_memory(outputs, model.tracker_model.config, frame_index)


def _shorten(notes: dict[Any, list[int]], length: int, alive: set[int]) -> None:
    """Only whether a list has reached `length` is ever asked."""
    for key in list(notes):
        if alive.issuperset(key if isinstance(key, tuple) else (key,)):
            del notes[key][length:]
        else:
            del notes[key]


def prune_memory(
    outputs: dict[str, dict[int, dict[str, Tensor]]], config: Any, frame_index: int
) -> None:
    """Drop of one object's memory what no later frame looks at.

    The next frames see whole memories of the newest `num_maskmem` - 1 frames and of the
    `max_cond_frame_num` nearest conditioning frames, and the pointers of the newest
    `max_object_pointers_in_encoder` - 1 frames and of all conditioning frames. A conditioning
    frame is added every 16 frames for as long as the detector agrees with the tracker, so their
    pointers have a limit too (docs/models.md): the first, and the newest
    `max_object_pointers_in_encoder`.
    """
    conditioning, others = outputs["cond_frame_outputs"], outputs["non_cond_frame_outputs"]
    n_pointers = config.max_object_pointers_in_encoder
    for frame in [f for f in others if abs(f - frame_index) >= n_pointers - 1]:
        del others[frame]
    newest_first = sorted(conditioning, key=lambda f: abs(f - frame_index))
    for frame in newest_first[n_pointers:-1]:
        del conditioning[frame]
    most = config.max_cond_frame_num
    whole = set(conditioning) if most < 0 else set(newest_first[:most])
    whole |= {f for f in (*conditioning, *others) if abs(f - frame_index) < config.num_maskmem - 1}
    for frames in (conditioning, others):
        for frame, output in frames.items():
            kept = {"object_pointer"}
            if frame in whole:
                kept |= {"maskmem_features", "maskmem_pos_enc"}
            for name in output.keys() - kept:
                del output[name]
            for name, tensor in output.items():
                if tensor.untyped_storage().nbytes() > tensor.nbytes:
                    # a slice of what was made for all objects at once would keep all of it
                    output[name] = tensor.clone()

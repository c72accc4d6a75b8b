"""SAM 3's concepts on a film: our tracker, and transformers' own loop that it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Sam2VideoVideoProcessor, Sam3VideoModel, Sam3VideoProcessor
from transformers.models.sam3.image_processing_sam3 import Sam3ImageProcessor

from napari_sam3.models.sam.concept_prompt import Tokenizer
from napari_sam3.models.sam.concept_track import Detector
from napari_sam3.models.sam.concepts import ConceptTracker
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.feature_cache import FeatureCache
from napari_sam3.models.sam.features import FeatureSource
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.models.sam.sam3_vision import Sam3Encoder, Sam3Views, TrackerSource
from napari_sam3.values import (
    Concept,
    Journal,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    without_overlap,
)
from tests.models.sam.bare import Film
from tests.models.sam.tiny import make_sam3
from tests.models.sam.words import make_tokenizer

HALVES = (0.5, 0.5, 0.5)
WORDS = ("dog", "cat")
INSIDE, OUTSIDE = 5.0, -4.3  # scripted logits; enlarged, none is just between
Box = tuple[int, int, int, int]
Masks = dict[int, dict[int, np.ndarray]]


def make_seeing(film: np.ndarray, seed: int = 0, **config: Any) -> Sam3VideoModel:
    """A tiny SAM 3 whose detector tells queries, pictures and words apart on this film.

    Random weights give masks that are nearly all or nearly nothing, and the same score to all.
    What all pixels have in common is taken out of the masks' filters, but for a part that keeps
    masks small; what all scores have in common is taken out of them, and the rest is spread.
    """
    settings = {
        "fill_hole_area": 6,
        "det_nms_thresh": 0.3,
        "high_conf_thresh": 0.55,
        "high_iou_thresh": 0.15,
        "recondition_every_nth_frame": 4,
        "hotstart_delay": 0,
        **config,
    }
    model = make_sam3(seed, **settings)
    detector = model.detector_model
    masks, scoring = detector.mask_decoder, detector.dot_product_scoring
    parts = (masks.instance_projection, masks.mask_embedder.layers[-1])
    parts = (*parts, scoring.text_proj, scoring.query_proj)
    heard: dict[torch.nn.Module, list[torch.Tensor]] = {part: [] for part in parts}
    hooks = [part.register_forward_hook(lambda p, _, out: heard[p].append(out)) for part in parts]
    bare = BareConcepts(model, film, WORDS)
    with torch.no_grad():
        for word in range(len(WORDS)):
            for index in range(0, len(film), 3):
                detector(
                    pixel_values=bare.session.get_frame(index)[None],
                    input_ids=bare.session.prompt_input_ids[word],
                    attention_mask=bare.session.prompt_attention_masks[word],
                )
        for hook in hooks:
            hook.remove()
        # the last layer of the decoder gives the answer
        heard[scoring.query_proj] = [queries[-1:] for queries in heard[scoring.query_proj]]
        pixels, filters, words, queries = (torch.cat(heard[part]) for part in parts)
        common = pixels.mean((0, 2, 3))
        length, common = common.norm(), common / common.norm()
        filters = filters - (filters @ common)[..., None] * common
        spread = torch.einsum("bqc,bchw->bqhw", filters, pixels).std()
        last = parts[1]
        last.weight.sub_(common[:, None] * (common @ last.weight))
        last.bias.sub_(common * (common @ last.bias + 1.2 * spread / length))
        words = words.unflatten(0, (len(WORDS), -1))[:, 0].flatten(1)
        queries = queries.reshape(len(WORDS), -1, words.shape[-1])
        scores = (queries @ words[..., None]).flatten(1) * scoring.scale
        factor = 2.0 / scores.std(1).mean()
        scoring.query_proj.weight.mul_(factor)
        scoring.query_proj.bias.mul_(factor)
        common_scores = factor * scores.mean(1) / scoring.scale
        scoring.query_proj.bias.sub_(torch.linalg.pinv(words) @ common_scores)
    return model


def make_film(n_frames: int = 10, size: tuple[int, int] = (90, 120), seed: int = 0) -> np.ndarray:
    """Soft blots that drift over a ground, and some noise: (T, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: size[0], : size[1]]
    film = np.empty((n_frames, *size, 3), np.uint8)
    blots = [
        (rng.uniform(0, size), rng.uniform(-3, 3, 2), rng.uniform(0, 255, 3)) for _ in range(6)
    ]
    for t, frame in enumerate(film):
        picture = np.full((*size, 3), 90.0)
        for place, speed, colour in blots:
            y, x = (place + t * speed) % size
            weight = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 150)[..., None]
            picture = picture * (1 - weight) + colour * weight
        frame[:] = (picture + rng.normal(0, 8, picture.shape)).clip(0, 255)
    return film


class BareConcepts:
    """Text on a film in upstream's words; upstream has no exemplars in video."""

    def __init__(self, model: Sam3VideoModel, film: np.ndarray, texts: Iterable[str]) -> None:
        side = model.config.image_size
        size = {"height": side, "width": side}
        self.model = model
        self.processor = Sam3VideoProcessor(
            Sam3ImageProcessor(size=size),
            Sam2VideoVideoProcessor(size=size, image_mean=HALVES, image_std=HALVES),
            make_tokenizer(),
        )
        self.session = self.processor.init_video_session(video=list(film))
        self.processor.add_text_prompt(self.session, list(texts))

    def track(self, frames: range) -> Masks:
        """A frame at a time."""
        return {
            i: self.read(self.model(self.session, frame_idx=i, reverse=frames.step < 0))
            for i in frames
        }

    def hold_back(self, **limits: int) -> Masks:
        """Upstream's own loop, which cleans up; over the whole film if not told otherwise."""
        outputs = self.model.propagate_in_video_iterator(self.session, **limits)
        return {output.frame_idx: self.read(output) for output in outputs}

    def keep_ids(self) -> None:
        """Have masks and scores told under the ids that the objects had when these were made.

        Upstream pairs them with the ids of after the frame's plan: where an object is removed,
        those behind it get the mask of another one.
        """
        follow = self.model.run_tracker_propagation
        execute = self.model.run_tracker_update_execution_phase
        carried: list[int] = []

        def follow_and_note(**kwargs: Any) -> Any:
            carried[:] = kwargs["inference_session"].obj_ids
            return follow(**kwargs)

        def execute_and_turn_back(**kwargs: Any) -> None:
            execute(**kwargs)
            # until the end of the frame, where upstream sets them anew
            kwargs["inference_session"].obj_ids = [*carried]

        self.model.run_tracker_propagation = follow_and_note
        self.model.run_tracker_update_execution_phase = execute_and_turn_back

    def read(self, output: Any) -> dict[int, np.ndarray]:
        """Visible objects; upstream also names those whose pixels are all another's."""
        read = self.processor.postprocess_outputs(self.session, output)
        objects = zip(read["object_ids"].tolist(), read["masks"].numpy(), strict=True)
        return {obj_id: mask for obj_id, mask in objects if mask.any()}


class OurConcepts:
    """Our tracker and a journal, asked as a session asks it."""

    def __init__(
        self,
        model: Sam3VideoModel,
        film: np.ndarray,
        *,
        hold_back: bool = False,
        rules: MemoryRules | None = None,
    ) -> None:
        device = Device("cpu")
        pictures = Pictures(model.config.image_size, HALVES, HALVES)
        encoder = Sam3Encoder(model, pictures, device, "tiny")
        self.features = FeatureSource(Film(film), encoder, FeatureCache(2**28, 0))
        views = Sam3Views(model, self.features)
        objects = ObjectTracker(
            model.tracker_model, TrackerSource(views), film.shape[1:3], len(film), device
        )
        self.tracker = ConceptTracker(
            Detector(model), Tokenizer(make_tokenizer()), views, objects, device, rules
        )
        self.objects: dict[int, dict[int, Keyframe]] = {}
        self.concepts: tuple[tuple[int, Concept], ...] = ()
        self.hold_back = hold_back
        self.known: dict[int, Mapping[int, ObjectMask]] = {}
        self.recall: Callable[[int], Mapping[int, ObjectMask] | None] | None = None
        self.found: set[int] = set()
        self._ids = count(1)

    def go_on_from(self, other: OurConcepts) -> None:
        """Take over what was said and found, as a later process does."""
        self.objects, self.concepts = {**other.objects}, other.concepts
        self.found, self._ids = {*other.found}, count(max(other.found | {*other.objects}) + 1)

    def new_id(self) -> int:
        """An id of what a concept finds."""
        number = next(self._ids)
        self.found.add(number)
        return number

    def ask(self, frame_index: int, concept: Concept | str) -> list[int]:
        """Look for a concept; all that is found becomes an object."""
        if isinstance(concept, str):
            concept = Concept(concept)
        found = self.tracker.detect(frame_index, concept)
        self.concepts += ((frame_index, concept),)
        return [self._keep(frame_index, ObjectPrompt(prior=m), m) for m in found]

    def click(self, frame_index: int, obj_id: int | None, *points: tuple[float, float]) -> int:
        prompt = ObjectPrompt(np.array(points, float), np.ones(len(points), bool))
        return self._keep(frame_index, prompt, self.tracker.segment(frame_index, prompt), obj_id)

    def paint(self, frame_index: int, mask: np.ndarray, obj_id: int | None = None) -> int:
        prompt = ObjectPrompt(mask=mask)
        return self._keep(frame_index, prompt, ObjectMask.from_mask(mask), obj_id)

    def _keep(
        self,
        frame_index: int,
        prompt: ObjectPrompt,
        mask: ObjectMask | None,
        obj_id: int | None = None,
    ) -> int:
        if obj_id is None:
            obj_id = next(self._ids) if prompt.is_manual else self.new_id()
        self.objects.setdefault(obj_id, {})[frame_index] = Keyframe(prompt, mask)
        return obj_id

    @property
    def journal(self) -> Journal:
        objects = {i: dict(k) for i, k in self.objects.items()}
        found = frozenset(self.found)
        return Journal(objects, self.concepts, self.hold_back, self.known, found, self.recall)

    def propagate(self, frames: range) -> dict[int, Mapping[int, ObjectMask]]:
        """What the tracker gives for each frame asked for."""
        tracked = self.tracker.propagate(self.journal, frames, self.new_id)
        return {t.frame_index: t.objects for t in tracked if t.objects is not None}

    def track(self, frames: range) -> Masks:
        """The same as masks that do not overlap."""
        return {
            frame: {i: m.mask for i, m in without_overlap(objects).items()}
            for frame, objects in self.propagate(frames).items()
        }


class Finds:
    """What the detector finds, told beforehand: boxes by frame in place of the network's.

    Parameters
    ----------
    model : Sam3VideoModel
        Changed in place.
    boxes_xywh : sequence of sequence of tuple
        For each call of the detector in turn; in cells of the model's masks.
    """

    def __init__(self, model: Sam3VideoModel, boxes_xywh: Iterable[Iterable[Box]]) -> None:
        self._frames = iter(boxes_xywh)
        self._side = model.config.low_res_mask_size
        model.run_detection = self.detect

    def detect(self, inference_session: Any, vision_embeds: Any) -> dict[int, Any]:
        boxes = list(next(self._frames))
        masks = torch.full((len(boxes), self._side, self._side), OUTSIDE)
        for mask, (x, y, width, height) in zip(masks, boxes, strict=True):
            mask[y : y + height, x : x + width] = INSIDE
        scores = torch.linspace(0.95, 0.9, len(boxes))
        return {0: {"bbox": torch.zeros(len(boxes), 4), "mask": masks, "scores": scores}}


class Script(Finds):
    """What is seen, told beforehand, by the tracker too.

    The tracker keeps each object where it was found; only the pixels along its edge are what the
    network says. So objects are found, confirmed and removed as it is written, whatever the
    network and the processor, while masks still tell whether all was computed alike.
    """

    def __init__(self, model: Sam3VideoModel, boxes_xywh: Iterable[Iterable[Box]]) -> None:
        super().__init__(model, boxes_xywh)
        self._found: dict[int, torch.Tensor] = {}  # where objects were found, by number
        self._follow = model.run_tracker_propagation
        self._execute = model.run_tracker_update_execution_phase
        model.fill_hole_area = 0  # the network's own mask is seen by nobody
        model.run_tracker_propagation = self.follow
        model.run_tracker_update_execution_phase = self.execute

    def follow(self, inference_session: Any, frame_idx: int, reverse: bool) -> Any:
        masks, scores = self._follow(
            inference_session=inference_session, frame_idx=frame_idx, reverse=reverse
        )
        for mask, number in zip(masks, inference_session.obj_ids, strict=True):
            inside = self._found[number] > 0
            around = torch.nn.functional.max_pool2d(inside[None].float(), 3, 1, 1)[0] > 0
            mask[inside] = INSIDE
            mask[~around] = OUTSIDE
        return masks, scores

    def execute(
        self,
        inference_session: Any,
        frame_idx: int,
        det_out: Any,
        tracker_update_plan: Any,
        reverse: bool,
    ) -> None:
        new = tracker_update_plan["new_det_obj_ids"]
        masks = det_out["mask"][tracker_update_plan["new_det_out_inds"]]
        self._found.update(zip(new, masks, strict=True))
        self._execute(inference_session, frame_idx, det_out, tracker_update_plan, reverse)


def assert_same_masks(ours: Masks, bare: Masks) -> None:
    """Equal to the pixel, and each object of ours the same one of theirs all the way."""
    assert ours.keys() == bare.keys()
    names: dict[int, int] = {}
    for frame, objects in bare.items():
        assert len(ours[frame]) == len(objects), frame
        for theirs, mask in objects.items():
            same = [i for i, m in ours[frame].items() if np.array_equal(m, mask)]
            assert same, (frame, theirs)
            if theirs in names:
                assert names[theirs] in same
            else:
                names[theirs] = next(i for i in same if i not in names.values())


def count_shown(masks: Masks) -> int:
    """How many masks there are in all."""
    return sum(len(objects) for objects in masks.values())


def find_what_boxes_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network run on exemplars, and then find just what the positive boxes hold."""
    detect = ConceptTracker.detect

    def found_in_boxes(self, frame_index, concept):
        found = detect(self, frame_index, concept)
        if not concept.box_labels.any():
            return found
        masks = []
        for x0, y0, x1, y1 in concept.boxes_xyxy[concept.box_labels]:
            mask = np.zeros(self._size, bool)
            mask[int(y0) : ceil(y1), int(x0) : ceil(x1)] = True  # all pixels that it touches
            masks.append(ObjectMask.from_mask(mask, 0.9))
        return masks

    monkeypatch.setattr(ConceptTracker, "detect", found_in_boxes)

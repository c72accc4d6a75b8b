"""A SAM 2-like tracker of transformers, asked one thing on one frame at a time.

Sam2Video, EdgeTamVideo and Sam3TrackerVideo have the same parts and the same `forward`. Upstream
keeps what it knows of a video in an inference session that grows for ever; here a session lives
for one call: what the call needs is put in, what it gave is taken out. So the answer depends on
nothing that was asked before.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain
from math import isnan
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from napari_sam3.errors import ModelError
from napari_sam3.models.sam.alternatives import (
    Alternatives,
    Choose,
    Offer,
    bring_over,
    offers_of,
)
from napari_sam3.models.sam.device import Device, is_out_of_memory
from napari_sam3.models.sam.feature_files import Encoded
from napari_sam3.models.sam.memory import Memory, MemoryRules, Past, Reach, look_back
from napari_sam3.models.sam.motion_prior import choice_by
from napari_sam3.models.sam.upscale import SURE, cut_masks, find_cells, shrink_mask
from napari_sam3.models.sam.upstream import ages_encoding, session_kind
from napari_sam3.values import ObjectMask, ObjectPrompt

logger = logging.getLogger(__name__)

LEVELS = ("level0", "level1", "level2")
"""Names of the tracker's feature maps in what an encoder gives, from fine to coarse."""

TOGETHER = 64
"""Most objects recalled at once on an accelerator, if there is room for what they take.

On a CPU, which one object keeps busy, it is 1.
"""

_PROBED = 16  # values of each tensor of weights

_OBJECT = 1  # a session holds one object; its id there


class Answer(NamedTuple):
    """What the network says of an object on a frame.

    Attributes
    ----------
    mask : ObjectMask or None
        At the video's size; None where nothing is seen of it. Its score is the belief that the
        object is there, times how good the mask is thought to be.
    memory : Memory or None
        None where it is not asked for.
    offered : Alternatives or None
        Which masks there were to choose from; None where it is not asked for.
    """

    mask: ObjectMask | None
    memory: Memory | None
    offered: Alternatives | None = None


class _Decoded(NamedTuple):
    """An answer that is still on the device, with what its scores are made of.

    `offer` is what there was to choose from, where that is asked for; `coarse` is the map that it
    was made of.
    """

    logits: Tensor
    presence: Tensor
    quality: Tensor
    memory: Memory | None
    offer: Offer | None = None
    coarse: Tensor | None = None


class View(NamedTuple):
    """A frame as the tracker's parts take it: flattened maps (HW, 1, C), fine to coarse."""

    frame_index: int
    maps: list[Tensor]
    position: Tensor


class _Chosen(NamedTuple):
    """Memories to look at with their places in time, and pointers with their ages."""

    outputs: list[tuple[int, dict[str, Tensor] | None]]
    ages: list[int]
    pointers: list[Tensor]
    most_pointers: int


class _Recalled(NamedTuple):
    """An object's memories as the memory attention takes them: (L, 1, C) each, pointers last."""

    tokens: Tensor
    positions: Tensor
    n_spatial: int
    n_pointer_tokens: int

    def fits(self, other: _Recalled) -> bool:
        """Whether both can go into one batch."""
        return (self.n_spatial, self.n_pointer_tokens) == (
            other.n_spatial,
            other.n_pointer_tokens,
        ) and len(self.tokens) == len(other.tokens)


class TrackerNetwork:
    """The parts of a tracker model, for one video.

    Parameters
    ----------
    model : Sam2VideoModel, EdgeTamVideoModel or Sam3TrackerVideoModel
        Of a Sam3VideoModel its `tracker_model`.
    device : Device
        Where the model's weights are.
    size : (height, width)
        Of the video, px.
    n_frames : int
        Of the video. Upstream scales the age of pointers by it where it is under 16.
    rules : MemoryRules, optional
        What of an object's past is looked at; as transformers does if left out.

    Attributes
    ----------
    reach : Reach
        How far back it looks.
    """

    def __init__(
        self,
        model: Any,
        device: Device,
        size: tuple[int, int],
        n_frames: int,
        rules: MemoryRules | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.size = size
        self.n_frames = n_frames
        self.rules = rules or MemoryRules()
        self.reach = Reach(
            model.config.num_maskmem - 1, model.config.max_object_pointers_in_encoder - 1
        )
        self.image_size: int = model.image_size
        self.together = 1 if device.torch.type == "cpu" else TOGETHER
        self._session_kind = session_kind(model)
        # the neck's own, but reachable where the encoder is another model's
        self._sine = type(model.memory_encoder.position_encoding)(
            num_position_features=model.hidden_dim // 2, normalize=True
        )
        attention = inspect.signature(model.memory_attention.forward)
        self._tells_spatial = "num_spatial_memory_tokens" in attention.parameters  # EdgeTAM
        self._encode_ages = ages_encoding(model)
        self._position: Tensor | None = None
        self._memory_positions: dict[tuple[torch.Size, torch.dtype], Tensor] = {}

    # -------------------------------------------------------------- looking

    def view(self, frame_index: int, encoded: Encoded) -> View:
        """Bring a frame's maps, (1, C, H, W) or (H * W, 1, C), into the tracker's form."""
        maps = [m if m.ndim == 3 else _flatten(m) for m in (encoded[name] for name in LEVELS)]
        coarse = maps[-1]
        known = self._position
        if known is None or known.dtype != coarse.dtype or known.device != coarse.device:
            shape = torch.Size((1, coarse.shape[2], *self.model.backbone_feature_sizes[-1]))
            position = self._sine(shape, coarse.device, coarse.dtype).to(coarse.dtype)
            known = self._position = _flatten(position)
        return View(frame_index, maps, known)

    # -------------------------------------------------------------- asking

    def prompt(self, view: View, prompt: ObjectPrompt) -> Answer:
        """Ask what clicks and a box mean, as upstream does on a frame that was not tracked."""
        with self.device.computing():
            points, labels = self._points(prompt)
            session = self._session(view)
            session.add_point_inputs(
                0, view.frame_index, {"point_coords": points, "point_labels": labels}
            )
            decoded = self._take_prompt(session, view.frame_index)
            return Answer(self._bring_over([decoded])[0][0], decoded.memory)

    def remember_mask(self, view: View, mask: ObjectMask | None) -> Memory:
        """Make the memory of an object whose mask is known; None: known not to be there."""
        with self.device.computing():
            session = self._session(view)
            session.add_mask_inputs(0, view.frame_index, self._mask_input(mask))
            memory = self._take_prompt(session, view.frame_index).memory
        assert memory is not None
        return memory

    def follow(self, view: View, pasts: Sequence[Past], *, reverse: bool) -> list[Answer]:
        """Find objects on a frame, each from what is remembered of it on others.

        Memory attention is most of the time. It takes objects with memories of the same length at
        once, and gives each the same to the bit, whoever else is in the batch. The mask decoder
        does not, so each is decoded by itself.

        Parameters
        ----------
        view : View
        pasts : sequence of Past
            One for each object.
        reverse : bool
            Whether time runs backward.

        Returns
        -------
        list of Answer
            In the order of `pasts`.
        """
        decoded: list[_Decoded] = []
        batch: list[_Recalled] = []
        most = 1
        with self.device.computing():
            chosen = [self._choose(view, past, reverse=reverse) for past in pasts]
            for each, ages in zip(chosen, self._send_ages(chosen), strict=True):
                recalled = self._recall(each, ages)
                if batch and (len(batch) >= most or not recalled.fits(batch[0])):
                    decoded += self._find(view, batch)
                    batch = []
                if not batch:
                    most = self._most_together(recalled)
                batch.append(recalled)
            if batch:
                decoded += self._find(view, batch)
            offered = self._weigh(view, decoded, [choice_by(past.motion) for past in pasts])
            brought = self._bring_over(decoded)
        return [
            Answer(mask, each.memory and each.memory._replace(score=score), alternatives)
            for each, (mask, score), alternatives in zip(decoded, brought, offered, strict=True)
        ]

    def refine(self, view: View, mask: ObjectMask | None, prompt: ObjectPrompt) -> Answer:
        """Correct a mask by clicks. Upstream's sessions have no such path; its parts have."""
        model = self.model
        with self.device.computing():
            known = self._mask_input(mask) * 2 * SURE - SURE
            dense = interpolate(
                known, model.prompt_encoder.mask_input_size, mode="bilinear", antialias=True
            )
            points, labels = self._points(prompt)
            sparse, dense = model.get_prompt_embeddings(points, labels, None, dense)
            sides = model.backbone_feature_sizes
            maps = [
                m.permute(1, 2, 0).view(1, -1, *side)
                for m, side in zip(view.maps, sides, strict=True)
            ]
            maps[-1] = maps[-1] + model.no_memory_embedding.permute(1, 2, 0)[..., None]
            masks, quality, _, presence = model.mask_decoder(
                image_embeddings=maps[-1],
                image_positional_embeddings=model.get_image_wide_positional_embeddings(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,  # the mask to be corrected says which of several is meant
                high_resolution_features=maps[:-1],
            )
            logits = torch.where(presence[..., None, None] > 0, masks, -SURE)[0, 0, 0]
            decoded = _Decoded(logits.float(), presence, quality, None)
            return Answer(self._bring_over([decoded])[0][0], None)

    # ------------------------------------- one frame on, as upstream's `forward`

    def _choose(self, view: View, past: Past, *, reverse: bool) -> _Chosen:
        """Say what is looked at."""
        choose = self._as_upstream if self.rules.are_upstreams else self._by_rules
        return choose(view, past, reverse=reverse)

    def _send_ages(self, chosen: Sequence[_Chosen]) -> Sequence[Tensor]:
        """The ages of all objects' pointers, at once: the device is waited for when it is sent."""
        ages = [age for each in chosen for age in each.ages]
        sent = torch.tensor(ages, dtype=torch.float32, device=self.device.torch)
        ages_of_each: Sequence[Tensor] = sent.split([len(each.ages) for each in chosen])
        return ages_of_each

    def _recall(self, chosen: _Chosen, ages: Tensor) -> _Recalled:
        """Line up what is looked at; `ages` are those of the pointers, on the device."""
        model = self.model
        tokens, positions = model._build_memory_attention_inputs(chosen.outputs, self.device.torch)
        n_spatial = len(tokens)
        n_pointer_tokens = 0
        if chosen.pointers:
            row, row_positions = self._pointer_tokens(chosen, ages)
            tokens, positions = [*tokens, row], [*positions, row_positions]
            n_pointer_tokens = len(row)
        return _Recalled(
            torch.cat(tokens).float(),
            torch.cat(positions),
            n_spatial,
            n_pointer_tokens,
        )

    def _pointer_tokens(self, chosen: _Chosen, ages: Tensor) -> tuple[Tensor, Tensor]:
        """Pointers and their places in time, as upstream makes them of ages that it sends itself.

        A memory has fewer channels than a pointer, which is cut into several tokens.
        """
        model = self.model
        pointers = torch.cat([p.to(self.device.torch) for p in chosen.pointers])
        width = model.mem_dim
        if model.config.enable_temporal_pos_encoding_for_object_pointers:
            encoded = self._encode_ages(ages / float(chosen.most_pointers - 1), model.hidden_dim)
            places = model.temporal_positional_encoding_projection_layer(encoded.to(pointers.dtype))
        else:
            places = pointers.new_zeros(len(pointers), width)
        n_tokens = model.hidden_dim // width
        return (
            pointers.reshape(-1, 1, width),
            places.repeat_interleave(n_tokens, dim=0).unsqueeze(1),
        )

    def _as_upstream(self, view: View, past: Past, *, reverse: bool) -> _Chosen:
        """What transformers chooses to look at."""
        model, index = self.model, view.frame_index
        session = self._session(view)
        session.output_dict_per_obj[0] = {
            "cond_frame_outputs": {i: m.as_output() for i, m in past.conditioning.items()},
            "non_cond_frame_outputs": {i: m.as_output() for i, m in past.recent.items()},
        }
        outputs = model._gather_memory_frame_outputs(session, 0, index, reverse)
        ages, pointers, most = model._get_object_pointers(
            session, 0, index, self.n_frames, self.device.torch, reverse
        )
        return _Chosen(outputs, ages, pointers, most)

    def _by_rules(self, view: View, past: Past, *, reverse: bool) -> _Chosen:
        """What our own rules choose, in upstream's form."""
        most = min(self.n_frames, self.reach.pointers + 1)
        seen = look_back(
            past,
            view.frame_index,
            -1 if reverse else 1,
            self.rules,
            Reach(self.reach.spatial, most - 1),
            self.model.config.max_cond_frame_num,
        )
        return _Chosen(
            [(place, memory.as_output()) for place, memory in seen.maps],
            [age for age, _ in seen.pointers],
            [memory.pointer for _, memory in seen.pointers],
            most,
        )

    def _most_together(self, recalled: _Recalled) -> int:
        """How many objects with such memories go into the room that the device has.

        Counted are the eight forms of a token that an attention layer has at most, and the scores
        of each cell for each token, twice, which a device without a fused kernel writes down. Half
        of the room is for what else is computed.
        """
        room = self.device.room()
        if room is None:
            return self.together
        height, width = self.model.backbone_feature_sizes[-1]
        tokens = len(recalled.tokens) + height * width
        numbers = tokens * (8 * self.model.hidden_dim + 2 * height * width)
        n_bytes = numbers * (self.device.half or torch.float32).itemsize
        return max(1, min(self.together, int(room // 2 // n_bytes)))

    def _find(self, view: View, recalled: Sequence[_Recalled]) -> list[_Decoded]:
        """Find objects whose memories are of the same length."""
        maps = self._attend(view, recalled)
        return [self._decode(view, maps[i : i + 1]) for i in range(len(recalled))]

    def _attend(self, view: View, recalled: Sequence[_Recalled]) -> Tensor:
        """Bring memories into the frame's coarse map: (N, C, h, w).

        Where they are too many for the device's memory after all, half as many are taken from then
        on.
        """
        try:
            return self._attend_at_once(view, recalled)
        except RuntimeError as exc:
            if len(recalled) == 1 or not is_out_of_memory(exc):
                raise
        # outside the handler: what the failed computation holds can be given back now
        half = self.together = len(recalled) // 2
        logger.info("%d objects at once are too many for the device", len(recalled))
        self.device.give_back_memory()
        return torch.cat([self._attend(view, part) for part in (recalled[:half], recalled[half:])])

    def _attend_at_once(self, view: View, recalled: Sequence[_Recalled]) -> Tensor:
        model = self.model
        count = len(recalled)
        extra = {"num_spatial_memory_tokens": recalled[0].n_spatial} if self._tells_spatial else {}
        seen = model.memory_attention(
            current_vision_features=view.maps[-1].expand(-1, count, -1),
            current_vision_position_embeddings=view.position.expand(-1, count, -1),
            memory=torch.cat([each.tokens for each in recalled], dim=1),
            memory_posision_embeddings=torch.cat([each.positions for each in recalled], dim=1),
            num_object_pointer_tokens=recalled[0].n_pointer_tokens,
            **extra,
        )
        height, width = model.backbone_feature_sizes[-1]
        maps = seen.reshape(count, height * width, -1).transpose(1, 2)
        found: Tensor = maps.view(count, -1, height, width)
        return found

    def _weigh(
        self, view: View, decoded: list[_Decoded], choices: Sequence[Choose | None]
    ) -> Sequence[Alternatives | None]:
        """Bring over what there was to choose from, where that is asked for, at once for all.

        Where another mask is chosen than the decoder's best one, it is decoded once more in place.
        """
        offers = [each.offer for each in decoded if each.offer is not None]
        if not offers:
            return [None] * len(decoded)
        offered = bring_over(offers)
        for i, choose in enumerate(choices):
            if choose is None or len(offered[i].quality) == 1:
                continue
            place = choose(offered[i])
            if place != offered[i].chosen:
                coarse = decoded[i].coarse
                assert coarse is not None
                decoded[i] = self._decode(view, coarse, place)
                offered[i] = offered[i]._replace(chosen=place)
        return offered

    def _decode(self, view: View, coarse: Tensor, place: int | None = None) -> _Decoded:
        """Make the mask of one object from its map, and the memory of it.

        `place` is that of the mask that is taken among those offered; None: the best one.
        """
        model = self.model
        fine = [
            m.permute(1, 2, 0).view(1, -1, *side)
            for m, side in zip(view.maps, model.backbone_feature_sizes, strict=True)
        ][:-1]
        asks = self.rules.ask_for_alternatives
        with offers_of(model.mask_decoder, lambda _: place) if asks else nullcontext() as heard:
            made = model._single_frame_forward(
                image_embeddings=[*fine, coarse], multimask_output=model._use_multimask(False, None)
            )
        features, position = model._encode_new_memory(
            current_vision_feats=view.maps[-1],
            pred_masks_high_res=made.high_res_masks,
            object_score_logits=made.object_score_logits,
            is_mask_from_pts=False,
        )
        return _Decoded(
            made.pred_masks[0, 0].float(),
            made.object_score_logits,
            made.iou_scores,
            Memory(features, self._share(position), made.object_pointer),
            heard[-1] if heard else None,
            coarse if self.rules.motion else None,
        )

    def _bring_over(self, decoded: Sequence[_Decoded]) -> list[tuple[ObjectMask | None, float]]:
        """Masks at the video's size, and scores that memories are selected by.

        Two copies from the device for all objects: numbers, and then masks cut out by them.
        """
        logits = torch.stack([each.logits for each in decoded])
        scores = torch.stack([scores_of(each.presence, each.quality) for each in decoded])
        told = torch.cat([find_cells(logits), scores], dim=1).cpu().tolist()
        if self.device.half == torch.float16 and any(map(isnan, chain.from_iterable(told))):
            raise ModelError(
                f"{type(self.model).__name__} computed numbers that float16 can't hold, so there "
                "is no mask: set the precision to float32 and load the model anew"
            )
        masks = cut_masks(logits, [row[:4] for row in told], self.size, [row[4] for row in told])
        return [(mask, row[5]) for mask, row in zip(masks, told, strict=True)]

    # ------------------------------------------------------------- plumbing

    def _session(self, view: View) -> Any:
        session = self._session_kind(
            video_height=self.size[0],
            video_width=self.size[1],
            inference_device=self.device.torch,
            inference_state_device=self.device.torch,
            video_storage_device=self.device.torch,
            dtype=torch.float32,
        )
        session.processed_frames = range(self.n_frames)  # only ever counted: features are there
        session.obj_id_to_idx(_OBJECT)
        session.cache.cache_vision_features(
            view.frame_index, {"vision_feats": view.maps, "vision_pos_embeds": [view.position]}
        )
        return session

    def _take_prompt(self, session: Any, frame_index: int) -> _Decoded:
        """Run upstream's own step on a frame that the session's object is prompted on."""
        session.obj_with_new_inputs = [_OBJECT]
        with _overheard(self.model.mask_decoder) as decoded:
            output = self.model(inference_session=session, frame_idx=frame_index)
        made = session.output_dict_per_obj[0]["cond_frame_outputs"][frame_index]
        _, quality, _, presence = decoded[-1]
        return _Decoded(
            output.pred_masks[0, 0].float(),
            presence,
            quality,
            Memory(
                made["maskmem_features"],
                self._share(made["maskmem_pos_enc"]),
                made["object_pointer"],
            ),
        )

    def _share(self, position: Tensor) -> Tensor:
        """The same for every memory of a model, and larger than the memory: kept once.

        It tells where a memory's tokens lie, not what is in them, so its form says which it is.
        """
        form = position.shape, position.dtype
        if form not in self._memory_positions:
            self._memory_positions[form] = position.clone()
        return self._memory_positions[form]

    def _points(self, prompt: ObjectPrompt) -> tuple[Tensor, Tensor]:
        """(1, 1, N, 2) at the model's resolution and (1, 1, N) labels; a box is two points."""
        height, width = self.size
        points = [*prompt.points_xy.tolist()]
        labels = [int(label) for label in prompt.point_labels]
        if prompt.box_xyxy is not None:
            x0, y0, x1, y1 = prompt.box_xyxy.tolist()
            points = [[x0, y0], [x1, y1], *points]
            labels = [2, 3, *labels]
        coordinates = torch.tensor(points, dtype=torch.float32).reshape(1, 1, -1, 2)
        coordinates *= self.image_size / torch.tensor([width, height])  # rounded as upstream does
        return (
            coordinates.to(self.device.torch),
            torch.tensor(labels, dtype=torch.int32, device=self.device.torch).reshape(1, 1, -1),
        )

    def _mask_input(self, mask: ObjectMask | None) -> Tensor:
        """(1, 1, S, S) of 0 and 1 at the model's resolution, as upstream's processor makes it."""
        device = self.device.torch
        if mask is None:
            return torch.zeros(1, 1, self.image_size, self.image_size, device=device)
        return shrink_mask(mask, self.image_size, device)


def fingerprint(model: torch.nn.Module) -> str:
    """Tells weights from others, on another machine too: by the first values of each tensor."""
    digest = hashlib.sha256()
    for name, weights in model.named_parameters():
        digest.update(repr((name, tuple(weights.shape))).encode())
        digest.update(weights.detach().flatten()[:_PROBED].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _flatten(feature_map: Tensor) -> Tensor:
    return feature_map.flatten(2).permute(2, 0, 1)


def scores_of(presence: Tensor, quality: Tensor) -> Tensor:
    """Two numbers in 0..1 for an object, left on the device.

    Presence times the best mask's expected overlap, which is the one that upstream takes; and what
    SAM 3's makers select memories by, which is nothing where the object is rather not there.
    """
    belief = presence.float().sigmoid().flatten()[0]
    beliefs = torch.stack([belief, (belief * 2 - 1).clamp(min=0)])
    return (beliefs * quality.float().max()).clamp(0, 1)


@contextmanager
def _overheard(module: torch.nn.Module) -> Iterator[Sequence[Any]]:
    """Collect what a part gives: `forward` keeps the expected overlap of its masks to itself."""
    heard: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: heard.append(output))
    try:
        yield heard
    finally:
        handle.remove()

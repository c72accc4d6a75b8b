"""What does it cost to follow 1, 4 and 16 objects, where does the time go, and does batching help?

Real-size models with random weights (they cost what real ones cost), features of the frames cached
on both sides. Ours is compared with the bare transformers loop on the same frames: same memories (a
full bank), the mask of every object at the video's size. The rounds alternate, so that a busy
machine is busy for both; times are the best of the rounds, for other work only ever adds to them.

    python benchmarks/sam_objects.py [edgetam] [sam2.1-tiny] [--objects 1 4 16] [--rounds 8 4 2]
                                    [--parts] [--batching]
"""

from __future__ import annotations

import argparse
import copy
import gc
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
import torch
import transformers
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, Sam2VideoConfig, Sam2VideoModel

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.values import Journal, Keyframe, ObjectPrompt

SIZE = (1080, 1920)
WARM = 8  # frames until the bank is as full as it gets, but for the cheap pointers
PARTS = ("memory_attention", "mask_decoder", "memory_encoder", "spatial_perceiver")


def make_model(name: str) -> Any:
    torch.manual_seed(0)
    if name == "sam2.1-tiny":
        model: Any = Sam2VideoModel(Sam2VideoConfig())
    else:
        vision = {
            "model_type": "edgetam_vision_model",
            "backbone_config": {
                "model_type": "timm_wrapper",
                "architecture": "repvit_m1",
                "num_classes": 2,
                "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
            },
        }
        model = EdgeTamVideoModel(EdgeTamVideoConfig(vision_config=vision))
    with torch.no_grad():
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(4.0)  # "present"
    return model.eval()


class Maps:
    """Random feature maps of the right shapes: the encoder is not what is measured here."""

    preparing = None

    def __init__(self, model: Any) -> None:
        fine, middle, coarse = model.backbone_feature_sizes
        hidden = model.hidden_dim
        generator = torch.Generator().manual_seed(0)
        self.maps = {
            "level0": torch.randn(1, hidden // 8, *fine, generator=generator),
            "level1": torch.randn(1, hidden // 4, *middle, generator=generator),
            "level2": torch.randn(1, hidden, *coarse, generator=generator),
        }

    def get(self, frame_index: int) -> dict[str, torch.Tensor]:
        return self.maps

    def expect(self, frame_indices: range) -> None:
        pass

    def prefetch(self, frame_index: int) -> None:
        pass

    def close(self) -> None:
        pass


class Ours:
    """Our tracker with one object whose bank is full; `become` gives it more of the same past."""

    def __init__(self, model: Any, n_frames: int) -> None:
        self.tracker = ObjectTracker(model, Maps(model), SIZE, n_frames, Device("cpu"))
        prompt = ObjectPrompt(np.array([[900.0, 500.0]]), np.array([True]))
        self.first = {0: Keyframe(prompt, self.tracker.segment(0, prompt))}
        self.journal = Journal({1: self.first})
        self.step(range(WARM))
        self.warm = {d: copy.copy(self.tracker._tracks[1, d]) for d in (1, -1)}
        for track in self.warm.values():
            track.masks = dict(track.masks)

    def become(self, n_objects: int) -> None:
        self.journal = Journal(dict.fromkeys(range(1, n_objects + 1), self.first))
        for obj_id in self.journal.objects:
            for direction, track in self.warm.items():
                other = self.tracker._tracks[obj_id, direction] = copy.copy(track)
                other.masks, other.checkpoints = dict(track.masks), {}

    def step(self, frames: range) -> None:
        for tracked in self.tracker.propagate(self.journal, frames, int):
            assert tracked.objects is not None


class Bare:
    """Upstream's session with the same objects and memories."""

    def __init__(self, ours: Ours, n_objects: int) -> None:
        network = ours.tracker.network
        self.model = network.model
        view = ours.tracker._look(0)
        kind = type(self.model).__name__.removesuffix("Model") + "InferenceSession"
        self.session = session = getattr(transformers, kind)(
            video=torch.zeros(network.n_frames, 1),
            dtype=torch.float32,
            max_vision_features_cache_size=10**9,
        )
        features = {"vision_feats": view.maps, "vision_pos_embeds": [view.position] * 3}
        for index in range(network.n_frames):
            session.cache.cache_vision_features(index, features)
        bank = ours.warm[1].bank
        assert bank is not None
        memories = {0: ours.tracker._conditioning[ours.first[0]], **bank.recent}
        outputs = {
            i: {
                "object_pointer": m.pointer,
                "maskmem_features": m.features,
                "maskmem_pos_enc": m.position,
            }
            for i, m in memories.items()
        }
        for obj_id in range(1, n_objects + 1):
            session.output_dict_per_obj[session.obj_id_to_idx(obj_id)] = {
                "cond_frame_outputs": {0: outputs[0]},
                "non_cond_frame_outputs": {i: o for i, o in outputs.items() if i},
            }

    def step(self, frames: range) -> None:
        for index in frames:
            output = self.model(self.session, frame_idx=index)
            masks = torch.nn.functional.interpolate(
                output.pred_masks, SIZE, mode="bilinear", align_corners=False
            )
            assert (masks > 0).numpy().shape[-2:] == SIZE


def compare(ours: Ours, n_objects: int, rounds: int) -> tuple[float, float, float]:
    """Seconds a frame, ours and bare, and what ours takes more, in %."""
    ours.become(n_objects)
    bare = Bare(ours, n_objects)
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    gc.collect()
    for index in range(WARM, WARM + rounds):
        order = [("ours", ours), ("bare", bare)]
        for name, each in order if index % 2 else reversed(order):
            begin = perf_counter()
            each.step(range(index, index + 1))
            times[name].append(perf_counter() - begin)
    mine, bare_time = min(times["ours"]), min(times["bare"])
    return mine, bare_time, 100 * (mine / bare_time - 1)


@contextmanager
def timed_parts(model: Any, spent: dict[str, float]) -> Iterator[None]:
    begun: dict[str, float] = {}
    handles = []
    for name in PARTS:
        part = getattr(model, name, None)
        if part is not None:
            handles += [
                part.register_forward_pre_hook(
                    lambda *_, name=name: begun.update({name: perf_counter()})
                ),
                part.register_forward_hook(
                    lambda *_, name=name: spent.update(
                        {name: spent[name] + perf_counter() - begun[name]}
                    )
                ),
            ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def part_times(ours: Ours, rounds: int) -> dict[str, float]:
    """Seconds of one object on one frame, by part."""
    ours.become(1)
    spent: dict[str, float] = defaultdict(float)
    enlarge = ours.tracker._enlarge

    def timed(answer: Any) -> Any:
        begin = perf_counter()
        mask = enlarge(answer)
        spent["mask to the video's size"] += perf_counter() - begin
        return mask

    ours.tracker._enlarge = timed  # type: ignore[method-assign]
    begin = perf_counter()
    with timed_parts(ours.tracker.network.model, spent):
        ours.step(range(WARM, WARM + rounds))
    spent["all"] = perf_counter() - begin
    spent["rest"] = 2 * spent["all"] - sum(spent.values())
    return {name: seconds / rounds for name, seconds in spent.items()}


def batching(model: Any, rounds: int, batch: int = 4) -> dict[str, tuple[float, float, float]]:
    """Of each part: seconds for `batch` objects one by one, at once, and how far results differ."""
    tokens, channels = 4096, 64
    side = model.backbone_feature_sizes[-1]
    hidden = model.hidden_dim
    edge = hasattr(model, "spatial_perceiver")
    memories = 7 * (512 if edge else tokens)
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    maps = Maps(model).maps
    memory, places = random(memories + 64, batch, channels), random(memories + 64, batch, channels)
    seen, position = random(tokens, 1, hidden), random(tokens, 1, hidden)
    features, masks = random(batch, hidden, *side), random(batch, 1, 1024, 1024)
    sparse = random(batch, 1, 2, hidden)

    def attend(i: slice) -> torch.Tensor:
        n = len(range(batch)[i])
        extra = {"num_spatial_memory_tokens": 7} if edge else {}
        return model.memory_attention(
            current_vision_features=seen.expand(-1, n, -1),
            current_vision_position_embeddings=position.expand(-1, n, -1),
            memory=memory[:, i],
            memory_posision_embeddings=places[:, i],
            num_object_pointer_tokens=64,
            **extra,
        )

    def decode(i: slice) -> torch.Tensor:
        n = len(range(batch)[i])
        dense = model.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return model.mask_decoder(
            image_embeddings=features[i],
            image_positional_embeddings=model.get_image_wide_positional_embeddings().repeat(
                n, 1, 1, 1
            ),
            sparse_prompt_embeddings=sparse[i],
            dense_prompt_embeddings=dense.expand(n, -1, *side),
            multimask_output=True,
            high_resolution_features=[
                maps["level0"].expand(n, -1, -1, -1),
                maps["level1"].expand(n, -1, -1, -1),
            ],
        )[0]

    def encode(i: slice) -> torch.Tensor:
        return model.memory_encoder(features[i], masks[i])[0]

    found = {}
    for name, part in (
        ("memory_attention", attend),
        ("mask_decoder", decode),
        ("memory_encoder", encode),
    ):
        single, together, worst = [], [], 0.0
        for _ in range(rounds):
            with torch.inference_mode():
                begin = perf_counter()
                ones = [part(slice(i, i + 1)) for i in range(batch)]
                single.append(perf_counter() - begin)
                begin = perf_counter()
                at_once = part(slice(0, batch))
                together.append(perf_counter() - begin)
            flat = torch.cat([one.reshape(1, -1) for one in ones])
            axis = 1 if at_once.shape[0] != batch else 0
            other = at_once.movedim(axis, 0).reshape(batch, -1)
            worst = max(worst, float((flat - other).abs().max()))
        found[name] = min(single), min(together), worst
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["edgetam", "sam2.1-tiny"])
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, nargs="*", default=[8, 4, 2])
    parser.add_argument("--parts", action="store_true", help="also where the time goes")
    parser.add_argument("--batching", action="store_true", help="also whether batching helps")
    arguments = parser.parse_args()
    for name in arguments.models:
        model = make_model(name)
        ours = Ours(model, WARM + max(arguments.rounds) + 1)
        for n_objects, rounds in zip(arguments.objects, arguments.rounds, strict=True):
            mine, bare, more = compare(ours, n_objects, rounds)
            print(
                f"| {name} | {n_objects} | {mine:.2f} | {bare:.2f} | {more:+.1f} % "
                f"| {mine / n_objects:.2f} |",
                flush=True,
            )
        if arguments.parts:
            for part, seconds in part_times(ours, arguments.rounds[0]).items():
                print(f"| {name} | {part} | {seconds:.3f} s |", flush=True)
        if arguments.batching:
            for part, (single, together, worst) in batching(model, 2).items():
                print(
                    f"| {name} | {part} | 4 one by one {single:.2f} s | at once {together:.2f} s "
                    f"| differ by {worst:.1e} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

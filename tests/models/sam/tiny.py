"""Tiny models of each real architecture, with random weights that answer something.

Freshly made weights say "object absent" for ever, and masks that hardly depend on the prompt: then
every test of equality passes on empty masks. So the weights are drawn wider than for training, the
score heads say "present", and clicks and pictures change the masks. They are numpy's random
numbers: those that PyTorch draws after one seed differ from processor to processor.

Each `make_*` gives the model; `save` writes it as real weights are written, config and processor
beside it, to be loaded through the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    EdgeTamVideoConfig,
    EdgeTamVideoModel,
    PreTrainedModel,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam3TrackerVideoConfig,
    Sam3TrackerVideoModel,
    Sam3VideoConfig,
    Sam3VideoModel,
)
from transformers.models.sam2.image_processing_sam2 import Sam2ImageProcessor
from transformers.models.sam3.image_processing_sam3 import Sam3ImageProcessor
from transformers.models.sam3_tracker_video.processing_sam3_tracker_video import (
    Sam3TrackerVideoProcessor,
)

from napari_sam3.models.sam.upstream import session_kind

SIZE = 128  # of SAM 2 and EdgeTAM, px; features are 8 x 8
SIZE3 = 112  # of SAM 3: 14 px a patch, features are 8 x 8 too
HIDDEN = 128  # twice the memory's channels: upstream stumbles where they are equal
VOCABULARY = 64  # words that the tiny text encoder of SAM 3 tells apart

_DECODER = {
    "hidden_size": HIDDEN,
    "mlp_dim": 64,
    "num_attention_heads": 2,
    "iou_head_hidden_dim": 32,
}
# what all trackers have; the memory's 64 channels are fixed upstream
_TRACKER = {
    "memory_attention_hidden_size": HIDDEN,
    "memory_attention_num_layers": 2,
    "memory_encoder_hidden_size": HIDDEN,
    "memory_encoder_output_channels": 64,
    "mask_downsampler_embed_dim": HIDDEN,
    "memory_fuser_embed_dim": HIDDEN,
    "memory_fuser_intermediate_dim": 64,
    "memory_fuser_num_layers": 1,
    "mask_decoder_config": _DECODER,
}


def _feature_sizes(side: int) -> list[list[int]]:
    return [[4 * side, 4 * side], [2 * side, 2 * side], [side, side]]


def make_sam2(seed: int = 0, **config: Any) -> Sam2VideoModel:
    """SAM 2.1: Hiera encoder, memory of seven frames."""
    side = SIZE // 16
    return _make(
        Sam2VideoModel,
        Sam2VideoConfig(
            image_size=SIZE,
            vision_config={
                "backbone_config": {
                    "model_type": "sam2_hiera_det_model",
                    "hidden_size": 16,
                    "image_size": [SIZE, SIZE],
                    "blocks_per_stage": [1, 1, 2, 1],
                    "embed_dim_per_stage": [16, 32, 64, 128],
                    "num_attention_heads_per_stage": [1, 1, 2, 2],
                    "window_size_per_stage": [8, 4, 8, 4],
                    "global_attention_blocks": [3],
                },
                "backbone_channel_list": [128, 64, 32, 16],
                "backbone_feature_sizes": _feature_sizes(side),
                "fpn_hidden_size": HIDDEN,
            },
            prompt_encoder_config={"hidden_size": HIDDEN, "image_size": SIZE},
            memory_attention_feed_forward_hidden_size=64,
            memory_attention_rope_feat_sizes=[side, side],
            **_TRACKER,
            **config,
        ),
        seed,
    )


def make_edgetam(seed: int = 0, **config: Any) -> EdgeTamVideoModel:
    """EdgeTAM: RepViT encoder out of timm, memories squeezed by a perceiver."""
    side = SIZE // 16
    return _make(
        EdgeTamVideoModel,
        EdgeTamVideoConfig(
            image_size=SIZE,
            vision_config={
                "model_type": "edgetam_vision_model",
                "backbone_config": {
                    "model_type": "timm_wrapper",
                    "architecture": "repvit_m1",
                    "num_classes": 2,
                    "model_args": {
                        "in_chans": 3,
                        "features_only": True,
                        "out_indices": [0, 1, 2, 3],
                        "embed_dim": [16, 32, 64, 128],
                        "depth": [1, 1, 2, 1],
                    },
                },
                "backbone_channel_list": [128, 64, 32, 16],
                "backbone_feature_sizes": _feature_sizes(side),
                "fpn_hidden_size": HIDDEN,
            },
            prompt_encoder_config={"hidden_size": HIDDEN, "image_size": SIZE},
            memory_attention_mlp_hidden_size=64,
            memory_attention_rope_feat_sizes=[side, side],
            memory_attention_rope_k_sizes=[4, 4],
            perceiver_resampler_num_latents=16,
            perceiver_resampler_num_latents_2d=16,
            perceiver_resampler_mlp_intermediate_size=64,
            **_TRACKER,
            **config,
        ),
        seed,
    )


def _sam3_vision() -> dict[str, Any]:
    return {
        "model_type": "sam3_vision_model",
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIZE3,
            "pretrain_image_size": SIZE3,
            "window_size": 4,
            "global_attn_indexes": [1],
        },
        "fpn_hidden_size": HIDDEN,
        "backbone_feature_sizes": _feature_sizes(SIZE3 // 14),
    }


def _sam3_tracker(**config: Any) -> Sam3TrackerVideoConfig:
    return Sam3TrackerVideoConfig(
        image_size=SIZE3,
        vision_config=_sam3_vision(),
        prompt_encoder_config={"hidden_size": HIDDEN, "image_size": SIZE3, "patch_size": 14},
        memory_attention_feed_forward_hidden_size=64,
        **_TRACKER,
        **config,
    )


def make_sam3_tracker(seed: int = 0, **config: Any) -> Sam3TrackerVideoModel:
    """SAM 3's tracker by itself: clicks, boxes and masks, no text."""
    return _make(Sam3TrackerVideoModel, _sam3_tracker(**config), seed)


def make_sam3(seed: int = 0, **config: Any) -> Sam3VideoModel:
    """SAM 3: detector with text and exemplars, and the tracker over one encoder."""
    side = SIZE3 // 14
    small = {"hidden_size": HIDDEN, "num_attention_heads": 2}
    layers = {**small, "num_layers": 1, "intermediate_size": 64}
    return _make(
        Sam3VideoModel,
        Sam3VideoConfig(
            detector_config={
                "model_type": "sam3",
                "vision_config": _sam3_vision(),
                "text_config": {
                    "model_type": "clip_text_model",
                    "vocab_size": VOCABULARY,
                    "hidden_size": 64,
                    "intermediate_size": 64,
                    "projection_dim": 64,
                    "num_hidden_layers": 1,
                    "num_attention_heads": 2,
                    "max_position_embeddings": 32,
                    "hidden_act": "gelu",
                    "bos_token_id": 0,
                    "eos_token_id": 1,
                    "pad_token_id": 1,
                },
                "geometry_encoder_config": layers,
                "detr_encoder_config": layers,
                "detr_decoder_config": {**layers, "num_layers": 2, "num_queries": 8},
                "mask_decoder_config": small,
            },
            tracker_config=_sam3_tracker().to_dict(),
            low_res_mask_size=4 * side,
            **config,
        ),
        seed,
    )


MAKERS: dict[str, Callable[..., PreTrainedModel]] = {
    "sam2": make_sam2,
    "edgetam": make_edgetam,
    "sam3_tracker": make_sam3_tracker,
    "sam3": make_sam3,
}


def save(model: PreTrainedModel, folder: Path) -> Path:
    """Write weights, config and processor as they lie on the hub (SAM 3's tokenizer excepted)."""
    model.save_pretrained(folder)
    make_processor(model).save_pretrained(folder)
    return folder


def make_processor(model: PreTrainedModel) -> Any:
    """The processor of a tracker model (of SAM 3: of its tracker), at the model's resolution."""
    side = model.config.image_size
    size = {"height": side, "width": side}
    if isinstance(model, Sam3VideoModel | Sam3TrackerVideoModel):
        half = [0.5, 0.5, 0.5]
        return Sam3TrackerVideoProcessor(
            Sam3ImageProcessor(
                size=size, mask_size={"height": side * 4 // 14, "width": side * 4 // 14}
            ),
            Sam2VideoVideoProcessor(size=size, image_mean=half, image_std=half),
            target_size=side,
        )
    return Sam2VideoProcessor(
        Sam2ImageProcessor(size=size, mask_size={"height": side // 4, "width": side // 4}),
        Sam2VideoVideoProcessor(size=size),
        target_size=side,
    )


def draw_normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Numbers of mean 0 and deviation 1, float32; the same ones on every processor."""
    return torch.from_numpy(rng.standard_normal(shape, np.float32))


def _make(kind: type[Any], config: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = kind(config).eval()
        _draw_weights(model, rng)
        _say_present(model)
        _balance(model, rng)
    return model


def _draw_weights(model: torch.nn.Module, rng: np.random.Generator) -> None:
    """Draw all that is random, so wide that signals neither die nor explode on their way."""
    for name, buffer in model.named_buffers():
        if name.endswith("positional_embedding"):
            buffer.copy_(draw_normal(rng, *buffer.shape))
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            continue
        is_layer = parameter.ndim >= 2 and "embed" not in name and "token" not in name
        deviation = parameter[0].numel() ** -0.5 if is_layer else 0.5
        parameter.copy_(draw_normal(rng, *parameter.shape) * deviation)
    for name, module in model.named_modules():
        if "mask_decoder.transformer" in name and name.endswith(("q_proj", "k_proj")):
            module.weight.mul_(3.0)  # look at places, not at the average of all
        elif "memory_attention" in name and name.endswith(
            ("attn_image.q_proj", "attn_image.k_proj")
        ):
            module.weight.mul_(3.0)
        elif name.endswith("mask_downsampler.final_conv"):
            module.weight.mul_(4.0)  # memories differ by the masks, not only by the picture
        elif "detr_decoder" in name and name.endswith(
            ("self_attn.o_proj", "vision_cross_attn.o_proj")
        ):
            module.weight.mul_(0.2)  # queries shall find different things
        elif name.endswith(("conv_s0", "conv_s1")):
            module.weight.mul_(0.1)  # the picture shall not drown what prompts and memories say


def _say_present(model: torch.nn.Module) -> None:
    for name, module in model.named_modules():
        if name.endswith("pred_obj_score_head"):
            module.proj_out.bias.fill_(4.0)
        elif name.endswith("presence_head"):
            list(module.children())[-1].bias.fill_(4.0)


def _balance(model: Any, rng: np.random.Generator) -> None:
    """Turn the masks so that about half of a picture lies inside, prompted or tracked.

    Random weights give masks that are nearly all or nearly nothing, since what is the same all over
    a picture outweighs the rest. That part is taken out of the networks that make a mask's filter.
    """
    tracker = model.tracker_model if isinstance(model, Sam3VideoModel) else model
    decoder = tracker.mask_decoder
    side = model.config.image_size
    coarse = draw_normal(rng, 2, 3, side // 16, side // 16)
    pixels = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    session = session_kind(tracker)(video=pixels, dtype=torch.float32)
    session.cache.max_vision_features_cache_size = 2
    for index in range(2):
        if tracker is model:
            seen = model.get_image_features(pixels[index : index + 1], return_dict=True)
            maps, positions = seen.fpn_hidden_states, seen.fpn_position_encoding
        else:
            seen = model.detector_model.get_vision_features(pixels[index : index + 1])
            maps, positions = model.get_vision_features_for_tracker(seen)
        session.cache.cache_vision_features(
            index, {"vision_feats": maps, "vision_pos_embeds": positions}
        )
    session.obj_id_to_idx(1)
    middle = torch.full((1, 1, 1, 2), side / 2)
    label = torch.ones(1, 1, 1, dtype=torch.int32)
    session.add_point_inputs(0, 0, {"point_coords": middle, "point_labels": label})
    session.obj_with_new_inputs = [1]
    pixel_values: list[torch.Tensor] = []  # of the map that filters are laid on, (1, C, H, W)
    handle = decoder.activation.register_forward_hook(
        lambda _module, _inputs, output: pixel_values.append(output)
    )
    try:
        for index in range(2):
            tracker(session, frame_idx=index)
    finally:
        handle.remove()
    widest = [v for v in pixel_values if v.shape[1] == HIDDEN // 8]
    common, _ = torch.linalg.qr(torch.stack([v.mean(dim=(0, 2, 3)) for v in widest], dim=1))
    for network in decoder.output_hypernetworks_mlps:
        last = network.proj_out
        last.weight.copy_(last.weight - common @ (common.T @ last.weight))
        last.bias.copy_(last.bias - common @ (common.T @ last.bias))

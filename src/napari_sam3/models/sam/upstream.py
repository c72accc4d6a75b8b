"""All of transformers' video models that is used here beside their public `forward`.

These names are no promise of transformers, so they may change with any version. Each is looked for
when a model is loaded: a person is told of the version, and no mask comes out wrong instead.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import transformers
from torch import Tensor

from napari_sam3.errors import ModelUnavailableError

VERSIONS_RUN = ("5.20", "5.22", "5.23", "5.24")
"""Versions of transformers that the tests of this folder were run with."""

Calls = Mapping[str, tuple[str, ...]]
"""The parameters that a call names or gives by place, by the name of what is called."""

_FRAME = ("inference_session", "obj_idx", "frame_idx")

TRACKER_CALLS: Calls = {
    "forward": ("inference_session", "frame_idx"),
    "get_image_features": ("pixel_values",),
    "get_image_wide_positional_embeddings": (),
    "get_prompt_embeddings": ("input_points", "input_labels", "input_boxes", "input_masks"),
    "_build_memory_attention_inputs": ("temporal_positions_and_previous_outputs", "device"),
    "_encode_new_memory": (
        "current_vision_feats",
        "pred_masks_high_res",
        "object_score_logits",
        "is_mask_from_pts",
    ),
    "_gather_memory_frame_outputs": (*_FRAME, "track_in_reverse_time"),
    "_get_object_pointers": (*_FRAME, "num_total_frames", "device", "track_in_reverse_time"),
    "_single_frame_forward": ("image_embeddings", "multimask_output"),
    "_use_multimask": ("is_init_cond_frame", "point_inputs"),
}
TRACKER_FIELDS = (
    "backbone_feature_sizes",
    "config.enable_temporal_pos_encoding_for_object_pointers",
    "config.max_cond_frame_num",
    "config.max_object_pointers_in_encoder",
    "config.num_maskmem",
    "hidden_dim",
    "image_size",
    "mem_dim",
    "no_memory_embedding",
    "prompt_encoder.mask_input_size",
    "temporal_positional_encoding_projection_layer",
)
ATTENTION_CALLS: Calls = {
    "forward": (
        "current_vision_features",
        "memory",
        "current_vision_position_embeddings",
        "memory_posision_embeddings",
        "num_object_pointer_tokens",
    )
}
DECODER_CALLS: Calls = {
    "forward": (
        "image_embeddings",
        "image_positional_embeddings",
        "sparse_prompt_embeddings",
        "dense_prompt_embeddings",
        "multimask_output",
        "high_resolution_features",
    )
}
SINE_CALLS: Calls = {
    "__init__": ("num_position_features", "normalize"),
    "forward": ("shape", "device", "dtype"),
}
AGES_ENCODING = "get_1d_sine_pe"

TRACKER_SESSION_CALLS: Calls = {
    "__init__": (
        "video_height",
        "video_width",
        "inference_device",
        "inference_state_device",
        "video_storage_device",
        "dtype",
    ),
    "add_mask_inputs": ("obj_idx", "frame_idx", "inputs"),
    "add_point_inputs": ("obj_idx", "frame_idx", "inputs"),
    "obj_id_to_idx": ("obj_id",),
}
TRACKER_SESSION_FIELDS = ("obj_with_new_inputs", "output_dict_per_obj", "processed_frames")
CACHE_CALLS: Calls = {"cache_vision_features": ("frame_idx", "features"), "clear_all": ()}

CONCEPT_CALLS: Calls = {
    "get_vision_features_for_tracker": ("vision_embeds",),
    "run_detection": ("inference_session", "vision_embeds"),
    "run_tracker_propagation": ("inference_session", "frame_idx", "reverse"),
    "run_tracker_update_execution_phase": (
        "inference_session",
        "frame_idx",
        "det_out",
        "tracker_update_plan",
        "reverse",
    ),
    "run_tracker_update_planning_phase": (
        "inference_session",
        "frame_idx",
        "reverse",
        "det_out",
        "tracker_low_res_masks_global",
        "tracker_obj_scores_global",
        "det_idx_to_prompt_id",
        "streaming",
    ),
}
CONCEPT_FIELDS = (
    "config.det_nms_thresh",
    "config.fill_hole_area",
    "det_nms_thresh",
    "detector_model.config.text_config.max_position_embeddings",
    "detector_model.vision_encoder.backbone",
    "detector_model.vision_encoder.neck",
    "fill_hole_area",
    "hotstart_delay",
    "hotstart_dup_thresh",
    "hotstart_unmatch_thresh",
    "low_res_mask_size",
    "max_num_objects",
)
DETECTOR_CALLS: Calls = {"get_text_features": ("input_ids", "attention_mask")}
GEOMETRY_CALLS: Calls = {
    "forward": ("box_embeddings", "box_mask", "box_labels", "img_feats", "img_pos_embeds")
}
CONCEPT_SESSION_CALLS: Calls = {
    "__init__": ("inference_device", "inference_state_device", "dtype"),
    "obj_id_to_idx": ("obj_id",),
    "obj_idx_to_id": ("obj_idx",),
    "remove_object": ("obj_id",),
    "reset_state": (),
}
CONCEPT_SESSION_FIELDS = (
    "frames_tracked_per_obj",
    "mask_inputs_per_obj",
    "max_obj_id",
    "obj_first_frame_idx",
    "obj_id_to_last_occluded",
    "obj_id_to_score",
    "obj_id_to_tracker_score_frame_wise",
    "obj_ids",
    "output_dict_per_obj",
    "overlap_pair_to_frame_inds",
    "processed_frames",
    "prompt_attention_masks",
    "prompt_embeddings",
    "prompts",
    "removed_obj_ids",
    "suppressed_obj_ids",
    "trk_keep_alive",
    "unmatched_frame_inds",
)


_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_NOTHING = object()


def session_kind(model: Any) -> Any:
    """The class of the sessions that a video model takes."""
    kind = type(model).__name__.removesuffix("Model") + "InferenceSession"
    return getattr(transformers, kind)


def ages_encoding(model: Any) -> Callable[[Tensor, int], Tensor]:
    """The function by which a tracker's module writes ages as so many sines and cosines."""
    encode: Callable[..., Tensor] = getattr(sys.modules[type(model).__module__], AGES_ENCODING)
    return lambda ages, width: encode(ages, dim=width)


class MemoryChoice(Protocol):
    """Says what a tracker looks at, in the words of its own session."""

    def maps(self, session: Any, obj_idx: int, frame_idx: int) -> list[tuple[int, dict[str, Any]]]:
        """Outputs whose spatial memories are looked at, each with its place in time."""
        ...

    def pointers(
        self, session: Any, obj_idx: int, frame_idx: int
    ) -> tuple[list[int], list[Tensor], int]:
        """Ages of pointers, the pointers, and how many there are at most."""
        ...


@contextmanager
def looking_back_by(tracker: Any, choice: MemoryChoice) -> Iterator[None]:
    """Have a tracker look at what `choice` says, in place of all that its session holds."""

    def gather(inference_session: Any, obj_idx: int, frame_idx: int, *_: Any, **__: Any) -> Any:
        return choice.maps(inference_session, obj_idx, frame_idx)

    def point(inference_session: Any, obj_idx: int, frame_idx: int, *_: Any, **__: Any) -> Any:
        return choice.pointers(inference_session, obj_idx, frame_idx)

    tracker._gather_memory_frame_outputs = gather
    tracker._get_object_pointers = point
    try:
        yield
    finally:
        del tracker._gather_memory_frame_outputs, tracker._get_object_pointers


def check_upstream(model: Any) -> None:
    """See that a video model has all that is used of it here.

    Raises
    ------
    ModelUnavailableError
        If it has not: this version of transformers is another one than was run.
    """
    is_concept_model = hasattr(model, "tracker_model")
    tracker = model.tracker_model if is_concept_model else model
    missing = [*_missing_of_tracker(tracker)]
    if is_concept_model:
        missing += _missing_of_concepts(model)
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ModelUnavailableError(
            f"transformers {transformers.__version__} is not built as this package needs it "
            f"({listed}); it was run with {', '.join(VERSIONS_RUN)}: install one of these"
        )


def _missing_of_tracker(tracker: Any) -> Iterator[str]:
    yield from _missing(tracker, TRACKER_CALLS, TRACKER_FIELDS)
    module = sys.modules[type(tracker).__module__]
    if not callable(getattr(module, AGES_ENCODING, None)):
        yield f"{module.__name__}.{AGES_ENCODING}"
    for path, calls in (
        ("memory_attention", ATTENTION_CALLS),
        ("mask_decoder", DECODER_CALLS),
        ("memory_encoder.position_encoding", SINE_CALLS),
    ):
        yield from _missing_part(tracker, path, calls)
    yield from _missing_of_session(tracker, TRACKER_SESSION_CALLS, TRACKER_SESSION_FIELDS)


def _missing_of_concepts(model: Any) -> Iterator[str]:
    yield from _missing(model, CONCEPT_CALLS, CONCEPT_FIELDS)
    yield from _missing_part(model, "detector_model", DETECTOR_CALLS)
    yield from _missing_part(model, "detector_model.geometry_encoder", GEOMETRY_CALLS)
    yield from _missing_of_session(model, CONCEPT_SESSION_CALLS, CONCEPT_SESSION_FIELDS)


def _missing_of_session(model: Any, calls: Calls, fields: Iterable[str]) -> Iterator[str]:
    try:
        session = session_kind(model)()
    except (AttributeError, TypeError):
        yield f"{type(model).__name__} has no session that is made without arguments"
        return
    yield from _missing(session, calls, fields)
    yield from _missing_part(session, "cache", CACHE_CALLS)


def _missing_part(whole: Any, path: str, calls: Calls) -> Iterator[str]:
    part = _find(whole, path)
    if part is _NOTHING:
        yield f"{type(whole).__name__}.{path}"
    else:
        yield from _missing(part, calls, ())


def _missing(thing: Any, calls: Calls, fields: Iterable[str]) -> Iterator[str]:
    owner = type(thing).__name__
    for name, parameters in calls.items():
        function = getattr(thing, name, None)
        if not callable(function):
            yield f"{owner}.{name}"
        elif not _takes(function, parameters):
            yield f"{owner}.{name}({', '.join(parameters)})"
    for path in fields:
        if _find(thing, path) is _NOTHING:
            yield f"{owner}.{path}"


def _takes(function: Callable[..., Any], names: tuple[str, ...]) -> bool:
    """Whether it has parameters of these names, in this order, and asks for no others."""
    parameters = inspect.signature(function).parameters.values()
    asked = [p.name for p in parameters if p.default is p.empty and p.kind not in _COLLECTING]
    return [p.name for p in parameters if p.name in names] == [*names] and {*asked} <= {*names}


def _find(thing: Any, path: str) -> Any:
    for name in path.split("."):
        thing = getattr(thing, name, _NOTHING)
    return thing

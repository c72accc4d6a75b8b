"""What a folder of a model may hold: weights as safetensors, and a config that runs no code.

transformers takes more from a `config.json` than numbers: kernels and code of a hub, other files
as weights, a way to unpack them. Nothing of that belongs to the families read here, and a folder
may be a stranger's, so it is refused. Neither torch nor transformers is needed to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_sam3.errors import ModelUnavailableError, UnsafeFileError
from napari_sam3.plain_files import open_plain, read_text

MOST_TEXT = 64 * 2**20
"""Bytes of a config, a tokenizer or another file of text."""

WEIGHTS_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\.safetensors")

_TEXTS = {".json", ".txt", ".jinja", ".model"}
_ADAPTER = "adapter_config.json"  # by it other weights would be taken, from anywhere
_MODEL_TYPES = re.compile(r"((sam2|sam3|edgetam)(_\w+)?|clip_text_model|timm_wrapper)?")  # or none
_CHOICES = re.compile("(attn|experts)_implementation(_internal)?")
_ATTENTION = {None, "eager", "sdpa"}
_CODE = {
    "adapter_config",
    "auto_map",
    "backbone",
    "base_model_name_or_path",
    "custom_pipelines",
    "device_map",
    "gguf_file",
    "hub_kernel",
    "kernel_config",
    "quantization_config",
    "transformers_weights",
    "trust_remote_code",
    "use_kernels",
    "use_pretrained_backbone",
}
_ENCODER = re.compile(r"(timm/)?repvit_\w+(\.\w+)?")
_ENCODER_ARGUMENTS = {"depth", "embed_dim", "features_only", "in_chans", "out_indices"}
_LARGEST, _MOST_LAYERS = 2**17, 512
_LAYERS = re.compile("layers|blocks|depth")


def read_model_text(path: Path) -> str:
    """A file of text of a model; links are followed, for the hub's cache is made of them.

    Raises
    ------
    OSError
        If there is none, or it is no plain file of bounded size.
    ValueError
        If it is no text.
    """
    return read_text(path.resolve(), most_bytes=MOST_TEXT)


def check_folder_of_model(folder: Path) -> None:
    """Make sure that no file of a folder leads to code, to other weights, or never ends.

    Raises
    ------
    ModelUnavailableError
        If one does.
    OSError
        If the folder can't be read.
    """
    if (folder / _ADAPTER).exists():
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} is an adapter to other weights ({_ADAPTER}), which are "
            "not looked for; merge it with them, and name the folder of the whole model"
        )
    for path in folder.iterdir():
        if path.suffix in _TEXTS and path.exists() and not path.is_dir():
            try:
                open_plain(path.resolve(), most_bytes=MOST_TEXT).close()
            except UnsafeFileError as exc:
                raise ModelUnavailableError(f"the model can't be used: {exc}") from exc


def check_config(config: Any, where: str) -> None:
    """Make sure that a config tells of a network and nothing else.

    Raises
    ------
    ModelUnavailableError
        If something in it makes transformers fetch or run code, or is beyond any size.
    """
    for key, value in _entries(config):
        fault = _fault(key, value)
        if fault is not None:
            raise ModelUnavailableError(
                f"{where!r} says {key}: {value!r:.80}, {fault}; take it out if you know the model "
                "works without, or get the model again"
            )


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Each key with its value, and each value of a list with the key of the list."""
    left = [("", config)]
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            for name, inner in value.items():
                yield str(name), inner
                left.append((str(name), inner))
        elif isinstance(value, list):
            for inner in value:
                yield key, inner
                left.append((key, inner))


def _fault(key: str, value: Any) -> str | None:
    name = key.lstrip("_")
    if name in _CODE and value:
        return "by which code or weights from elsewhere would be used"
    if _CHOICES.fullmatch(name):
        told = value.values() if isinstance(value, dict) else [value]
        if any(not isinstance(one, str | None) or one not in _ATTENTION for one in told):
            return "which would be fetched from a hub; 'sdpa' and 'eager' are known here"
    if name == "model_type" and not (isinstance(value, str) and _MODEL_TYPES.fullmatch(value)):
        return "which no model that is known here has as a part"
    if name == "architecture" and not (isinstance(value, str) and _ENCODER.fullmatch(value)):
        return "which is no image encoder of a model that is known here"
    if name == "model_args" and isinstance(value, dict) and set(value) - _ENCODER_ARGUMENTS:
        return f"but an image encoder takes {', '.join(sorted(_ENCODER_ARGUMENTS))}"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"and no number of a model known here is beyond {_LARGEST}"
    if isinstance(value, int) and _LAYERS.search(name) and value > _MOST_LAYERS:
        return f"and no model known here has more than {_MOST_LAYERS} layers"
    return None

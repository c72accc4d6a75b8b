"""Folders of models that would have code run or fetched, hang, or fill the memory."""

from __future__ import annotations

import json
import os
import struct

import pytest

from napari_sam3.errors import ModelError
from napari_sam3.models.weights.catalogue import FAMILIES
from napari_sam3.models.weights.local_files import (
    read_family,
    what_is_missing,
)
from napari_sam3.models.weights.own_models import use_folder
from tests.models.weights.folders import write_model


@pytest.fixture
def folder(tmp_path, weights_home):
    return write_model(tmp_path / "model")


def say(folder, **said):
    (folder / "config.json").write_text(json.dumps({"model_type": "sam2_video", **said}))


@pytest.mark.parametrize(
    "said",
    [
        {"_attn_implementation": "somebody/kernel"},
        {"attn_implementation": {"vision_config": "somebody/kernel@main:attention"}},
        {"_attn_implementation_internal": "flash_attention_2"},  # else a kernel is fetched for it
        {"vision_config": {"_attn_implementation": "somebody/kernel"}},
        {"vision_config": {"backbone_config": {"attn_implementation": "paged|somebody/kernel"}}},
        {"experts_implementation": "somebody/kernel"},
        {"auto_map": {"AutoModel": "somebody/code--modeling.Model"}},
        {"vision_config": {"auto_map": {"AutoConfig": "code.Config"}}},
        {"quantization_config": {"quant_method": "somebody"}},
        {"transformers_weights": "weights.bin"},
        {"use_kernels": True},
        {"vision_config": {"model_type": "llama"}},
        {"vision_config": {"model_type": ["sam2"]}},
        {"vision_config": {"backbone": "somebody/backbone", "use_pretrained_backbone": True}},
        {"vision_config": {"backbone_config": {"architecture": "hf-hub:somebody/encoder"}}},
        {"vision_config": {"backbone_config": {"architecture": "local-dir:/tmp"}}},
        {"vision_config": {"backbone_config": {"model_args": {"checkpoint_path": "a.pth"}}}},
        {"vision_config": {"hidden_size": 10**9}},
        {"memory_attention_num_layers": 10**5},
        {"vision_config": {"blocks_per_stage": [1, 10**5]}},
    ],
)
def test_a_config_that_says_more_than_a_network_is_refused(folder, said):
    say(folder, **said)
    with pytest.raises(ModelError, match=r"config\.json"):
        read_family(folder)
    with pytest.raises(ModelError):
        use_folder(folder)


def test_what_real_configs_say_is_read(folder):
    say(
        folder,
        _attn_implementation_autoset=True,
        attn_implementation="sdpa",
        auto_map=None,
        vision_config={"model_type": "", "attn_implementation": None},
        text_config={"vocab_size": 49408, "model_type": "clip_text_model"},
        mask_downsampler_kernel_size=3,
    )
    assert read_family(folder) == FAMILIES["sam2_video"]


def test_an_adapter_to_other_weights_is_refused(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/model"}')
    with pytest.raises(ModelError, match="adapter"):
        read_family(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "merges.txt", "processor_config.json"]
)
def test_a_pipe_is_no_file_of_a_model(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=r"pipe|no config"):
        read_family(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "tokenizer.json"])
def test_a_text_too_large_is_not_read(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(8 * 2**30)
    with pytest.raises(ModelError, match="MB"):
        read_family(folder)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a.bin", "a/b.safetensors"]
)
def test_weights_are_safetensors_in_the_folder(folder, name):
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "no safetensors file in it" in what_is_missing(folder)


def test_pickles_are_no_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "model.safetensors is missing" in what_is_missing(folder)


@pytest.mark.parametrize("kind", ["pipe", "header"])
def test_weights_that_never_end_are_none(folder, kind):
    place = folder / "model.safetensors"
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_bytes(struct.pack("<Q", 2**33))
        with place.open("ab") as file:
            file.truncate(2**34)
    assert what_is_missing(folder) is not None


def test_links_are_followed_as_in_the_hubs_cache(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
    assert read_family(folder) == FAMILIES["sam2_video"]
    assert what_is_missing(folder) is None

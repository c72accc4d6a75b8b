"""The image encoder compiled where that is set, and as it was where it can't be."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_sam3.models.sam import model as sam_model
from napari_sam3.models.sam.compiled import compile_encoder
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.encoder import TrackerEncoder
from napari_sam3.models.sam.load import load_sam
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.models.sam.sam3_vision import Sam3Encoder
from napari_sam3.settings import settings_said
from tests.models.sam import tiny

HALVES = (0.5, 0.5, 0.5)


def make_encoder(family):
    network = tiny.MAKERS[family]()
    pictures = Pictures(network.config.image_size, HALVES, HALVES)
    kind = Sam3Encoder if family == "sam3" else TrackerEncoder
    return kind(network, pictures, Device("cpu"), "key")


def pixels_for(encoder):
    side = encoder.resolution
    return tiny.draw_normal(np.random.default_rng(0), 1, 3, side, side)


def encode(encoder, pixels):
    with encoder.device.computing():
        return encoder.encode(pixels)


@pytest.mark.parametrize("family", list(tiny.MAKERS))
def test_what_was_compiled_is_what_encodes(family, monkeypatch):
    encoder = make_encoder(family)
    pixels = pixels_for(encoder)
    before = encode(encoder, pixels)
    shapes = []

    def pretend_compile(forward, dynamic):
        def compiled(values, *args, **kwargs):
            shapes.append(tuple(values.shape))
            return forward(values, *args, **kwargs)

        return compiled

    monkeypatch.setattr(torch, "compile", pretend_compile)
    assert compile_encoder(encoder)
    assert encoder.key == "key-compiled"  # it rounds otherwise
    after = encode(encoder, pixels)
    assert shapes == [tuple(pixels.shape)] * 2  # compiled for the pictures that come
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_encoder_that_can_not_be_compiled_runs_as_it_is(monkeypatch, caplog):
    encoder = make_encoder("sam2")
    pixels = pixels_for(encoder)
    before = encode(encoder, pixels)

    def fail(*_args, **_kwargs):
        raise RuntimeError("Cannot find a working triton installation\nand more")

    monkeypatch.setattr(torch, "compile", lambda forward, dynamic: fail)
    assert not compile_encoder(encoder)
    assert encoder.key == "key"
    assert "it can't be compiled: Cannot find a working triton installation" in caplog.text
    after = encode(encoder, pixels)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("kind", "is_set", "compiles"), [("cuda", 1, True), ("cuda", 0, False), ("cpu", 1, False)]
)
def test_it_is_compiled_where_it_is_set_and_on_a_card(
    tmp_path, monkeypatch, kind, is_set, compiles
):
    folder = tiny.save(tiny.make_sam2(), tmp_path)
    loaded = load_sam(folder, "cpu")._loaded
    loaded.device = SimpleNamespace(name=kind, torch=torch.device(kind))
    asked = []
    monkeypatch.setattr(sam_model, "compile_encoder", asked.append)
    with settings_said(compile_encoder=bool(is_set)):
        made = sam_model.SamModel(loaded, "tiny")
    assert asked == ([made._encoder] if compiles else [])


@pytest.mark.sweep
@pytest.mark.parametrize("family", list(tiny.MAKERS))
def test_pytorch_can_follow_the_encoder(family, monkeypatch):
    """Without a code generator, which takes a compiler: what it compiles is what was written."""
    encoder = make_encoder(family)
    pixels = pixels_for(encoder)
    before = encode(encoder, pixels)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    # PyTorch 2.6 does not get through the wrappers that transformers has round its models
    assert compile_encoder(encoder) or torch.__version__.startswith("2.6.")
    after = encode(encoder, pixels)
    for name, value in before.items():
        assert torch.allclose(after[name], value, atol=1e-4)

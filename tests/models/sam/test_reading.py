"""Memories are read in another way on a CPU, and give what upstream's way gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from napari_sam3 import VideoSession
from napari_sam3.models.sam import model as sam_model
from napari_sam3.models.sam.load import load_sam
from napari_sam3.models.sam.reading import add_up, read_narrowly
from tests.models.sam.tiny import MAKERS, save


@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (1024, 2048), (1500, 4099)])
def test_adding_up_in_tiles_is_attention(n_queries, n_keys):
    generator = torch.Generator().manual_seed(0)
    query, key = (5 * torch.randn(n, 16, generator=generator) for n in (n_queries, n_keys))
    value = torch.randn(n_keys, 4, generator=generator)
    theirs = scaled_dot_product_attention(query[None], key[None], value[None], scale=0.25)[0]
    assert torch.allclose(add_up(query, key, value, 0.25), theirs, atol=1e-5)


@pytest.mark.parametrize(("family", "n_layers"), [("sam2", 2), ("sam3_tracker", 2), ("edgetam", 0)])
def test_the_same_but_for_rounding(family, n_layers):
    model = MAKERS[family]()
    attention = model.memory_attention
    generator = torch.Generator().manual_seed(0)
    seen, place = (torch.randn(64, 2, 128, generator=generator) for _ in range(2))
    memory, where = (torch.randn(3 * 64 + 4, 2, 64, generator=generator) for _ in range(2))
    if family == "edgetam":
        assert read_narrowly(model) == n_layers
        return
    with torch.inference_mode():
        theirs = attention(seen, memory, place, where, 4)
        assert read_narrowly(model) == n_layers
        ours = attention(seen, memory, place, where, 4)
    assert not torch.equal(ours, theirs)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_masks_are_the_same_but_for_single_pixels(tmp_path, disc_film, monkeypatch):
    folder = save(MAKERS["sam2"](), tmp_path)

    def track():
        with VideoSession(disc_film, load_sam(folder, "cpu")) as session:
            session.add_prompt(0, points=[[34, 40]])
            return np.array([result.objects[1].mask for result in session.propagate()])

    ours = track()
    monkeypatch.setattr(sam_model, "read_narrowly", lambda network: 0)
    assert np.count_nonzero(ours != track()) < 1e-3 * ours.size

"""Words to numbers, from the files beside a model's weights."""

from __future__ import annotations

import json

import pytest

from napari_sam3.errors import ModelUnavailableError, UnsupportedPromptError
from napari_sam3.models.sam.concept_prompt import Tokenizer
from napari_sam3.models.sam.load import load_sam
from tests.models.sam.tiny import make_sam3, save
from tests.models.sam.words import make_tokenizer, save_tokenizer


def test_words_become_pieces_and_padding(tmp_path):
    tokenizer = Tokenizer.of_folder(save_tokenizer(tmp_path))
    known = make_tokenizer().get_vocab()
    ids, mask = tokenizer.encode("A  Dog", 8)
    begin, end = known["<|startoftext|>"], known["<|endoftext|>"]
    assert ids.tolist() == [[begin, known["a</w>"], known["dog</w>"], *[end] * 5]]
    assert mask.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]


def test_vocabulary_and_merges_will_do(tmp_path):
    whole = make_tokenizer()
    written = json.loads(whole.backend_tokenizer.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(written["vocab"]))
    merges = [" ".join(pair) for pair in written["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    tokenizer = Tokenizer.of_folder(tmp_path)
    expected = Tokenizer(whole).encode("dog cat", 8)
    assert all(
        (a == b).all() for a, b in zip(tokenizer.encode("dog cat", 8), expected, strict=True)
    )


def test_too_long(tmp_path):
    tokenizer = Tokenizer(make_tokenizer())
    assert tokenizer.encode("dog " * 6, 8)[0].shape == (1, 8)
    with pytest.raises(UnsupportedPromptError, match="7 pieces of words, at most 6 fit"):
        tokenizer.encode("dog " * 7, 8)


def test_damaged(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelUnavailableError, match=r"tokenizer in .* can't be read"):
        Tokenizer.of_folder(tmp_path)


def test_without_a_tokenizer_a_model_takes_clicks_alone(tmp_path, caplog):
    model = load_sam(save(make_sam3(), tmp_path), "cpu")
    assert not model.capabilities.text
    assert not model.capabilities.exemplars
    assert model.capabilities.points
    assert "no tokenizer" in caplog.text
    model.close()

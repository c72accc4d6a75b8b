"""A tokenizer of the kind that SAM 3 has, with the few words that the tiny text encoder knows."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase

from transformers import CLIPTokenizer

from tests.models.sam.tiny import VOCABULARY

_MERGES = [
    *(("d", "o"), ("do", "g</w>")),
    *(("v", "i"), ("s", "u"), ("a", "l</w>"), ("su", "al</w>"), ("vi", "sual</w>")),
    *(("c", "a"), ("ca", "t</w>")),
]


def make_tokenizer() -> CLIPTokenizer:
    """Letters, and "dog", "cat" and "visual" as words of one piece."""
    pieces = ["<|startoftext|>", "<|endoftext|>"]
    for letter in ascii_lowercase:
        pieces += [letter, f"{letter}</w>"]
    pieces += [a + b for a, b in _MERGES]
    assert len(pieces) <= VOCABULARY, len(pieces)
    return CLIPTokenizer({piece: i for i, piece in enumerate(pieces)}, _MERGES)


def save_tokenizer(folder: Path) -> Path:
    """Write it as it lies beside SAM 3's weights."""
    make_tokenizer().save_pretrained(folder)
    return folder

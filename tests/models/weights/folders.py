"""Folders that look like models: a config and weights of a few numbers."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def safetensors(n_numbers: int = 16) -> bytes:
    """A safetensors file with one tensor of float32 zeros."""
    header = json.dumps(
        {"numbers": {"dtype": "F32", "shape": [n_numbers], "data_offsets": [0, 4 * n_numbers]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * n_numbers)


def write_model(folder: Path, model_type: str = "sam2_video") -> Path:
    """Write a whole model of a family."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "model.safetensors").write_bytes(safetensors())
    return folder

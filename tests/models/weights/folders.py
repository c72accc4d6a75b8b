"""Folders that look like models: a config and weights of a few numbers."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from napari_sam3.models.weights.local_files import repo_folder


def safetensors(n_numbers: int = 16) -> bytes:
    """A safetensors file with one tensor of float32 zeros."""
    header = json.dumps(
        {"numbers": {"dtype": "F32", "shape": [n_numbers], "data_offsets": [0, 4 * n_numbers]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * n_numbers)


def model_files(model_type: str = "sam2_video", n_numbers: int = 16) -> dict[str, bytes]:
    """The files of a whole model of a family."""
    return {
        "config.json": json.dumps({"model_type": model_type}).encode(),
        "processor_config.json": b"{}",
        "model.safetensors": safetensors(n_numbers),
    }


def write_model(folder: Path, model_type: str = "sam2_video") -> Path:
    """Write a whole model of a family."""
    folder.mkdir(parents=True)
    for name, content in model_files(model_type).items():
        (folder / name).write_bytes(content)
    return folder


def write_snapshot(
    repo_id: str, commit: str = "a" * 40, model_type: str = "sam2_video", *, is_main: bool = True
) -> Path:
    """Write a whole model into the hub's cache, as if it had been downloaded."""
    root = repo_folder(repo_id)
    if is_main:
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text(commit)
    return write_model(root / "snapshots" / commit, model_type)

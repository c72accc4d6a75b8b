"""Stacks of five axes, and files of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

STACK = np.random.default_rng(7).integers(0, 4000, (4, 2, 3, 20, 30)).astype(np.uint16)
"""T, C, Z, Y, X."""

CHANNELS = ["DAPI", "GFP"]
_KINDS = {"t": ("time", "second"), "c": ("channel", None)}


def write_ome_zarr(path: Path, zarr_format: int = 3, stack: np.ndarray = STACK) -> Path:
    """A picture of two levels, of 2 s a frame and 0.5 um a pixel."""
    write_image(zarr.open_group(str(path), mode="w", zarr_format=zarr_format), zarr_format, stack)
    return path


def write_image(group: Any, zarr_format: int = 3, stack: np.ndarray = STACK) -> None:
    names = "tczyx"[-stack.ndim :]
    for level in range(2):
        data = stack[..., :: level + 1, :: level + 1]
        group.create_array(str(level), data=data, chunks=(*(1,) * (stack.ndim - 2), 16, 16))
    axes = []
    for name in names:
        kind, unit = _KINDS.get(name, ("space", "micrometer"))
        axes.append({"name": name, "type": kind, **({"unit": unit} if unit else {})})
    steps = {"t": 2.0, "y": 0.5, "x": 0.5}
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [steps.get(n, 1.0) * (1 + level * (n in "yx")) for n in names],
                }
            ],
        }
        for level in range(2)
    ]
    said = {
        "multiscales": [{"axes": axes, "datasets": datasets}],
        "omero": {"channels": [{"label": name} for name in CHANNELS]},
    }
    group.attrs.update(said if zarr_format == 2 else {"ome": {"version": "0.5", **said}})

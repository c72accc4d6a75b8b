"""Load a model of the SAM family."""

from __future__ import annotations

from pathlib import Path

from napari_sam3.models.sam.folder import load_network
from napari_sam3.models.sam.model import SamModel


def load_sam(
    source: str | Path,
    device: str | None = None,
    *,
    resolution: int | None = None,
    name: str | None = None,
) -> SamModel:
    """Load what a folder in transformers' format holds; the family is read from its config.json.

    Parameters
    ----------
    source : path
        With config.json and weights; of SAM 3 the tokenizer too.
    device : str, optional
        'cpu', 'cuda', 'cuda:1', 'mps'; the best one if left out.
    resolution : int, optional
        Working resolution: side of the square that frames are squeezed to, px. The nearest that
        the architecture can do is taken; what the model was made for if left out or 0.
    name : str, optional
        What the model is called; the folder's name if left out.

    Raises
    ------
    ModelUnavailableError
        If the folder holds no such model, its files are damaged or incomplete, the resolution
        can't be had, or this machine has no such device.
    OutOfDeviceMemoryError
        If the device has no room for it.
    """
    loaded = load_network(source, device, resolution)
    return SamModel(loaded, name or loaded.folder.resolve().name)

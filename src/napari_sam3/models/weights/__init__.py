"""Weights: where they are, what they may be used for, and how to get them.

Nothing here imports torch, and nothing asks the net but `ask_hub`, `download`, `who_am_i`,
`save_token`, and `use_folder` for a hub id.
"""

from napari_sam3.models.weights.availability import (
    TOKEN_PAGE,
    State,
    WeightsState,
    format_bytes,
    is_loaded,
    note_closed,
    note_loaded,
    state_of,
)
from napari_sam3.models.weights.catalogue import FAMILIES, KNOWN, Family, GiB, Licence, Weights
from napari_sam3.models.weights.hub import Account, ask_hub, save_token, who_am_i
from napari_sam3.models.weights.local_files import find_weights, hub_cache, read_family, size_of
from napari_sam3.models.weights.own_models import forget, use_folder
from napari_sam3.models.weights.resumable_download import download
from napari_sam3.models.weights.sources import all_weights, find_source

__all__ = [
    "FAMILIES",
    "KNOWN",
    "TOKEN_PAGE",
    "Account",
    "Family",
    "GiB",
    "Licence",
    "State",
    "Weights",
    "WeightsState",
    "all_weights",
    "ask_hub",
    "download",
    "find_source",
    "find_weights",
    "forget",
    "format_bytes",
    "hub_cache",
    "is_loaded",
    "note_closed",
    "note_loaded",
    "read_family",
    "save_token",
    "size_of",
    "state_of",
    "use_folder",
    "who_am_i",
]

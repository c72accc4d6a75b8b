"""What is on the disk: folders of models, and the hub's cache. Never asks the net.

A folder in transformers' format has a `config.json` whose `model_type` names the architecture;
that is what decides, never the folder's name. Neither torch nor transformers is needed to read it.
"""

from __future__ import annotations

import json
import logging
import struct
from os import SEEK_END
from pathlib import Path
from stat import S_ISREG
from typing import Any

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.weights.catalogue import FAMILIES, Family, Weights
from napari_sam3.models.weights.model_files import (
    WEIGHTS_NAME,
    check_config,
    check_folder_of_model,
    read_model_text,
)
from napari_sam3.plain_files import open_plain

logger = logging.getLogger(__name__)

CONFIG = "config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# what loading needs and a licence to go with it; never the .pt of the original code beside them
NEEDED = (
    CONFIG,
    SINGLE,
    INDEX,
    "model-*-of-*.safetensors",
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "LICENSE*",
)
"""Names of the files that are downloaded, as patterns."""

_ASIDE = "__metadata__"
_LONGEST_HEADER = 16 * 2**20  # bytes; the largest model here has half a million
# what reading JSON that is not as it should be ends in
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)

_RELATIVES = {
    "sam2": "SAM 2 for single pictures",
    "edgetam": "EdgeTAM for single pictures",
    "sam3": "SAM 3 for single pictures",
    "sam3_tracker": "the SAM 3 tracker for single pictures",
    "sam3_lite_text": "SAM 3 lite-text for single pictures",
    "sam": "SAM 1, which knows no video",
}


def hub_cache() -> Path:
    """The hub's cache folder, as HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME say."""
    from huggingface_hub import constants

    path = Path(constants.HF_HUB_CACHE)
    try:
        return path.expanduser()
    except RuntimeError:  # "~somebody" who is not known here; huggingface_hub leaves it so, too
        return path


def repo_folder(repo_id: str) -> Path:
    """The folder of a repository in the cache; it may not be there."""
    return hub_cache() / ("models--" + repo_id.replace("/", "--"))


def find_weights(weights: Weights) -> Path | None:
    """Find the folder that a model can be loaded from; None if it is not whole.

    A folder of the person's comes first, then the hub's cache: the commit its revision stands
    for, else the newest one that is whole.
    """
    if weights.folder is not None:
        return weights.folder if what_is_missing(weights.folder) is None else None
    if weights.repo_id is None:
        return None
    try:
        snapshots = _snapshots(repo_folder(weights.repo_id), weights.revision)
    except OSError as exc:
        logger.warning("the hub's cache can't be read: %s", exc)
        return None
    return next((path for path in snapshots if what_is_missing(path) is None), None)


def what_is_missing(folder: Path) -> str | None:
    """Say what a folder lacks to be loaded from; None if nothing.

    Weights files are held against the length that their own header tells.
    """
    try:
        return _lack(folder)
    except OSError as exc:
        return f"{str(folder)!r} can't be read: {exc}"


def _lack(folder: Path) -> str | None:
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}"
    if not (folder / CONFIG).is_file():
        return f"{CONFIG} is missing in {str(folder)!r}"
    names = [SINGLE]
    if not (folder / SINGLE).is_file():
        if not (folder / INDEX).is_file():
            return f"{SINGLE} is missing in {str(folder)!r}"
        try:
            index = json.loads(read_model_text(folder / INDEX))
            names = sorted({str(name) for name in index["weight_map"].values()})
        except (OSError, *_DAMAGE) as exc:
            return f"{INDEX} in {str(folder)!r} can't be read: {exc}"
        if not names:
            return f"{INDEX} in {str(folder)!r} names no file"
    for name in names:
        if not WEIGHTS_NAME.fullmatch(name):
            return f"{INDEX} in {str(folder)!r} names {name!r}, which is no safetensors file in it"
        fault = _fault(folder / name)
        if fault is not None:
            return f"{name} in {str(folder)!r} {fault}"
    return None


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, links followed and counted once."""
    seen: dict[tuple[int, int] | Path, int] = {}
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except OSError:  # gone meanwhile, or closed to us
            continue
        if S_ISREG(stat.st_mode):
            # Windows tells no file number for some file systems
            key = (stat.st_dev, stat.st_ino) if stat.st_ino else path.resolve()
            seen[key] = stat.st_size
    return sum(seen.values())


def _snapshots(folder: Path, revision: str) -> list[Path]:
    """Snapshots in the cache, the one that the revision stands for first, then the newest."""
    root = folder / "snapshots"
    if not root.is_dir():
        return []
    found = sorted(
        (path for path in root.iterdir() if path.is_dir()),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    ref = folder / "refs" / revision
    commit = (
        ref.read_text(encoding="utf-8", errors="replace").strip() if ref.is_file() else revision
    )
    return sorted(found, key=lambda path: path.name != commit)


def _fault(path: Path) -> str | None:
    """What is wrong with a weights file, as far as its header and length tell."""
    try:
        with open_plain(path.resolve()) as file:
            length = file.seek(0, SEEK_END)
            file.seek(0)
            (header_length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= header_length <= min(length - 8, _LONGEST_HEADER):
                return "is no safetensors file, or cut off"
            header = json.loads(file.read(header_length))
        ends = [int(said["data_offsets"][1]) for key, said in header.items() if key != _ASIDE]
        told = 8 + header_length + max(ends, default=0)
    except FileNotFoundError:
        return "is missing"
    except OSError as exc:
        return f"can't be read: {exc}"
    except (struct.error, *_DAMAGE):
        return "is no safetensors file, or cut off"
    if length != told:
        return f"has {length} bytes, and its header tells of {told}: it is damaged or cut off"
    return None


def read_family(folder: str | Path) -> Family:
    """Say which family a folder's model is of.

    Parameters
    ----------
    folder : path
        With a `config.json` in transformers' format.

    Raises
    ------
    ModelUnavailableError
        If there is none, it can't be read, its architecture is not one of `FAMILIES`, or
        something in the folder would have code fetched or run.
    """
    folder = Path(folder)
    path = folder / CONFIG
    try:
        text = read_model_text(path)
        check_folder_of_model(folder)
    except FileNotFoundError:
        raise ModelUnavailableError(
            f"the folder {str(folder)!r} holds no model: there is no {CONFIG} in it. "
            + _other_format(folder)
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelUnavailableError(f"{str(path)!r} can't be read: {exc}") from exc
    return family_of(text, str(path))


def family_of(config_text: str, where: str) -> Family:
    """Say which family a `config.json` speaks of; `where` is named if it is none."""
    try:
        config: Any = json.loads(config_text)
    except (ValueError, RecursionError) as exc:
        raise ModelUnavailableError(f"{where!r} is no JSON, so it tells no model: {exc}") from exc
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str):
        raise ModelUnavailableError(
            f"{where!r} names no model_type; a model in transformers' format does"
        )
    if model_type in FAMILIES:
        check_config(config, where)
        return FAMILIES[model_type]
    known = ", ".join(f"{family.title} ({name})" for name, family in FAMILIES.items())
    if model_type in _RELATIVES:
        raise ModelUnavailableError(
            f"{where!r} is of {_RELATIVES[model_type]} (model_type {model_type!r}); tracking "
            f"needs the video model. These families are read: {known}"
        )
    raise ModelUnavailableError(
        f"{where!r} has the model_type {model_type!r}; these families are read: {known}"
    )


def _other_format(folder: Path) -> str:
    """What to do with a folder that holds something else."""
    if not folder.is_dir():
        return "There is no such folder"
    if any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        return (
            "A .pt checkpoint of the original code must be converted to transformers' format "
            "first, by a script of transformers' repository: convert_sam2_video_to_hf.py, "
            "convert_sam3_video_to_hf.py or convert_edgetam_video_to_hf.py; docs/models.md says "
            "how"
        )
    inner = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    if inner:
        return f"The folder {inner[0]!r} inside it has one; name that"
    return "Name the folder that was written by save_pretrained, or downloaded from the hub"

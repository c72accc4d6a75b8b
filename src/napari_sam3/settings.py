"""What a person has set once and for all: read here and nowhere else.

The window writes a small file in the user's configuration folder; environment variables win over
it, so that a cluster job or a test does not depend on what was clicked. (napari keeps settings of
plugins only from 0.9 on, and the core knows no napari.)
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_data_path

from napari_sam3.plain_files import read_json
from napari_sam3.whole_files import written_whole

_MOST_BYTES = 2**20
logger = logging.getLogger(__name__)

VARIABLES = {
    "device": "NAPARI_SAM3_DEVICE",
    "resolution": "NAPARI_SAM3_RESOLUTION",
    "precision": "NAPARI_SAM3_PRECISION",
    "compile_encoder": "NAPARI_SAM3_COMPILE_ENCODER",
    "memory_selection": "NAPARI_SAM3_MEMORY_SELECTION",
    "prompted_frames": "NAPARI_SAM3_PROMPTED_FRAMES",
    "distractor_memory": "NAPARI_SAM3_DISTRACTOR_MEMORY",
    "motion_prior": "NAPARI_SAM3_MOTION_PRIOR",
    "features_mb": "NAPARI_SAM3_FEATURES_MB",
    "features_disk_mb": "NAPARI_SAM3_FEATURES_DISK_MB",
    "keep_results": "NAPARI_SAM3_KEEP_RESULTS",
    "projects_folder": "NAPARI_SAM3_PROJECTS",
    "frame_megapixels": "NAPARI_SAM3_FRAME_MEGAPIXELS",
    "detector": "NAPARI_SAM3_DETECTOR",
    "scheduler": "NAPARI_SAM3_SCHEDULER",
    "path_map": "NAPARI_SAM3_PATH_MAP",
}
"""The environment variable of each setting that has one."""

MEMORY_SELECTIONS = ("auto", "on", "off")

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

MODEL_SETTINGS = (
    *("precision", "compile_encoder"),
    *("memory_selection", "prompted_frames", "distractor_memory", "motion_prior"),
)
"""Settings of how a SAM model computes and what it looks at of the past, which it reads itself."""

_CHOICES = {"memory_selection": MEMORY_SELECTIONS, "precision": PRECISIONS}
"""Of settings that are one of a few words, those."""


@dataclass(frozen=True)
class Settings:
    """What holds where a caller says nothing else.

    Attributes
    ----------
    model : str
        What the window offers at first, as `load_model` takes it.
    device : str
        "auto" or a device such as "cpu", "cuda", "cuda:1", "mps"; a wish: where a model can't
        run on it here, its best device is taken.
    resolution : int
        Side of the square that the model sees, px; 0: the model's own. Less is faster, needs
        less memory, and blurs small things.
    precision : str
        What a SAM model computes in on a CUDA card, from the next one loaded on: "float32",
        "bfloat16", "float16", or "auto", which is bfloat16 where the card has it. Elsewhere and
        where the card can't it is float32.
    compile_encoder : bool
        Whether its image encoder is compiled by PyTorch on a CUDA card, from the next one loaded
        on: the first frame takes minutes, the others less time each.
    memory_selection : str
        Whether a SAM model looks only at past frames that it was sure of: "on", "off", or "auto",
        which leaves it to the model's makers (SAM 3: on).
    prompted_frames : int
        How many prompted frames, the nearest ones, it looks at beside the first; 0: as its makers
        have it (SAM 3 the nearest four, the others all).
    distractor_memory : bool
        Whether it goes on looking at tracked frames that tell an object from its look-alikes.
    motion_prior : bool
        Whether, of the masks that it offers, one where the object was going is preferred.
    features_mb, features_disk_mb : int
        Most memory and disk that encoded frames may take, in megabytes of 2**20 bytes; 0: none.
    keep_results : bool
        Whether the window keeps the work on a video file as a project, without being asked.
    projects_folder : str
        Where it keeps them; "auto": in the user's data folder (see `projects_path`).
    frame_megapixels : int
        Most pixels that a frame of a video or a picture may have to be decoded, in millions; 0:
        any number. 8K has 33.
    detector : str
        What the window finds objects by at first, as `detection.find_detector` takes it.
    scheduler : str
        Address of a Dask scheduler that the window offers to compute at: the last one chosen.
    path_map : tuple of pairs of str
        Folders here, and the same ones as such workers see them; the longest fitting one counts.
        In the file a table; in the environment `HERE=THERE`, parted as `PATH` is.
    """

    model: str = "auto"
    device: str = "auto"
    resolution: int = 0
    precision: str = "auto"
    compile_encoder: bool = False
    memory_selection: str = "auto"
    prompted_frames: int = 0
    distractor_memory: bool = False
    motion_prior: bool = False
    features_mb: int = 2048
    features_disk_mb: int = 8192
    keep_results: bool = True
    projects_folder: str = "auto"
    frame_megapixels: int = 96
    detector: str = "blobs"
    scheduler: str = ""
    path_map: tuple[tuple[str, str], ...] = ()


def settings_path() -> Path:
    """The file that holds what was set."""
    return user_config_path("napari-sam3") / "settings.json"


def projects_path() -> Path:
    """The folder that projects are kept in where nobody says another one."""
    folder = read_settings().projects_folder
    if folder == "auto":
        return user_data_path("napari-sam3") / "projects"
    return Path(folder).expanduser()


def read_settings() -> Settings:
    """What is set now: by the environment, else in the file, else the defaults.

    What can't be understood is left out, with a line in the log: a damaged file never stops work.
    """
    told = {**_from_file(), **_from_environment()}
    return replace(Settings(), **told)


def save_settings(**changes: str | int | bool | tuple[tuple[str, str], ...]) -> None:
    """Keep settings for the next time; those of `Settings`, by name.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    kept = replace(Settings(), **{**_from_file(), **changes})
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    # another window may read it just now
    with written_whole(path) as part:
        said = {**asdict(kept), "path_map": dict(kept.path_map)}
        part.write_text(json.dumps(said, indent=1), encoding="utf-8")


@contextmanager
def settings_said(**said: str | int) -> Iterator[None]:
    """Have settings hold for a piece of work, here and in the processes that it starts."""
    variables = {
        VARIABLES[name]: str(int(value) if isinstance(value, bool) else value)
        for name, value in said.items()
    }
    before = {variable: os.environ.get(variable) for variable in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def settings_from_environment() -> frozenset[str]:
    """Names of the settings that the environment says, which the window can't change."""
    return frozenset(_from_environment())


def _from_file() -> dict[str, Any]:
    path = settings_path()
    try:
        said = read_json(path.resolve(), most_bytes=_MOST_BYTES)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        logger.warning("the settings in %s can't be read and are left out: %s", path, exc)
        return {}
    if not isinstance(said, dict):
        logger.warning("the settings in %s are no table and are left out", path)
        return {}
    return _understood(said, str(path))


def _from_environment() -> dict[str, Any]:
    said = {name: os.environ.get(variable, "").strip() for name, variable in VARIABLES.items()}
    return _understood({name: text for name, text in said.items() if text}, "the environment")


def _understood(said: dict[str, Any], where: str) -> dict[str, Any]:
    """Of what was said, the settings there are, in their types."""
    kept: dict[str, Any] = {}
    for setting in fields(Settings):
        if setting.name not in said:
            continue
        value = said[setting.name]
        if isinstance(setting.default, str):
            choices = _CHOICES.get(setting.name)
            is_right = isinstance(value, str) and bool(value or not setting.default)
            is_right = is_right and (choices is None or value in choices)
            form = "name" if choices is None else f"word of {', '.join(choices)}"
        elif isinstance(setting.default, bool):
            value, form = _yes_or_no(value), "yes or no (1 or 0)"
            is_right = value is not None
        elif isinstance(setting.default, tuple):
            value, form = _pairs(value), "table of folders, as HERE=THERE"
            is_right = value is not None
        else:
            value, form = _whole_number(value), "whole number from 0 up"
            is_right = value is not None
        if is_right:
            kept[setting.name] = value
        else:
            logger.warning(
                "%s says %s=%r, which is no %s; %r is taken",
                where,
                VARIABLES.get(setting.name, setting.name),
                said[setting.name],
                form,
                setting.default,
            )
    return kept


def _pairs(value: Any) -> tuple[tuple[str, str], ...] | None:
    if isinstance(value, str):
        value = [part.split("=", 1) for part in value.split(os.pathsep) if part]
    elif isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, list | tuple):
        return None
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        if not all(isinstance(folder, str) and folder for folder in pair):
            return None
    return tuple((here, there) for here, there in value)


def _yes_or_no(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"1": True, "yes": True, "0": False, "no": False}.get(str(value).lower())


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        number = int(value)
    except ValueError:
        return None
    return number if number >= 0 else None

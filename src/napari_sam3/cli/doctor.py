"""`napari-sam3 doctor`: what is installed here and whether it works, to be pasted into a report."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from platformdirs import user_cache_path

from napari_sam3.cli import FAILED
from napari_sam3.errors import Sam3Error
from napari_sam3.models.registry import AUTO_VARIABLE, choose_model, list_models
from napari_sam3.models.weights import format_bytes, hub_cache, size_of, state_of
from napari_sam3.settings import (
    VARIABLES,
    Settings,
    read_settings,
    settings_from_environment,
    settings_path,
)
from napari_sam3.video.codecs import DECODERS, ENCODERS, ffmpeg_versions, has_codec

PACKAGES = (
    *("napari-sam3", "torch", "torchvision", "transformers", "huggingface-hub", "timm"),
    *("numpy", "scipy", "scikit-image", "opencv-python-headless", "napari", "npe2", "qtpy"),
    *("superqt", "magicgui", "dask", "distributed"),
)
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
SHOWN_VARIABLES = (
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "CUDA_VISIBLE_DEVICES"),
    *("PYTORCH_ENABLE_MPS_FALLBACK", "OMP_NUM_THREADS", "QT_API", "QT_QPA_PLATFORM"),
    *(AUTO_VARIABLE, *VARIABLES.values()),
)
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")

Section = dict[str, Any]


def run(arguments: argparse.Namespace) -> int:
    """Print the report. Returns the exit code."""
    sections: dict[str, Callable[[], Section]] = {
        "system": _system,
        "packages": _packages,
        "video": _video,
        "devices": _devices,
        "settings": _settings,
        "folders": _folders,
        "models": _models,
    }
    report: dict[str, Section] = {}

    def tell(name: str, section: Section, title: str = "") -> None:
        report[name] = _without_names(section)
        if not arguments.json:
            _print_section(_without_names(title or name), report[name])

    for name, gather in sections.items():
        tell(name, _gather(gather))
    if arguments.scheduler is not None:
        from napari_sam3.cli.scheduler import look_at_scheduler

        tell("scheduler", look_at_scheduler(arguments.scheduler, insecure=arguments.insecure))
    if arguments.run is not None:
        from napari_sam3.cli.model_trial import try_model

        found = try_model(arguments.run, arguments.device, arguments.frames, arguments.resolution)
        tell("run", found, f"run of {arguments.run}")
    arguments.facts |= report
    is_bad = any("error" in report.get(title, {}) for title in ("run", "scheduler"))
    return FAILED if is_bad else 0


def _gather(gather: Callable[[], Section]) -> Section:
    try:
        return gather()
    except Exception as exc:  # a broken installation is what this is for: the rest must be told
        return {"could not be found out": f"{type(exc).__name__}: {exc}"}


def _print_section(title: str, section: Section) -> None:
    print(f"[{title}]")
    width = max((len(key) for key in section), default=0)
    for key, value in section.items():
        print(f"  {key.removesuffix(', bytes'):{width}}  {_format_value(key, value)}".rstrip())
    print(flush=True)


def _format_value(key: str, value: Any) -> str:
    if isinstance(value, int) and key.endswith(", bytes"):
        return format_bytes(value)
    if isinstance(value, dict):
        return "; ".join(
            f"{name.removesuffix(', bytes')} {_format_value(name, inner)}"
            for name, inner in value.items()
        )
    return "unknown" if value is None else str(value)


def _system() -> Section:
    memory = psutil.virtual_memory()
    return {
        "system": platform.platform(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "memory, bytes": memory.total,
        "free memory, bytes": memory.available,
        "python": f"{platform.python_version()} ({platform.python_implementation()}) in "
        f"{sys.prefix}",
        "environment": {name: os.environ[name] for name in SHOWN_VARIABLES if name in os.environ}
        | {name: "set" for name in SECRETS if os.environ.get(name)}
        or "nothing that concerns us",
    }


def _packages() -> Section:
    found: Section = {name: _version(name) or "not installed" for name in PACKAGES}
    bindings = {name: told for name in QT_BINDINGS if (told := _version(name)) is not None}
    found["Qt"] = bindings or 'none: no window (pip install "napari-sam3[all]" brings one)'
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _video() -> Section:
    lacking = [name for name in DECODERS if not has_codec(name, "r")]
    return {
        **ffmpeg_versions(),
        "encoders": {name: "yes" if has_codec(name, "w") else "MISSING" for name in ENCODERS},
        "decoders": f"MISSING: {', '.join(lacking)}" if lacking else ", ".join(DECODERS),
    }


def _devices() -> Section:
    try:
        from napari_sam3.models.sam.device_facts import device_facts, torch_build
    # a library of PyTorch's that can't be loaded is an OSError
    except (ImportError, OSError) as exc:
        return {"PyTorch can't be imported": str(exc)}
    section: Section = {"PyTorch is built for": torch_build()}
    for facts in device_facts():
        section[facts.name] = {"is": facts.title, "computes in": facts.precision}
        if facts.total_bytes is not None:
            section[facts.name] |= {
                "free, bytes": facts.free_bytes,
                "of, bytes": facts.total_bytes,
            }
    return section


def _settings() -> Section:
    now, fixed, usual = read_settings(), settings_from_environment(), Settings()
    section: Section = {"file": str(settings_path())}
    for name in vars(usual):
        value = getattr(now, name)
        if name in fixed:
            section[name] = f"{value} (environment)"
        elif value != getattr(usual, name):
            section[name] = f"{value} (file)"
        else:
            section[name] = f"{value} (default)"
    return section


def _folders() -> Section:
    cache = user_cache_path("napari-sam3", appauthor=False)
    section: Section = {"cache": str(cache)}
    if cache.is_dir():
        for folder in sorted(path for path in cache.iterdir() if path.is_dir()):
            section[f"cache/{folder.name}, bytes"] = size_of(folder)
    section["hub's cache"] = str(hub_cache())
    for title, folder in (("cache", cache), ("hub's cache", hub_cache())):
        there = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if there is not None:
            section[f"free where the {title} is, bytes"] = psutil.disk_usage(str(there)).free
    return section


def _models() -> Section:
    section: Section = {}
    for entry in list_models():
        if entry.weights is None:
            section[entry.name] = "ready (needs no weights)"
            continue
        state = state_of(entry.weights)
        section[entry.name] = str(state.state)
        if state.folder is not None:
            section[entry.name] += f", {format_bytes(size_of(state.folder))} in {state.folder}"
    try:
        best, reason = choose_model()
        section["auto"] = f"{best.name}, because {reason}"
    except Sam3Error as exc:  # the variable names none
        section["auto"] = str(exc)
    return section


def _without_names(value: Any) -> Any:
    """A report, without the person's name in paths and without secrets in addresses."""
    if isinstance(value, dict):
        return {_without_names(key): _without_names(item) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    value = re.sub(r"(?<=://)[^/@\s]+@", "...@", value)
    try:
        home = str(Path.home())
    except RuntimeError:  # there is none
        return value
    return (
        re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", value) if len(home) > 1 else value
    )

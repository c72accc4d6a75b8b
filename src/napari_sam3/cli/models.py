"""`napari-sam3 models`: what can be given as --model, and getting it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from tqdm import tqdm

from napari_sam3.cli import FAILED, INTERRUPTED
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.models.base import Capabilities
from napari_sam3.models.registry import EMBEDDED, ModelEntry, choose_model, list_models
from napari_sam3.models.weights import (
    Weights,
    WeightsState,
    ask_hub,
    download,
    find_source,
    find_weights,
    forget,
    format_bytes,
    hub_cache,
    save_token,
    size_of,
    state_of,
    use_folder,
    who_am_i,
)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked of the models; list them if nothing was. Returns the exit code."""
    actions: dict[str | None, Callable[[argparse.Namespace], int]] = {
        None: _list,
        "list": _list,
        "get": _get,
        "check": _check,
        "folder": _folder,
        "forget": _forget,
        "token": _token,
    }
    return actions[arguments.action](arguments)


def describe_capabilities(capabilities: Capabilities) -> str:
    """The kinds of prompts, for people."""
    return ", ".join(
        field.name for field in fields(capabilities) if getattr(capabilities, field.name) is True
    )


def _list(arguments: argparse.Namespace) -> int:
    """Print one model a line; what to do about those that are not here stands below."""
    entries = list_models()
    best, reason = choose_model()
    arguments.facts |= {
        "models": [_to_json(entry) for entry in entries],
        "auto": best.name,
        "auto_reason": reason,
        "cache": str(hub_cache()),
    }
    rows = [("NAME", "SIZE", "LICENCE", "SPEED", "STATE", "TAKES"), *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nin the hub's cache: {hub_cache()}")
    print(f"auto: {best.name}, because {reason}")
    if not all(entry.is_ready for entry in entries):
        print("get one with: napari-sam3 models get NAME (--help tells more)")
    return 0


def _row(entry: ModelEntry) -> tuple[str, ...]:
    takes = describe_capabilities(entry.capabilities)
    if entry.weights is None:
        return (entry.name, "-", "part of napari-sam3", entry.speed, "ready", takes)
    state = state_of(entry.weights)
    if state.folder is not None:
        size = format_bytes(size_of(state.folder))
    elif entry.weights.download_bytes is not None:
        size = format_bytes(entry.weights.download_bytes)
    else:
        size = "?"
    state_text = str(state.state)
    if state.partial_bytes:
        state_text += f" ({format_bytes(state.partial_bytes)} here)"
    return (entry.name, size, entry.weights.licence.name, entry.speed or "-", state_text, takes)


def _to_json(entry: ModelEntry) -> dict[str, Any]:
    """What the list tells of a model, for programs."""
    told: dict[str, Any] = {
        "name": entry.name,
        "takes": describe_capabilities(entry.capabilities).split(", "),
        "speed": entry.speed,
        "is_ready": entry.is_ready,
    }
    if entry.weights is None:
        return told
    state = state_of(entry.weights)
    return told | {
        "state": str(state.state),
        "licence": entry.weights.licence.name,
        "folder": None if state.folder is None else str(state.folder),
        "download_bytes": entry.weights.download_bytes,
        "partial_bytes": state.partial_bytes,
    }


def _get(arguments: argparse.Namespace) -> int:
    if _needs_none(arguments.name):
        return 0
    weights = find_source(arguments.name)
    arguments.facts["name"] = weights.name
    folder = find_weights(weights)
    if folder is not None:
        arguments.facts["folder"] = str(folder)
        print(f"{weights.name} is here already: {folder}")
        return 0
    _tell_licence(weights)
    bar: tqdm = tqdm(
        desc=weights.name, unit="B", unit_scale=True, disable=None, total=weights.download_bytes
    )

    def show(here: int, total: int) -> None:
        bar.total = total
        # what was here before is no speed
        if bar.n == 0:
            bar.initial = here
        bar.update(here - bar.n)

    try:
        with bar:
            folder = download(weights, show)
    except KeyboardInterrupt:
        print(
            "napari-sam3: interrupted; what has come is kept, the same command goes on from there",
            file=sys.stderr,
        )
        return INTERRUPTED
    arguments.facts["folder"] = str(folder)
    print(f"{weights.name} is here: {folder}")
    return 0


def _needs_none(name: str) -> bool:
    if name == "auto":
        raise RequestError(
            "'auto' stands for one that is here already; name the one to get: napari-sam3 models"
        )
    if name == EMBEDDED:
        print(f"{EMBEDDED} needs no weights")
    return name == EMBEDDED


def _tell_licence(weights: Weights) -> None:
    licence = weights.licence
    where = licence.url or weights.page
    print(f"{weights.name} comes from {weights.page} under the licence {licence.name} ({where})")
    print(licence.summary)


def _check(arguments: argparse.Namespace) -> int:
    if _needs_none(arguments.name):
        return 0
    weights = find_source(arguments.name)
    if weights.is_gated and find_weights(weights) is None:
        try:
            print(f"asking as {who_am_i().name}")
        except Sam3Error as exc:
            print(f"asking without an account: {exc}")
    state = ask_hub(weights)
    arguments.facts |= _state_facts(state)
    print(f"{weights.name}: {state.state}")
    print(state.message)
    return 0 if state.is_ready or state.state == "to download" else FAILED


def _state_facts(state: WeightsState) -> dict[str, Any]:
    return {
        "name": state.weights.name,
        "state": str(state.state),
        "is_ready": state.is_ready,
        "message": state.message,
    }


def _folder(arguments: argparse.Namespace) -> int:
    weights = use_folder(arguments.place, arguments.name)
    state = state_of(weights)
    arguments.facts |= _state_facts(state)
    print(f"{weights.name}: {state.state}")
    print(state.message)
    print(f"use it with: --model {weights.name}")
    return 0


def _forget(arguments: argparse.Namespace) -> int:
    if forget(arguments.name):
        print(f"{arguments.name} is forgotten; its files are where they were")
        return 0
    raise RequestError(
        f"no folder was named {arguments.name!r}; 'napari-sam3 models' lists those that were"
    )


def _token(arguments: argparse.Namespace) -> int:
    if arguments.check:
        account = who_am_i()
        arguments.facts |= {"account": account.name, "role": account.role}
        print(f"the token is of {account.name}, and may {account.role}")
        return 0
    if sys.stdin.isatty():
        try:
            token = getpass.getpass("access token of the Hugging Face hub (not shown): ")
        except EOFError:  # Ctrl-D
            token = ""
    else:
        token = sys.stdin.readline()
    account = save_token(token)
    arguments.facts |= {"account": account.name, "role": account.role}
    print(f"saved; the token is of {account.name}, and may {account.role}")
    if os.environ.get("HF_TOKEN"):
        print("note: HF_TOKEN is set and is used in its place")
    return 0

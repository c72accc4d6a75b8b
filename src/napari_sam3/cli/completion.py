"""`napari-sam3 completion`: what lets a shell complete the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

from napari_sam3.cli import make_parser, parse
from napari_sam3.export.registry import FORMATS
from napari_sam3.models.registry import list_models


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell. Returns the exit code."""
    parser = make_parser()
    models = ("auto", *(entry.name for entry in list_models()))
    for action in _all_actions(parser):
        if action.dest in ("model", "run") or action.metavar == "NAME":
            action.choices = models
        elif action.type is parse.formats:
            action.choices = tuple(FORMATS)
        elif action.metavar == "FOLDER":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.type in (Path, parse.there, parse.mask):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return 0


def _all_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and arguments of a parser, and of those of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _all_actions(command)

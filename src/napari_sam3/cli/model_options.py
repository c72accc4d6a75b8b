"""What is said on the command line of a model: which one, and in place of settings."""

from __future__ import annotations

import argparse

from napari_sam3.cli import parse
from napari_sam3.settings import MEMORY_SELECTIONS, MODEL_SETTINGS, PRECISIONS


def add_model(command: argparse.ArgumentParser) -> None:
    """Which model, where, how it computes, and what it makes of the past."""
    command.add_argument(
        "--model", default="auto", help="which model (see 'napari-sam3 models'; default: the best)"
    )
    command.add_argument("--device", help="where it runs, as cpu or cuda (default: the best)")
    add_computing(command)
    command.add_argument(
        "--memory-selection",
        choices=MEMORY_SELECTIONS,
        help="whether a SAM model that runs here looks only at past frames that it was sure of "
        "(default: as set; auto is on for SAM 3)",
    )
    command.add_argument(
        "--prompted-frames",
        type=parse.index,
        metavar="N",
        help="how many of the nearest prompted frames it looks at beside the first; 0: as the "
        "model's makers have it (default: as set)",
    )
    command.add_argument(
        "--distractor-memory",
        action=argparse.BooleanOptionalAction,
        help="whether it goes on looking at frames that tell an object from its look-alikes "
        "(default: as set)",
    )
    command.add_argument(
        "--motion-prior",
        action=argparse.BooleanOptionalAction,
        help="whether it prefers a mask where the object was going (default: as set)",
    )


def add_computing(command: argparse.ArgumentParser) -> None:
    """How a SAM model computes on a CUDA card."""
    command.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="what a SAM model computes in on a CUDA card here (default: as set; auto is bfloat16 "
        "where the card has it)",
    )
    command.add_argument(
        "--compile-encoder",
        action=argparse.BooleanOptionalAction,
        help="whether its image encoder is compiled on a CUDA card here, which takes minutes once "
        "(default: as set)",
    )


def said_settings(arguments: argparse.Namespace) -> dict[str, str | int]:
    """What was said in place of settings, for as long as the command runs."""
    said = {name: getattr(arguments, name, None) for name in MODEL_SETTINGS}
    return {name: value for name, value in said.items() if value is not None}

"""What is said on the command line of how a video is looked at."""

from __future__ import annotations

import argparse

from napari_sam3.cli import parse


def add_choice(command: argparse.ArgumentParser) -> None:
    """Which channel, depth and scene, of videos that hold several."""
    for option, help_ in (
        ("channel", "of several channels the one to look at: its index from 0, or its name"),
        ("z", "of several planes in depth the one to look at, from 0; max or mean projects all"),
        ("scene", "of several pictures in a file (series, positions) the one: index or name"),
    ):
        command.add_argument(f"--{option}", type=parse.index_or_name, metavar="N", help=help_)


def add_contrast(command: argparse.ArgumentParser) -> None:
    """What is black and white, of videos that are not 8-bit."""
    command.add_argument(
        "--contrast",
        type=parse.contrast,
        metavar="LOW,HIGH",
        help="values seen as black and white, in video that is not 8-bit (default: measured)",
    )

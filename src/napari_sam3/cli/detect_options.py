"""What is said of detectors on the command line: by `track`, and by `detect`."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_sam3.cli import parse, video_options
from napari_sam3.cli.parser import Parser

_DETECTORS = (
    "blobs (brighter or darker than their ground; blobs:bright, blobs:dark), cellpose[:MODEL] if "
    "it is installed, sam3:WORD, or sam3:X0,Y0,X1,Y1 for a box round an example"
)


def add_to_track(prompts: argparse._ArgumentGroup) -> None:
    """Let `track` find its first prompts, and look for what comes in later."""
    prompts.add_argument(
        "--detect",
        metavar="DETECTOR",
        help=f"all that it finds on the frame of --frame: {_DETECTORS}",
    )
    prompts.add_argument(
        "--detect-every",
        type=parse.count,
        metavar="N",
        help="look at every Nth frame for objects that were not tracked, and propose them in "
        "proposals.json beside the results, for --prompts; by the detector of --detect, else blobs",
    )


def add_detect(commands: argparse._SubParsersAction[Parser]) -> Parser:
    """Add the command `detect`."""
    detect = commands.add_parser(
        "detect",
        help="find objects on a frame, as prompts to look through",
        description="Find objects on a frame without a prompt, and write them to a file of "
        "prompts: edit it, then give it to napari-sam3 track --prompts. Nothing is tracked.",
    )
    detect.add_argument("video", metavar="VIDEO", type=parse.there)
    detect.add_argument(
        "--frame", type=parse.index, default=0, metavar="N", help="which, from 0 (default 0)"
    )
    detect.add_argument(
        "--detector", default="blobs", metavar="DETECTOR", help=f"{_DETECTORS} (default blobs)"
    )
    detect.add_argument(
        *("-o", "--output", "--out"),
        required=True,
        type=Path,
        metavar="FILE",
        help="where the prompts go, as prompts.json",
    )
    detect.add_argument("--overwrite", action="store_true", help="replace an earlier file")
    video_options.add_choice(detect)
    video_options.add_contrast(detect)
    detect.add_argument("--device", help="where a model runs, as cpu or cuda (default: the best)")
    return detect

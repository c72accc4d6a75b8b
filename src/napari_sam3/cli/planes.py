"""Which channel, depth and scene of a video is meant: --channel, --z and --scene."""

from __future__ import annotations

import argparse

from napari_sam3.video import PlaneChoice


def chosen_planes(arguments: argparse.Namespace) -> PlaneChoice:
    """What was chosen on the command line."""
    return PlaneChoice(arguments.channel, arguments.z, arguments.scene)

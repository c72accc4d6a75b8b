"""`napari-sam3 models`: what can be given as --model."""

from __future__ import annotations

import argparse
from dataclasses import fields

from napari_sam3.models.registry import choose_model, list_models


def run(arguments: argparse.Namespace) -> int:
    """Print one model a line. Returns the exit code."""
    best, reason = choose_model()
    entries = list_models()
    widest = max(len(entry.name) for entry in entries)
    for entry in entries:
        kinds = [
            field.name
            for field in fields(entry.capabilities)
            if getattr(entry.capabilities, field.name) is True
        ]
        devices = ", ".join(entry.devices())
        print(f"{entry.name:{widest}}  {entry.summary}")
        print(f"{'':{widest}}  takes {', '.join(kinds)}; runs on {devices}")
    print(f"auto: {best.name}, because {reason}")
    return 0

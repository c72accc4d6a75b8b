"""`napari-sam3 detect`: objects on a frame, as a file of prompts to look through and give back."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from napari_sam3.cli.detection import find_first, open_detector
from napari_sam3.cli.planes import chosen_planes
from napari_sam3.cli.results import check_free
from napari_sam3.errors import PromptFileError
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.prompt_files import write_prompts
from napari_sam3.video.open import open_chosen


def run(arguments: argparse.Namespace) -> int:
    """Look at the frame, and write what is there. Returns the exit code."""
    place: Path = arguments.output.expanduser()
    if place.suffix.lower() != ".json":
        raise PromptFileError(f"prompts are written as .json, not as {place.name!r}")
    check_free([place], arguments.overwrite)
    with ExitStack() as stack:
        video = stack.enter_context(open_chosen(arguments.video, chosen_planes(arguments)))
        detector = open_detector(arguments, arguments.detector, stack)
        frames = RgbFrames(video, arguments.contrast)
        prompts = find_first(detector, arguments.detector, frames, arguments.frame, ())
    place.parent.mkdir(parents=True, exist_ok=True)
    write_prompts(place, prompts)
    arguments.facts |= {
        "frame": arguments.frame,
        "detector": arguments.detector,
        "objects": [
            {"object": p.obj_id, "box": list(p.mask.bbox), "score": round(p.mask.score, 3)}
            for p in prompts
            if p.mask is not None
        ],
        "written": [str(place)],
    }
    print(f"wrote {place}, for napari-sam3 track --prompts")
    return 0

"""Detectors on the command line: first prompts for `track`, and proposals, in files of prompts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_sam3.detection import (
    NewObjects,
    find_detector,
    known_of_prompts,
    new_objects,
    propose,
)
from napari_sam3.detection.base import Detector
from napari_sam3.errors import MissingPromptError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import load_model
from napari_sam3.projects.session import recall_from
from napari_sam3.projects.tracking import LabelRun
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.prompt_files import write_prompts
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.validation import check_frame_index
from napari_sam3.values import Frames

PROPOSALS = "proposals.json"
"""What `track --detect-every` writes beside the results."""

USUAL = "blobs"


def open_detector(
    arguments: argparse.Namespace, asked: str, stack: ExitStack, model: VideoModel | None = None
) -> Detector:
    """Make the detector that was asked for; closed with the stack.

    Parameters
    ----------
    arguments : argparse.Namespace
        With the device.
    asked : str
        As `find_detector` takes it.
    stack : ExitStack
        Closes it, and a model that was loaded for it.
    model : VideoModel, optional
        One that is loaded here already: it is not loaded twice.

    Raises
    ------
    RequestError, ModelError
        As of `find_detector`.
    """

    def load(name: str) -> VideoModel:
        if model is not None and name == model.name:
            return model
        loaded = load_model(name, arguments.device)
        stack.callback(loaded.close)
        return loaded

    detector = find_detector(asked, load)
    stack.callback(detector.close)
    return detector


def find_first(
    detector: Detector,
    name: str,
    frames: Frames,
    frame_index: int,
    prompts: Sequence[SavedPrompt],
) -> PromptList:
    """All that a detector finds on a frame as prompts, but what other prompts point at there.

    Raises
    ------
    FrameIndexError
        If there is no such frame.
    MissingPromptError
        If nothing is found, and there are no other prompts.
    """
    place = check_frame_index(frame_index, len(frames))
    known = known_of_prompts(prompts, place, frames.size)
    found = new_objects(detector.detect(frames[place]), known)
    if not found and not prompts:
        raise MissingPromptError(
            f"{name!r} finds nothing on frame {place}; name another frame (--frame) or detector "
            "(blobs:bright, blobs:dark, cellpose, sam3:WORD), or point at something"
        )
    print(f"{name} found {_count(len(found))} on frame {place}", file=sys.stderr)
    return propose(found, place, {p.obj_id for p in prompts if p.obj_id is not None})


def propose_new(
    detector: Detector,
    run: LabelRun,
    frames: RgbFrames,
    every: int,
    place: Path,
    facts: dict[str, Any],
) -> None:
    """Look at every Nth frame that was tracked for what is new, write that, and tell of it.

    Parameters
    ----------
    detector : Detector
    run : LabelRun
        That has tracked them.
    frames : RgbFrames
        The video.
    every : int
        N, from the first frame that was tracked.
    place : Path
        File of prompts that it goes to.
    facts : dict
        Of the command; gets "proposed".
    """
    masks_on: Callable[[int], Any] = recall_from(run.labels)
    tracked = sorted(int(i) for i in run.labels.processed_frames())
    here = [i for i in tracked if (i - tracked[0]) % every == 0]
    looking = NewObjects(detector, frames, [run.session.list_prompts().next_id - 1])
    for frame_index in tqdm(here, "looking for new objects", unit="frame", disable=None):
        looking.look_at(frame_index, masks_on(frame_index) or {})
    write_prompts(place, looking.prompts)
    on = sorted({p.frame_index for p in looking.prompts})
    facts["proposed"] = {"objects": looking.object_ids, "frames": on, "file": str(place)}
    if on:
        where = f"frame{'' if len(on) == 1 else 's'} {', '.join(map(str, on))}"
        print(
            f"{_count(len(looking.object_ids), 'new ')} seen on {where}, not tracked: proposed in "
            f"{place}, for --prompts"
        )
    else:
        print(f"nothing new on the {len(here)} frames looked at")


def _count(number: int, kind: str = "") -> str:
    return f"{number} {kind}object{'' if number == 1 else 's'}"

"""A project that is open, and the videos that projects are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari.layers import Image, Layer

from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.projects import Project
from napari_sam3.video import Video


@dataclass(eq=False)
class OpenProject:
    """A project that keeps the work on a video of a viewer, or shows it.

    Attributes
    ----------
    project : Project
    image_layer, axes
        The video and how it is read; None while the video is lost.
    saved_at : str
        Clock time of the last save.
    problems : list of str
        What is lost, or can't be shown.
    failure : str
        Why the last save failed; empty once one went well.
    layers : list of layers
        That show its labels: it is open as long as one of them is in the viewer.
    masks : dict or None
        What was painted as prompts in a layer of its own, as `describe_masks` tells it.
    """

    project: Project
    image_layer: Image | None = None
    axes: StackAxes | None = None
    saved_at: str = ""
    problems: list[str] = field(default_factory=list)
    failure: str = ""
    layers: list[Layer] = field(default_factory=list)
    masks: Mapping[str, Any] | None = None

    def all_problems(self) -> tuple[str, ...]:
        """What is lost or went wrong, each once."""
        # the store may meet damaged frames later on
        met = getattr(self.project.labels, "problems", ())
        failed = [self.failure] if self.failure else []
        return tuple(dict.fromkeys([*self.problems, *met, *failed]))

    def stopped_run(self) -> tuple[int | None, int]:
        """The frame after which a propagation was stopped (None if none was), and frames left."""
        run, legs = self.project.run, self.project.frames_left
        n_left = sum(map(len, legs))
        if run is None or not legs or run.stale:
            return None, n_left
        planned = run.legs(self.project.labels.shape[0])
        leg = next((p for p in planned if legs[0][0] in p), legs[0])
        done = leg.index(legs[0][0]) if legs[0][0] in leg else 0
        return (leg[done - 1] if done else None), n_left


Snapshot = dict[str, Any]
"""What is to be saved: "layers", "state" and "objects", as `Project` takes them; others stay."""


def video_path(image_layer: Image | None) -> Path | None:
    """The file or folder behind a video layer; None for any other."""
    data = None if image_layer is None else image_layer.data
    if not isinstance(data, Video):
        return None
    path = data.path  # that of a proxy is the original's; a first frame has no original yet
    return None if path is None else Path(path).expanduser().absolute()

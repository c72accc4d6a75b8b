"""A project that is open in a dock, and the videos that projects are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer

from napari_sam3.plugin.controllers.autosave import Autosave
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.model.project_lookup import free_folder
from napari_sam3.video import Video

if TYPE_CHECKING:
    from napari_sam3.projects import Project


@dataclass(eq=False)
class Held:
    """A project that is open in a dock.

    Attributes
    ----------
    project : Project
    image_layer, axes
        The video and how it is read; None while the video is lost.
    autosave : Autosave or None
        Saves it; None where it is open for reading only, or was let alone by a reset.
    saved_at : str
        Clock time of the last save.
    problems : list of str
        What is lost, or can't be shown.
    failure : str
        Why the last save failed; empty once one went well.
    layers : list of layers
        That show its labels: it is open as long as one of them is in the viewer.
    watched : list of layers
        Whose changes are saved.
    masks : dict or None
        What was painted as prompts in a layer of its own, as `describe_masks` tells it.
    """

    project: Project
    image_layer: Image | None = None
    axes: StackAxes | None = None
    autosave: Autosave | None = None
    saved_at: str = ""
    problems: list[str] = field(default_factory=list)
    failure: str = ""
    layers: list[Layer] = field(default_factory=list)
    watched: list[Any] = field(default_factory=list)
    masks: Mapping[str, Any] | None = None

    def stop_saving(self) -> None:
        """Save what there is, and hear of no further change."""
        if self.autosave is not None:
            for layer in self.watched:
                with suppress(ValueError, KeyError):  # gone with its viewer
                    layer.events.disconnect(self.autosave.note)
            self.autosave.close()
        self.autosave, self.watched = None, []


def video_path(image_layer: Image | None) -> Path | None:
    """The file or folder behind a video layer; None for any other."""
    data = None if image_layer is None else image_layer.data
    if not isinstance(data, Video):
        return None
    path = data.original.path
    return None if path is None else Path(path).expanduser().absolute()


def make_project(path: Path, shape: tuple[int, int, int]) -> Callable[[], Project]:
    """What makes a new project of a video, beside those there are; slow, for a thread."""

    def make() -> Project:
        from napari_sam3.projects import Project

        return Project.create(free_folder(path), path, shape)

    return make

"""A project's results as labels in a file are: to be exported, or taken as prompts."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.imports.label_file import LabelFile
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.projects.project import Project
from napari_sam3.video.video_facts import VideoFacts


class ProjectLabels(LabelFile):
    """Labels of a project, with names, classes, divisions, scores and sources.

    Parameters
    ----------
    project : Project
        Closed with this.

    Attributes
    ----------
    project : Project
        It.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        shape = project.video.shape
        super().__init__(
            project.folder,
            shape,
            greatest=int(project.labels.max()),
            known=project.labels.processed_frames().tolist(),
            objects=project.objects,
        )
        self.facts = VideoFacts(*shape, name=project.video.name, fps=project.video.fps)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ProjectLabels:
        """Open the results of a project, which may be in use elsewhere.

        Raises
        ------
        ProjectError
            If it can't be opened.
        """
        return cls(Project.open(folder, read_only=True))

    def _read(self, frame_index: int) -> NDArray[Any]:
        return np.asarray(self.project.labels[frame_index])

    def notes(self, frame_index: int) -> dict[int, ObjectNote]:
        """Score and source of each object on a frame."""
        return dict(self.project.labels.notes(frame_index))

    def close(self) -> None:
        """Let go of the project."""
        self.project.close()

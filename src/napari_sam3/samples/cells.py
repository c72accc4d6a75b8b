"""The sample movie: living cells under a fluorescence microscope, with their true outlines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.samples.microscope import Microscope
from napari_sam3.samples.motion import Track, simulate

# raise it whenever the same seed gives another movie: caches go by it
GENERATOR_VERSION = 4

SLIVER = 12  # px; less of a cell at the picture's edge is not annotated


@dataclass(frozen=True, eq=False)
class CellMovie:
    """A generated time-lapse and all that is true of it.

    Attributes
    ----------
    frames : (T, H, W) uint8
        What the camera saw.
    labels : (T, H, W) uint16
        0 is background; a cell keeps its id, daughters of a division get new ones.
    lineage : tuple of Track
        By rising id.
    """

    frames: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    lineage: tuple[Track, ...]


def make_cells(seed: int = 0, *, frames: int = 60, size: tuple[int, int] = (480, 640)) -> CellMovie:
    """Generate the sample: of 11 cells three divide, two pass each other, one leaves; one comes.

    Parameters
    ----------
    seed : int
        The same seed gives the same movie.
    frames : int
        Length; a shorter movie plays the same scene faster.
    size : (height, width)
        px; a smaller picture shows the same scene smaller.

    Returns
    -------
    CellMovie

    Raises
    ------
    ValueError
        If `frames` is under 2 or `size` under 60 x 80.
    """
    if frames < 2 or size[0] < 60 or size[1] < 80:
        raise ValueError(
            f"frames is {frames} and size {size}; give at least 2 frames of 60 x 80 px"
        )
    shapes, parents = simulate(seed, frames, size)
    microscope = Microscope(seed, frames, size)
    pictures = np.empty((frames, *size), np.uint8)
    labels = np.empty((frames, *size), np.uint16)
    with ThreadPoolExecutor() as pool:
        exposed = pool.map(microscope.expose, range(frames), shapes)
        for frame_index, (picture, truth) in enumerate(exposed):
            pictures[frame_index], labels[frame_index] = picture, truth
    counts = np.stack([np.bincount(frame.ravel(), minlength=max(parents) + 1) for frame in labels])
    seen = counts >= SLIVER
    for frame_index, cell_id in np.argwhere((counts > 0) & ~seen):
        labels[frame_index][labels[frame_index] == cell_id] = 0
    lineage = []
    for cell_id, parent in sorted(parents.items()):
        when = np.flatnonzero(seen[:, cell_id])
        if when.size:
            lineage.append(Track(cell_id, parent, int(when[0]), int(when[-1])))
    return CellMovie(pictures, labels, tuple(lineage))

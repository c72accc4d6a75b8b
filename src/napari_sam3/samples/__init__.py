"""A sample to try things on, generated from a seed, with all that is true of it."""

from napari_sam3.samples.cells import CellMovie, make_cells
from napari_sam3.samples.files import SamplePaths, read_lineage, sample_paths
from napari_sam3.samples.motion import Track

__all__ = ["CellMovie", "SamplePaths", "Track", "make_cells", "read_lineage", "sample_paths"]

"""A sample to try things on, generated from a seed, with all that is true of it."""

from napari_sam3.samples.cells import CellMovie, make_cells
from napari_sam3.samples.motion import Track
from napari_sam3.samples.sample_files import SamplePaths, read_lineage, sample_paths

__all__ = ["CellMovie", "SamplePaths", "Track", "make_cells", "read_lineage", "sample_paths"]

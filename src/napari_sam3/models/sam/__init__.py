"""The SAM family (SAM 2.1, EdgeTAM, SAM 3), by way of Hugging Face transformers."""

from napari_sam3.models.sam.triton_apart import load_triton_apart

# the window's graphics driver may be in the process already
load_triton_apart()

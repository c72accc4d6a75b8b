"""The embedded default model, `optical-flow`: no weights, no download, CPU only."""

from napari_sam3.models.optical_flow.model import OpticalFlowModel

__all__ = ["OpticalFlowModel"]

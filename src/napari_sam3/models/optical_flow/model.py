"""The embedded default: optical flow and what the prompted frame looks like. No weights, CPU."""

from __future__ import annotations

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.base import Capabilities
from napari_sam3.models.optical_flow.tracker import OpticalFlowTracker
from napari_sam3.values import Frames


class OpticalFlowModel:
    """Segments by clicks, a box or a mask, and follows by optical flow; needs nothing but a CPU.

    Parameters
    ----------
    device : {'cpu'}
        Where to run; there is but one place.
    goes_far : bool
        Whether an object that was lost may be found again where it can hardly have got to, though
        other things look like it: it may be one of them.

    Raises
    ------
    ModelUnavailableError
        For any other device.
    """

    name = "optical-flow"
    capabilities = Capabilities(text=False, exemplars=False, points=True, boxes=True, masks=True)

    def __init__(self, device: str = "cpu", *, goes_far: bool = False) -> None:
        if device != "cpu":
            raise ModelUnavailableError(
                f"optical-flow runs on the cpu only, not on {device!r}; choose 'cpu'"
            )
        self.device = device
        self.goes_far = goes_far

    def start(self, frames: Frames) -> OpticalFlowTracker:
        """Begin on a video; no frame is read before it is needed."""
        return OpticalFlowTracker(frames, goes_far=self.goes_far)

    def close(self) -> None:
        """Nothing is held."""

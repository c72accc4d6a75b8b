"""What stands in for models whose weights the tests have not."""

from __future__ import annotations

from napari_sam3.models import registry
from napari_sam3.models.base import Capabilities
from napari_sam3.models.fake import FakeModel

CELLS = ((0.536, 0.846), (0.35, 0.468), (0.43, 0.844))
"""Where some cells of the sample are on frame 0, as parts of its width and height."""


class SeesCells(FakeModel):
    """Answers in the place of SAM 3: discs where "cell" is said."""

    name = "sam3"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device, step_xy=(0, 0), radius=20, places={"cell": CELLS})


def stand_in_for_sam3(monkeypatch) -> None:
    """Have the name "sam3" stand for `SeesCells`."""
    entry = registry.ModelEntry(
        "sam3",
        "stands in for SAM 3: discs",
        Capabilities(text=True, exemplars=True),
        f"{__name__}:{SeesCells.__name__}",
        is_for_tests=True,
    )
    monkeypatch.setitem(registry._ENTRIES, "sam3", entry)

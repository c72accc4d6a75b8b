"""What is done to whole objects: the verbs of the table of objects, and of scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from napari.layers import Labels

from napari_sam3.errors import LayerError
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import table_of


class TrackEdits:
    """Changes objects of a layer as a person asks for it; each change can be undone.

    Objects that are locked are refused, but for locks, names, classes and colours.

    Parameters
    ----------
    tracking : TrackingController
        With the results.
    layer_of : callable, optional
        Gives the layer whose objects are meant; the results if left out.
    """

    def __init__(
        self,
        tracking: TrackingController,
        layer_of: Callable[[], Labels | None] | None = None,
    ) -> None:
        self._tracking = tracking
        self._layer_of = layer_of or self._results_layer

    def _results_layer(self) -> Labels | None:
        results = self._tracking.results
        return None if results is None else results.layer

    @property
    def layer(self) -> Labels:
        """The layer whose objects are changed.

        Raises
        ------
        LayerError
            If there is none.
        """
        layer = self._layer_of()
        if layer is None:
            raise LayerError("there are no objects yet; press Segment frame or Propagate first")
        return layer

    # ------------------------------------------------------- what is known of them

    def recolor(self, obj_ids: Iterable[int], color: str) -> None:
        """Give objects a colour, as "#ff8800"; the one of their number by an empty string."""
        self._tracking.objects.recolor(self.layer, obj_ids, color)

    def lock(self, obj_ids: Iterable[int], is_locked: bool = True) -> None:
        """Keep all that is propagated, painted or edited off objects, or let it in again."""
        self._tracking.objects.lock(self.layer, obj_ids, is_locked)

    def accept(self, obj_ids: Iterable[int]) -> None:
        """Say that objects that a text has found are what was looked for."""
        self._tracking.objects.accept(self.layer, obj_ids)

    # ------------------------------------------------------------ whole objects

    def remove(self, obj_ids: Iterable[int]) -> None:
        """Remove objects: prompts, labels and all; a text does not find them again.

        Raises
        ------
        LockedObjectError
            If one is locked.
        """
        numbers = list(obj_ids)
        if not numbers:
            return
        if self._layer_of() is not None:
            table_of(self.layer).check_unlocked(*numbers)
        self._tracking.remove_object(numbers)

    def merge(self, obj_ids: Iterable[int], into: int) -> None:
        """Make one object of several."""
        raise LayerError("not yet")

    def split(self, obj_id: int, frame_index: int | None = None) -> int:
        """Part an object."""
        raise LayerError("not yet")

    def swap(self, one: int, other: int, frame_index: int | None = None) -> None:
        """Swap two objects."""
        raise LayerError("not yet")

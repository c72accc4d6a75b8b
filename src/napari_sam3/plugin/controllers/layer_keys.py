"""Single keys on the layers of the work, and on no other layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakSet

from napari.layers import Layer

from napari_sam3.plugin.controllers.tracking_controller import TrackingController


class LayerKey(NamedTuple):
    """A key, and what it does in a few words."""

    key: str
    text: str


class LayerKeys:
    """Binds keys to the layers that were made here: prompts, painted masks and results.

    A person's own layers keep their keys, and so does the viewer.

    Parameters
    ----------
    tracking : TrackingController
        With the layers.
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking = tracking
        self._acts: dict[str, Callable[[], object]] = {}
        self._texts: dict[str, str] = {}
        self._bound: WeakSet[Layer] = WeakSet()
        # keys are for the layer that is chosen; whoever makes one chooses it or not
        tracking.viewer.layers.selection.events.active.connect(self._bind_chosen)
        for name in ("points", "example"):
            tracking.state.events[name].connect(self._bind_chosen)
        tracking.ended.connect(self._bind_chosen)

    @property
    def listed(self) -> list[LayerKey]:
        """All keys, in the order in which they were added."""
        return [LayerKey(key, text) for key, text in self._texts.items()]

    def add(self, key: str, text: str, act: Callable[[], object]) -> None:
        """Have a key do something, and tell of it in the help.

        Parameters
        ----------
        key : str
            As napari writes it: "N", "Shift-N"; best none that napari itself uses on points,
            shapes or labels.
        text : str
            What it does, in a few words; listed in the help.
        act : callable
            Called when it is pressed while a layer of the work is chosen.
        """
        self._acts[key], self._texts[key] = act, text
        for layer in self._bound:
            self._bind(layer, key)
        self._bind_chosen()

    def press(self, key: str) -> None:
        """Do what a key does."""
        self._acts[key]()

    def close(self) -> None:
        """Take the keys off the layers."""
        self._tracking.viewer.layers.selection.events.active.disconnect(self._bind_chosen)
        for layer in self._bound:
            for key in self._acts:
                layer.bind_key(key, None, overwrite=True)
        self._bound = WeakSet()

    def _bind_chosen(self, _event: Any = None) -> None:
        layer = self._tracking.viewer.layers.selection.active
        if layer is None or layer in self._bound or not self._is_of_work(layer):
            return
        self._bound.add(layer)
        for key in self._acts:
            self._bind(layer, key)

    def _is_of_work(self, layer: Layer) -> bool:
        """Whether it was made here, and not by another window for the same video."""
        state = self._tracking.state
        is_mask = layer is state.masks and state.is_ours(layer)
        is_drawn_in = layer is state.example or state.is_prompt_layer(layer)
        return is_mask or is_drawn_in or state.is_results(layer)

    def _bind(self, layer: Layer, key: str) -> None:
        def act(_layer: Any) -> None:
            self.press(key)

        act.__doc__ = self._texts[key]
        layer.bind_key(key, act, overwrite=True)

"""Scripts that work in a viewer: the same session, layers and results as the dock's."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import ref

from napari.layers import Image, Layer

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, guess_axes
from napari_sam3.plugin.scripting.event_loop import check_window
from napari_sam3.plugin.scripting.viewer_session import ViewerSession
from napari_sam3.projects import Project

__all__ = ["ViewerSession", "attach"]

_SESSION = "sam3_session"
"""In a layer's metadata: weak references to the layer, for a copy has them too, and its session."""


def attach(
    viewer: Any,
    layer: str | Image,
    model: str | Path = "auto",
    *,
    device: str | None = None,
    axes: StackAxes | None = None,
    project: str | Path | Project | None = None,
) -> ViewerSession:
    """Work on a video layer of a viewer by script: prompt, propagate, take the results.

    Call it in the window's thread: in a script before or without `napari.run()`, in IPython or
    Jupyter, in napari's console, in a plugin. Where the dock *Segment and track* shows the same
    layer, script and dock share session, prompts and results; else the dock is kept from this layer
    as long as the script has it. Attaching again to a layer gives the same session.

    Parameters
    ----------
    viewer : napari.Viewer
        With a window.
    layer : str or Image layer
        The video: a layer of the viewer, or its name.
    model : str or path
        As `napari_sam3.models.registry.load_model` takes it; "auto" leaves the choice to a dock
        that shows the layer. It is loaded at the first prompt.
    device : str, optional
        Where it runs; as set for the user if left out.
    axes : StackAxes, optional
        Which axis is time, and where the others stand still; guessed if left out.
    project : path or Project, optional
        Folder that keeps prompts and results as they come, made if need be; what it holds is gone
        on with. Without it a script keeps nothing on disk; a dock keeps its work as ever.

    Returns
    -------
    ViewerSession
        To be closed at the end: `work.close()`, or by `with`.

    Raises
    ------
    LayerError
        If there is no such layer, it is no video, `axes` do not fit it, there is no window, or a
        dock that shows the layer would have to keep its work elsewhere.
    ProjectError
        If the project can't be made or opened, or is of another video.
    """
    check_window()
    viewer = getattr(viewer, "__wrapped__", viewer)  # the console hands out a proxy
    image_layer = _find_layer(viewer, layer)
    if axes is not None:
        check_axes(image_layer, axes)
    of_layer, of_session = image_layer.metadata.get(_SESSION, (None, None))
    known = of_session() if of_layer is not None and of_layer() is image_layer else None
    if known is not None and known.is_open:
        known.choose_model(model, device)
        return known
    session = ViewerSession(viewer, image_layer, axes, project)
    session.choose_model(model, device)
    image_layer.metadata[_SESSION] = (ref(image_layer), ref(session))
    return session


def _find_layer(viewer: Any, layer: Any) -> Image:
    layer = getattr(layer, "__wrapped__", layer)
    if isinstance(layer, str):
        if layer not in viewer.layers:
            names = ", ".join(repr(one.name) for one in viewer.layers) or "none"
            raise LayerError(f"there is no layer {layer!r}; there are: {names}")
        layer = viewer.layers[layer]
    elif isinstance(layer, Layer) and layer not in viewer.layers:
        raise LayerError(f"the layer {layer.name!r} is not in this viewer; add it first")
    guess_axes(layer)  # refuses what is no video
    return layer

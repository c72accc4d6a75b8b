"""Segment and track things in video: a napari plugin, and a core that needs no window.

The public names are loaded when they are first used, so that importing the package costs
nothing: neither torch nor Qt comes with it.
"""

from importlib.metadata import version

from lazy_loader import attach_stub

__version__ = version("napari-sam3")
__getattr__, _, __all__ = attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return __all__

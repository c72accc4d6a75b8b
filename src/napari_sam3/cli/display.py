"""Whether a window can be opened here."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec


def why_no_window() -> str | None:
    """Why no window can be opened here; None if one can."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
        return "there is no display"
    if find_spec("napari") is None:
        return 'napari is not installed (pip install "napari-sam3[all]" brings it)'
    bindings = ("PyQt6", "PySide6", "PyQt5", "PySide2")
    if not any(find_spec(name) for name in bindings):
        return 'no Qt is installed (pip install "napari-sam3[all]" brings one)'
    return None

"""The house's rules that a linter can't hold: what is imported, and when."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ImportError(f"{{name}} is blocked here")

sys.meta_path.insert(0, Blocked())
"""
QT = {"napari", "qtpy", "magicgui", "superqt", "PyQt5", "PyQt6", "PySide2", "PySide6", "vispy"}
CORE = {*QT, "torch"}

USES = {
    "the package": "import napari_sam3; napari_sam3.VideoSession, napari_sam3.Sam3VideoPredictor",
    "the manifest": "import npe2; npe2.PluginManifest.from_distribution('napari-sam3')",
    "the reader": "from napari_sam3.plugin.reader import get_reader; get_reader('a.mp4')",
    "the command line": "from napari_sam3.cli import main; main(['--version'])",
    "the embedded default": """
import numpy as np
from napari_sam3 import VideoSession
film = np.zeros((3, 40, 50), np.uint8)
film[:, 10:20, 10:20] = 200
with VideoSession(film, "optical-flow") as session:
    session.add_prompt(0, points=[[15, 15]])
    assert len(list(session.propagate())) == 3
""",
}


@pytest.mark.parametrize("use", USES)
def test_works_without_napari_qt_and_torch(use):
    code = (
        BLOCK.format(names=CORE)
        + "try:\n"
        + "\n".join("    " + line for line in USES[use].strip().splitlines())
        + "\nexcept SystemExit as end:\n    assert not end.code, end\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""PyTorch beside a window: transformers imported after OpenGL was, as happens to every user."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import numpy as np, napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
viewer.add_image(np.zeros((9, 9)))
QApplication.processEvents()
from napari_sam3.models.sam.load import load_sam
viewer.close()
print("done")
"""


@pytest.mark.sweep
def test_sam_can_be_loaded_where_a_window_is_open():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    # a clash of libraries ends the process without a word
    assert done.stdout.endswith("done\n"), (done.returncode, done.stderr)

"""The house's rules that a linter can't hold: what is imported, and when."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_sam3

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
    "the reader": "from napari_sam3.plugin.io.video_reader import get_reader; get_reader('a.mp4')",
    "the command line": "from napari_sam3.cli import main; main(['--version'])",
    "a project": """
import tempfile, numpy
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.session.saved_prompts import SavedPrompt
film = numpy.zeros((3, 40, 50), numpy.uint8)
prompts = [SavedPrompt(0, 1, box_xyxy=numpy.array([2.0, 2, 9, 9]))]
with tempfile.TemporaryDirectory() as home:
    with Project.create(home + "/a.sam3", None, film.shape) as project:
        with ProjectRun(project, "fake", prompts, video=film) as run:
            assert len(list(run)) == 3
""",
    "one video and many": """
import tempfile
import numpy as np
from PIL import Image
from napari_sam3 import run_batch, track_video
film = np.zeros((2, 40, 50), np.uint8)
film[:, 10:20, 10:20] = 200
click = [{"frame": 0, "points": [[15, 15]]}]
with tempfile.TemporaryDirectory() as folder:
    with track_video(film, click, project=folder + "/a.sam3") as tracked:
        tracked.export(folder + "/labels.tif")
    Image.fromarray(film[0]).save(folder + "/0.png")
    (row,) = run_batch([folder + "/0.png"], click, folder + "/out", formats=["csv"]).rows
    assert row.state == "done", row
""",
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


# a room may import itself and those in the lines above it
ROOMS = (
    ("errors", "values", "whole_files", "cache_folder", "settings"),
    ("video",),
    ("models",),
    ("session",),
    ("samples", "labels"),
    ("export",),
    ("imports",),
    ("projects",),
    ("batch",),
    ("plugin", "cli"),
)


def test_rooms_are_imported_one_way():
    home = Path(napari_sam3.__file__).parent
    rank = {room: number for number, line in enumerate(ROOMS) for room in line}
    wrong = []
    for file in sorted(home.rglob("*.py")):
        room = file.relative_to(home).with_suffix("").parts[0]
        if room == "__init__":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                names = [n.name for n in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                package, _, rest = name.partition(".")
                other = rest.partition(".")[0]
                if package == "napari_sam3" and other and rank[other] > rank[room]:
                    wrong.append(f"{file.relative_to(home)} imports {name}")
    assert wrong == []

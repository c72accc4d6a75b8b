"""The house's rules that a linter can't hold: what is imported, and when."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import napari_sam3
from tests.sweeps import sweep

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
    "a detector": """
import numpy as np
from napari_sam3.detection import detect_objects
picture = np.zeros((40, 50), np.uint8)
picture[10:20, 10:20] = 200
(found,) = detect_objects(picture)
assert found.holds(15, 15)
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


@pytest.mark.parametrize("use", sweep(USES, ["the package", "one video and many"]))
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
    ("errors", "checkpoint", "values", "whole_files", "plain_files", "cache_folder", "settings"),
    ("video",),
    ("models",),
    ("session",),
    ("detection",),
    ("cluster",),
    ("samples", "labels"),
    ("export",),
    ("imports",),
    ("projects",),
    ("review", "batch"),
    ("plugin", "cli"),
)


# the same in the window's room
PLUGIN_ROOMS = ("layers", "model", "controllers", "io", "scripting", "views")

HOME = Path(napari_sam3.__file__).parent


@cache
def imports_by_module():
    """Every module of the package, and all names that its import statements say, late ones too."""
    found = {}
    for file in sorted([*HOME.rglob("*.py"), *HOME.rglob("*.pyi")]):
        parts = file.relative_to(HOME.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        names = found.setdefault(module, set())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                # lazy_loader wants what a package hands on named so
                is_handed_on = file.suffix == ".pyi" and node.level == 1
                assert is_handed_on or not node.level, f"{file} imports relatively"
                home = f"{module}." if node.level else ""
                names |= {f"{home}{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def arrows():
    """Of each module of the package, the modules of the package that it imports."""
    found = imports_by_module()

    def module_of(name):
        return name if name in found else name.rpartition(".")[0]

    return {
        module: {module_of(name) for name in names if module_of(name) in found} - {module}
        for module, names in found.items()
    }


def rooms_out_of_order(prefix, rank):
    """Modules below `prefix` that import one of a room that stands above their own."""

    def room(module):
        return module.removeprefix(prefix + ".").partition(".")[0]

    inside = {m: used for m, used in arrows().items() if m.startswith(prefix + ".")}
    return [
        f"{module} imports {other}"
        for module, used in inside.items()
        for other in sorted(used)
        if other.startswith(prefix + ".") and rank[room(other)] > rank[room(module)]
    ]


def test_rooms_are_imported_one_way():
    rank = {room: number for number, line in enumerate(ROOMS) for room in line}
    assert rooms_out_of_order("napari_sam3", rank) == []


def test_rooms_of_the_window_are_imported_one_way():
    rank = {room: number for number, room in enumerate(PLUGIN_ROOMS)}
    assert rooms_out_of_order("napari_sam3.plugin", rank) == []


def test_nothing_handed_on_is_called_as_a_module_beside_it():
    """Importing such a module would put it in the place of what is handed on."""
    for stub in HOME.rglob("__init__.pyi"):
        for line in ast.parse(stub.read_text(encoding="utf-8")).body:
            if isinstance(line, ast.ImportFrom):
                clashes = [
                    alias.name
                    for alias in line.names
                    if (stub.parent / f"{alias.name}.py").exists() and line.module
                ]
                assert clashes == [], stub


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as exc:
        pytest.fail(f"a circle of imports: {' <- '.join(exc.args[1])}")


def test_dask_is_known_to_one_room_and_late():
    """Neither the package nor the command line's start pays for it."""
    wrong = [
        f"{module} imports {name}"
        for module, names in imports_by_module().items()
        if not module.startswith("napari_sam3.cluster")
        for name in names
        if name.partition(".")[0] == "distributed"
    ]
    assert wrong == []
    code = (
        "import sys, napari_sam3, napari_sam3.cluster\n"
        "from napari_sam3.cluster import Connection, RemoteModel, RemoteSession\n"
        "from napari_sam3.cli import main\nmain(['track', '--help'])\n"
        "assert 'distributed' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room", ["layers", "model"])
def test_layers_and_model_know_no_qt(room):
    qt = {"qtpy", "magicgui", "superqt", "PyQt6", "napari.qt", "napari._qt"}
    wrong = [
        f"{module} imports {name}"
        for module, names in imports_by_module().items()
        if module.startswith(f"napari_sam3.plugin.{room}")
        for name in names
        if any(name == one or name.startswith(one + ".") for one in qt)
    ]
    assert wrong == []


def test_a_panel_knows_no_other_panel():
    """A panel is a file of views/; what several share lies in views/widgets, or in a controller."""
    wrong = [
        f"{module} imports {other}"
        for module, used in arrows().items()
        if module.startswith("napari_sam3.plugin.views.") and module.endswith("_panel")
        for other in used
        if other.startswith("napari_sam3.plugin.views.") and other.endswith("_panel")
    ]
    assert wrong == []

"""Every example runs as its first lines say."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from napari_sam3.models import registry
from tests.stand_ins import stand_in_for_sam3

pytestmark = pytest.mark.sweep
EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


IN_A_WINDOW = {path for path in EXAMPLES if "import napari\n" in path.read_text(encoding="utf-8")}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """A function that runs an example in an empty folder."""

    def run(path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [str(path)])
        monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))  # one adds a model
        stand_in_for_sam3(monkeypatch)
        runpy.run_path(str(path), run_name="__main__")
        assert capsys.readouterr().out

    return run


@pytest.mark.parametrize("path", sorted({*EXAMPLES} - IN_A_WINDOW), ids=lambda path: path.stem)
def test_example(path, run):
    run(path)


@pytest.mark.parametrize("path", sorted(IN_A_WINDOW), ids=lambda path: path.stem)
def test_example_in_a_window(path, run, make_napari_viewer, monkeypatch):
    import napari  # noqa: TID251

    monkeypatch.setattr(napari, "Viewer", make_napari_viewer)
    # comes back when the window was closed
    monkeypatch.setattr(napari, "run", lambda: napari.current_viewer().close())
    run(path)

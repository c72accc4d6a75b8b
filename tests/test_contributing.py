"""What CONTRIBUTING.md says works: its entries in the registries, with the classes of examples."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_sam3 import VideoSession
from napari_sam3.cli import main
from napari_sam3.export.registry import FORMATS, Format
from napari_sam3.export.tiff import export_labels_tiff
from napari_sam3.models import registry
from napari_sam3.models.base import Capabilities
from napari_sam3.models.registry import ModelEntry
from tests.export.scene import LABELS

HOME = Path(__file__).parents[1]
PAGE = (HOME / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMES = {kind.__name__: kind for kind in (Format, ModelEntry, Capabilities)}


def entry(kind):
    """What the page enters in a registry."""
    found = re.search(rf"```python\n *({kind}\(.*?\))\n *```", PAGE, re.DOTALL)
    assert found is not None
    return eval(found[1], NAMES)


@pytest.fixture
def example_as(monkeypatch):
    """A function that makes an example a module of a name."""

    def example_as(example, name):
        module = ModuleType(name)
        vars(module).update(runpy.run_path(str(HOME / "examples" / f"{example}.py")))
        monkeypatch.setitem(sys.modules, name, module)

    return example_as


def test_a_format_that_is_entered_is_one_of_the_command_line(tmp_path, example_as, monkeypatch):
    example_as("add_a_format", "napari_sam3.export.positions")
    monkeypatch.setitem(FORMATS, "positions", entry("Format"))
    export_labels_tiff(tmp_path / "labels.tif", LABELS)
    asked = ["export", str(tmp_path / "labels.tif"), "--formats", "positions"]
    assert main([*asked, "-o", str(tmp_path / "out")]) == 0
    written = (tmp_path / "out" / "positions.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in written.splitlines()]
    expected = [
        [str(frame_index), str(obj_id)]
        for frame_index, frame in enumerate(LABELS)
        for obj_id in range(1, LABELS.max() + 1)
        if (frame == obj_id).any()
    ]
    assert [line[:2] for line in lines] == expected


def test_a_model_that_is_entered_is_offered_and_follows(example_as, monkeypatch):
    example_as("add_a_model", "add_a_model")
    # taken back at the end of the test
    monkeypatch.setitem(registry._ENTRIES, "bright-spots", entry("ModelEntry"))
    assert "bright-spots" in [offer.name for offer in registry.list_models()]
    film = np.zeros((4, 60, 80), np.uint8)
    for t, frame in enumerate(film):
        frame[10 + 2 * t : 20 + 2 * t, 5:15] = 200  # followed
        frame[40:50, 60:70] = 180  # not asked for
    with VideoSession(film, "bright-spots") as session:
        session.add_prompt(0, points=[[10, 15]], obj_id=1)
        masks = [result.objects[1].mask for result in session.propagate()]
    for mask, frame in zip(masks, film, strict=True):
        np.testing.assert_array_equal(mask, frame == 200)


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "README.md", "SECURITY.md"]
)
def test_links(page):
    text = (HOME / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (HOME / target).exists(), target

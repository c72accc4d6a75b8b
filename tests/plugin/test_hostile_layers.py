"""What a stranger's `layers.json` says of a layer costs that layer's look, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Layer

from napari_sam3.plugin.layers.mask_state import masked_frames
from napari_sam3.plugin.layers.project_layers import open_project
from napari_sam3.projects import Project
from napari_sam3.session.saved_prompts import SavedPrompt

SHAPE = (4, 30, 40)
POINTS = {
    "role": "points",
    "type": "points",
    "made_here": True,
    "ndim": 3,
    "data": [[0, 10, 12]],
    "features": {"object": [1], "label": ["include"]},
    "feature_defaults": {"object": 0, "label": "include"},
    "place": {"name": "clicks", "scale": [1, 1, 1]},
}
MASKS = {"role": "masks", "name": "masks", "frames": {"0": {"1": [0, 1200]}}}


@pytest.fixture
def keep(tmp_path):
    """A function that makes a project whose layers are told so, and shows it."""
    shown = []

    def keep(*entries):
        folder = tmp_path / "a.sam3"
        with Project.create(folder, None, SHAPE) as project:
            project.save_prompts([SavedPrompt(0, 1, np.array([[12.5, 10.5]]))])
            project.labels.draw(0, np.ones(SHAPE[1:], np.uint16))
        (folder / "layers.json").write_text(json.dumps({"layers": list(entries)}))
        opened = open_project(folder, read_only=True)
        shown.append(opened.project)
        layers = {d[1]["metadata"]["sam3_role"]: Layer.create(*d) for d in opened.layers}
        return layers, opened

    yield keep
    for project in shown:
        project.close()


def test_what_is_right_is_shown_as_told(keep):
    layers, opened = keep(POINTS)
    assert layers["points"].name == "clicks"
    assert layers["points"].data.tolist() == [[0, 10, 12]]
    assert not opened.problems[len(opened.project.problems) + 1 :]


@pytest.mark.parametrize(
    "said",
    [
        {"place": {"blending": "no such"}},
        {"place": {"scale": [0, 1, 1]}},
        {"place": {"scale": [1e999, 1, 1]}},
        {"place": {"affine": [[1]]}},
        {"place": {"units": ["no such", "px", "px"]}},
        {"data": "words"},
        {"data": [[0, 1]]},
        {"ndim": 10**9},
        {"features": {"object": [1, 2]}},
        {"made_here": False, "look": {"symbol": ["no such"]}},
    ],
)
def test_what_can_not_be_is_told_and_drawn_anew(keep, said):
    layers, opened = keep({**POINTS, **said})
    assert layers["points"].data.tolist() == [[0, 10, 12]]  # as the model was told
    assert layers["results"].data[0].all()
    assert any("the layer of points" in p for p in opened.problems)


def test_a_look_says_nothing_but_looks(keep):
    look = {"metadata": {"sam3_role": "results"}, "text": "{object}"}
    layers, _ = keep({**POINTS, "made_here": False, "look": look})
    assert set(layers) == {"points", "results"}
    assert layers["points"].metadata["sam3_role"] == "points"
    assert set(np.ravel(layers["points"].text.values)) <= {""}


@pytest.mark.parametrize(
    "frames", [{"0": {"70000": [0, 1200]}}, {"0": {"-1": [0, 1200]}}, {"9" * 5000: {}}, {"0": 3}]
)
def test_masks_that_can_not_be(keep, frames):
    layers, opened = keep(POINTS, {**MASKS, "frames": frames})
    assert "points" in layers
    assert masked_frames(opened.project) <= {0}

"""What commands are tried on: a history, prompt layers with items, all that can be seen of them."""

import numpy as np
import pytest
from napari.layers import Image

from napari_sam3.plugin.layers.prompt_items import read_items
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.model.command_history import CommandHistory

SHAPE = (6, 20, 30)


@pytest.fixture
def history():
    return CommandHistory()


@pytest.fixture
def prompts():
    """A Points and a Shapes layer with three items each, of objects 1, 2 and 1."""
    image = Image(np.zeros(SHAPE, np.uint8), name="film")
    points, shapes = make_prompt_layers(image, StackAxes(time=0))
    for n, obj_id in enumerate((1, 2, 1)):
        for layer in (points, shapes):
            layer.feature_defaults = {"object": obj_id, "label": "include" if n else "exclude"}
        points.add([n, 5 + n, 6])
        kind = ("rectangle", "polygon", "ellipse")[n]
        shapes.add(square(n), shape_type=kind, edge_width=n + 1)
    for layer in (points, shapes):
        layer.feature_defaults = {"object": 3, "label": "include"}
        layer.selected_data = set()
    points.size = [3, 4, 5]
    points.symbol = ["diamond", "x", "star"]
    return points, shapes


def square(n, size=4):
    return np.array([[n, 2, 2], [n, 2, 2 + size], [n, 2 + size, 2 + size], [n, 2 + size, 2.0]])


def state_of(layer):
    """All that there is to see and read of a prompt layer."""
    items = read_items(layer)
    return {
        "data": [item.tolist() for item in items.data],
        "features": layer.features.to_dict("list"),
        "types": layer.features.dtypes.to_dict(),
        "defaults": layer.feature_defaults.to_dict("list"),
        "look": {name: np.array(values).tolist() for name, values in items.look.items()},
        "selected": set(layer.selected_data),
    }


def check_both_ways(history, command, look):
    """Do, undo and redo something twice; `look` gives all that it may change."""
    before = look()
    assert history.do(command)
    after = look()
    assert after != before
    for _ in range(2):
        history.undo()
        assert look() == before
        history.redo()
        assert look() == after
    return after

"""Every change that a person makes to prompts, undone and redone; layers without a window."""

import numpy as np
import pytest
from napari.layers import Image, Points, Shapes

from napari_sam3.errors import LayerError, RequestError
from napari_sam3.plugin.controllers.commands import AddPrompts, MovePrompt, RemovePrompts
from napari_sam3.plugin.layers.prompt_items import read_items
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.stack_axes import StackAxes
from tests.plugin.command_scene import SHAPE, check_both_ways, history, prompts, square, state_of

__all__ = ["history", "prompts"]


@pytest.fixture(params=["points", "shapes"])
def layer(request, prompts):
    return prompts[request.param == "shapes"]


def new_item(layer, n=4):
    return np.array([n, 9, 9.0]) if isinstance(layer, Points) else square(n, 5)


def test_prompts_are_added(history, layer):
    items = [new_item(layer, 3), new_item(layer, 4)]
    said = {"object": 2, "label": "exclude"}
    after = check_both_ways(history, AddPrompts(layer, items, said), lambda: state_of(layer))
    assert after["features"]["object"] == [1, 2, 1, 2, 2]
    assert after["features"]["label"][3:] == ["exclude", "exclude"]
    assert after["defaults"] == {"object": [3], "label": ["include"]}
    assert after["data"][4] == items[1].tolist()
    assert after["selected"] == set()
    assert history.done[-1].label == "add 2 prompts"
    faces = layer.face_color
    np.testing.assert_array_equal(faces[3], faces[0])  # both exclude


def test_the_first_prompt_of_a_layer(history):
    image = Image(np.zeros(SHAPE, np.uint8))
    for layer in make_prompt_layers(image, StackAxes(time=0)):
        history.do(AddPrompts(layer, [new_item(layer)], {"object": 7}))
        history.undo()
        assert len(layer.data) == 0
        history.redo()
        assert state_of(layer)["features"]["object"] == [7]
        assert state_of(layer)["features"]["label"] == ["include"]


def test_prompts_are_removed_and_come_back_at_their_places(history, layer):
    command = RemovePrompts(layer, [2, 0])
    after = check_both_ways(history, command, lambda: state_of(layer))
    assert after["features"]["object"] == [2]
    assert after["defaults"] == {"object": [3], "label": ["include"]}
    assert history.done[-1].label == "remove 2 prompts"
    history.undo()
    np.testing.assert_allclose(layer.face_color[0][:3], [0.9, 0.62, 0], atol=1e-6)  # exclude


def test_all_prompts_are_removed(history, layer):
    after = check_both_ways(history, RemovePrompts(layer, range(3)), lambda: state_of(layer))
    assert after["data"] == []


def test_a_prompt_is_moved(history, layer):
    command = MovePrompt(layer, {1: new_item(layer)}, {"object": {1: 5, 2: 5}})
    before = state_of(layer)
    after = check_both_ways(history, command, lambda: state_of(layer))
    assert after["data"] == [before["data"][0], new_item(layer).tolist(), before["data"][2]]
    assert after["features"]["object"] == [1, 5, 5]
    assert after["look"].get("shape_type") == before["look"].get("shape_type")
    assert not history.do(MovePrompt(layer, {1: new_item(layer)}))  # it is there already


def test_colours_that_a_person_chose_come_back(history):
    for layer in (
        Points([[0, 1, 1], [0, 2, 2]], face_color=["red", "blue"]),
        Shapes([square(0), square(1)], face_color=["red", "blue"], edge_color=["lime", "red"]),
    ):
        check_both_ways(history, RemovePrompts(layer, [0]), lambda layer=layer: state_of(layer))
        history.undo()
        np.testing.assert_array_equal(layer.face_color, [[1, 0, 0, 1], [0, 0, 1, 1]])


def test_what_was_drawn_by_hand_is_recorded(history, layer):
    before = state_of(layer)
    layer.add(new_item(layer))
    history.record(AddPrompts.drawn(layer, [3]))
    drawn = {**state_of(layer), "selected": set()}
    history.undo()
    assert state_of(layer) == before
    history.redo()
    assert state_of(layer) == drawn

    items = read_items(layer, [1])
    layer.selected_data = {1}
    layer.remove_selected()
    layer.feature_defaults = {"object": 3, "label": "include"}
    removed = state_of(layer)
    history.record(RemovePrompts(layer, [1], items))
    history.undo()
    assert state_of(layer) == drawn
    history.redo()
    assert state_of(layer) == removed

    history.record(MovePrompt(layer, {0: square(5)[0] if isinstance(layer, Points) else square(5)}))
    history.undo()
    assert state_of(layer)["data"][0][0] in (5, [5, 2, 2])
    history.redo()
    assert state_of(layer) == removed


def test_what_others_said_since_of_the_same_items_stays(history, layer):
    """As it is when items that name no object get an id of their own."""
    history.do(AddPrompts(layer, [new_item(layer, 3)], {"object": 0}))
    history.do(AddPrompts(layer, [new_item(layer, 4)], {"object": 0}))
    layer.features = layer.features.assign(object=[1, 2, 1, 8, 9], score=0.5)
    history.undo()
    assert layer.features["object"].tolist() == [1, 2, 1, 8]
    history.redo()
    assert layer.features["object"].tolist() == [1, 2, 1, 8, 9]
    assert layer.features["score"].tolist() == [0.5] * 5


def test_items_from_before_a_feature_was_there_come_back(history, layer):
    history.do(RemovePrompts(layer, [1]))
    layer.features = layer.features.assign(kind=["a", "a"])
    layer.feature_defaults = {"object": 3, "label": "include", "kind": "b"}
    history.undo()
    assert layer.features["kind"].tolist() == ["a", "b", "a"]
    assert layer.features["object"].tolist() == [1, 2, 1]


def test_nothing_is_out_of_range_when_prompts_are_gone(history, layer):
    history.do(AddPrompts(layer, [new_item(layer)]))
    layer.selected_data = {0, 1, 2, 3}
    layer.remove_selected()
    with pytest.raises(RequestError, match=r"can't be undone: the prompts in 'film .*' are others"):
        history.undo()
    assert len(layer.data) == 0
    assert history.done
    assert not history.undone


def test_prompts_that_do_not_fit_change_nothing(history, layer):
    before = state_of(layer)
    for command in (
        AddPrompts(layer, [new_item(layer)[..., 1:]]),
        AddPrompts(layer, [new_item(layer)], {"mood": "good"}),
        MovePrompt(layer, {3: new_item(layer)}),
        MovePrompt(layer, features={"mood": {0: "good"}}),
        RemovePrompts(layer, [3]),
    ):
        with pytest.raises(LayerError):
            history.do(command)
        assert state_of(layer) == before
    assert not history.done
    assert not history.do(RemovePrompts(layer, []))
    assert not history.do(AddPrompts(layer, []))


def test_others_hear_of_prompts_once_they_are_there(history, layer):
    heard = []
    history.do(RemovePrompts(layer, [0]))
    layer.events.data.connect(lambda event: heard.append((str(event.action), len(layer.data))))
    layer.events.features.connect(lambda _: heard.append(layer.features["object"].tolist()))
    history.undo()
    assert heard[-1] == ("added", 3)
    assert all(one in (("added", 3), [1, 2, 1]) for one in heard)

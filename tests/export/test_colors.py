"""The film's colours are those of the window."""

from __future__ import annotations

import numpy as np

from napari_sam3.export.colors import label_colors, outline_colors


def test_colours_are_those_of_the_layer_of_results():
    from napari.layers import Labels  # noqa: TID251

    from napari_sam3.plugin.layers.object_colours import object_colormap

    layer = Labels(np.zeros((4, 4), np.uint16), colormap=object_colormap())
    ids = np.array([1, 2, 17, 49, 50, 99, 1000])
    shown = np.array([layer.get_color(int(i)) for i in ids])[:, :3]
    np.testing.assert_array_equal(label_colors(ids), (shown * 255).round())


def test_objects_beyond_the_first_few_look_as_in_plain_labels():
    from napari.layers import Labels  # noqa: TID251

    layer = Labels(np.zeros((4, 4), np.uint16))
    ids = np.array([8, 17, 49])
    shown = np.array([layer.get_color(int(i)) for i in ids])[:, :3]
    np.testing.assert_array_equal(label_colors(ids), (shown * 255).round())


# what is left of red, green and blue (linear) for who lacks red, green or blue cones: each pair
# tells how the missing one is made up from what the others see (Vienot 1999 for the first two)
_BLIND = {
    "red": [[0.1124, 0.8876, 0], [0.1124, 0.8876, 0], [0.004, -0.004, 1]],
    "green": [[0.2927, 0.7073, 0], [0.2927, 0.7073, 0], [-0.0223, 0.0223, 1]],
}


def test_the_first_objects_differ_for_who_lacks_a_kind_of_cones():
    linear = (label_colors(np.arange(1, 8)) / 255) ** 2.2
    for matrix in _BLIND.values():
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        assert apart[np.triu_indices(7, 1)].min() > 0.14


def test_outlines_are_bright():
    assert (outline_colors(np.arange(1, 60)).max(axis=1) == 255).all()


def test_a_colour_that_was_chosen_is_taken_and_a_black_one_outlined_in_black():
    ids = np.array([[1, 2], [2, 60000]])
    chosen = {2: "#ff8800", 60000: "#000000"}
    colors = label_colors(ids, chosen)
    assert colors[0, 1].tolist() == colors[1, 0].tolist() == [255, 136, 0]
    np.testing.assert_array_equal(colors[0, 0], label_colors(np.array([1]))[0])
    assert outline_colors(ids, chosen)[1, 1].tolist() == [0, 0, 0]

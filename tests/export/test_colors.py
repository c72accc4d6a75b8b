"""The film's colours are those of the window."""

from __future__ import annotations

import numpy as np

from napari_sam3.export.colors import label_colors, outline_colors


def test_colours_are_those_of_a_labels_layer():
    from napari.layers import Labels  # noqa: TID251

    layer = Labels(np.zeros((4, 4), np.uint16))
    ids = np.array([1, 2, 17, 49, 50, 99, 1000])
    shown = np.array([layer.get_color(int(i)) for i in ids])[:, :3]
    np.testing.assert_array_equal(label_colors(ids), (shown * 255).round())


def test_outlines_are_bright():
    assert (outline_colors(np.arange(1, 60)).max(axis=1) == 255).all()

"""Undo and redo over all that a person does in a window, in one order."""

from __future__ import annotations

import numpy as np

from napari_sam3.plugin.layers.features_table import table_of

from .conftest import SHAPE, click, disc, labels_of


def all_of(dock):
    """All that was done to the video, as it can be seen and will be saved."""
    state, results = dock.state, dock.tracking.results
    seen = {
        "clicks": [] if state.points is None else [p.tolist() for p in state.points.data],
        "said": {} if state.points is None else state.points.features.to_dict("list"),
        "boxes": [] if state.boxes is None else [b.tolist() for b in state.boxes.data],
        "texts": state.texts,
    }
    planes = None if results is None else results.planes
    seen["frames"] = {
        t: (planes[t].tolist(), dict(planes.notes(t)), planes.is_locked(t))
        for t in range(SHAPE[0])
        if planes is not None and (planes.is_processed(t) or planes.is_locked(t))
    }
    seen["table"] = [] if results is None else table_of(results.layer).to_rows()
    seen["hand"] = [] if results is None else sorted(results.painted())
    return seen


def check_both_ways(dock, before):
    """Undo once and redo it; how it was before."""
    after = all_of(dock)
    assert after != before
    assert dock.tracking.undo()
    assert all_of(dock) == before
    assert dock.tracking.redo()
    assert all_of(dock) == after


def labels_of_history(dock):
    return [command.label for command in dock.state.current.history.done]


def test_a_click(ready):
    before = all_of(ready)
    click(ready, 60, 20, obj_id=2, sign="exclude")
    check_both_ways(ready, before)
    assert labels_of_history(ready) == ["click on object 1", "click off object 2"]


def test_a_segmented_frame_is_never_processed_again(ready, work):
    before = all_of(ready)
    ready.viewer.dims.set_current_step(0, 0)
    work(ready, ready.segment_frame)
    check_both_ways(ready, before)
    assert labels_of_history(ready)[1:] == ["segment frame 0"]


def test_a_propagation(ready, work):
    ready.viewer.dims.set_current_step(0, 0)
    work(ready, ready.segment_frame)
    before = all_of(ready)
    work(ready, ready.propagate)
    check_both_ways(ready, before)
    assert labels_of_history(ready)[-1] == f"propagate over {SHAPE[0] - 1} frames"
    ready.tracking.undo()
    ready.tracking.undo()
    work(ready, ready.propagate)
    assert not ready.tracking.redo()
    for t in range(SHAPE[0]):
        np.testing.assert_array_equal(labels_of(ready).data[t] == 1, disc(t, 30, 40))


def test_an_object_that_was_removed(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    ready.tracking.objects.rename(labels_of(ready), 1, "Ann")
    before = all_of(ready)
    ready.prompt_panel.object.value = 1
    work(ready, ready.remove_object)
    assert labels_of_history(ready)[-1] == "remove object 1"
    check_both_ways(ready, before)
    ready.tracking.undo()
    work(ready, ready.propagate)  # and is followed again, under its id
    assert all_of(ready)["frames"][5][0] == before["frames"][5][0]

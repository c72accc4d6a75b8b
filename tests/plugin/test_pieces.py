"""Long work of the window's thread, cut in pieces."""

from itertools import pairwise

import pytest
from napari.layers import Points
from qtpy.QtCore import QTimer

from napari_sam3.plugin.controllers.pieces import Pieces
from napari_sam3.plugin.model.tools import Tool


def _steps(done, *names):
    for name in names:
        done.append(name)
        yield


def test_the_window_is_heard_between_pieces(qtbot):
    done: list[str] = []
    pieces, clock = Pieces(), QTimer()
    clock.timeout.connect(lambda: done.append("tick"))
    clock.start(0)
    pieces.start(_steps(done, "first", "second", "third"))
    assert "first" not in done, "nothing is done before the next turn"
    qtbot.waitUntil(lambda: not pieces.is_running)
    clock.stop()
    order = [name for name in done if name != "tick"]
    assert order == ["first", "second", "third"]
    for one, next_one in pairwise(order):
        assert "tick" in done[done.index(one) : done.index(next_one)]


def test_one_work_after_the_other(qtbot):
    done: list[str] = []
    pieces = Pieces()
    pieces.start(_steps(done, "a", "b"))
    pieces.start(_steps(done, "c"))
    qtbot.waitUntil(lambda: not pieces.is_running)
    assert done == ["a", "b", "c"]


def test_what_is_left_is_done_at_once_or_dropped(qtbot):
    done: list[str] = []
    pieces = Pieces()
    pieces.start(_steps(done, "a", "b"))
    pieces.finish()
    assert done == ["a", "b"]
    assert not pieces.is_running
    pieces.start(_steps(done, "c"))
    pieces.drop()
    pieces.finish()
    assert done == ["a", "b"]


def test_a_piece_may_finish_drop_and_start_others(qtbot):
    done: list[str] = []
    pieces = Pieces()

    def work():
        done.append("a")
        pieces.finish()  # as when the window is closed from within
        pieces.start(_steps(done, "c"))
        yield
        done.append("b")
        pieces.drop()
        yield
        done.append("never")

    pieces.start(work())
    pieces.finish()
    assert done == ["a", "b"]
    assert not pieces.is_running


def test_an_error_ends_its_own_work_alone(qtbot):
    done: list[str] = []
    pieces = Pieces()

    def fails():
        raise OSError("no disk")
        yield

    pieces.start(fails())
    pieces.start(_steps(done, "a"))
    with pytest.raises(OSError, match="no disk"):
        pieces.finish()
    pieces.finish()
    assert done == ["a"]


# --------------------------------------------------------- a dock gets ready for a video


def _layer_names(dock):
    return [layer.name for layer in dock.viewer.layers]


def test_who_chooses_a_layer_meanwhile_keeps_it(open_dock, film, qtbot):
    dock = open_dock()
    own = Points(name="mine", ndim=3)
    steps: list[str] = []

    def choose_own(_event):
        # the first of the dock's own layers has just come, the second is still to come
        if not steps and any("boxes" in layer.name for layer in dock.viewer.layers):
            steps.append("chosen")
            QTimer.singleShot(0, lambda: setattr(dock.state, "points", own))

    dock.viewer.layers.events.inserted.connect(choose_own)
    dock.viewer.add_image(film, name="film")
    dock.viewer.add_layer(own)
    qtbot.waitUntil(lambda: dock.state.points is own)
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    dock.viewer.layers.events.inserted.disconnect(choose_own)
    assert dock.state.points is own
    assert _layer_names(dock) == ["film", "mine"]


def test_a_video_deleted_meanwhile_takes_the_layers_along(open_dock, film, qtbot):
    dock = open_dock()
    image = dock.viewer.add_image(film, name="film")
    qtbot.waitUntil(lambda: len(dock.viewer.layers) > 1)
    dock.viewer.layers.remove(image)
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    assert _layer_names(dock) == []
    assert dock.state.points is None


def test_both_layers_and_the_tool_are_there_in_the_end(open_dock, film, qtbot):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    qtbot.waitUntil(lambda: dock.state.points is not None and not dock.is_getting_ready)
    assert dock.viewer.layers.selection.active is dock.state.points
    assert _layer_names(dock) == ["film", "film boxes", "film clicks"]
    assert dock.state.points.mode == "add"


def test_a_tool_that_is_taken_meanwhile_stays_in_hand(open_dock, film, qtbot):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.take_tool(Tool.BOX)
    assert dock.is_getting_ready
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    assert dock.state.tool is Tool.BOX
    assert dock.viewer.layers.selection.active is dock.state.boxes
    assert _layer_names(dock) == ["film", "film boxes", "film clicks"]

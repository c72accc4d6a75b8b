"""Every change that a person makes to objects and results, undone and redone; no window."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam3.errors import LayerError, LineageError, RequestError, StoreReadOnlyError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.lineage import Division
from napari_sam3.labels.object_notes import PAINTED, ObjectNote
from napari_sam3.plugin.controllers.commands import (
    AddPrompts,
    ChangeFrames,
    EditTable,
    LockFrame,
    MovePrompt,
    Relabel,
    RemovePrompts,
)
from napari_sam3.plugin.controllers.object_controller import ObjectController
from napari_sam3.plugin.controllers.relabeling import plan_merge
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.prompt_items import find_items
from tests.plugin.command_scene import SHAPE, check_both_ways, history, prompts, square, state_of

__all__ = ["history", "prompts"]

FOUND = ObjectNote(0.9, "propagated")
UNSURE = ObjectNote(0.3, "propagated")


@pytest.fixture
def planes():
    """Frames 0 to 4 of objects 1 and 2, drawn; on frame 3, which is locked, a third was painted."""
    planes = LabelStack(SHAPE)
    for n in range(5):
        planes.draw(n, frame_of(n), {1: FOUND, 2: UNSURE})
    planes[3, 15:18, 2:5] = 3
    planes.take_edits([])
    planes.lock(3)
    return planes


@pytest.fixture
def results(planes):
    layer = Labels(planes, name="film objects")
    table = table_of(layer)
    table.rename(1, "Ann")
    table.rename(2, "Eve")
    table.classify(2, "cell")
    return layer


def frame_of(n):
    frame = np.zeros(SHAPE[1:], np.uint16)
    frame[2 + n : 6 + n, 2:8] = 1
    frame[2 + n : 6 + n, 8:12] = 2
    return frame


def rows_of(layer):
    return table_of(layer).to_rows()


def frames_of(layer):
    planes = layer.data
    return [(planes[n].tolist(), planes.notes(n), planes.is_locked(n)) for n in range(SHAPE[0])]


def rename(layer, obj_id, name):
    return EditTable(layer, "rename", lambda table: table.rename(obj_id, name))


def divide(layer, mother, daughters, frame_index):
    mark = (mother, daughters, frame_index)
    return EditTable(layer, "divide", lambda table: table.mark_division(*mark))


def undivide(layer, mother):
    return EditTable(layer, "unmark", lambda table: table.unmark_division(mother))


@pytest.mark.parametrize(
    ("change", "label"),
    [
        (lambda objects, layer: objects.rename(layer, 1, "Bob"), "rename object 1"),
        (lambda objects, layer: objects.rename(layer, 1, ""), "rename object 1"),
        (lambda objects, layer: objects.classify(layer, 1, "dog"), "say the class of object 1"),
        (lambda objects, layer: objects.divide(layer, 2, [5, 4], 3), "divide object 2"),
    ],
)
def test_what_is_known_of_objects_changes(results, change, label):
    objects = ObjectController()
    history = objects.history(results)
    before = rows_of(results)
    change(objects, results)
    after = rows_of(results)
    assert history.done[-1].label == label
    for _ in range(2):
        history.undo()
        assert rows_of(results) == before
        history.redo()
        assert rows_of(results) == after != before


def test_divisions_are_marked_changed_and_unmarked(history, results):
    history.do(divide(results, 1, [4, 5], 2))
    table = table_of(results)
    check_both_ways(history, divide(results, 1, [5, 6], 3), lambda: rows_of(results))
    assert table.divisions == (Division(1, (5, 6), 3),)
    check_both_ways(history, undivide(results, 1), lambda: rows_of(results))
    assert table.divisions == ()
    for _ in range(3):
        history.undo()
    assert table.divisions == ()
    assert table.ids == (1, 2)


def test_what_can_not_be_changes_nothing(history, results):
    before = rows_of(results)
    with pytest.raises(LineageError, match="own daughter"):
        history.do(divide(results, 1, [1], 2))
    assert rows_of(results) == before
    assert not history.done
    assert not history.do(rename(results, 1, " Ann "))
    assert not history.done


def test_what_others_said_since_of_objects_stays(history, results):
    table = table_of(results)
    history.do(rename(results, 1, "Bob"))
    history.do(divide(results, 1, [4, 5], 2))
    table.classify(1, "dog")
    table.rename(5, "Sue")
    history.undo()
    history.undo()
    assert table.names == {1: "Ann", 2: "Eve", 5: "Sue"}
    assert table.classes == {1: "dog", 2: "cell"}
    history.redo()
    history.redo()
    assert table.names == {1: "Bob", 2: "Eve", 5: "Sue"}
    assert table.daughters(1) == (4, 5)


def test_an_undo_that_can_not_be_any_more_says_so(history, results):
    table = table_of(results)
    history.do(divide(results, 1, [4, 5], 2))
    history.do(undivide(results, 1))
    table.mark_division(2, [4], 3)  # by somebody else
    before = rows_of(results)
    with pytest.raises(RequestError, match="can't be undone: object 4 is a daughter of 2 already"):
        history.undo()
    assert rows_of(results) == before
    table.unmark_division(2)
    history.undo()
    assert table.daughters(1) == (4, 5)


def test_a_change_of_several_things_is_told_once(history, results):
    heard = []
    table_of(results).changed.connect(heard.append)
    history.do(divide(results, 1, [4, 5], 2))
    history.undo()
    assert [change.ids for change in heard] == [(1, 4, 5), (1, 4, 5)]


def test_what_is_open_elsewhere_is_not_changed(history):
    class Elsewhere(LabelStack):
        is_read_only = False

    planes = Elsewhere(SHAPE)
    layer = Labels(planes)
    history.do(rename(layer, 1, "Bob"))
    planes.is_read_only = True
    for command in (rename(layer, 1, "Ann"), divide(layer, 1, [2, 3], 1)):
        with pytest.raises(StoreReadOnlyError, match="open elsewhere"):
            history.do(command)
    with pytest.raises(RequestError, match=r"can't be undone.*open elsewhere"):
        history.undo()
    assert table_of(layer).names == {1: "Bob"}


# -------------------------------------------------------------------------- results


def draw(layer, frames, **options):
    """A command that draws frames: labels and notes, by frame index."""

    def edit(planes):
        for n, (labels, notes) in frames.items():
            planes.draw(n, labels, notes)

    return ChangeFrames(layer, "draw results", edit, **options)


def test_results_are_drawn_over(history, results, planes):
    frame, before = np.where(frame_of(1) == 1, 2, 0), planes.snapshot([1, 5])
    command = draw(results, {1: (frame, {2: FOUND}), 5: (frame_of(5), {1: FOUND, 2: FOUND})})
    check_both_ways(history, command, lambda: frames_of(results))
    np.testing.assert_array_equal(planes[1], frame)
    assert planes.notes(1) == {2: FOUND}
    assert command.frames == (1, 5)
    assert history.done[-1].memory_bytes == before.memory_bytes > 0


def test_a_frame_that_was_never_processed_is_so_again(history, results, planes):
    command = draw(results, {5: (frame_of(5), {1: FOUND}), 1: (planes[1], planes.notes(1))})
    assert history.do(command)
    assert command.frames == (5,)  # the other one is as it was
    history.undo()
    assert not planes.is_processed(5)
    history.redo()
    np.testing.assert_array_equal(planes[5], frame_of(5))


def test_results_that_were_drawn_already_are_recorded(history, results, planes):
    before, log = frames_of(results), planes.log_changes()
    for n in (0, 1):
        planes.draw(n, frame_of(n + 1), {1: UNSURE}, run=2)
    after = frames_of(results)
    history.record(ChangeFrames.done(results, "propagate", log.take()))
    history.undo()
    assert frames_of(results) == before
    assert planes.frames_of_run(2).size == 0
    history.redo()
    assert frames_of(results) == after
    assert planes.frames_of_run(2).tolist() == [0, 1]
    assert history.done[-1].label == "propagate"


def test_the_layer_shows_what_was_undone(history, results, planes):
    on_screen = []
    results.events.set_data.connect(lambda _: on_screen.append(planes[0].max()))
    history.do(draw(results, {0: (np.full(SHAPE[1:], 7), {})}))
    history.undo()
    assert on_screen == [7, 2]


def test_frames_that_were_locked_since_are_changed_by_nobody(history, results, planes):
    before = frames_of(results)
    history.do(draw(results, {2: (frame_of(0), {})}))
    after = frames_of(results)
    planes.lock(2)
    with pytest.raises(RequestError, match=r"can't be undone: frame 2 .* is locked; unlock it"):
        history.undo()
    planes.lock(2, False)
    assert frames_of(results) == after
    history.undo()
    assert frames_of(results) == before


def test_what_fails_half_way_has_changed_nothing(history, results, planes):
    before = frames_of(results)
    with pytest.raises(ValueError, match="shape"):
        history.do(draw(results, {0: (frame_of(2), {}), 1: (np.ones((2, 2), int), {})}))
    assert frames_of(results) == before
    assert not history.done


def test_what_is_being_painted_is_drawn_over_by_nobody(history, results, planes):
    planes[2, 0, 0] = 1
    with pytest.raises(LayerError, match=r"frame 2 .* painted in"):
        history.do(merge(results, 2, 1))
    planes.take_edits([1])
    assert history.do(merge(results, 2, 1))


def test_frames_are_locked(history, results, planes):
    check_both_ways(history, LockFrame(results, 1), lambda: planes.locked_frames().tolist())
    assert history.done[-1].label == "lock frame 1"
    check_both_ways(history, LockFrame(results, 3, False), lambda: planes.locked_frames().tolist())
    assert history.done[-1].label == "unlock frame 3"
    assert not history.do(LockFrame(results, 1))


def test_plain_labels_have_no_frames_to_draw(history):
    layer = Labels(np.ones(SHAPE, np.uint16))
    for command in (LockFrame(layer, 0), draw(layer, {0: (frame_of(1), {})})):
        with pytest.raises(LayerError, match="plain array"):
            command.do()
    assert history.do(rename(layer, 1, "Bob"))


# -------------------------------------------------------------------- whole objects


@pytest.fixture
def everything(results, prompts):
    """A function that gives all that can be known of objects."""
    return lambda: (rows_of(results), frames_of(results), [state_of(layer) for layer in prompts])


def merge(layer, obj_id, into, prompt_layers=()):
    """What makes one object of two, their prompts as well."""
    plan = plan_merge(layer.data, table_of(layer), None, [obj_id], into)
    renamed = [(one, dict.fromkeys(find_items(one, obj_id), into)) for one in prompt_layers]
    return Relabel(layer, plan, renamed)


def test_objects_are_merged_and_parted_again(history, results, prompts, everything):
    table = table_of(results)
    table.rename(1, "")
    table.mark_division(2, [4, 5], 5)
    table.mark_division(6, [2, 7], 1)
    check_both_ways(history, merge(results, 2, 1, prompts), everything)
    planes = results.data
    for n in range(5):
        np.testing.assert_array_equal(planes[n] == 1, frame_of(n) > 0)
        assert not (planes[n] == 2).any()
    assert planes.notes(0) == {1: FOUND}
    assert planes.notes(3) == {1: FOUND, 3: PAINTED}
    assert planes.locked_frames().tolist() == [3]
    assert [layer.features["object"].tolist() for layer in prompts] == [[1, 1, 1], [1, 1, 1]]
    np.testing.assert_array_equal(prompts[0].border_color[1], prompts[0].border_color[0])
    assert (table.names, table.classes) == ({1: "Eve"}, {1: "cell"})
    assert table.divisions == (Division(1, (4, 5), 5), Division(6, (1, 7), 1))
    assert history.done[-1].label == "merge object 2 into 1"


def test_notes_of_merged_objects_say_where_the_area_came_from(history):
    planes = LabelStack(SHAPE)
    one, two = np.where(frame_of(0) == 1, 1, 0), np.where(frame_of(0) == 2, 2, 0)
    both = frame_of(0)
    planes.draw(0, two, {1: PAINTED, 2: FOUND})  # 1 was wiped off
    planes.draw(1, both, {1: FOUND, 2: PAINTED})
    planes.draw(2, one, {1: UNSURE})
    planes.draw(3, one, {1: UNSURE, 2: PAINTED})
    planes.draw(4, both)
    history.do(merge(Labels(planes), 2, 1))
    notes = [planes.notes(n) for n in range(5)]
    assert notes == [{1: FOUND}, {1: PAINTED}, {1: UNSURE}, {1: UNSURE}, {}]
    history.undo()
    assert planes.notes(0) == {1: PAINTED, 2: FOUND}


@pytest.mark.parametrize(
    ("divisions", "message"),
    [
        ([(1, [4], 3), (2, [5], 3)], "both divide"),
        ([(1, [2, 5], 3)], "own daughter"),
        ([(2, [1, 5], 3)], "own daughter"),
        ([(7, [1], 3), (8, [2], 2)], "daughter of 7 already"),
    ],
)
def test_objects_whose_lives_do_not_go_together_stay_two(
    history, results, prompts, everything, divisions, message
):
    for division in divisions:
        table_of(results).mark_division(*division)
    before = everything()
    with pytest.raises(LineageError, match=message):
        history.do(merge(results, 2, 1, prompts))
    assert everything() == before
    assert not history.done


def test_an_object_is_not_merged_with_itself(results):
    with pytest.raises(LineageError, match="with itself"):
        merge(results, 2, 2)


def test_a_merge_that_fails_half_way_changes_nothing(
    history, results, prompts, everything, monkeypatch
):
    before, planes = everything(), results.data
    draw = LabelStack.draw

    def draw_until_full(self, frame_index, *args, **options):
        if frame_index == 2 or not isinstance(frame_index, int):
            raise OSError("the disk is full")
        return draw(self, frame_index, *args, **options)

    monkeypatch.setattr(LabelStack, "draw", draw_until_full)
    with pytest.raises(OSError, match="disk is full"):
        history.do(merge(results, 2, 1, prompts))
    assert everything() == before
    monkeypatch.undo()
    history.do(merge(results, 2, 1, prompts))
    after = everything()
    monkeypatch.setattr(LabelStack, "restore", draw_until_full)
    with pytest.raises(RequestError, match="can't be undone: the disk is full"):
        history.undo()
    assert everything() == after
    monkeypatch.undo()
    history.undo()
    assert everything() == before
    assert isinstance(planes, LabelStack)


def test_what_was_undone_is_in_the_file_so(history, tmp_path):
    with LabelStore.create(tmp_path / "labels", SHAPE) as store:
        for n in range(3):
            store.draw(n, frame_of(n), {1: FOUND, 2: UNSURE}, run=1)
        layer = Labels(store)
        history.do(merge(layer, 1, 2))
        history.do(LockFrame(layer, 1))
        for _ in range(2):
            history.undo()
    with LabelStore.open(tmp_path / "labels", read_only=True) as store:
        assert store.problems == ()
        assert store.locked_frames().tolist() == []
        for n in range(3):
            np.testing.assert_array_equal(store[n], frame_of(n))
            assert store.notes(n) == {1: FOUND, 2: UNSURE}
        assert store.frames_of_run(1).tolist() == [0, 1, 2]


def test_a_whole_story_is_undone_step_by_step(history, results, prompts, everything, planes):
    points, shapes = prompts
    steps = [
        lambda: AddPrompts(points, [[1, 3, 3.0]], {"object": 2}),
        lambda: MovePrompt(shapes, {0: square(2, 6)}),
        lambda: draw(results, {2: (frame_of(3), {1: FOUND})}),
        lambda: rename(results, 2, "Bob"),
        lambda: divide(results, 2, [4, 5], 4),
        lambda: LockFrame(results, 2),
        lambda: EditTable(results, "forget", lambda table: table.remove(1)),
        lambda: merge(results, 3, 2, prompts),
        lambda: RemovePrompts(points, [0]),
    ]
    states = [everything()]
    for step in steps:
        assert history.do(step())
        states.append(everything())
    for _ in range(2):
        for state in reversed(states[:-1]):
            history.undo()
            assert everything() == state
        for state in states[1:]:
            history.redo()
            assert everything() == state

"""What is known of objects: names, classes, divisions."""

from __future__ import annotations

import copy
import pickle
import threading
from dataclasses import replace

import pytest

from napari_sam3.errors import LineageError, LockedObjectError
from napari_sam3.labels.object_info import ObjectInfo, TableChange
from napari_sam3.labels.objects import Division, ObjectTable


@pytest.fixture
def family() -> ObjectTable:
    """1 divides into 2 and 3 on frame 5, 2 into 4 and 5 on frame 9."""
    table = ObjectTable()
    table.rename(1, "Eve")
    table.classify(4, "cell")
    table.mark_division(1, [3, 2], 5)
    table.mark_division(2, [4, 5], 9)
    return table


def test_says_what_was_said(family):
    assert family[1] == ObjectInfo(1, "Eve")
    assert family[4] == ObjectInfo(4, "", "cell", mother=2)
    assert family[77] == ObjectInfo(77)
    assert 77 not in family
    assert family.ids == (1, 2, 3, 4, 5)
    assert family.names == {1: "Eve"}
    assert family.classes == {4: "cell"}
    assert family.parents == {2: 1, 3: 1, 4: 2, 5: 2}
    assert family.divisions == (Division(1, (2, 3), 5), Division(2, (4, 5), 9))
    assert family.daughters(1) == (2, 3)
    assert family.daughters(5) == ()


def test_of_whom_nothing_is_known_is_not_in_it():
    table = ObjectTable()
    table.rename(3, "three")
    table.rename(3, "  ")
    assert len(table) == 0
    assert table == ObjectTable()


def test_names_are_one_line():
    table = ObjectTable()
    table.rename(1, " a\n b ")
    assert table[1].name == "a b"


@pytest.mark.parametrize(
    ("mother", "daughters", "frame_index"),
    [
        (6, [6, 7], 3),  # itself
        (4, [1, 8], 12),  # its ancestor
        (6, [3, 7], 6),  # has a mother
        (6, [1, 7], 5),  # divides on that frame
        (4, [8, 9], 9),  # is born on that frame
        (1, [2, 3], 9),  # a daughter divides then
        (6, [7], 0),  # no frame before
        (6, [], 3),
    ],
)
def test_a_division_that_cannot_be(family, mother, daughters, frame_index):
    before = family.copy()
    with pytest.raises(LineageError):
        family.mark_division(mother, daughters, frame_index)
    assert family == before


def test_marked_again(family):
    family.mark_division(1, [3, 8], 6)
    assert family.daughters(1) == (3, 8)
    assert family[2].mother is None
    assert family.daughters(2) == (4, 5)


def test_unmarked(family):
    family.unmark_division(2)
    assert family.divisions == (Division(1, (2, 3), 5),)
    assert family[4] == ObjectInfo(4, "", "cell")


def test_a_mother_is_set_by_a_division_alone(family):
    with pytest.raises(LineageError, match="mark"):
        family.set(ObjectInfo(3, "three", mother=2))
    family.set(ObjectInfo(3, "three", mother=1))
    assert family[3].name == "three"


def test_removed(family):
    family.remove(2)
    assert family.divisions == (Division(1, (3,), 5),)
    assert family.parents == {3: 1}
    family.remove(3)
    assert family.divisions == ()
    assert family.names == {1: "Eve"}


def test_renumbered(family):
    family.renumber({1: 2, 2: 1, 4: 40})
    assert family.names == {2: "Eve"}
    assert family.classes == {40: "cell"}
    assert family.divisions == (Division(1, (5, 40), 9), Division(2, (1, 3), 5))
    assert family.parents == {1: 2, 3: 2, 5: 1, 40: 1}
    with pytest.raises(ValueError, match="one id"):
        family.renumber({1: 3, 2: 3})


def test_a_new_id_replaces_who_had_it(family):
    family.renumber({1: 3})
    assert family.names == {3: "Eve"}
    assert family.divisions == (Division(2, (4, 5), 9), Division(3, (2,), 5))


def test_a_copy_is_its_own(family):
    other = family.copy()
    other.rename(1, "Adam")
    assert family[1].name == "Eve"


def test_rows_there_and_back(family):
    family.rename(3, 'comma, "quote"')
    rows = family.to_rows()
    assert rows[0] == {"id": "1", "name": "Eve", "class": "", "mother": "", "divides_at": "5"}
    assert ObjectTable.from_rows(rows) == family


def test_rows_that_are_wrong():
    rows = [
        {"id": "1", "divides_at": "4"},
        {"id": "2", "mother": "1"},
        {"id": "2", "name": "again"},
        {"id": "x"},
        {"id": "3", "name": "kept", "mother": "9"},
    ]
    with pytest.raises(ValueError, match="row 3"):
        ObjectTable.from_rows(rows)
    problems: list[str] = []
    table = ObjectTable.from_rows(rows, problems)
    assert [p.split(":")[0] for p in problems] == ["row 3", "row 4", "the division of object 9"]
    assert table.names == {3: "kept"}
    assert table.divisions == (Division(1, (2,), 4),)


def test_from_parents_the_first_daughter_tells_when():
    table = ObjectTable.from_parents({7: 3, 8: 3}, {7: 4, 8: 3}, classes={7: "cell"})
    assert table.divisions == (Division(3, (7, 8), 3),)
    assert table.classes == {7: "cell"}


def test_an_object_lives_from_its_birth_to_its_division(family):
    assert [n for n in range(12) if family.is_alive(2, n)] == [5, 6, 7, 8]
    assert [n for n in range(12) if family.is_alive(1, n)] == [0, 1, 2, 3, 4]
    assert all(family.is_alive(77, n) for n in range(12))


CHANGES = {
    "rename": lambda t: t.rename(1, "Adam"),
    "take a name": lambda t: t.rename(1, ""),
    "classify": lambda t: t.classify(9, "cell"),
    "name and class": lambda t: t.set(ObjectInfo(3, "three", "cell", mother=1)),
    "divide": lambda t: t.mark_division(5, [6, 7], 12),
    "divide again": lambda t: t.mark_division(1, [3, 8], 6),
    "undivide": lambda t: t.unmark_division(2),
    "remove a mother and daughter": lambda t: t.remove(2),
    "remove": lambda t: t.remove(1),
    "renumber": lambda t: t.renumber({1: 2, 2: 1, 4: 40}),
    "renumber onto another": lambda t: t.renumber({1: 3}),
}


def listen(table: ObjectTable) -> list[TableChange]:
    heard: list[TableChange] = []
    table.changed.connect(heard.append)
    return heard


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_told_once_and_can_be_undone(family, change):
    heard = listen(family)
    before = family.copy()
    change(family)
    after = family.copy()
    assert after != before
    assert len(heard) == 1
    family.restore(before)
    assert family == before
    assert family.to_rows() == before.to_rows()
    assert len(heard) == 2
    assert heard[1].ids == heard[0].ids
    family.restore(after)
    assert family == after
    assert len(heard) == 3


def test_a_change_says_who_and_what(family):
    heard = listen(family)
    for change in CHANGES.values():
        before = family.copy()
        change(family)
        family.restore(before)
    assert heard[::2] == [
        TableChange((1,), frozenset({"name"})),
        TableChange((1,), frozenset({"name"})),
        TableChange((9,), frozenset({"class"})),
        TableChange((3,), frozenset({"name", "class"})),
        TableChange((5, 6, 7), frozenset({"division"})),
        TableChange((1, 2, 8), frozenset({"division"})),
        TableChange((2, 4, 5), frozenset({"division"})),
        TableChange((1, 2, 4, 5), frozenset({"removal", "division"})),
        TableChange((1, 2, 3), frozenset({"removal", "name", "division"})),
        TableChange((1, 2, 3, 4, 5, 40), frozenset({"renumbering", "name", "class", "division"})),
        TableChange((1, 2, 3), frozenset({"renumbering", "removal", "name", "division"})),
    ]


def test_nothing_is_told_where_nothing_is_another(family):
    heard = listen(family)
    family.rename(1, " Eve ")
    family.classify(77, "")
    family.mark_division(1, [2, 3], 5)
    family.unmark_division(4)
    family.remove(77)
    family.renumber({5: 5, 70: 71})
    family.restore(family.copy())
    with pytest.raises(LineageError):
        family.mark_division(1, [1], 5)
    with family.as_one_change():
        family.rename(1, "Adam")
        family.rename(1, "Eve")
    assert heard == []


def test_several_changes_are_told_as_one(family):
    heard = listen(family)
    with family.as_one_change():
        family.remove(3)
        family.renumber({4: 3})
        family.rename(1, "Adam")
        assert heard == []
    what = frozenset({"removal", "renumbering", "name", "class", "division"})
    assert heard == [TableChange((1, 2, 3, 4), what)]


def test_what_was_changed_before_an_error_is_told(family):
    def change() -> None:
        with family.as_one_change():
            family.rename(1, "Adam")
            family.mark_division(1, [1], 5)

    heard = listen(family)
    with pytest.raises(LineageError):
        change()
    assert heard == [TableChange((1,), frozenset({"name"}))]


def test_a_change_is_told_in_the_thread_that_made_it(family):
    threads = []
    family.changed.connect(lambda change: threads.append(threading.current_thread()))
    other = threading.Thread(target=family.rename, args=(1, "Adam"))
    other.start()
    other.join()
    assert threads == [other]


@pytest.mark.parametrize(
    "duplicate",
    [ObjectTable.copy, copy.copy, copy.deepcopy, lambda table: pickle.loads(pickle.dumps(table))],
    ids=["copy", "copy.copy", "deepcopy", "pickle"],
)
def test_a_copy_says_the_same_to_nobody(family, duplicate):
    heard = listen(family)
    other = duplicate(family)
    assert other == family
    other.rename(1, "Adam")
    other.unmark_division(1)
    assert heard == []
    assert family[1].name == "Eve"
    assert family.daughters(1) == (2, 3)
    assert len(listen(other)) == 0
    assert len(other.changed) == 1


def test_nothing_is_compared_where_nobody_listens(family, monkeypatch):
    monkeypatch.setattr(ObjectTable, "copy", lambda table: pytest.fail("copied"))
    for change in CHANGES.values():
        change(family)


def test_what_a_person_says_of_an_object_comes_back_from_rows():
    table = ObjectTable()
    table.recolor(1, "#FF8800")
    table.lock(2)
    table.accept(3)
    table.set(replace(table[4], begins_at=2, ends_at=9))
    rows = table.to_rows()
    assert rows[0]["color"] == "#ff8800"
    assert list(rows[0])[-5:] == ["begins_at", "ends_at", "color", "locked", "accepted"]
    assert ObjectTable.from_rows(rows) == table
    assert table.colors == {1: "#ff8800"}
    assert table.locked_ids == {2}


def test_what_is_no_colour_is_refused_and_noted_in_a_file():
    table, problems = ObjectTable(), []
    with pytest.raises(ValueError, match="'orange' is no colour"):
        table.recolor(1, "orange")
    rows = [{"id": "1", "name": "Ann", "color": "orange"}, {"id": "2", "ends_at": "x"}]
    found = ObjectTable.from_rows(rows, problems)
    assert found.names == {1: "Ann"}
    assert len(problems) == 2


def test_a_locked_object_is_refused():
    table = ObjectTable()
    table.lock(2)
    table.check_unlocked(1)
    with pytest.raises(LockedObjectError, match="object 2 is locked"):
        table.check_unlocked(1, 2)


def test_an_object_is_alive_between_its_ends_and_where_it_is_pointed_out_again():
    table = ObjectTable()
    table.set(replace(table[1], begins_at=3, ends_at=6))
    assert [n for n in range(10) if table.is_alive(1, n)] == [3, 4, 5]
    assert [n for n in range(10) if table.is_alive(1, n, [8])] == [3, 4, 5, 8, 9]
    assert [n for n in range(10) if table.is_alive(1, n, [1])] == [0, 1, 3, 4, 5]

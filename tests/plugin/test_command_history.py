"""The history of what a person did, without a window."""

import pytest

from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.plugin.model.command_history import Command, CommandGroup, CommandHistory


class Append(Command):
    """Appends a letter; fails where it is told to."""

    def __init__(self, text, letter, memory_bytes=0):
        self.label = f"append {letter}"
        self.memory_bytes = memory_bytes
        self.fails_to = ()
        self._text = text
        self._letter = letter

    def do(self):
        if "do" in self.fails_to:
            raise ValueError("no room")
        self._text.append(self._letter)
        return True

    def undo(self):
        if "undo" in self.fails_to:
            raise OSError("the disk is full")
        assert self._text.pop() == self._letter


class Nothing(Command):
    label = "do nothing"

    def do(self):
        return False

    def undo(self):
        raise AssertionError("it was never done")


@pytest.fixture
def text():
    return []


@pytest.fixture
def history():
    return CommandHistory()


def test_what_is_done_is_undone_and_redone_in_order(history, text):
    assert (history.done, history.undone) == ((), ())
    for letter in "abc":
        assert history.do(Append(text, letter))
    history.undo()
    history.undo()
    assert text == ["a"]
    assert [one.label for one in history.done] == ["append a"]
    assert [one.label for one in history.undone] == ["append b", "append c"]
    history.redo()
    history.redo()
    assert text == ["a", "b", "c"]
    assert not history.undone
    history.redo()  # nothing is left
    assert text == ["a", "b", "c"]
    for _ in range(4):
        history.undo()
    assert text == []


def test_something_new_ends_what_could_be_redone(history, text):
    history.do(Append(text, "a"))
    history.undo()
    history.do(Append(text, "b"))
    assert not history.undone
    assert text == ["b"]


def test_what_was_done_already_is_recorded(history, text):
    text.append("a")
    history.record(Append(text, "a"))
    history.undo()
    assert text == []
    history.redo()
    assert text == ["a"]


def test_only_so_many_are_remembered(text):
    history = CommandHistory(max_commands=3)
    for letter in "abcde":
        history.do(Append(text, letter))
    assert [one.label for one in history.done] == ["append c", "append d", "append e"]
    for _ in range(5):
        history.undo()
    assert text == ["a", "b"]


def test_what_is_large_pushes_out_the_oldest_but_is_remembered_itself(text):
    history = CommandHistory(max_bytes=100)
    for letter, size in (("a", 10), ("b", 60), ("c", 60)):
        history.do(Append(text, letter, size))
    assert [one.label for one in history.done] == ["append c"]
    history.do(Append(text, "d", 1000))
    assert [one.label for one in history.done] == ["append d"]


def test_what_changes_nothing_is_not_recorded(history, text):
    history.do(Append(text, "a"))
    history.undo()
    assert not history.do(Nothing())
    assert not history.done
    assert history.undone[0].label == "append a"


def test_what_fails_is_not_recorded(history, text):
    heard = []
    history.changed.connect(heard.append)
    command = Append(text, "a")
    command.fails_to = ("do",)
    with pytest.raises(ValueError, match="no room"):
        history.do(command)
    assert not history.done
    assert heard == []
    assert history.do(Append(text, "b"))


def test_an_undo_that_fails_says_so_and_can_be_tried_again(history, text):
    command = Append(text, "a")
    history.do(command)
    command.fails_to = ("undo",)
    with pytest.raises(RequestError, match="'append a' can't be undone: the disk is full") as told:
        history.undo()
    assert isinstance(told.value, Sam3Error)
    assert (text, history.done[-1].label, history.undone) == (["a"], "append a", ())
    command.fails_to = ()
    history.undo()
    command.fails_to = ("do",)
    with pytest.raises(RequestError, match="can't be redone: no room"):
        history.redo()
    assert (text, history.done, history.undone[0].label) == ([], (), "append a")


def test_every_change_is_told_once_it_is_made(history, text):
    heard = []
    history.changed.connect(lambda command: heard.append((command and command.label, [*text])))
    history.do(Append(text, "a"))
    history.undo()
    history.redo()
    text.append("b")
    history.record(Append(text, "b"))
    history.clear()
    assert heard == [
        ("append a", ["a"]),
        ("append a", []),
        ("append a", ["a"]),
        ("append b", ["a", "b"]),
        (None, ["a", "b"]),
    ]
    assert not history.done
    assert not history.undone
    assert text == ["a", "b"]  # what was done stays


def test_what_a_command_sets_off_is_not_recorded_beside_it(history, text):
    class Echoing(Append):
        def do(self):
            history.record(Nothing())
            with pytest.raises(RequestError, match="while another change is being made"):
                history.do(Append(text, "b"))
            assert history.is_at_work
            return super().do()

    history.do(Echoing(text, "a"))
    assert not history.is_at_work
    assert [one.label for one in history.done] == ["append a"]
    assert text == ["a"]


def test_a_group_is_one(history, text):
    history.do(CommandGroup("append both", [Append(text, "a", 3), Append(text, "b", 4)]))
    assert text == ["a", "b"]
    assert (history.done[0].label, history.done[0].memory_bytes) == ("append both", 7)
    history.undo()
    assert text == []
    history.redo()
    assert text == ["a", "b"]
    assert not history.do(CommandGroup("nothing", [Nothing()]))


@pytest.mark.parametrize("way", ["do", "undo"])
def test_a_group_is_done_whole_or_not_at_all(history, text, way):
    commands = [Append(text, letter) for letter in "abc"]
    group = CommandGroup("append all", commands)
    if way == "undo":
        history.do(group)
    before = [*text]
    commands[1].fails_to = (way,)
    with pytest.raises((ValueError, RequestError)):
        history.do(group) if way == "do" else history.undo()
    assert text == before
    commands[1].fails_to = ()
    assert bool(history.done) == (way == "undo")
    history.undo() if way == "undo" else history.do(group)
    assert text == ([] if way == "undo" else ["a", "b", "c"])

"""What a person did to one video, so that it can be undone and redone in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from psygnal import Signal

from napari_sam3.errors import RequestError

MAX_COMMANDS = 100
MAX_BYTES = 512 * 2**20


class Command(Protocol):
    """A change with its inverse.

    Whatever raises an error has changed nothing.

    Attributes
    ----------
    label : str
        What it does, as a menu says after "Undo": "rename object 2".
    memory_bytes : int
        About what it holds to bring back, where that is much.
    """

    label: str
    memory_bytes: int = 0

    def do(self) -> bool:
        """Make the change, or make it again; False if there was nothing to change."""
        ...

    def undo(self) -> None:
        """Bring back what was there before."""
        ...


class Exchange(Command):
    """A change that is its own inverse: what is there and what the command holds change places."""

    def undo(self) -> None:
        """Do it once more: what was there before is what changes places."""
        self.do()


class CommandGroup(Command):
    """Commands that are done and undone as one.

    Parameters
    ----------
    label : str
        What they do together.
    commands : iterable of Command
        In the order in which they are done.
    """

    def __init__(self, label: str, commands: Iterable[Command]) -> None:
        self.label = label
        self.commands = tuple(commands)
        self._weigh()

    def do(self) -> bool:
        """Make all changes, or none if one fails."""
        is_changed = False
        done: list[Command] = []
        try:
            for command in self.commands:
                is_changed |= command.do()
                done.append(command)
        except BaseException:
            for command in reversed(done):
                command.undo()
            raise
        self._weigh()
        return is_changed

    def add(self, command: Command) -> None:
        """Have one more among them, that was done already after the others."""
        self.commands = (*self.commands, command)
        self._weigh()

    def undo(self) -> None:
        """Take all changes back, or none if one fails."""
        undone: list[Command] = []
        try:
            for command in reversed(self.commands):
                command.undo()
                undone.append(command)
        except BaseException:
            for command in reversed(undone):
                command.do()
            raise
        self._weigh()

    def _weigh(self) -> None:
        self.memory_bytes = sum(command.memory_bytes for command in self.commands)


class CommandHistory:
    """Commands that were done, and those that were undone and can be done again.

    Parameters
    ----------
    max_commands : int
        So many are remembered; the oldest is forgotten first.
    max_bytes : int
        So much may they hold together (`Command.memory_bytes`); the newest is always remembered.

    Attributes
    ----------
    changed : psygnal signal of Command or None
        Emitted with the command that was done, recorded, undone or redone; None after `clear`.
    is_at_work : bool
        Whether a command is being done or undone just now: what happens meanwhile to the layers is
        not to be recorded, and `record` leaves it out.
    """

    changed = Signal(object)

    def __init__(self, max_commands: int = MAX_COMMANDS, max_bytes: int = MAX_BYTES) -> None:
        self.is_at_work = False
        self._max_commands = max_commands
        self._max_bytes = max_bytes
        self._done: list[Command] = []
        self._undone: list[Command] = []  # the next to be done again at the end

    # ---------------------------------------------------------------- what it is

    @property
    def done(self) -> tuple[Command, ...]:
        """What can be undone, the newest at the end."""
        return tuple(self._done)

    @property
    def undone(self) -> tuple[Command, ...]:
        """What can be redone, in that order."""
        return tuple(reversed(self._undone))

    # ------------------------------------------------------------------- changes

    def do(self, command: Command) -> bool:
        """Do something, and remember how to undo it.

        Returns
        -------
        bool
            False if there was nothing to change; then nothing is recorded.

        Raises
        ------
        Exception
            What the command raises; it has changed nothing then, and is not recorded.
        RequestError
            If it is called by what another command of this history changes.
        """
        with self._working(command):
            is_changed = command.do()
        if is_changed:
            self._append(command)
        return is_changed

    def record(self, command: Command) -> None:
        """Remember something that was done already; left out while another command is at work."""
        if not self.is_at_work:
            self._append(command)

    def record_begun(self, command: Command, last: Command | None) -> None:
        """Remember something that began a while ago and is done now.

        Parameters
        ----------
        command : Command
            What was done since it began comes after it: it does not depend on that.
        last : Command or None
            What had been done last when it began.
        """
        place = len(self._done) if last in self._undone else 0
        if last in self._done:
            place = self._done.index(last) + 1
        self._append(command, place)

    def undo(self) -> None:
        """Take back what was done last; nothing if there is nothing.

        Raises
        ------
        RequestError
            If it can't be; it then is the next to be undone still.
        """
        if self._done:
            self._move(self._done, self._undone, self._done[-1].undo, "undone")

    def redo(self) -> None:
        """Do again what was undone last; nothing if there is nothing.

        Raises
        ------
        RequestError
            If it can't be; it then is the next to be redone still.
        """
        if self._undone:
            self._move(self._undone, self._done, self._undone[-1].do, "redone")

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
        self.changed.emit(None)

    def _append(self, command: Command, place: int | None = None) -> None:
        self._undone.clear()
        self._done.insert(len(self._done) if place is None else place, command)
        while len(self._done) > 1 and (
            len(self._done) > self._max_commands
            or sum(one.memory_bytes for one in self._done) > self._max_bytes
        ):
            del self._done[0]
        self.changed.emit(command)

    def _move(
        self,
        source: list[Command],
        target: list[Command],
        act: Callable[[], object],
        what: str,
    ) -> None:
        command = source[-1]
        with self._working(command):
            try:
                act()
            except Exception as exc:  # whatever it is, the person is told, and nothing is lost
                raise RequestError(f"{command.label!r} can't be {what}: {exc}") from exc
            target.append(source.pop())
        self.changed.emit(command)

    @contextmanager
    def _working(self, command: Command) -> Iterator[None]:
        if self.is_at_work:
            raise RequestError(
                f"{command.label!r} can't be done while another change is being made; try again"
            )
        self.is_at_work = True
        try:
            yield
        finally:
            self.is_at_work = False

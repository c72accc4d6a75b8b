"""Label frames that can be brought back as they were."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from weakref import WeakSet

from psygnal import Signal

from napari_sam3.labels.frame_array import FrameArray
from napari_sam3.labels.frame_snapshot import ChangeLog, FramesSnapshot, FrameState


class RestorableFrames(FrameArray):
    """Labels whose frames can be kept as they are, and brought back."""

    restored = Signal(tuple)
    """Frames, by their indices, are as they were before; or an edit of whole objects is done."""

    def __init__(self) -> None:
        self._logs: WeakSet[ChangeLog] = WeakSet()

    def snapshot(self, frames: Iterable[int]) -> FramesSnapshot:
        """Frames as they are now, for `restore`; their squeezed labels are shared, not copied.

        Parameters
        ----------
        frames : iterable of int
            Which.

        Raises
        ------
        StoreError
            Of a `LabelStore`, if a frame can't be read.
        """
        numbers = sorted({self._number(frame_index) for frame_index in frames})
        with self._lock:
            states = {frame_index: self._state(frame_index) for frame_index in numbers}
        return FramesSnapshot((self.shape[1], self.shape[2]), states)

    def restore(self, snapshot: FramesSnapshot) -> None:
        """Bring frames back: labels, notes, run, and whether they were ever processed.

        Locked frames, too: a lock stays as it is. What was painted and not taken yet then
        is so again, and nothing else of these frames (`take_edits`).

        Parameters
        ----------
        snapshot : FramesSnapshot
            Of these labels, or of others of that size, as a copy.

        Raises
        ------
        ValueError
            If the size is another, a frame is not there, or a label does not fit; nothing is
            changed then.
        StoreError
            Of a `LabelStore`, if the disk is full; nothing is changed then.
        """
        size = (self.shape[1], self.shape[2])
        if snapshot.size != size or not all(n < self.shape[0] for n in snapshot.frames):
            raise ValueError(
                f"these are labels of shape {self.shape}; frames {list(snapshot.frames)[-1:]} of "
                f"size {snapshot.size} can't be brought back there"
            )
        states = {n: state.as_dtype(self.dtype, size) for n, state in snapshot.states.items()}
        self._make_way()
        with self._lock:
            self._check_writable()
            for frame_index, state in states.items():
                self._log(frame_index)
                self._put_back(frame_index, state)
        if states:
            self.restored.emit(tuple(states))

    def log_changes(self, *, only_by_hand: bool = False) -> ChangeLog:
        """Remember from now on how frames were before they changed, as long as the log is kept.

        Parameters
        ----------
        only_by_hand : bool
            Leave out what is drawn, annotated and restored.
        """
        log = ChangeLog((self.shape[1], self.shape[2]), only_by_hand)
        self._logs.add(log)
        return log

    def _log(self, frame_index: int, *, is_by_hand: bool = False) -> None:
        for log in list(self._logs):
            if frame_index not in log and (is_by_hand or not log.only_by_hand):
                log.add(frame_index, self._state(frame_index))

    def hand_logs_to(self, other: RestorableFrames) -> None:
        """Let another stack, which takes the place of this one, go on with the logs of changes."""
        other._logs, self._logs = self._logs, WeakSet()

    @abstractmethod
    def _number(self, frame_index: int) -> int:
        """The frame's index, counted from the start."""

    @abstractmethod
    def _make_way(self) -> None:
        """Wait until a frame can be taken."""

    @abstractmethod
    def _state(self, frame_index: int) -> FrameState:
        """A frame as it is."""

    @abstractmethod
    def _put_back(self, frame_index: int, state: FrameState) -> None:
        """Have a frame as it was; of these labels' type."""

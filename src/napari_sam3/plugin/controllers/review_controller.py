"""Going through what is doubtful in the results of a window: the next place, right, back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from napari.layers import Image
from napari.utils.notifications import show_error
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer, Signal as QtSignal

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.lineage import Division
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.viewer_frame import bring_into_view, show_frame
from napari_sam3.plugin.model.command_history import Command
from napari_sam3.review import Check, CheckFile, Place, Review

POLL_MS = 400
_BATCH_S = 0.2  # of reading in a row, for other threads need the processor too

Key = tuple[int, int]
"""Object id, frame index."""


class ReviewController(QObject):
    """Keeps the queue of places worth a look in line with the results, and goes through it.

    Frames are read in a thread of its own, as they change; the window never waits for it.

    Parameters
    ----------
    tracking : TrackingController
        With the results of the chosen video.
    canvas_size : callable
        Gives width and height of what the picture is drawn in, screen px.

    Attributes
    ----------
    places : tuple of Place
        What is doubtful and not checked, the most valuable first.
    current : Place or None
        The one that is looked at; it may be corrected and out of the queue by now.
    n_checked : int
        Places that were found right or put right.
    is_looking : bool
        Whether frames are being read still.
    """

    changed = Signal()
    """There is another queue, another place in hand, or more is checked."""

    _done = QtSignal(object)

    def __init__(
        self, tracking: TrackingController, canvas_size: Callable[[], tuple[int, int]]
    ) -> None:
        super().__init__()
        self.places: tuple[Place, ...] = ()
        self.current: Place | None = None
        self.n_checked = 0
        self.is_looking = False
        self._tracking, self._canvas_size = tracking, canvas_size
        self._kept: WeakKeyDictionary[Image, tuple[Check, ...]] = WeakKeyDictionary()
        self._reading: _Reading | None = None
        self._asked: list[tuple[Key, bool]] = []
        self._is_busy = False
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="looking at results")
        self._done.connect(self._on_done)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()
        tracking.ended.connect(self.look)
        tracking.state.events.video.connect(self.look)

    def close(self) -> None:
        """Look no more."""
        self._timer.stop()
        self._tracking.ended.disconnect(self.look)
        self._reader.shutdown(wait=False, cancel_futures=True)

    @property
    def has_results(self) -> bool:
        """Whether there is anything to check."""
        return self._reading is not None

    # ------------------------------------------------------------ what a person does

    def next(self) -> Place | None:
        """Go to the next place, or to the first; None where there is none."""
        return self._step(1)

    def previous(self) -> Place | None:
        """Go back to the place before."""
        return self._step(-1)

    def go(self, place: Place) -> None:
        """Show a place: its frame, with its object in hand, in sight.

        Raises
        ------
        LayerError
            If there is no video.
        """
        tracking = self._tracking
        image_layer = tracking.video()
        self.current = place
        show_frame(image_layer, tracking.axes.read(image_layer), tracking.viewer, place.frame_index)
        bring_into_view(image_layer, tracking.viewer, place.xy, self._canvas_size())
        tracking.state.object_in_hand = place.obj_id
        self.changed.emit()

    def right(self) -> Place | None:
        """Take note that the place in hand is right, and go on to the next; it can be undone.

        Raises
        ------
        LayerError
            If no place is in hand.
        """
        place, current = self.current, self._tracking.state.current
        if place is None or current is None:
            raise LayerError("no place is looked at; go to the next one first")
        number = self._number()
        current.history.do(_CheckPlace(self, place))
        self.current = None
        if not self.places:
            self.changed.emit()
            return None
        follower = self.places[min(number or 0, len(self.places) - 1)]
        self.go(follower)
        return follower

    def mark(self, place: Place, is_right: bool) -> None:
        """Take note that a place is right, or take that back; see `right`."""
        key = (place.obj_id, place.frame_index)
        self._asked.append((key, is_right))
        self.n_checked += 1 if is_right else -1
        rest = [p for p in self.places if (p.obj_id, p.frame_index) != key]
        self.places = tuple(rest) if is_right else (place, *rest)
        self.changed.emit()
        self.look()

    def _step(self, by: int) -> Place | None:
        if not self.places:
            return None
        number = self._number()
        start = 0 if number is None else (number + by) % len(self.places)
        self.go(self.places[start])
        return self.current

    def _number(self) -> int | None:
        """Where in the queue the place in hand is."""
        if self.current is None:
            return None
        key = self.current[:2]
        return next((n for n, p in enumerate(self.places) if p[:2] == key), None)

    # ------------------------------------------------------------ keeping in line

    def look(self, _event: Any = None) -> None:
        """Take in what has changed, in the background; nothing happens where nothing has."""
        results = self._tracking.results
        planes = None if results is None else results.planes
        if self._reading is None or self._reading.planes() is not planes:
            self._begin(planes)
        reading = self._reading
        if results is None or reading is None or planes is None or self._is_busy:
            return
        frames, reading.moment = planes.changed_since(reading.moment)
        reading.left |= {int(f) for f in frames}
        table = table_of(results.layer)
        divisions = tuple(table.divisions)
        is_idle = self._tracking.state.is_idle
        reading.is_due |= bool(reading.left or self._asked or divisions != reading.divisions)
        if not (reading.left or (reading.is_due and is_idle)):
            return
        reading.divisions = divisions
        asked, self._asked = self._asked, []
        self._is_busy, self.is_looking = True, True
        self._reader.submit(self._read, reading, planes, asked, is_idle)

    def _begin(self, planes: LabelStack | None) -> None:
        """Begin anew, with other results or none."""
        video = self._tracking.state.video
        self.places, self.current, self.n_checked = (), None, 0
        self._asked = []
        self._reading = None
        if planes is not None and video is not None:
            self._reading = _Reading(planes, self._folder(), self._kept.get(video, ()))
        self.is_looking = self._reading is not None
        self.changed.emit()

    def _folder(self) -> Path | None:
        """Where checks are kept."""
        current = self._tracking.state.current
        opened = None if current is None else current.project
        return None if opened is None or opened.project.is_read_only else opened.project.folder

    def _read(
        self, reading: _Reading, planes: LabelStack, asked: list[tuple[Key, bool]], is_idle: bool
    ) -> None:
        """In the thread."""
        try:
            found = reading.read(planes, asked, queue=is_idle)
        except Exception as exc:  # whatever is wrong with the files: the window goes on
            found = _Found(None, (), 0, f"{type(exc).__name__}: {exc}", reading)
        try:
            self._done.emit(found)
        except RuntimeError:  # the window has gone
            return

    def _on_done(self, found: _Found) -> None:
        self._is_busy = False
        if found.reading is not self._reading:
            self.look()
            return
        if found.failure:
            show_error(f"what was checked can't be kept: {found.failure}")
        video = self._tracking.state.video
        self.is_looking = bool(found.reading.left) or found.reading.is_due
        if found.places is not None and not self._asked:
            self.places, self.n_checked = found.places, found.n_checked
            if video is not None:
                self._kept[video] = found.checks
        self.changed.emit()
        if found.reading.left or self._asked:
            self.look()


class _Found(NamedTuple):
    """What came of a reading; `places` is None where frames are left to be read."""

    places: tuple[Place, ...] | None
    checks: tuple[Check, ...]
    n_checked: int
    failure: str
    reading: _Reading


class _Reading:
    """The review of one stack of labels; `read` is called in one thread, one at a time."""

    def __init__(self, planes: LabelStack, folder: Path | None, checks: Iterable[Check]) -> None:
        self.planes = ref(planes)
        self.moment = -1
        self.left: set[int] = set()
        self.divisions: tuple[Division, ...] | None = None
        self.is_due = True  # whether the queue is another one by now
        self._review = Review()
        self._review.restore(checks)
        self._waiting: list[tuple[Key, bool]] = []
        self._file = None if folder is None else CheckFile(folder)
        self._is_loaded = self._file is None
        self._is_saved = True

    def read(self, planes: LabelStack, asked: list[tuple[Key, bool]], *, queue: bool) -> _Found:
        """Read for a moment, then tell what is worth a look if all is read and `queue` says so."""
        review, failure = self._review, ""
        if not self._is_loaded and self._file is not None:
            self._is_loaded = True
            try:
                review.restore(self._file.load())
                failure = self._file.problem or ""
            except (Sam3Error, OSError) as exc:
                self._file, failure = None, str(exc)
        self._waiting += asked
        until = time.monotonic() + _BATCH_S
        for frame_index in sorted(self.left):
            if planes.is_processed(frame_index):
                review.look(frame_index, planes[frame_index], planes.notes(frame_index))
            else:
                review.forget(frame_index)
            self.left.discard(frame_index)
            if time.monotonic() > until:
                break
        if self.left or not queue:
            return _Found(None, (), 0, failure, self)
        for (obj_id, frame_index), is_right in self._waiting:
            (review.check if is_right else review.uncheck)(obj_id, frame_index)
            self._is_saved = False
        self._waiting = []
        self.is_due = False
        checks = review.checks
        if not self._is_saved and self._file is not None:
            self._is_saved = True
            try:
                self._file.save(checks)
            except (Sam3Error, OSError) as exc:
                failure = str(exc)
        places = tuple(p for p in review.places(self.divisions or ()) if p.is_doubtful)
        return _Found(places, checks, len(checks) + review.n_corrected, failure, self)


class _CheckPlace(Command):
    """A person finds a place right."""

    def __init__(self, controller: ReviewController, place: Place) -> None:
        self.label = f"object {place.obj_id} is right on frame {place.frame_index}"
        self._controller, self._place = controller, place

    def do(self) -> bool:
        self._controller.mark(self._place, True)
        return True

    def undo(self) -> None:
        self._controller.mark(self._place, False)

"""Running a propagation in a terminal: a progress bar, and a Ctrl-C that keeps what is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

from napari_sam3.batch.interrupts import noting_interrupts
from napari_sam3.session.propagation import Propagation
from napari_sam3.values import FrameResult


@dataclass
class RunReport:
    """How a propagation went.

    Attributes
    ----------
    frames : int
        Done.
    first_frame_at : float
        `time.perf_counter` when the first was done.
    ended_at : float
        `time.perf_counter` at the end.
    began_at : float
        `time.perf_counter` at the start.
    was_interrupted : bool
        By Ctrl-C.
    """

    frames: int
    began_at: float
    first_frame_at: float
    ended_at: float
    was_interrupted: bool

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / max(self.ended_at - self.began_at, 1e-9)


def follow(propagation: Propagation, on_result: Callable[[FrameResult], None]) -> RunReport:
    """Run a propagation to its end, or until Ctrl-C; each result is handed on."""
    began = first = time.perf_counter()
    frames = 0

    def say() -> None:
        bar.write("stopping after this frame; Ctrl-C again to give up", file=sys.stderr)

    with (
        propagation,
        tqdm(total=len(propagation), desc="tracking", unit="frame", disable=None) as bar,
        noting_interrupts(say) as stop,
    ):
        for result in propagation:
            on_result(result)
            if frames == 0:
                first = time.perf_counter()
            frames += 1
            bar.update()
            if stop.is_set():
                break
    return RunReport(frames, began, first, time.perf_counter(), stop.is_set())


class FilmProgress:
    """A second bar, for the film that is written at the end; use it as `on_progress`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note of how far it is."""
        if self._bar is None:
            self._bar = tqdm(total=total, desc=self._name, unit="frame", disable=None)
        self._bar.update(done - self._bar.n)
        if done == total:
            self._bar.close()
            self._bar = None  # there may be another

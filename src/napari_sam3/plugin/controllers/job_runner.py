"""The piece of work under way, and the state that the window shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_sam3.errors import Sam3Error, WeightsMissingError
from napari_sam3.plugin.controllers.session_controller import Event, SessionController
from napari_sam3.plugin.controllers.tracking_job import Job
from napari_sam3.plugin.model.tracked_video import Workbench
from napari_sam3.plugin.views.status_text import Ending, Phase, State


class Work(QObject):
    """One job at a time, from its start to how it ended.

    Attributes
    ----------
    error : exception or None
        What ended the last job, as it was raised.

    Parameters
    ----------
    bench : Workbench
        With the setup that jobs are made for.
    """

    changed = Signal()
    """The state has changed."""

    renumbered = Signal(object)
    """Objects have other ids now, a `Renumbered`."""

    kept = Signal(object)
    """A `Project` was made for what a job gives."""

    not_kept = Signal(str)
    """None could be made; why."""

    ended = Signal()
    """A job has ended: done, stopped or failed; the next one can begin."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.state = State()
        self.job: Job | None = None
        self.error: BaseException | None = None
        self._bench = bench
        self._is_quiet = False

    def set(self, **changes: Any) -> None:
        """Change fields of the state."""
        self.state = replace(self.state, **changes)
        self.changed.emit()

    def tell(self, **changes: Any) -> None:
        """As `set`, but says so only where there is something new."""
        if replace(self.state, **changes) != self.state:
            self.set(**changes)

    def start(
        self,
        controller: SessionController,
        steps: Iterator[Event],
        phase: Phase,
        model: str,
        *,
        is_followed: bool,
        cancel: Callable[[], object] | None = None,
        shows_bar: bool = True,
        is_quiet: bool = False,
    ) -> None:
        """Begin; returns at once. `is_quiet`: who began it tells what went wrong."""
        job = Job(self._bench, controller, steps, cancel=cancel, shows_bar=shows_bar)
        self._is_quiet = is_quiet
        job.is_followed = is_followed
        job.changed.connect(self._on_job_changed)
        job.ended.connect(self._on_job_ended)
        job.renumbered.connect(self.renumbered)
        job.kept.connect(self.kept)
        job.not_kept.connect(self.not_kept)
        self.job = job
        self.set(
            phase=Phase.LOADING if controller.session is None else phase,
            work=phase,
            ending=Ending.NONE,
            model=model,
            frames_done=0,
            frames_planned=0,
            results_name="",
            missed=(),
        )
        job.start()

    def stop(self) -> None:
        """Stop before the next frame; what is done stays."""
        if self.job is not None:
            self.set(phase=Phase.STOPPING)
            self.job.stop()

    def abandon(self, at_end: Callable[[], object]) -> None:
        """Stop, and listen no more; `at_end` is called when the thread is done."""
        job, self.job = self.job, None
        assert job is not None, "there is work to be abandoned"
        job.abandon(at_end)

    @contextmanager
    def errors_shown(self) -> Iterator[None]:
        """Tell errors of ours instead of raising them."""
        try:
            yield
        except Sam3Error as exc:
            if not isinstance(exc, WeightsMissingError):  # a dialog tells of that
                show_error(str(exc))
            self.set(ending=Ending.FAILED, failure=str(exc))

    def _on_job_changed(self) -> None:
        job = self.job
        if job is None:
            return
        phase = self.state.phase
        if phase is Phase.LOADING and job.is_model_ready:
            phase = self.state.work
        self.set(phase=phase, frames_done=job.frames_done, frames_planned=job.frames_planned)

    def _on_job_ended(self) -> None:
        job, self.job = self.job, None
        if job is None:
            return
        if job.error is not None and not self._is_quiet:
            show_error(str(job.error))
        self.set(
            phase=Phase.IDLE,
            ending=job.ending(self.state.work),
            failure="" if job.error is None else str(job.error),
            frames_done=job.frames_done,
            results_name=job.results_name,
            missed=job.missed,
            missed_on=job.missed_on,
        )
        self.error = None if job.error is None else job.error.__cause__ or job.error
        self.ended.emit()

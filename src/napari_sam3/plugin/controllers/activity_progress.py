"""Progress of work on frames in napari's activity dock."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.progress import cancelable_progress


class ActivityProgress(cancelable_progress):
    """Frames done, frames a second and time left; its button stops the run at once.

    Parameters
    ----------
    total : int
        Frames planned.
    on_cancel : callable
        Called when the button is pressed. (napari's own class only calls back from a loop over it.)
    desc : str
        What is done.
    """

    def __init__(self, total: int, on_cancel: Callable[[], None], desc: str = "tracking") -> None:
        self._on_cancel = on_cancel
        super().__init__(desc=desc, total=total, unit="fr")

    def cancel(self) -> None:
        """Stop the run."""
        super().cancel()
        self._on_cancel()

    def advance_to(self, n_done: int) -> None:
        """Say how many frames are done."""
        if n_done > self.n:
            self.update(n_done - self.n)


def format_pace(n_done: int, n_planned: int, seconds: float) -> str:
    """Frames a second and the time left, in words; empty before the first frame."""
    if n_done == 0 or seconds <= 0:
        return ""
    left = ActivityProgress.format_interval((n_planned - n_done) * seconds / n_done)
    return f"{n_done / seconds:.2g} frames/s, {left} left"

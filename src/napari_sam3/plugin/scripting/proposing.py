"""What a script does with what a detector finds: the verbs of a `ViewerSession` for that."""

from __future__ import annotations

from collections.abc import Iterable

from napari_sam3.errors import UnknownObjectError
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.scripting.prompt_writer import PromptWriter
from napari_sam3.plugin.scripting.script_runner import ScriptRunner
from napari_sam3.session.validation import check_object_id
from napari_sam3.values import FrameResult


class Proposing:
    """Proposes objects, accepts and rejects them; the session brings runner and prompts."""

    _runner: ScriptRunner
    _prompts: PromptWriter

    def detect(self, frame_index: int, detector: str = "blobs") -> FrameResult:
        """Propose objects on a frame that no prompt or result is of; shown hatched.

        Nothing is taken by itself: `accept` or `reject` them, or let the person do so.

        Parameters
        ----------
        frame_index : int
            0-based.
        detector : str
            As `napari_sam3.detection.find_detector` takes it: "blobs", "cellpose", "sam3:cell".

        Returns
        -------
        FrameResult
            What is proposed on the frame, by the ids that the objects would have.

        Raises
        ------
        RequestError
            If there is no such detector.
        ModelError
            If what it needs is not here.
        """
        self._runner.check_open()
        detection = self._runner.tracking.detection
        wait_until(lambda: not detection.is_working)  # the person may have asked
        detection.detect(detector, frame_index, is_quiet=True)
        wait_until(lambda: not detection.is_working)
        if detection.error is not None:
            raise detection.error
        return detection.proposals.result(frame_index)

    @property
    def proposed_ids(self) -> tuple[int, ...]:
        """Ids of the objects that are proposed, rising."""
        self._runner.check_open()
        return tuple(self._runner.tracking.detection.proposals)

    def accept(self, obj_ids: Iterable[int] | None = None) -> None:
        """Make mask prompts of proposals, all if none is named.

        Raises
        ------
        UnknownObjectError
            If one is not proposed.
        ModelError
            If the model can't be had; they are proposals still.
        """
        ids = self._proposed(obj_ids)
        self._runner.open_session()
        detection = self._runner.tracking.detection
        job = detection.accept(ids, self._prompts.read, is_quiet=True)
        if job is not None:
            self._runner.wait_for(job)

    def reject(self, obj_ids: Iterable[int] | None = None) -> None:
        """Let proposals go, all if none is named.

        Raises
        ------
        UnknownObjectError
            If one is not proposed.
        """
        self._runner.tracking.detection.reject(self._proposed(obj_ids))

    def _proposed(self, obj_ids: Iterable[int] | None) -> list[int]:
        there = self.proposed_ids
        wanted = list(there) if obj_ids is None else [check_object_id(i) for i in obj_ids]
        unknown = sorted(set(wanted) - set(there))
        if unknown:
            raise UnknownObjectError(
                f"objects {unknown} are not proposed; those that are: {list(there)}"
            )
        return wanted

"""What a session's controller keeps of its work: called by it, in the thread that does the work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from napari_sam3.errors import Sam3Error
from napari_sam3.models.base import VideoModel
from napari_sam3.plugin.layers.exemplars import Exemplars
from napari_sam3.plugin.layers.layer_prompts import LayerPrompt, Painting, Source
from napari_sam3.plugin.layers.mask_state import masked_frames
from napari_sam3.plugin.model.events import ProjectMade, ProjectRefused
from napari_sam3.projects import Project
from napari_sam3.projects.session import ProjectSession, open_session
from napari_sam3.session.propagation import Propagation
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import restore_prompts
from napari_sam3.values import Direction, ObjectMask
from napari_sam3.video import Video

logger = logging.getLogger(__name__)

Key = tuple[int, int | str]

Run = tuple[Direction, int | None, int | None]
"""Direction, start and limit of a propagation; see `VideoSession.propagate`."""


class KnownPrompts:
    """What a session was told before, as a controller knows it: prompts of layers, texts.

    Parameters
    ----------
    prompts : iterable of SavedPrompt
    removed : iterable of int
        Ids of objects that were removed.
    masked : collection of int
        Frames whose masks are those of a labels layer.
    """

    def __init__(
        self,
        prompts: Iterable[SavedPrompt] = (),
        removed: Iterable[int] = (),
        masked: Collection[int] = (),
    ) -> None:
        self.prompts: dict[Key, LayerPrompt | None] = {}
        self.priors: dict[Key, ObjectMask] = {}
        self.removed = set(removed)
        for prompt in prompts:
            if prompt.is_concept:
                if len(prompt.boxes_xyxy):
                    what: str | None = Exemplars(prompt.text, prompt.boxes_xyxy, prompt.box_labels)
                else:
                    what = prompt.text
                if what is not None:
                    self.prompts[prompt.frame_index, what] = None
            elif not prompt.is_found and prompt.obj_id is not None:
                key = (prompt.frame_index, prompt.obj_id)
                is_painted = prompt.mask is not None and prompt.frame_index in masked
                self.prompts[key] = LayerPrompt(
                    prompt.frame_index,
                    prompt.obj_id,
                    prompt.points_xy,
                    prompt.point_labels,
                    prompt.box_xyxy,
                    None if prompt.mask is None else prompt.mask.mask,
                    (Source("labels", prompt.obj_id),) if is_painted else (),
                    Painting(is_known=False),
                )
                if prompt.prior is not None:
                    self.priors[key] = prompt.prior


_ROOM = 65535
"""Ids that a project of the window holds in any case; see `values.label_dtype`."""


class ProjectRecorder:
    """The project of one session, if there is one or is to be one.

    Parameters
    ----------
    project : Project, optional
        Open for writing.
    earlier : PromptList, optional
        Where there is none: what an earlier session was told that is to hold.

    Attributes
    ----------
    make : callable or None
        Makes a project for ids up to the one given, called before the first result; None: results
        are not kept.
    """

    def __init__(self, project: Project | None = None, earlier: PromptList | None = None) -> None:
        self.project = project
        self.earlier = earlier
        self.make: Callable[[int], Project] | None = None
        self._is_claimed = project is not None
        self._session: VideoSession | None = None
        self._of_project: ProjectSession | None = None  # the session as the project keeps it

    @property
    def known(self) -> KnownPrompts:
        """What an earlier session was told."""
        prompts = self._said
        masked = () if self.project is None else masked_frames(self.project)
        return KnownPrompts(prompts, prompts.removed, masked)

    @property
    def ids_in_use(self) -> tuple[int, ...]:
        """Ids of an earlier session."""
        prompts = self._said
        named = {p.obj_id for p in prompts if p.obj_id is not None}
        return tuple(sorted(named | prompts.found))

    @property
    def candidates(self) -> frozenset[int]:
        """Objects that a concept had found in an earlier session, and nobody pointed at."""
        return self._said.candidates

    @property
    def _said(self) -> PromptList:
        if self.project is not None:
            return self.project.prompts
        return PromptList() if self.earlier is None else self.earlier

    def open_session(
        self, video: Video, model: VideoModel, contrast_limits: tuple[float, float] | None
    ) -> VideoSession:
        """A new session, or the earlier one as it was."""
        if self.project is None:
            self._session = VideoSession(video, model, contrast_limits=contrast_limits)
            if self.earlier is not None:
                for problem in restore_prompts(self._session, self.earlier):
                    logger.warning("of an earlier session: %s", problem)
                # nobody has kept what it had shown: the answers of then are what is shown
                frames = {prompt.frame_index for prompt in self.earlier}
                self._session.recall_frames(lambda _frame_index: None, frames)
        else:
            self._session = open_session(
                self.project, model, video=video, contrast_limits=contrast_limits
            )
            self._keep(self.project)
        return self._session

    def begin(self, highest_id: int) -> Iterator[ProjectMade | ProjectRefused]:
        """Make the project if there is to be one; before the first result.

        Parameters
        ----------
        highest_id : int
            That there is a prompt for.

        Raises
        ------
        ProjectError
            If the project that there is can't hold it.
        """
        make, self.make = self.make, None
        if self.project is not None:
            self.project.check_id(highest_id)
        if self.project is not None or make is None:
            return
        try:
            self.project = make(max(highest_id, _ROOM))
        except (Sam3Error, OSError) as exc:
            yield ProjectRefused(str(exc))
        else:
            self._keep(self.project)
            yield ProjectMade(self.project)

    def _keep(self, project: Project) -> None:
        assert self._session is not None, "it is opened first"
        self._of_project = ProjectSession(project, self._session)

    def claim(self) -> None:
        """Say that somebody else will close the project."""
        self._is_claimed = True

    def save_prompts(self) -> None:
        """Keep what the session was told."""
        if self._of_project is not None:
            self._of_project.save_prompts()

    def save_removed(self, obj_ids: Iterable[int]) -> None:
        """Keep that objects of an earlier session are no more, before there is a session."""
        if self.project is not None:
            self.project.save_prompts(self.project.prompts.with_removed(obj_ids))

    def save_found_objects(self) -> None:
        """Keep the ids of objects that were found on the way, before they are shown."""
        if self._of_project is not None:
            self._of_project.save_found_objects()

    def count_done(self, runs: Sequence[Run]) -> int:
        """How many of several runs, planned one after the other, came before the one stopped."""
        kept = self._of_project
        if kept is None:
            return 0
        stopped = [n for n, run in enumerate(runs) if kept.is_stopped(*run)]
        return stopped[-1] if stopped else 0

    def propagate(self, direction: Direction, start: int | None, limit: int | None) -> Propagation:
        """Begin a run; or go on with the one that was stopped, if it is the same."""
        session = self._of_project or self._session
        assert session is not None, "it is opened first"
        return session.propagate(direction, start, limit)

    @property
    def run_number(self) -> int:
        """Of the project's run; 0 where nothing is kept."""
        run = None if self.project is None else self.project.run
        return 0 if run is None else run.number

    def run_of(self, frame_index: int, step: int) -> int:
        """Of the project's last run, if it goes to a frame in this direction; else 0."""
        project = self.project
        if project is None or project.run is None:
            return 0
        legs = project.run.legs(project.labels.shape[0])
        is_of = any(leg.step == step and frame_index in leg for leg in legs)
        return project.run.number if is_of else 0

    def note_corrected(self) -> None:
        """Keep which frames of the last run are stale still, after corrections were followed."""
        if self._of_project is not None:
            self._of_project.note_corrected()

    def close(self) -> None:
        """Close a project that nobody has heard of."""
        if self.project is not None and not self._is_claimed:
            try:
                self.project.close()
            except OSError as exc:  # tried again when it is opened, and when the program ends
                logger.error("%s", exc)

"""What is drawn in the prompt layers, read for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from napari.utils.notifications import show_warning

from napari_sam3.errors import MissingPromptError
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.session_keeper import SessionKeeper
from napari_sam3.plugin.layers.layer_prompts import Skipped, TargetPrompts
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped, read_prompts
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.values import BoolArray


class PromptCollector:
    """Reads all prompt layers of the chosen video at one moment, and opens its session.

    Parameters
    ----------
    chosen : ChosenVideo
        The video, with its layers.
    sessions : SessionKeeper
        Opens the session that the prompts are for.
    edits : EditRecorder
        Is told that reading gives items their numbers, which nobody is to undo.
    """

    def __init__(self, chosen: ChosenVideo, sessions: SessionKeeper, edits: EditRecorder) -> None:
        self._chosen = chosen
        self._sessions = sessions
        self._edits = edits

    def read(
        self,
        frame_index: int,
        *,
        mask_frames: Iterable[int] = (),
        takes_screen: bool = True,
        ids_in_use: Iterable[int] = (),
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """The session, all prompts that shall hold, and the items drawn that are none.

        Parameters
        ----------
        frame_index : int
            Where texts are asked; labels painted on it are prompts if `takes_screen`.
        mask_frames, ids_in_use
            As `prompt_snapshot.read_prompts` takes them, beside those of the session.
        """
        session, target, skipped, results = self._read(
            frame_index, mask_frames, takes_screen, ids_in_use, ResultsLayer.painted
        )
        if results is not None:
            results.show_again(target.objects)
        return session, target, skipped

    def peek(
        self, frame_index: int
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """As `read`, of the screen; what was painted among results is not taken down."""
        session, target, skipped, _ = self._read(
            frame_index, (), True, (), ResultsLayer.painted_so_far
        )
        return session, target, skipped

    def _read(
        self,
        frame_index: int,
        mask_frames: Iterable[int],
        takes_screen: bool,
        ids_in_use: Iterable[int],
        painted_in: Callable[[ResultsLayer], Mapping[tuple[int, int], BoolArray]],
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...], ResultsLayer | None]:
        chosen, state = self._chosen, self._chosen.state
        chosen.check_writable()
        session = self._sessions.now()
        image_layer, axes = session.setup.image_layer, session.setup.axes
        results = state.tracked(image_layer).results_in(chosen.viewer.layers, axes)
        with self._edits.numbering():
            target, skipped = read_prompts(
                image_layer,
                axes,
                state.points,
                state.boxes,
                state.masks,
                # a window closes the field; a script hears from the model
                texts=state.texts if state.takes_text or not takes_screen else (),
                current_frame=frame_index,
                mask_frames={*mask_frames, *session.painted_frames},
                painted=None if results is None else painted_in(results),
                told=session.told_prompt,
                current_object=state.object_in_hand if takes_screen else 0,
                ids_in_use={*ids_in_use, *session.ids_in_use},
                takes_screen=takes_screen,
            )
        session.note_drawn(target)
        return session, target, skipped, results

    def read_on_screen(self) -> tuple[SessionController, TargetPrompts, int]:
        """The session, all prompts that hold, and the frame on screen; skipped ones are told.

        Raises
        ------
        MissingPromptError
            If there are none.
        """
        chosen = self._chosen
        image_layer = chosen.layer()
        on_screen = frame_on_screen(image_layer, chosen.axes.pin(image_layer), chosen.viewer)
        session, target, skipped = self.read(on_screen)
        if skipped:
            show_warning(describe_skipped(skipped))
        if not target:
            raise MissingPromptError(
                "there is nothing to go by yet: press New prompts and click the object, draw a box "
                "round it or paint it, then try again"
            )
        return session, target, on_screen

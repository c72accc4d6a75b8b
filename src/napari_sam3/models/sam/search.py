"""A concept looked for in a video, forward and backward from where it was asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from napari_sam3.models.sam.concept_prompt import ConceptPrompt
from napari_sam3.models.sam.concept_track import ConceptTrack
from napari_sam3.values import Concept


class Search:
    """One concept on a video.

    Asked for on several frames it is one search: forward it begins on the lowest of them, backward
    on the highest. Between them, the direction of the propagation says which one speaks.

    Parameters
    ----------
    concept : Concept
    new_track : callable
        Makes a track of a search, from an anchor on, in a direction.

    Attributes
    ----------
    prompt : ConceptPrompt or None
        The concept's tokens, once they are made.
    """

    def __init__(
        self, concept: Concept, new_track: Callable[[Search, int, int], ConceptTrack]
    ) -> None:
        self.concept = concept
        self.prompt: ConceptPrompt | None = None
        self._new_track = new_track
        self._anchors = {1: 0, -1: 0}
        self._tracks: dict[int, ConceptTrack] = {}
        self._resumed: list[ConceptTrack] = []
        self._ended: list[ConceptTrack] = []

    def ask_on(self, first: int, last: int) -> None:
        """Say which are the lowest and the highest frame that it is asked on."""
        anchors = {1: first, -1: last}
        moved = {step for step in anchors if anchors[step] != self._anchors[step]}
        self._anchors = anchors
        for track in [t for t in (*self._tracks.values(), *self._resumed) if t.step in moved]:
            track.end()
            self._ended.append(track)
        self._tracks = {step: t for step, t in self._tracks.items() if step not in moved}
        self._resumed = [t for t in self._resumed if t.step not in moved]

    def resume(self, anchor: int, step: int) -> ConceptTrack:
        """A new track that serves from `anchor` on, where objects are known already."""
        track = self._new_track(self, anchor, step)
        self._resumed.append(track)
        return track

    def serving(self, step: int, frame_index: int) -> ConceptTrack:
        """The track that speaks for a frame when a propagation goes in direction `step`."""
        if (frame_index - self._anchors[step]) * step < 0:
            step = -step
        resumed = [
            t for t in self._resumed if t.step == step and (frame_index - t.anchor) * step >= 0
        ]
        return max(resumed, key=lambda t: t.anchor * step) if resumed else self._track(step)

    @property
    def finder(self) -> ConceptTrack:
        """A track that begins on the lowest frame asked."""
        if self._anchors[1] == self._anchors[-1] and -1 in self._tracks and 1 not in self._tracks:
            return self._tracks[-1]
        return self._track(1)

    def all_tracks(self) -> Iterator[ConceptTrack]:
        """All there are, those that were replaced too."""
        yield from self._tracks.values()
        yield from self._resumed
        yield from self._ended

    def _track(self, step: int) -> ConceptTrack:
        if step not in self._tracks:
            self._tracks[step] = self._new_track(self, self._anchors[step], step)
        return self._tracks[step]


def key_of(frame_index: int, concept: Concept) -> Hashable:
    """Equal for concepts that mean the same; boxes mean something on their frame only."""
    text = None if concept.text is None else " ".join(concept.text.lower().split())
    if not len(concept.boxes_xyxy):
        return text
    return text, frame_index, concept.boxes_xyxy.tobytes(), concept.box_labels.tobytes()

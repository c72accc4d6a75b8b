"""Which frames of an object are out of date once its prompts are not those of then.

The one place of this rule. An object is followed from keyframe to keyframe: between two of them a
frame depends on both, for where the chain that comes from the one is in doubt, it is joined with
what comes from the other (`models.sequential`). Further away little changes: on a keyframe an
object is what was said there, and it is followed from there on. A model with a memory may look
beyond, and objects compete for pixels: that is not said here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping


def frames_between(frame_index: int, keyframes: Iterable[int], n_frames: int) -> range:
    """Frames round one, up to an object's next keyframes on both sides and without those.

    Further away little changes where something else is said on `frame_index`: on a keyframe an
    object is what was said there, and it is followed from there on.
    """
    others = [f for f in keyframes if f != frame_index]
    below = max((f for f in others if f < frame_index), default=-1)
    above = min((f for f in others if f > frame_index), default=n_frames)
    return range(below + 1, above)


def stale_ranges(
    then: Mapping[int, Hashable], now: Mapping[int, Hashable], n_frames: int
) -> tuple[range, ...]:
    """Frames that would come out differently of those that were followed with other prompts.

    Parameters
    ----------
    then : mapping of frame index to anything hashable
        What was said of the object on its keyframes when the frames were followed.
    now : mapping of frame index to anything hashable
        What is said of it now; equal values, equal prompts.
    n_frames : int
        Of the video.

    Returns
    -------
    tuple of range
        Rising, apart from each other. Keyframes on which the same is said as then are in none.

    Examples
    --------
    Frame 10 was corrected, frames 0 and 20 are as they were.

    >>> stale_ranges({0: "a", 20: "b"}, {0: "a", 10: "c", 20: "b"}, 30)
    (range(1, 20),)
    """
    keys = {*then, *now}
    changed = sorted(k for k in keys if then.get(k) != now.get(k))
    same = keys.difference(changed)
    # those between the same two keyframes are one stretch
    found = {frames_between(key, same, n_frames): None for key in changed}
    return tuple(found)


class StaleFrames:
    """Frames of objects that no model has looked at since their prompts were changed.

    A frame that was never looked at counts as well. Can be read from any thread.
    """

    def __init__(self) -> None:
        self._ranges: dict[int, tuple[range, ...]] = {}

    def of(self, obj_id: int) -> tuple[range, ...]:
        """Those of an object, rising, none touching another."""
        return self._ranges.get(obj_id, ())

    def of_all(self) -> Mapping[int, tuple[range, ...]]:
        """Those of all objects that have any."""
        return {i: ranges for i, ranges in list(self._ranges.items()) if ranges}

    def put_back(self, ranges: Mapping[int, tuple[range, ...]]) -> None:
        """Be what `of_all` gave once."""
        self._ranges = dict(ranges)

    def holds(self, obj_id: int, frame_index: int) -> bool:
        """Whether a frame is one of them."""
        return any(frame_index in one for one in self.of(obj_id))

    def add(self, obj_id: int, frames: range) -> None:
        """Take in frames (with step 1)."""
        merged: list[range] = []
        for one in sorted((*self.of(obj_id), frames), key=lambda r: r.start):
            if merged and one.start <= merged[-1].stop:
                merged[-1] = range(merged[-1].start, max(merged[-1].stop, one.stop))
            elif one:
                merged.append(one)
        self._ranges[obj_id] = tuple(merged)

    def discard(self, obj_id: int, frames: range) -> None:
        """Let go of frames (with step 1): they are as the prompts of now say."""
        if any(one.start < frames.stop and frames.start < one.stop for one in self.of(obj_id)):
            parts = (
                part
                for one in self.of(obj_id)
                for part in (
                    range(one.start, min(one.stop, frames.start)),
                    range(max(one.start, frames.stop), one.stop),
                )
            )
            self._ranges[obj_id] = tuple(part for part in parts if part)

    def discard_frame(self, frame_index: int) -> None:
        """Let go of a frame of all objects."""
        for obj_id in list(self._ranges):
            self.discard(obj_id, range(frame_index, frame_index + 1))

    def forget(self, obj_id: int) -> None:
        """Know no such object any more."""
        self._ranges.pop(obj_id, None)

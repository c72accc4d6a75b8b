"""Which frames of an object are out of date once its prompts are not those of then.

The one place of this rule. A frame of a chain depends on the keyframes that lie before it on that
chain; between two keyframes, where the chain may be in doubt, on the one ahead too. Where a chain
has not met the object yet, its frames come from the other chain (`models.sequential`). A model that
sets an object anew on each keyframe keeps nothing of what lay before: what is behind the next
keyframe that is as it was, is as it was. One with a memory goes on remembering.

Objects compete for pixels, too: that an object was changed by its neighbour's correction is not
said here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping


def stale_ranges(
    then: Mapping[int, Hashable],
    now: Mapping[int, Hashable],
    step: int,
    n_frames: int,
    *,
    begins_anew: bool = False,
) -> tuple[range, ...]:
    """Frames that would come out differently, of those that were followed in one direction.

    Parameters
    ----------
    then : mapping of frame index to anything hashable
        What was said of the object on its keyframes when the frames were followed.
    now : mapping of frame index to anything hashable
        What is said of it now; equal values, equal prompts.
    step : 1 or -1
        The direction.
    n_frames : int
        Of the video.
    begins_anew : bool
        Whether the model sets an object anew on each keyframe.

    Returns
    -------
    tuple of range
        Rising, apart from each other. A frame on which the same is said as then may lie in them
        and is what its own prompt says, all the same: leave those of `now` out.

    Examples
    --------
    Frame 10 was corrected, frames 0 and 20 are as they were. What was followed forward behind
    frame 0 is out of date; if the model begins anew on frame 20, until there.

    >>> then, now = {0: "a", 20: "b"}, {0: "a", 10: "c", 20: "b"}
    >>> stale_ranges(then, now, 1, 30)
    (range(1, 30),)
    >>> stale_ranges(then, now, 1, 30, begins_anew=True)
    (range(1, 20),)
    """
    keys = {*then, *now}
    changed = sorted(k for k in keys if then.get(k) != now.get(k))
    same = sorted(keys.difference(changed))
    found: list[range] = []
    for key in changed:
        first = max((k + 1 for k in same if k < key), default=0)
        end = min((k for k in same if k > key), default=n_frames)
        if not begins_anew and step > 0:
            end = n_frames
        elif not begins_anew:
            first = 0
        if found and first <= found[-1].stop:
            first, end = min(first, found[-1].start), max(end, found[-1].stop)
            found.pop()
        found.append(range(first, end))
    return tuple(found)

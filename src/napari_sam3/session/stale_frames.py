"""Which frames of an object are out of date once its prompts are not those of then.

The one place of this rule. A frame of a chain depends on the keyframes that lie before it on that
chain; between two keyframes, where the chain may be in doubt, on the one ahead too. Where a chain
has not met the object yet, its frames come from the other chain (`models.sequential`). So all that
was followed behind the last keyframe that is as it was is out of date, in the order of the chain.
Objects compete for pixels, too: that an object was changed by its neighbour's correction is not
said here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping


def stale_range(
    then: Mapping[int, Hashable], now: Mapping[int, Hashable], step: int, n_frames: int
) -> range:
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

    Returns
    -------
    range
        Rising; empty if nothing has changed. A frame on which the same is said as then lies in it
        and is what its own prompt says, all the same: leave those of `now` out.

    Examples
    --------
    Frame 10 was corrected, frames 0 and 20 are as they were: all that was followed forward behind
    frame 0 is out of date.

    >>> stale_range({0: "a", 20: "b"}, {0: "a", 10: "c", 20: "b"}, 1, 30)
    range(1, 30)
    >>> stale_range({0: "a", 20: "b"}, {0: "a", 10: "c", 20: "b"}, -1, 30)
    range(0, 20)
    """
    keys = {*then, *now}
    changed = [k for k in keys if then.get(k) != now.get(k)]
    if not changed:
        return range(0)
    if step > 0:
        before = [k for k in keys if k < min(changed)]
        return range(max(before) + 1 if before else 0, n_frames)
    behind = [k for k in keys if k > max(changed)]
    return range(min(behind) if behind else n_frames)

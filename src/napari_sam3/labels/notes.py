"""What is known of an object's mask on one frame: how sure it is, and where it comes from."""

from __future__ import annotations

from typing import Literal, NamedTuple

Source = Literal["prompt", "propagated", "painted", "imported"]
"""Where a mask comes from: a prompt on that frame, a propagation, a person's brush, a file."""


class ObjectNote(NamedTuple):
    """Of one object on one frame.

    Attributes
    ----------
    score : float or None
        Confidence in 0..1; None where there is none, as for a painted mask.
    source : Source
        Where the mask comes from.
    """

    score: float | None
    source: Source

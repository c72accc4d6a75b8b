"""Why an object is doubtful on some frames, in words."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Kind = Literal["far", "lost", "jump", "size", "split", "touch", "score", "long"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The worst first."""


class Reason(NamedTuple):
    """One reason to look.

    Attributes
    ----------
    kind : str
        "far": found again where it can hardly have got; "lost": not seen; "jump", "size": another
        place, or size, from one frame to the next; "split": in several parts; "touch": began to
        touch another object; "score": the model is not sure; "long": a long way from any prompt.
    frame_index : int
        Where that begins.
    amount : float
        far: px; lost: frames of its absence; jump: times its own width; size: times its area;
        split: share of its largest part; score: the lowest; long: frames.
    other : int
        touch: the other object; else 0.
    """

    kind: Kind
    frame_index: int
    amount: float = 0.0
    other: int = 0

    def __str__(self) -> str:
        on, amount = f"on frame {self.frame_index}", self.amount
        match self.kind:
            case "far":
                return f"found again {amount:.0f} px away {on}: another one?"
            case "lost":
                last = self.frame_index + round(amount) - 1
                return (
                    f"lost {on}" if amount <= 1 else f"lost on frames {self.frame_index} to {last}"
                )
            case "jump":
                return f"jumps {on} by {amount:.1f} times its width"
            case "size":
                how = f"{amount:.1f} times as large" if amount >= 1 else f"shrinks to {amount:.0%}"
                return f"{'becomes ' * (amount >= 1)}{how} {on}"
            case "split":
                return f"in parts {on}: the largest is {amount:.0%} of it"
            case "touch":
                return f"touches object {self.other} from frame {self.frame_index} on: swapped?"
            case "score":
                return f"low score, down to {amount:.2f}"
        return f"{amount:.0f} frames from the nearest prompt or check"

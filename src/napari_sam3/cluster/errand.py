"""What is sent to a scheduler to be done on a worker.

A lab's scheduler need not have this package, but unpickles what is submitted. A function that was
made in another one is sent as its code, and imports what it needs where it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def errand(target: str) -> Callable[..., Any]:
    """What calls a function, or a class, of this package where it runs.

    Parameters
    ----------
    target : str
        As "napari_sam3.cluster.host:TrackingHost".
    """

    def run(*arguments: Any) -> Any:
        from pkgutil import resolve_name

        return resolve_name(target)(*arguments)

    return run

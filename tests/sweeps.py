"""Sweeps through many cases of a kind: a sample is run with the other tests, the rest apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def sweep(cases: Iterable[Any], sample: Collection[Any]) -> list[Any]:
    """Parameters of a test: all cases, with the mark `sweep` on those that are not in the sample.

    Raises
    ------
    ValueError
        If something of the sample is no case.
    """
    cases = list(cases)
    strange = [case for case in sample if case not in cases]
    if strange:
        raise ValueError(f"no cases of the sweep: {strange}")
    return [
        case if case in sample else pytest.param(case, marks=pytest.mark.sweep) for case in cases
    ]

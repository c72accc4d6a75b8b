"""Divisions: an object that becomes others, and which of them can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from napari_sam3.errors import LineageError


class Division(NamedTuple):
    """An object that became others.

    Attributes
    ----------
    mother : int
        Who is there before `frame_index`.
    daughters : tuple of int
        Who are there from `frame_index` on, rising.
    frame_index : int
        First frame of the daughters, at least 1.
    """

    mother: int
    daughters: tuple[int, ...]
    frame_index: int


def check_division(
    new: Division, parents: Mapping[int, int], divisions: Mapping[int, Division]
) -> None:
    """Make sure that a division can be, in place of an earlier one of the same mother.

    Parameters
    ----------
    new : Division
        To be looked at.
    parents : mapping of id to id
        Mother of each daughter, as far as known.
    divisions : mapping of mother to Division
        As far as known.

    Raises
    ------
    LineageError
        If somebody would be its own ancestor, have two mothers, or divide before being born.
    """
    mother, daughters, frame_index = new
    if not daughters:
        raise LineageError(f"object {mother} divides into nobody; name its daughters")
    if frame_index < 1:
        raise LineageError(
            f"object {mother} can't divide on frame {frame_index}: a mother is there on the "
            "frame before her daughters; choose the daughters' first frame"
        )
    ancestors = [mother]
    while ancestors[-1] in parents:
        ancestors.append(parents[ancestors[-1]])
    for daughter in daughters:
        if daughter == mother:
            raise LineageError(
                f"object {mother} can't be its own daughter; give the daughters other numbers"
            )
        if daughter in ancestors:
            raise LineageError(
                f"object {daughter} can't be a daughter of {mother}, which comes of {daughter}; "
                "unmark that division first"
            )
        if parents.get(daughter, mother) != mother:
            raise LineageError(
                f"object {daughter} is a daughter of {parents[daughter]} already; unmark that "
                "division first"
            )
        later = divisions.get(daughter)
        if later is not None and later.frame_index <= frame_index:
            raise LineageError(
                f"object {daughter} divides on frame {later.frame_index} and can't be born on "
                f"frame {frame_index}; choose an earlier frame"
            )
    if len(ancestors) > 1:
        birth = divisions[ancestors[1]].frame_index
        if birth >= frame_index:
            raise LineageError(
                f"object {mother} is born on frame {birth} and can't divide on frame "
                f"{frame_index}; choose a later frame"
            )

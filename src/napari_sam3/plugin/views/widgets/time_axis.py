"""Frames of a video along a stretch of the screen: from one to the other, zoomed and moved."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST_PX = 40.0
"""Width of a frame, px, beyond which zooming in shows no more."""

_ZOOM = 1.25  # for a notch of the wheel


class TimeAxis:
    """Which frame is where; all x are px from the left end of the stretch.

    Attributes
    ----------
    n_frames : int
        Of the video, at least 1.
    width : int
        Of the stretch, px, at least 1.
    px_per_frame : float
    offset : int
        How many px of the whole lie left of the stretch.
    """

    def __init__(self) -> None:
        self.n_frames, self.width = 1, 1
        self.px_per_frame = 1.0
        self.offset = 0
        self._is_whole = True

    @property
    def length(self) -> int:
        """Of all frames, px."""
        return max(self.width, math.ceil(self.n_frames * self.px_per_frame))

    @property
    def most_offset(self) -> int:
        """Where the last frame is at the right end."""
        return self.length - self.width

    def resize(self, n_frames: int, width: int) -> None:
        """Take another length or width; what showed the whole video goes on doing so."""
        is_other = n_frames != self.n_frames
        self.n_frames, self.width = max(1, n_frames), max(1, width)
        if self._is_whole or is_other:
            self.show_all()
        else:
            self._limit()

    def show_all(self) -> None:
        """Show the whole video."""
        self.px_per_frame, self.offset, self._is_whole = self._least, 0, True

    def frame_at(self, x: float) -> int:
        """The frame under x; the first or last one beyond the ends."""
        frame_index = math.floor((x + self.offset) / self.px_per_frame)
        return min(max(frame_index, 0), self.n_frames - 1)

    def x_of(self, frame_index: float) -> float:
        """The left edge of a frame; its middle is `x_of(frame_index + 0.5)`."""
        return frame_index * self.px_per_frame - self.offset

    def columns(self) -> tuple[NDArray[np.intp], int]:
        """The first frame of each column of pixels that shows any, and where the last one ends."""
        used = min(self.width, max(1, math.ceil(self.n_frames * self.px_per_frame) - self.offset))
        places = (np.arange(used + 1) + self.offset) / self.px_per_frame
        frames = np.minimum(places.astype(np.intp), self.n_frames - 1)
        return frames[:-1], min(self.n_frames, max(int(frames[-2]) + 1, math.ceil(places[-1])))

    def zoom(self, notches: float, x: float) -> None:
        """Show less (positive) or more; the frame under x stays there."""
        place = (x + self.offset) / self.px_per_frame
        wanted = self.px_per_frame * _ZOOM**notches
        self.px_per_frame = min(max(wanted, self._least), max(MOST_PX, self._least))
        self._is_whole = self.px_per_frame == self._least
        self.offset = round(place * self.px_per_frame - x)
        self._limit()

    def pan(self, px: float) -> None:
        """Go to later frames (positive) or earlier ones."""
        self.offset += round(px)
        self._limit()

    def reveal(self, frame_index: int) -> bool:
        """Bring a frame into sight; False where it was."""
        left, right = self.x_of(frame_index), self.x_of(frame_index + 1)
        if left >= 0 and right <= self.width:
            return False
        self.offset += round(left - self.width / 2)
        self._limit()
        return True

    @property
    def _least(self) -> float:
        return self.width / self.n_frames

    def _limit(self) -> None:
        self.px_per_frame = max(self.px_per_frame, self._least)
        self.offset = min(max(self.offset, 0), self.most_offset)

"""Which frames a file holds, in the order they are shown, and where decoding them can start.

A frame is known by its stamp, never by counting: the number that its packet carries and that the
decoder hands on to the frame made from it. Usually that is the presentation time stamp (pts).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam3.video.packets import NO_STAMP, Int64Array, PacketTable, StampKind

MOST_REORDERED = 16
"""Frames that a codec can keep back at most to show them later (H.264 and HEVC: 16)."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a stream in order of presentation, and the places to start decoding at.

    Attributes
    ----------
    kind : {'pts', 'dts', 'pos', 'count'}
        What the stamps are. 'count': nothing tells this file's frames apart, they can only be
        counted from the start of the file.
    stamps : (T,) int64
        The stamp of every frame, in order of presentation.
    times : (T,) float64
        When each frame is shown, s.
    key_frames : (K,) int64
        For every place where decoding can start the first frame that can be had there; rising.
    key_stamps : (K,) int64
        The stamps of the packets at these places.
    key_seeks : (K,) int64
        What to seek to, to get there: a time stamp, for 'pos' a number of bytes.
    """

    kind: StampKind
    stamps: Int64Array
    times: NDArray[np.float64]
    key_frames: Int64Array
    key_stamps: Int64Array
    key_seeks: Int64Array

    @cached_property
    def _by_stamp(self) -> Int64Array:
        """The frames in rising order of their stamps."""
        return np.argsort(self.stamps, kind="stable")

    @cached_property
    def _keys_by_stamp(self) -> Int64Array:
        """The places to start at in rising order of their stamps."""
        return np.argsort(self.key_stamps, kind="stable")

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def is_all_keys(self) -> bool:
        """Whether decoding can start at every frame."""
        return len(self.key_frames) == len(self.stamps)

    def frame_of(self, stamp: int) -> int | None:
        """The frame that carries a stamp; None if it is no frame of this video."""
        place = int(np.searchsorted(self.stamps, stamp, sorter=self._by_stamp))
        if place == len(self):
            return None
        frame_index = int(self._by_stamp[place])
        return frame_index if self.stamps[frame_index] == stamp else None

    def key_before(self, frame_index: int) -> int:
        """The last place (0..K-1) from which a frame can be decoded."""
        return max(0, int(np.searchsorted(self.key_frames, frame_index, side="right")) - 1)

    def first_frame_from(self, stamp: int) -> int:
        """The first frame that is whole when decoding starts at the packet with that stamp."""
        place = int(np.searchsorted(self.key_stamps, stamp, sorter=self._keys_by_stamp))
        if place < len(self.key_stamps):
            key = self._keys_by_stamp[place]
            if self.key_stamps[key] == stamp:
                return int(self.key_frames[key])
        # not a place we know: take what comes
        return self.frame_of(stamp) or 0

    def ending_at(self, stop: int) -> FrameIndex:
        """The same index without the frames from `stop` (1 or more) on."""
        return _with_keys(replace(self, stamps=self.stamps[:stop], times=self.times[:stop]))

    def starting_at(self, first: int) -> FrameIndex:
        """The same index without its first frames."""
        return replace(
            self,
            stamps=self.stamps[first:],
            times=self.times[first:],
            key_frames=np.maximum(self.key_frames - first, 0),
        )


def index_by_pts(packets: PacketTable, *, seeks_by_pts: bool) -> FrameIndex | None:
    """Read the order of frames off the packets' time stamps.

    Parameters
    ----------
    packets : PacketTable
    seeks_by_pts : bool
        Whether the container's seek compares with presentation times (MP4, Matroska) or with
        decoding times (MPEG-TS).

    Returns
    -------
    FrameIndex or None
        None where time stamps are missing or not unique.
    """
    if not len(packets) or not packets.has_unique("pts"):
        return None
    shown = ~packets.is_discarded
    stamps = np.sort(packets.pts[shown])
    if not len(stamps):
        return None
    # a key packet that is not shown itself is a place to start at all the same
    keys = np.flatnonzero(packets.is_key)
    if not len(keys):
        keys = np.array([0])
    key_stamps = packets.pts[keys]
    dts = np.where(packets.dts == NO_STAMP, packets.pts, packets.dts)
    if packets.cut_short is not False:
        stamps = _without_holes(packets.pts[shown], surely_cut=bool(packets.cut_short))
    ahead = int((packets.pts - dts).max()) if seeks_by_pts else 0
    return _with_keys(
        FrameIndex(
            "pts",
            stamps,
            np.asarray(stamps * float(packets.time_base), np.float64),
            np.searchsorted(stamps, key_stamps),
            key_stamps,
            dts[keys] + ahead,
        )
    )


def _without_holes(shown: Int64Array, *, surely_cut: bool) -> Int64Array:
    """The frames of a broken-off file up to the first one that may be missing among them.

    Frames are stored in the order they are decoded: where the file breaks off, frames to be shown
    after the missing ones may be there already. `shown` are the stamps in that order; no frame is
    decoded later, counted in frames, than the latest of those that are there.
    """
    stamps = np.sort(shown)
    delay = int((np.arange(len(shown)) - np.searchsorted(stamps, shown)).max())
    sure = max(1, len(stamps) - delay)
    steps = np.diff(stamps)
    longest = 1.5 * float(np.median(steps)) if len(steps) else 0.0
    if surely_cut and len(steps):
        longest = 1.5 * float(steps.min())
        steady = max(1, sure - MOST_REORDERED)
        if (steps[: steady - 1] <= longest).all():
            # what is missing where the rate is constant is seen better than it is reckoned
            sure = steady
    elif (steps[: sure - 1] > longest).any():
        # the rate varies: a long step at the end says nothing
        return stamps
    while sure < len(stamps) and steps[sure - 1] <= longest:
        sure += 1
    return stamps[:sure]


def index_by_order(
    packets: PacketTable,
    kind: StampKind,
    stamps: Int64Array,
    rate: float,
    keys: set[int] | None = None,
) -> FrameIndex:
    """Take the order of frames from having decoded the file once.

    Parameters
    ----------
    packets : PacketTable
    kind : {'dts', 'pos', 'count'}
        What was stamped on the packets.
    stamps : (T,) int64
        The stamps of the frames in the order the decoder gave them.
    rate : float
        Frames a second, for files that carry no times.
    keys : set of int, optional
        The stamps of the frames that can be decoded by themselves, where the decoder knows better
        than the packets.
    """
    if kind == "count":
        nothing = np.zeros(1, np.int64)
        return FrameIndex(kind, stamps, stamps / rate, nothing, nothing, nothing)
    place = {int(stamp): n for n, stamp in enumerate(stamps)}
    carried = packets.stamps(kind)
    if keys is None:
        keys = set(carried[packets.is_key].tolist())
    usable = keys & place.keys()
    starts = [n for n in range(len(packets)) if int(carried[n]) in usable]
    key_stamps = carried[starts or [0]]
    key_frames = np.array([place.get(int(stamp), 0) for stamp in key_stamps], np.int64)
    if kind == "dts":
        # frames are shown at the rate at which they are decoded
        times = np.asarray(np.sort(stamps) * float(packets.time_base), np.float64)
    else:
        times = np.arange(len(stamps)) / rate
    key_seeks = key_stamps - packets.header if kind == "pos" else key_stamps
    return _with_keys(FrameIndex(kind, stamps, times, key_frames, key_stamps, key_seeks))


def _with_keys(index: FrameIndex) -> FrameIndex:
    """Sort the places to start at, and leave out those behind the last frame."""
    order = np.argsort(index.key_frames, kind="stable")
    order = order[index.key_frames[order] < len(index)]
    if not len(order):
        order = np.array([0])
    key_frames = index.key_frames[order]
    # what is shown before the first key packet's frame comes out of it too, or of nothing
    key_frames[0] = 0
    return replace(
        index,
        key_frames=key_frames,
        key_stamps=index.key_stamps[order],
        key_seeks=index.key_seeks[order],
    )

"""What H.264's sequence parameters tell that FFmpeg does not: grey, and fields as pictures.

Where fields are coded as pictures of their own, two packets make one frame, and nothing but the
pictures' own headers says so: time stamps are made up for the second ones (MP4, AVI) or
interpolated (MPEG-TS). A stream may go from frames to fields anywhere. Source: ITU-T H.264,
7.3.2.1.1 (sequence parameters) and 7.3.3 (slice header).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

_WITH_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_IDR = 5
_SLICES = {1, _IDR}
_SEQUENCE = 7
_HEADER = 64
"""Bytes of a unit that are looked at: more than a slice's header needs."""


class SequenceParameters:
    """The first sequence parameter set of a stream.

    Parameters
    ----------
    unit : bytes
        The set with its header byte.
    length_size : int
        Bytes of the lengths before units; 0 where start codes part them.

    Attributes
    ----------
    is_grey : bool
        Whether there is no colour; FFmpeg gives it a constant one.
    may_have_fields : bool
        Whether pictures may be fields.
    """

    def __init__(self, unit: bytes, length_size: int) -> None:
        self._length_size = length_size
        bits = _Bits(unit[1:])
        profile = bits.read(8)
        bits.read(16)
        bits.read_ue()
        chroma, self._has_planes = 1, False
        if profile in _WITH_CHROMA:
            chroma = bits.read_ue()
            if chroma == 3:
                self._has_planes = bool(bits.read(1))
            bits.read_ue()
            bits.read_ue()
            bits.read(1)
            if bits.read(1):
                for i in range(12 if chroma == 3 else 8):
                    if bits.read(1):
                        _pass_scaling_list(bits, 16 if i < 6 else 64)
        self.is_grey = chroma == 0
        self._frame_num_bits = bits.read_ue() + 4
        order = bits.read_ue()
        self._order_bits = 0
        if order == 0:
            self._order_bits = bits.read_ue() + 4
        elif order == 1:
            bits.read(1)
            bits.read_se()
            bits.read_se()
            for _ in range(bits.read_ue()):
                bits.read_se()
        bits.read_ue()
        bits.read(1)
        bits.read_ue()
        bits.read_ue()
        self.may_have_fields = not bits.read(1)

    @classmethod
    def of(cls, codec_context: Any) -> SequenceParameters | None:
        """Those of an H.264 stream; None for all others, or where nothing can be told."""
        extra = bytes(codec_context.extradata or b"")
        if codec_context.name != "h264" or len(extra) < 8:
            return None
        try:
            # as MP4 and Matroska keep it, or as it stands in a raw stream
            if extra[0] == 1:
                size = int.from_bytes(extra[6:8], "big")
                return cls(extra[8 : 8 + size], (extra[4] & 3) + 1)
            unit = next(u for u in _between_start_codes(extra) if u[0] & 31 == _SEQUENCE)
            return cls(unit, 0)
        except (IndexError, StopIteration):
            return None

    def has_field(self, packet: bytes) -> bool:
        """Whether the first picture of a packet is a field."""
        for unit in self._units(packet):
            if unit and unit[0] & 31 in _SLICES:
                try:
                    return self._is_field(_Bits(unit[1:_HEADER]))
                except IndexError:
                    return False
        return False

    def place_of(self, packet: bytes) -> tuple[bool, int] | None:
        """Where the first picture of a packet is shown, if no picture of the stream is a field.

        Returns
        -------
        tuple of (bool, int) or None
            Whether counting begins anew with it (an IDR picture), and its order's lower bits; None
            where nothing can be told.
        """
        for unit in self._units(packet):
            if unit and unit[0] & 31 in _SLICES and self._order_bits:
                is_new = unit[0] & 31 == _IDR
                bits = _Bits(unit[1:_HEADER])
                try:
                    for _ in range(3):
                        bits.read_ue()
                    bits.read(2 * self._has_planes + self._frame_num_bits)
                    if is_new:
                        bits.read_ue()
                    return is_new, bits.read(self._order_bits)
                except IndexError:
                    return None
        return None

    def has_all(self, places: Sequence[tuple[bool, int] | None]) -> bool:
        """Whether pictures, as `place_of` tells of them in the order of the stream, follow evenly.

        Of those between two IDR pictures each is shown as long after the one before as others.
        """
        around = 1 << self._order_bits
        orders: list[list[int]] = []
        for place in places:
            if place is None:
                return True
            is_new, order = place
            if is_new or not orders:
                orders.append([order])
            else:
                last = orders[-1][-1]
                orders[-1].append(last + (order - last + around // 2) % around - around // 2)
        steps = [b - a for part in orders for a, b in pairwise(sorted(part))]
        return len(set(steps)) < 2

    def _is_field(self, bits: _Bits) -> bool:
        for _ in range(3):
            bits.read_ue()
        if self._has_planes:
            bits.read(2)
        bits.read(self._frame_num_bits)
        return bool(bits.read(1))

    def _units(self, packet: bytes) -> Iterator[bytes]:
        if not self._length_size:
            yield from _between_start_codes(packet)
            return
        place = 0
        while place + self._length_size < len(packet):
            begin = place + self._length_size
            size = int.from_bytes(packet[place:begin], "big")
            yield packet[begin : begin + min(size, _HEADER)]
            place = begin + size


class _Bits:
    """Numbers as H.264 writes them. Reading past the end is an IndexError."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\0\0\3", b"\0\0")  # put in so that no start code appears
        self._bits = "".join(f"{byte:08b}" for byte in data)
        self._at = 0

    def read(self, count: int) -> int:
        if self._at + count > len(self._bits):
            raise IndexError("past the end")
        self._at += count
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def read_ue(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def read_se(self) -> int:
        number = self.read_ue()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.read_se()) % 256
        last = following or last


def _between_start_codes(data: bytes) -> Iterator[bytes]:
    place = data.find(b"\0\0\1")
    while place >= 0:
        begin = place + 3
        place = data.find(b"\0\0\1", begin)
        unit = data[begin : place if place >= 0 else len(data)]
        if unit:
            yield unit

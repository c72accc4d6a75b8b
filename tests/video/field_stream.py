"""Raw H.264 whose frames are coded whole or as two fields; no encoder at hand makes the latter.

Every block is stored without compression (I_PCM), so that a small writer of bits is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.video.clips import SIZE, draw

_GROUP = 10  # frames from key to key


class _Bits:
    def __init__(self) -> None:
        self._bits: list[int] = []

    def put(self, count: int, value: int) -> None:
        self._bits += [value >> i & 1 for i in range(count - 1, -1, -1)]

    def put_ue(self, *values: int) -> None:
        for value in values:
            length = (value + 1).bit_length()
            self.put(length - 1, 0)
            self.put(length, value + 1)

    def align(self) -> None:
        self.put(-len(self._bits) % 8, 0)

    def unit(self, header: int) -> bytes:
        self.put(1, 1)
        self.align()
        escaped, zeros = bytearray([header]), 0
        for byte in np.packbits(np.array(self._bits, np.uint8)).tobytes():
            if zeros >= 2 and byte <= 3:
                escaped.append(3)
                zeros = 0
            escaped.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes(escaped)


def _parameters() -> bytes:
    height, width = SIZE
    sequence = _Bits()
    sequence.put(24, 77 << 16 | 40)  # main profile, level 4
    sequence.put_ue(0, 4, 2, 2)  # 8 bits of frame number; shown in the order of decoding
    sequence.put(1, 0)
    sequence.put_ue(width // 16 - 1, height // 32 - 1)
    sequence.put(1, 0)  # not frames alone
    sequence.put(4, 0b0101)  # only frame or field, no crop, timing follows
    sequence.put(5, 0b00001)
    sequence.put(32, 1)
    sequence.put(32, 50)
    sequence.put(5, 0b10000)
    picture = _Bits()
    picture.put_ue(0, 0)
    picture.put(2, 0)
    picture.put_ue(0, 0, 0)
    picture.put(3, 0)
    picture.put_ue(0, 0, 0)
    picture.put(3, 0)
    return sequence.unit(0x67) + picture.unit(0x68)


def _picture(lines: np.ndarray, number: int, field: int | None, *, is_key: bool) -> bytes:
    bits = _Bits()
    bits.put_ue(0, 7, 0)
    bits.put(8, number % _GROUP)
    if field is None:
        bits.put(1, 0)
    else:
        bits.put(2, 2 | field)
    if is_key:
        bits.put_ue(number // _GROUP % 2)
    bits.put(2 if is_key else 1, 0)
    bits.put_ue(0)
    for y in range(0, lines.shape[0], 16):
        for x in range(0, lines.shape[1], 16):
            bits.put_ue(25)
            bits.align()
            for value in lines[y : y + 16, x : x + 16].ravel():
                bits.put(8, int(value))
            for _ in range(128):
                bits.put(8, 128)
    return b"\0\0\0\1\x09\xf0" * (field != 1 or not is_key) + bits.unit(0x65 if is_key else 0x61)


def write_field_stream(path: Path, n_frames: int, is_in_fields: Callable[[int], bool]) -> Path:
    """Write frames that carry their number; those that `is_in_fields` names as two pictures."""
    with path.open("wb") as file:
        for number in range(n_frames):
            frame = np.maximum(draw(number), 1)
            is_key = number % _GROUP == 0
            if is_key:
                file.write(b"\0\0\0\1\x09\xf0" + _parameters())
            if is_in_fields(number):
                file.write(_picture(frame[0::2], number, 0, is_key=is_key))
                file.write(_picture(frame[1::2], number, 1, is_key=False))
            else:
                file.write(_picture(frame, number, None, is_key=is_key))
    return path

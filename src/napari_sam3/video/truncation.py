"""Whether a file is shorter than it says itself, or damaged, as far as its bytes tell."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

_SEGMENT = bytes.fromhex("18538067")
"""Matroska's element that holds the whole video (RFC 9559, 5.1)."""

_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
"""What the index starts with that FFmpeg writes last into a NUT file."""

_LOOKED_AT = 2**16
"""Bytes behind the end of a GIF that are looked through for more of it."""

_FILLER = 0x7FFFFFFF
"""No length of an AVI: its parts are split long before."""


def is_cut_short(path: Path, container: str) -> bool | None:
    """Whether a file is shorter than it says itself.

    Parameters
    ----------
    path : Path
    container : str
        FFmpeg's name of the format.

    Returns
    -------
    bool or None
        None where it can't be told (raw streams; MPEG-TS, unless cut inside one of its cells).
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        if container == "avi":
            head = file.read(8)
            declared = int.from_bytes(head[4:], "little")
            # who can't go back to write it when all is done leaves a filler
            if head[:4] != b"RIFF" or declared == 0 or declared >= _FILLER:
                return None
            return declared + 8 > length
        if container == "mpegts" and length % 188 and length % 192 and length % 204:
            return True
        if container == "nut":
            return not _ends_with_nut_index(file)
        if container == "gif":
            return not _walk_gif(file).is_ended
        if "mp4" in container:
            return _walk_mp4(file, length)[1] or None
        if container == "flv":
            return _walk_flv(file, length)[1] or None
        if "matroska" in container:
            end = _segment_end(file)
            return None if end is None else end > length
    return None


def is_sound(path: Path, container: str) -> bool:
    """Whether the parts of a file follow each other as they say of themselves.

    Demuxers find their way past damage without a word, so this walks from part to part, where a
    format has such; what is in them is not looked at, nor whether the last one is whole.

    Parameters
    ----------
    path : Path
    container : str
        FFmpeg's name of the format.
    """
    if container in _RAW and path.suffix.lower() in _PACKED:
        # what held the packets is so damaged that it was not known for what it is
        return False
    with path.open("rb") as file:
        end = file.seek(0, 2)
        if "matroska" in container:
            return _walk_matroska(file, end)
        if container == "flv":
            return _walk_flv(file, end)[0]
        if "mp4" in container:
            return _walk_mp4(file, end)[0]
        if container == "gif":
            return _walk_gif(file).is_regular
        if container == "apng":
            return _walk_png(file, end)
    return True


_RAW = ("mjpeg", "h264", "hevc", "mpegvideo", "m4v", "h263", "vc1", "obu")
_PACKED = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".flv", ".ts", ".mts", ".wmv", ".mxf")

_CLUSTER = 0x1F43B675
_IN_SEGMENT = frozenset(
    {0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, _CLUSTER, 0x1941A469, 0x1043A770, 0x1254C367}
)
_IN_CLUSTER = frozenset({0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF})
_ANYWHERE = frozenset({0xEC, 0xBF})


def _walk_matroska(file: BinaryIO, end: int) -> bool:
    """Walk over the elements of the segment and its clusters (RFC 9559, 5.1)."""
    if _read_segment(file) is None:
        return False
    place = file.tell()
    while place < end:
        file.seek(place)
        element = _read_element(file)
        if element is None:
            # what is left is less than a head
            return end - place < 12
        kind, size = element
        place = file.tell()
        if kind == _CLUSTER:
            # its parts are walked over one by one
            continue
        if kind not in _IN_SEGMENT | _IN_CLUSTER | _ANYWHERE or size is None:
            return False
        place += size
    return True


def _read_segment(file: BinaryIO) -> tuple[int, int | None] | None:
    """As `_read_element` of the segment, wherever it begins."""
    file.seek(0)
    place = file.read(4096).find(_SEGMENT)
    file.seek(max(place, 0))
    return _read_element(file) if place >= 0 else None


def _read_element(file: BinaryIO) -> tuple[int, int | None] | None:
    """The kind and size of an element, None for one without an end; None where there is none."""
    head = file.read(12)
    if len(head) < 2:
        return None
    # the number of leading zero bits tells how many bytes there are
    width = 9 - head[0].bit_length()
    if width > 4 or len(head) <= width:
        return None
    kind = int.from_bytes(head[:width], "big")
    length = 9 - head[width].bit_length()
    if length > 8 or len(head) < width + length:
        return None
    size = int.from_bytes(head[width : width + length], "big") & ((1 << 7 * length) - 1)
    file.seek(width + length - len(head), 1)
    return kind, None if size == (1 << 7 * length) - 1 else size


def _walk_flv(file: BinaryIO, end: int) -> tuple[bool, bool]:
    """Walk over the tags, each followed by its length (Flash Video specification, annex E).

    Are they sound, does the last one break off.
    """
    file.seek(5)
    place = int.from_bytes(file.read(4), "big") + 4
    while place + 15 <= end:
        file.seek(place)
        head = file.read(4)
        size = 11 + int.from_bytes(head[1:4], "big")
        place += size + 4
        if place > end:
            return True, True
        file.seek(place - 4)
        if int.from_bytes(file.read(4), "big") != size:
            return False, False
    return True, False


_BESIDE_FRAGMENTS = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"free", b"skip"}
    | {b"uuid", b"emsg", b"prft", b"meta", b"pdin", b"wide", b"udta"}
)
_IN_FRAGMENT = frozenset(
    {b"mfhd", b"traf", b"tfhd", b"tfdt", b"trun", b"pssh", b"meta", b"uuid", b"free", b"udta"}
    | {b"sbgp", b"sgpd", b"subs", b"saiz", b"saio", b"senc", b"skip"}
)


def _walk_mp4(file: BinaryIO, end: int) -> tuple[bool, bool]:
    """Walk over the boxes (ISO/IEC 14496-12, 4.2): are they sound, does the last one break off."""
    place, kinds = 0, set()
    while place + 8 <= end:
        file.seek(place)
        head = file.read(16)
        size, kind, least = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 0:
            return True, False
        if size == 1:
            size, least = int.from_bytes(head[8:16], "big"), 16
        if size < least or not all(32 <= sign < 127 or sign == 0xA9 for sign in kind):
            # zeros behind the last box do no harm
            file.seek(place)
            return not file.read(_LOOKED_AT).strip(b"\0"), False
        if kind == b"moof" and size < 2**24 and place + size <= end:
            file.seek(place + least)
            if not _fills(file.read(size - least)):
                return False, False
        kinds.add(kind)
        place += size
    # a fragment whose name is damaged would be passed over
    return b"moof" not in kinds or kinds <= _BESIDE_FRAGMENTS, place > end


def _fills(box: bytes) -> bool:
    """Whether the boxes in one of a fragment fill it, and those of its tracks fill them."""
    place = 0
    while place + 8 <= len(box):
        size, kind = int.from_bytes(box[place : place + 4], "big"), box[place + 4 : place + 8]
        if size < 8 or kind not in _IN_FRAGMENT:
            return False
        if kind == b"traf" and not _fills(box[place + 8 : place + size]):
            return False
        place += size
    return place == len(box)


def _walk_png(file: BinaryIO, end: int) -> bool:
    """Count the pictures an animated PNG announces, and those that begin (PNG, third edition)."""
    announced, begun, place = None, 0, 8
    while place + 12 <= end:
        file.seek(place)
        head = file.read(12)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if not kind.isalpha():
            return False
        if kind == b"acTL":
            announced = int.from_bytes(head[8:12], "big")
        begun += kind == b"fcTL"
        place += 12 + size
        if kind == b"IEND":
            break
    return announced is None or announced == begun


def _ends_with_nut_index(file: BinaryIO) -> bool:
    """Whether the last eight bytes before the last checksum lead back to where an index starts."""
    length = file.seek(0, 2)
    if length < 12:
        return False
    file.seek(-12, 2)
    back = int.from_bytes(file.read(8), "big")
    if not len(_NUT_INDEX) <= back <= length:
        return False
    file.seek(-back, 2)
    return file.read(len(_NUT_INDEX)) == _NUT_INDEX


def _segment_end(file: BinaryIO) -> int | None:
    """Where a Matroska file should end; None where it does not say (a live recording)."""
    element = _read_segment(file)
    return None if element is None or element[1] is None else file.tell() + element[1]


def count_gif_pictures(path: Path) -> int:
    """How many pictures of a GIF are whole."""
    with path.open("rb") as file:
        return _walk_gif(file).n_pictures


class _GifParts(NamedTuple):
    """What is in a GIF: whole pictures; whether it comes to its end, its blocks all as usual."""

    n_pictures: int
    is_ended: bool
    is_regular: bool


def _walk_gif(file: BinaryIO) -> _GifParts:
    """Walk over the blocks of a GIF (GIF89a, 17 to 27)."""
    file.seek(0)
    head = file.read(13)
    n_pictures, is_regular = 0, True
    if len(head) < 13:
        return _GifParts(0, False, False)
    file.seek(_n_bytes_of_colours(head[10]), 1)
    while True:
        kind = file.read(1)
        if kind == b"\x21":
            file.seek(1, 1)
        elif kind == b"\x2c":
            head = file.read(9)
            if len(head) < 9:
                return _GifParts(n_pictures, False, is_regular)
            file.seek(_n_bytes_of_colours(head[8]) + 1, 1)
        else:
            # some programs write zeros behind the last picture, and others other things
            rest = file.read(_LOOKED_AT)
            is_end = kind == b"\x3b" or (kind == b"\x00" and not rest.strip(b"\0\x3b"))
            is_end = is_end and b"\x21\xf9\x04" not in rest
            return _GifParts(n_pictures, is_end, is_regular)
        lengths = []
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
            lengths.append(length[0])
        else:
            return _GifParts(n_pictures, False, is_regular)
        # of a picture's data writers fill all parts alike but the last
        if kind == b"\x2c" and (len(set(lengths[:-1])) > 1 or lengths[-1:] > lengths[:1]):
            is_regular = False
        n_pictures += kind == b"\x2c"


def _n_bytes_of_colours(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

"""What was found out about a file, kept in the user's cache folder for the next opening.

Only what took long is kept: indices that needed reading, or even decoding, the whole file. Nothing
is ever written beside the video. A record that does not fit the file any more, or is damaged, is
as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np

from napari_sam3.cache_folder import cache_folder, make_room
from napari_sam3.plain_files import open_plain
from napari_sam3.video.frame_index import FrameIndex
from napari_sam3.video.packets import StampKind
from napari_sam3.whole_files import written_whole

MOST_BYTES = 256 * 2**20
"""All records together; the one not used for longest makes room."""

_MOST_UNPACKED = 2**31
_VERSION = 4
_HEAD = 2**16
_ARRAYS = {
    "stamps": np.int64,
    "times": np.float64,
    "key_frames": np.int64,
    "key_stamps": np.int64,
    "key_seeks": np.int64,
}
# what numpy says of a file that is not, or only in part, what it wrote itself
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(kw_only=True, eq=False)
class StreamInfo:
    """What looking through a whole file tells.

    Attributes
    ----------
    stream_number : int
        The video stream's number in the file.
    index : FrameIndex
    fps : float or None
    metadata : dict
    lost : int or None
        How many frames are missing, since the file breaks off or is damaged; None where some are
        but the file does not say how many.
    has_holes : bool
        Whether they are missing from the middle rather than at the end.
    """

    stream_number: int
    index: FrameIndex
    fps: float | None
    metadata: dict[str, Any]
    lost: int | None
    has_holes: bool = False


def store_folder() -> Path:
    """Where records are kept."""
    return cache_folder("indices")


def load_stream_info(path: Path) -> StreamInfo | None:
    """What is known of a file; None if nothing, or if it is another file by now."""
    try:
        place = _place(path)
        with (
            open_plain(place, most_bytes=MOST_BYTES) as file,
            np.load(file, allow_pickle=False) as record,
        ):
            if sum(member.file_size for member in record.zip.infolist()) > _MOST_UNPACKED:
                return None
            fields = json.loads(record["fields"].tobytes())
            if fields.pop("identity") != _identity(path):
                return None
            arrays = {name: record[name].astype(kind) for name, kind in _ARRAYS.items()}
        fields["index"] = _check(FrameIndex(fields["index"], **arrays))
        fields["metadata"]["coded_size"] = tuple(fields["metadata"]["coded_size"])
        info = StreamInfo(**fields)
    except _DAMAGE:
        return None
    with suppress(OSError):
        os.utime(place)  # it was of use
    return info


def save_stream_info(path: Path, info: StreamInfo) -> None:
    """Keep what is known of a file. Where the folder can't be written, nothing is kept."""
    index = info.index
    with suppress(OSError):
        fields = vars(info) | {"index": index.kind, "identity": _identity(path)}
        store_folder().mkdir(parents=True, exist_ok=True)
        # other processes see all of it or nothing
        with written_whole(_place(path)) as part:
            np.savez_compressed(
                part,
                fields=np.frombuffer(json.dumps(fields).encode(), np.uint8),
                **{name: getattr(index, name) for name in _ARRAYS},
            )
        make_room(store_folder(), MOST_BYTES)


def _place(path: Path) -> Path:
    # by its path, so that a file that was changed does not leave its old record behind
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return store_folder() / f"{digest[:32]}.npz"


def _identity(path: Path) -> list[Any]:
    """What must be the same for a record to be true, FFmpeg's version included."""
    status = path.stat()
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD)).hexdigest()
    libraries = {name: list(number) for name, number in av.library_versions.items()}
    ffmpeg = [libraries["libavformat"], libraries["libavcodec"]]
    return [_VERSION, str(path.resolve()), status.st_size, status.st_mtime_ns, head, ffmpeg]


def _check(index: FrameIndex) -> FrameIndex:
    """Raise ValueError if it can't be an index."""
    keys = index.key_frames
    if (
        index.kind not in get_args(StampKind)
        or any(getattr(index, name).ndim != 1 for name in _ARRAYS)
        or not 0 < len(index.stamps) == len(index.times)
        or not 0 < len(keys) == len(index.key_stamps) == len(index.key_seeks)
        or keys[0] != 0
        or (np.diff(keys) < 0).any()
        or keys[-1] >= len(index)
        or not np.isfinite(index.times).all()
    ):
        raise ValueError("no index of a video")
    return index

"""What was found out about a file, kept in the user's cache folder for the next opening.

Only what took long is kept: indices that needed reading, or even decoding, the whole file. Nothing
is ever written beside the video. A record that does not fit the file any more, or is damaged, is
as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
from platformdirs import user_cache_path

from napari_sam3.video.index import FrameIndex, StampKind

MOST_BYTES = 256 * 2**20
"""All records together; the one not used for longest makes room."""

_VERSION = 2
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
class Findings:
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
    return user_cache_path("napari-sam3", appauthor=False) / "indices"


def load_findings(path: Path) -> Findings | None:
    """What is known of a file; None if nothing, or if it is another file by now."""
    try:
        place = _place(path)
        with np.load(place, allow_pickle=False) as record:
            told = json.loads(record["told"].tobytes())
            if told["identity"] != _identity(path):
                return None
            arrays = {name: record[name].astype(kind) for name, kind in _ARRAYS.items()}
        index = _check(FrameIndex(told["kind"], **arrays))
        metadata = told["metadata"] | {"coded_size": tuple(told["metadata"]["coded_size"])}
        findings = Findings(
            stream_number=int(told["stream_number"]),
            index=index,
            fps=told["fps"],
            metadata=metadata,
            lost=told["lost"],
            has_holes=bool(told["has_holes"]),
        )
    except _DAMAGE:
        return None
    with suppress(OSError):
        os.utime(place)  # it was of use
    return findings


def save_findings(path: Path, findings: Findings) -> None:
    """Keep what is known of a file. Where the folder can't be written, nothing is kept."""
    index = findings.index
    told: dict[str, Any] = {
        "kind": index.kind,
        "stream_number": findings.stream_number,
        "fps": findings.fps,
        "metadata": findings.metadata,
        "lost": findings.lost,
        "has_holes": findings.has_holes,
    }
    with suppress(OSError):
        told["identity"] = _identity(path)
        folder = store_folder()
        folder.mkdir(parents=True, exist_ok=True)
        # written beside its place and moved there: other processes see all of it or nothing
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(
                    file,
                    told=np.frombuffer(json.dumps(told).encode(), np.uint8),
                    **{array: getattr(index, array) for array in _ARRAYS},
                )
            Path(name).replace(_place(path))
        finally:
            Path(name).unlink(missing_ok=True)
        _make_room(folder)


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


def _make_room(folder: Path) -> None:
    """Delete the records not used for longest, down to the most that is kept."""
    records = [(record.stat(), record) for record in folder.glob("*.npz")]
    records.sort(key=lambda pair: pair[0].st_mtime_ns)
    used = sum(status.st_size for status, _ in records)
    for status, record in records[:-1]:
        if used <= MOST_BYTES:
            return
        record.unlink(missing_ok=True)
        used -= status.st_size

"""Zarr folders that may be a stranger's: no link out of them, and no chunk larger than it says."""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from zarr.abc.store import RangeByteRequest
from zarr.storage import LocalStore

from napari_sam3.errors import VideoError
from napari_sam3.plain_files import check_folder, inflated_size, open_plain

_DESCRIPTIONS = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_MOST_DESCRIPTION = 64 * 2**20
_MOST_CHUNK = 2**31  # bytes, as files and unpacked
_CODECS = {"bytes", "transpose", "crc32c", "zstd", "blosc", "gzip", "sharding_indexed"}
_OLD_CODECS = {"zstd", "blosc", "gzip", "zlib", "lz4", "bz2", "lzma"}
_INDEX_CODECS = (["bytes"], ["bytes", "crc32c"])
_FILTERS = {"delta", "shuffle", "packbits"}


class PlainStore(LocalStore):
    """A folder of zarr, read file by file after a look at each.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, read_only=True)
        self._kind: str | None = None
        self._most = _MOST_CHUNK
        self._index: _ShardIndex | None = None

    def expect(self, array: Any) -> None:
        """Have no chunk unpacked that is larger than those of an array.

        Raises
        ------
        VideoError
            If its chunks are too large, or packed in a way that is not known here.
        """
        kinds = _codecs_of(array.metadata)
        n_bytes = math.prod(array.chunks) * array.dtype.itemsize
        read_at_once = math.prod(array.shards or array.chunks) * array.dtype.itemsize
        if read_at_once > _MOST_CHUNK:
            raise VideoError(
                f"the chunks of {str(self.root)!r} take {read_at_once / 1e9:.1f} GB each; at most "
                f"{_MOST_CHUNK / 1e9:.1f} GB are read; save it again in smaller chunks"
            )
        packed = [kind for kind in kinds if kind in _SIZES]
        if packed:
            self._kind, self._most = packed[-1], n_bytes
        if "sharding_indexed" in kinds:
            self._index = _index_of(array)

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """The content of a file, or of a part of it; None where there is none."""
        found = await super().get(key, prototype, byte_range) if self._may_read(key) else None
        return self._checked(key, found, byte_range)

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        """The same at once."""
        if not self._may_read(key):
            return None
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._checked(key, found, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> list[Any]:
        """The same of several."""
        return [await self.get(key, prototype, span) for key, span in key_ranges]

    def _may_read(self, key: str) -> bool:
        place = Path(self.root)
        try:
            *folders, name = key.split("/")
            for folder in folders:
                place /= folder
                check_folder(place)
            most = _MOST_DESCRIPTION if name in _DESCRIPTIONS else _MOST_CHUNK
            open_plain(place / name, most_bytes=most).close()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        return True

    def _checked(self, key: str, found: Any, byte_range: Any) -> Any:
        is_chunk = key.rpartition("/")[2] not in _DESCRIPTIONS
        if found is not None and self._kind is not None and is_chunk:
            content = found.to_bytes()
            parts = [content]
            if self._index is not None:
                parts = self._index.chunks_in(content, byte_range)
            for part in parts:
                size = _SIZES[self._kind](part, self._most)
                if size is None or size > self._most:
                    raise VideoError(
                        f"the chunk {key!r} of {str(self.root)!r} does not hold {self._most:,} "
                        "bytes, as it should; it is damaged, or meant to fill the memory"
                    )
        return found


class _ShardIndex(NamedTuple):
    """Where in a file of many chunks these lie (zarr 3, codec "sharding_indexed")."""

    n_chunks: int
    n_bytes: int
    is_at_start: bool

    def chunks_in(self, content: bytes, span: Any) -> list[bytes]:
        """The packed chunks in what was read of a file; its index is none."""
        if span is not None:
            is_index = not isinstance(span, RangeByteRequest) or (
                self.is_at_start and span.start == 0
            )
            return [] if is_index else [content]
        index = content[: self.n_bytes] if self.is_at_start else content[-self.n_bytes :]
        places = np.frombuffer(index[: 16 * self.n_chunks], "<u8").reshape(-1, 2).tolist()
        return [content[at : at + n] for at, n in places if at < len(content)]


def _index_of(array: Any) -> _ShardIndex:
    (said,) = (c for c in array.metadata.to_dict()["codecs"] if c["name"] == "sharding_indexed")
    told = said["configuration"]
    codecs = [codec["name"] for codec in told["index_codecs"]]
    if "sharding_indexed" in [c["name"] for c in told["codecs"]] or codecs not in _INDEX_CODECS:
        raise VideoError(f"the data are packed in shards with an index of {codecs}")
    n_chunks = math.prod(array.shards) // math.prod(array.chunks)
    n_bytes = 16 * n_chunks + (4 if "crc32c" in codecs else 0)
    return _ShardIndex(n_chunks, n_bytes, told.get("index_location", "end") == "start")


def _codecs_of(metadata: Any) -> list[str]:
    """Names of how chunks are packed, those in shards included."""
    said = metadata.to_dict()
    if metadata.zarr_format == 2:
        known = _OLD_CODECS | _FILTERS
        packers = [*(said.get("filters") or ()), said.get("compressor")]
        names = [getattr(one, "codec_id", None) or one["id"] for one in packers if one]
    else:
        known, names, left = _CODECS, [], list(said["codecs"])
        while left:
            codec = left.pop(0)
            names.append(codec["name"])
            left += codec.get("configuration", {}).get("codecs", ())
    for name in names:
        if name not in known:
            raise VideoError(
                f"the data are packed by {name!r}; known here: {', '.join(sorted(known))}"
            )
    return names


def _inflate(make: Callable[[], Any]) -> Callable[[bytes, int], int | None]:
    """The size of what streams of a kind hold, counted no farther than a limit."""

    def count(packed: bytes, most: int) -> int | None:
        size = 0
        while packed and size <= most:
            stream = make()
            try:
                size += len(stream.decompress(packed, most + 1 - size))
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return size or None  # a checksum may follow
            packed = stream.unused_data
        return size

    return count


def _told(begin: int) -> Callable[[bytes, int], int | None]:
    """The size that four bytes of a head tell."""
    return lambda packed, _most: int.from_bytes(packed[begin : begin + 4], "little")


_SIZES: dict[str, Callable[[bytes, int], int | None]] = {
    "zstd": lambda packed, _most: inflated_size(packed),
    "blosc": _told(4),
    "lz4": _told(0),
    "gzip": _inflate(lambda: zlib.decompressobj(47)),
    "zlib": _inflate(lambda: zlib.decompressobj(47)),
    "bz2": _inflate(bz2.BZ2Decompressor),
    "lzma": _inflate(lzma.LZMADecompressor),
}

"""Zarr folders that may be a stranger's: no link out of them, and no chunk larger than it says."""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from napari_sam3.errors import VideoError
from napari_sam3.labels.frame_codec import inflated_size
from napari_sam3.plain_files import check_folder, open_plain

_DESCRIPTIONS = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}
_MOST_DESCRIPTION = 64 * 2**20
_MOST_CHUNK = 2**31  # bytes, as files and unpacked
_CODECS = {"bytes", "transpose", "crc32c", "zstd", "blosc", "gzip", "sharding_indexed"}
_OLD_CODECS = {"zstd", "blosc", "gzip", "zlib", "lz4", "bz2", "lzma"}
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

    def expect(self, array: Any) -> None:
        """Have no chunk unpacked that is larger than those of an array.

        Raises
        ------
        VideoError
            If its chunks are too large, or packed in a way that is not known here.
        """
        kinds = _codecs_of(array.metadata)
        n_bytes = math.prod(array.chunks) * array.dtype.itemsize
        if n_bytes > _MOST_CHUNK:
            raise VideoError(
                f"the chunks of {str(self.root)!r} take {n_bytes / 1e9:.1f} GB each, and at most "
                f"{_MOST_CHUNK / 1e9:.1f} GB are read; save it again in smaller chunks"
            )
        packed = [kind for kind in kinds if kind in _SIZES]
        if "sharding_indexed" not in kinds and packed:
            self._kind, self._most = packed[-1], n_bytes

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        """The content of a file; None where there is none."""
        found = await super().get(key, *args, **options) if self._may_read(key) else None
        return self._checked(key, found)

    def get_sync(self, key: str, *args: Any, **options: Any) -> Any:
        """The same at once."""
        found = super().get_sync(key, *args, **options) if self._may_read(key) else None
        return self._checked(key, found)

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

    def _checked(self, key: str, found: Any) -> Any:
        is_chunk = key.rpartition("/")[2] not in _DESCRIPTIONS
        if found is not None and self._kind is not None and is_chunk:
            size = _SIZES[self._kind](found.to_bytes(), self._most)
            if size is None or size > self._most:
                raise VideoError(
                    f"the chunk {key!r} of {str(self.root)!r} does not hold {self._most:,} bytes, "
                    "as it should; it is damaged, or meant to fill the memory"
                )
        return found


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
                f"the labels are packed by {name!r}; known here: {', '.join(sorted(known))}"
            )
    return names


def _inflate(make: Callable[[], Any]) -> Callable[[bytes, int], int | None]:
    """The size of what streams of a kind hold, counted no farther than a limit."""

    def count(packed: bytes, most: int) -> int | None:
        size = 0
        while packed and size <= most:
            stream = make()
            size += len(stream.decompress(packed, most + 1 - size))
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

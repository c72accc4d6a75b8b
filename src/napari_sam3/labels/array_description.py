"""What `zarr.json` says of a folder of label frames: a chunk a frame, or many frames a shard.

zarr itself makes the description; it is read here, since the folder may be a stranger's: nothing
but what is made here is understood.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_sam3.errors import StoreError, UnsafeFileError
from napari_sam3.labels.frame_codec import LEVEL
from napari_sam3.labels.frame_records import MOST_IN_SHARD, check_shape
from napari_sam3.plain_files import check_folder, read_json
from napari_sam3.whole_files import written_whole

DESCRIPTION = "zarr.json"
PARTS = ".zarr-*.json"  # of descriptions that a process was killed in writing
_MOST_DESCRIPTION = 2**20  # bytes; it takes one kilobyte

# all chunks in one folder: a folder for each would take a block of the disk each. Shards have other
# names than chunks, so that both can be there while the one is made of the other
_CHUNK_KEYS: dict[str, Any] = {"name": "default", "separator": "."}
_SHARD_KEYS: dict[str, Any] = {"name": "v2", "separator": "."}


class Description(NamedTuple):
    """Of what labels a folder is.

    Attributes
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels.
    shard : int or None
        Frames in a shard; None where each frame is a file.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    shard: int | None = None

    def write(self, folder: Path) -> None:
        """Put it into a folder, in the place of the one that is there; the whole or not at all."""
        with written_whole(folder / DESCRIPTION, is_durable=True) as part:
            part.write_bytes(self._to_json())

    def _to_json(self) -> bytes:
        import zarr
        from zarr.codecs import ZstdCodec
        from zarr.core.buffer import Buffer
        from zarr.storage import MemoryStore

        made: dict[str, Buffer] = {}
        zarr.create_array(
            MemoryStore(made),
            shape=self.shape,
            chunks=(1, *self.shape[1:]),
            shards=None if self.shard is None else (self.shard, *self.shape[1:]),
            dtype=self.dtype,
            fill_value=0,
            compressors=[ZstdCodec(level=LEVEL, checksum=True)],
            chunk_key_encoding=_CHUNK_KEYS if self.shard is None else _SHARD_KEYS,
            dimension_names=("t", "y", "x"),
            zarr_format=3,
        )
        return made[DESCRIPTION].to_bytes()


def read_description(path: Path) -> Description:
    """Read that of a folder.

    Raises
    ------
    StoreError
        If it is missing or damaged, or is of another array than `Description.write` describes.
    UnsafeFileError
        If it, or the folder, is a link or no plain file.
    """
    try:
        check_folder(path)
        said = read_json(path / DESCRIPTION, most_bytes=_MOST_DESCRIPTION)
        shape, chunks = check_shape(said["shape"]), said["chunk_grid"]["configuration"]
        kind, encoding = str(said["data_type"]), said["chunk_key_encoding"]
        size, codecs, shard = chunks["chunk_shape"], _codecs(said["codecs"]), None
        keys = _CHUNK_KEYS
        if [name for name, _ in codecs] == ["sharding_indexed"]:
            sharding, keys = codecs[0][1], _SHARD_KEYS
            shard, size = size[0], [sharding["chunk_shape"][0], *size[1:]]
            codecs = _codecs(sharding["codecs"])
            is_ours = (
                type(shard) is int
                and 1 <= shard <= min(shape[0], MOST_IN_SHARD)
                and sharding["chunk_shape"] == [1, *shape[1:]]
                and [name for name, _ in _codecs(sharding["index_codecs"])] == ["bytes", "crc32c"]
                and sharding.get("index_location", "end") == "end"
            )
        else:
            is_ours = True
        is_ours = (
            is_ours
            and said["node_type"] == "array"
            and size == [1, *shape[1:]]
            and re.fullmatch("u?int(8|16|32|64)", kind) is not None
            and [name for name, _ in codecs] == ["bytes", "zstd"]
            and codecs[0][1].get("endian", "little") == "little"
            and encoding["configuration"]["separator"] == keys["separator"]
            and encoding.get("name", keys["name"]) == keys["name"]
        )
    except UnsafeFileError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{str(path / DESCRIPTION)!r} can't be read ({type(error).__name__}: {error}); "
            "restore it from a copy"
        ) from error
    if not is_ours:
        raise StoreError(
            f"{str(path)!r} is not a label store of napari-sam3: its chunks are {chunks} of "
            f"{kind}, {[name for name, _ in codecs]}; open it as labels with napari instead"
        )
    return Description(shape, np.dtype(kind), shard)


def _codecs(said: Any) -> list[tuple[Any, Any]]:
    return [(codec["name"], codec.get("configuration", {})) for codec in said]

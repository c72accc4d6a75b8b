"""Labels that ilastik exports as HDF5: objects' identities, simple segmentations."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import LabelFile, explain_read_errors
from napari_sam3.imports.pictures import greatest_of
from napari_sam3.labels.frame_records import check_shape
from napari_sam3.plain_files import open_plain

HDF5_SUFFIXES = frozenset({".h5", ".hdf5"})

_DATASET = "exported_data"
_MOST_CHUNK = 2**30  # bytes, unpacked
_FILTERS = frozenset({"gzip", "lzf", "shuffle", "fletcher32"})


class IlastikLabels(LabelFile):
    """Labels of an HDF5 file of ilastik, read a frame at a time (`napari-sam3[hdf5]`).

    Which axis is time its `axistags` tell; axes besides t, y and x must have length 1. Nothing that
    leads out of the file is followed.
    """

    def __init__(self, path: Path) -> None:
        h5py = _import_h5py(path)
        with explain_read_errors(path):
            open_plain(path.resolve()).close()
            self._file: Any = h5py.File(path.resolve(), "r")
        try:
            with explain_read_errors(path):
                data = self._data = _find_data(h5py, self._file, path)
                axes = _read_axes(data)
                lengths = dict(zip(axes, map(int, data.shape), strict=True))
                others = [name for name in axes if name not in "tyx" and lengths[name] != 1]
                if others or not {"y", "x"} <= lengths.keys():
                    raise VideoError(
                        f"{str(path)!r} has the axes {axes} {data.shape}; only t, y and x can be "
                        "read: export one plane and one channel alone"
                    )
                if data.dtype.kind not in "iu":
                    raise VideoError(
                        f"{str(path)!r} holds {data.dtype} values, as of probabilities; export a "
                        "simple segmentation or the objects' identities"
                    )
                _check_chunks(data)
                shape = check_shape((lengths.get("t", 1), lengths["y"], lengths["x"]))
            self._axes = axes
            super().__init__(path, shape, greatest=greatest_of(data.dtype))
        except BaseException:
            self._file.close()
            raise

    def _read(self, frame_index: int) -> NDArray[Any]:
        key = tuple(
            slice(None) if name in "yx" else frame_index if name == "t" else 0
            for name in self._axes
        )
        _check_packed(self._data, key)
        plane = np.asarray(self._data[key])
        rows_first = self._axes.index("y") < self._axes.index("x")
        return plane if rows_first else plane.T

    def close(self) -> None:
        """Give back the file."""
        self._file.close()


def _import_h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as exc:
        raise VideoError(
            f"{str(path)!r} is HDF5, which needs a package more: pip install 'napari-sam3[hdf5]'"
        ) from exc
    return h5py


def _find_data(h5py: Any, file: Any, path: Path) -> Any:
    link = file.get(_DATASET, getlink=True) if _DATASET in file else None
    data = file[_DATASET] if isinstance(link, h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset):
        names = ", ".join(repr(name[:40]) for name in list(file)[:8]) or "nothing"
        raise VideoError(
            f"{str(path)!r} has no data set {_DATASET!r}, as what ilastik exports has; it has "
            f"{names}"
        )
    if data.is_virtual or data.external:
        raise ValueError("its data lie in other files, which are not opened")
    return data


def _read_axes(data: Any) -> str:
    """One letter an axis, as `axistags` say, or by their number."""
    said = data.attrs.get("axistags")
    if said is None:
        known = {2: "yx", 3: "tyx", 4: "tyxc", 5: "tzyxc"}
        if data.ndim not in known:
            raise ValueError(f"it has {data.ndim} axes, and no axistags that tell which they are")
        return known[data.ndim]
    axes = "".join(str(axis["key"]) for axis in json.loads(said)["axes"])
    if len(axes) != data.ndim or len(set(axes)) < len(axes):
        raise ValueError(f"its axistags tell of the axes {axes!r}, its data have {data.ndim}")
    return axes


def _check_chunks(data: Any) -> None:
    creation = data.id.get_create_plist()
    n_filters = creation.get_nfilters()
    n_known = sum(map(bool, (data.compression in _FILTERS, data.shuffle, data.fletcher32)))
    if n_filters != n_known:
        raise ValueError(f"it is packed in a way that is not known here ({n_filters} filters)")
    n_bytes = math.prod(data.chunks or ()) * data.dtype.itemsize
    if n_bytes > _MOST_CHUNK:
        raise ValueError(
            f"its chunks take {n_bytes / 1e9:.1f} GB each; at most {_MOST_CHUNK / 1e9:.1f} GB are "
            "read"
        )


def _check_packed(data: Any, key: tuple[Any, ...]) -> None:
    """Refuse chunks of a frame that hold more than they say: the library unpacks them whole."""
    if data.compression != "gzip":
        return
    n_bytes = math.prod(data.chunks) * data.dtype.itemsize
    # whole sides as numbers, too: h5py 3.11 takes no others here
    asked = [slice(k, k + 1) if isinstance(k, int) else k for k in key]
    sides = [slice(*k.indices(n)[:2]) for k, n in zip(asked, data.shape, strict=True)]
    for part in data.iter_chunks(tuple(sides)):
        offset = tuple(
            side.start - side.start % n for side, n in zip(part, data.chunks, strict=True)
        )
        if data.id.get_chunk_info_by_coord(offset).size == 0:
            continue  # never written: background
        _, packed = data.id.read_direct_chunk(offset)
        stream = zlib.decompressobj()
        stream.decompress(packed, n_bytes + 4)  # a checksum may follow
        if stream.unconsumed_tail and stream.decompress(stream.unconsumed_tail, 1):
            raise ValueError("a chunk holds more than it says; the file is damaged, or meant so")

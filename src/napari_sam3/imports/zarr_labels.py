"""Labels in OME-Zarr (0.4 and 0.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.base import LabelFile, saying_which
from napari_sam3.imports.objects import Hearsay
from napari_sam3.imports.pictures import greatest_of


class ZarrLabels(LabelFile):
    """Labels of an OME-Zarr group at full resolution; axes besides t, y, x must have length 1."""

    def __init__(self, path: Path) -> None:
        import zarr

        with saying_which(path):
            group, image = _find_labels(zarr.open_group(path, mode="r"), path)
            multiscale = image["multiscales"][0]
            array: Any = group[multiscale["datasets"][0]["path"]]
            axes = [axis["name"] for axis in multiscale["axes"]]
            self._key = tuple(slice(None) if name in "tyx" else 0 for name in axes)
            others = [
                n for n, name in zip(array.shape, axes, strict=True) if name not in "tyx" and n != 1
            ]
            named = [name for name in axes if name in "tyx"]
            said = image.get("image-label", {}).get("properties") or []
            heard = Hearsay()
            for one in said:
                obj_id = int(one["label-value"])
                if obj_id > 0:
                    heard.hear(obj_id, one, str(one["class"]) if "class" in one else None)
            objects = heard.table()
        if others or named not in (["t", "y", "x"], ["y", "x"]):
            raise VideoError(
                f"{str(path)!r} has labels of the axes {''.join(axes)} {array.shape}; only t, y "
                "and x can be read: save one plane alone"
            )
        self._array = array
        lengths = [n for n, name in zip(array.shape, axes, strict=True) if name in "tyx"]
        self._has_time = len(named) == 3
        self._frames = lengths[0] if self._has_time else 1
        greatest = greatest_of(array.dtype)
        shape = (self._frames, lengths[-2], lengths[-1])
        options: Any = {"objects": objects, "problems": heard.problems}
        super().__init__(path, shape, greatest=greatest, **options)

    def _read(self, frame_index: int) -> NDArray[Any]:
        if frame_index >= self._frames:
            return np.zeros(self.shape[1:], np.uint16)
        key: tuple[Any, ...] = self._key
        if self._has_time:  # time is the first axis, as the specification orders them
            key = (frame_index, *self._key[1:])
        return np.asarray(self._array[key])


def _find_labels(group: Any, path: Path) -> tuple[Any, dict[str, Any]]:
    """The group of the label image, and what it says of itself: `path`, or below it."""
    said = _describe(group)
    if "image-label" in said:
        return group, said
    if "labels" not in said and "labels" in group:
        group = group["labels"]
        said = _describe(group)
    names = list(said.get("labels", []))
    if len(names) != 1:
        listed = ", ".join(f"{str(path / 'labels' / name)!r}" for name in names)
        raise VideoError(
            f"{str(path)!r} holds {len(names)} sets of labels"
            + (f"; name one: {listed}" if names else "; it is no OME-Zarr of labels")
        )
    found = group[names[0]]
    return found, _describe(found)


def _describe(group: Any) -> dict[str, Any]:
    said = dict(group.attrs)
    return dict(said.get("ome", said))  # 0.4 has it at the top

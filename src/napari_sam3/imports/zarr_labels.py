"""Labels in OME-Zarr (0.4 and 0.5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import OWN, PROCESSED
from napari_sam3.imports.label_file import LabelFile, explain_read_errors
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.imports.pictures import greatest_of
from napari_sam3.labels.frame_ranges import read_frames
from napari_sam3.labels.frame_records import check_shape
from napari_sam3.video.array_video import first_of


class ZarrLabels(LabelFile):
    """Labels of an OME-Zarr group at full resolution; axes besides t, y, x must have length 1."""

    def __init__(self, path: Path) -> None:
        import zarr

        from napari_sam3.video.plain_zarr import PlainStore

        with explain_read_errors(path):
            store = PlainStore(path)
            group, image = _find_labels(zarr.open_group(store, mode="r"), path)
            multiscale = image["multiscales"][0]
            array: Any = group[multiscale["datasets"][0]["path"]]
            store.expect(array)
            axes = [axis["name"] for axis in multiscale["axes"]]
            self._key = tuple(slice(None) if name in "tyx" else 0 for name in axes)
            lengths = dict(zip(axes, array.shape, strict=True))
            named = [name for name in axes if name in "tyx"]
            others = [n for name, n in lengths.items() if name not in "tyx" and n != 1]
            described = image.get("image-label", {}).get("properties") or []
            entries = ((int(p["label-value"]), p, str(p.get("class", ""))) for p in described)
            objects, problems = read_objects(entry for entry in entries if entry[0] > 0)
            said = dict(group.attrs).get(OWN, {}).get(PROCESSED)
            known = None if said is None else read_frames(said, lengths.get("t", 1))
        if others or named not in (["t", "y", "x"], ["y", "x"]):
            raise VideoError(
                f"{str(path)!r} has labels of the axes {''.join(axes)} {array.shape}; only t, y "
                "and x can be read: save one plane alone"
            )
        self._array = array
        self._has_time = "t" in named
        greatest = greatest_of(array.dtype)
        with explain_read_errors(path):
            shape = check_shape((lengths.get("t", 1), lengths["y"], lengths["x"]))
        super().__init__(
            path, shape, greatest=greatest, objects=objects, told=problems, known=known
        )

    def _read(self, frame_index: int) -> NDArray[Any]:
        key: tuple[Any, ...] = self._key
        if self._has_time:  # time is the first axis, as the specification orders them
            key = (frame_index, *self._key[1:])
        try:
            return np.asarray(self._array[key])
        except BaseExceptionGroup as exc:  # some releases of zarr read the chunks as a group
            raise first_of(exc) from exc


def _find_labels(group: Any, path: Path) -> tuple[Any, dict[str, Any]]:
    """The group of the label image, and what it says of itself: `path`, or below it."""
    described = _describe(group)
    if "image-label" in described:
        return group, described
    if "labels" not in described and "labels" in group:
        group = group["labels"]
        described = _describe(group)
    names = list(described.get("labels", []))
    if len(names) != 1:
        listed = ", ".join(f"{str(path / 'labels' / name)!r}" for name in names)
        raise VideoError(
            f"{str(path)!r} holds {len(names)} sets of labels"
            + (f"; name one: {listed}" if names else "; it is no OME-Zarr of labels")
        )
    found = group[names[0]]
    return found, _describe(found)


def _describe(group: Any) -> dict[str, Any]:
    described = dict(group.attrs)
    return dict(described.get("ome", described))  # 0.4 has it at the top

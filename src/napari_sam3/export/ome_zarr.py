"""OME-Zarr 0.5 labels: one chunk a frame, with axes, units and the colours of the window."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.annotations import UNNAMED, describe_object
from napari_sam3.export.colors import label_colors
from napari_sam3.export.sidecar import OWN, PROCESSED
from napari_sam3.export.whole_folder import ANYTHING, NOTHING, folder_written_whole
from napari_sam3.export.writer import LabelWriter, PathLike, Shape, exporter
from napari_sam3.labels.frame_ranges import say_frames
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.video_facts import VideoFacts

VERSION = "0.5"
NAME = "objects"

# as the specification spells units (those of UDUNITS-2)
_UNITS = {
    "pm": "picometer",
    "angstrom": "angstrom",
    "nm": "nanometer",
    "um": "micrometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "inch": "inch",
}


class OmeZarrWriter(LabelWriter):
    """Writes labels as `labels/<name>` of an OME-Zarr group, version 0.5 (Zarr 3).

    If `path` is an OME-Zarr image (0.5), the labels are added to it and become labels of that
    image; labels of the same name are replaced. Else a group that holds labels alone is made.
    The array is (T, H, W), one resolution, so that napari can paint in it.
    An object without a class is "object". The group's attributes tell which frames were
    processed, under "napari-sam3".

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them; the path is usually named *.ome.zarr.
    name : str
        Of the labels in the group.

    Raises
    ------
    VideoError
        If `path` is another kind of Zarr, or something else.
    """

    own_names = ANYTHING  # it is added to
    tells_frames = True

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        facts: VideoFacts | None = None,
        name: str = NAME,
        objects: ObjectTable | None = None,
    ) -> None:
        if not name or Path(name).name != name:
            raise ValueError(f"{name!r} can't be the name of labels; give a plain name")
        super().__init__(path, shape, facts=facts, objects=objects)
        self._name = name

    def _prepare(self) -> None:
        self._group = _find_group(self.path)
        super()._prepare()

    def _finish(self) -> None:
        if self._group is not None:
            self._add_to_group(self.path)
            return
        with folder_written_whole(self.path, NOTHING) as folder:
            import zarr

            zarr.create_group(folder, attributes={"ome": {"version": VERSION}})
            self._add_to_group(folder)

    def _add_to_group(self, root: Path) -> None:
        """Put the labels in place, then tell of them: a reader never sees half of them."""
        import zarr

        folder = root / "labels"
        group = zarr.open_group(folder, mode="a")
        with folder_written_whole(folder / self._name, ANYTHING) as target:
            ids = self._write_array(target)
            attributes = zarr.open_group(target, mode="a").attrs
            attributes["ome"] = self._describe(ids)
            attributes[OWN] = {PROCESSED: say_frames(self.processed)}
        said: Any = group.attrs.get("ome", {})
        listed = said.get("labels", [])
        names = list(dict.fromkeys([*listed, self._name]))
        group.attrs["ome"] = {"version": VERSION, "labels": names}

    def _write_array(self, folder: Path) -> NDArray[np.integer[Any]]:
        """Write all frames; returns the labels there are, rising."""
        import zarr
        from zarr.codecs import ZstdCodec

        greatest = self._frames.greatest
        dtype = np.uint16 if greatest <= np.iinfo(np.uint16).max else np.uint32
        array = zarr.create_array(
            folder / "0",
            shape=self.shape,
            chunks=(1, *self.shape[1:]),
            dtype=dtype,
            compressors=ZstdCodec(level=1),
            dimension_names=("t", "y", "x"),
            fill_value=0,
            config={"write_empty_chunks": True},  # looking for empty ones takes most of the time
        )
        found: set[int] = set()
        for frame_index in self._frames.frames:  # the others are background as it is
            if ids := self._frames.ids(frame_index):
                found.update(ids)
                array[frame_index] = self._frames.get(frame_index)
        return np.array(sorted(found), np.int64)

    def _describe(self, ids: NDArray[np.integer[Any]]) -> dict[str, Any]:
        axes, scale = _axes_of(self.facts)
        has_image = self._group is not None and "multiscales" in self._group
        if self._group is not None and has_image:
            axes, scale = _as_the_image_has_them(self._group, axes, scale)
        steps = [{"type": "scale", "scale": scale}]
        colors = label_colors(ids, self._objects.colors).tolist()
        label: dict[str, Any] = {
            "colors": [
                {"label-value": obj_id, "rgba": [*rgb, 255]}
                for obj_id, rgb in zip(ids.tolist(), colors, strict=True)
            ],
            "properties": [
                {
                    "label-value": obj_id,
                    "class": self._objects[obj_id].class_name or UNNAMED,
                    **describe_object(self._objects, obj_id),
                }
                for obj_id in ids.tolist()
            ],
        }
        if has_image:
            label["source"] = {"image": "../../"}
        if not len(ids):  # the specification has no empty lists here
            label = {key: value for key, value in label.items() if key == "source"}
        return {
            "version": VERSION,
            "multiscales": [
                {
                    "name": self._name,
                    "axes": axes,
                    "datasets": [{"path": "0", "coordinateTransformations": steps}],
                }
            ],
            "image-label": label,
        }


def _axes_of(facts: VideoFacts | None) -> tuple[list[dict[str, str]], list[float]]:
    """The axes of the labels, and how far it is from one element to the next."""
    axes = [{"name": "t", "type": "time"}, *({"name": n, "type": "space"} for n in "yx")]
    scale = [1.0, 1.0, 1.0]
    if facts is not None and facts.frame_interval:
        axes[0]["unit"], scale[0] = "second", facts.frame_interval
    if facts is not None and facts.pixel_size is not None:
        scale[1:] = facts.pixel_size
        for axis in axes[1:]:
            axis["unit"] = _UNITS.get(str(facts.unit), str(facts.unit))
    return axes, scale


def _as_the_image_has_them(
    group: Mapping[str, Any], axes: list[dict[str, str]], scale: list[float]
) -> tuple[list[dict[str, str]], list[float]]:
    """Axes and scale of the image that the labels are added to, or they would not lie on it."""
    try:
        image = group["multiscales"][0]
        steps = image["datasets"][0]["coordinateTransformations"]
        factors = next(step["scale"] for step in steps if step["type"] == "scale")
        known = {
            axis["name"]: (axis, float(factor))
            for axis, factor in zip(image["axes"], factors, strict=True)
        }
    except (KeyError, IndexError, TypeError, ValueError, StopIteration):
        return axes, scale  # it does not say
    found = [known.get(axis["name"], (axis, step)) for axis, step in zip(axes, scale, strict=True)]
    return [dict(axis) for axis, _ in found], [step for _, step in found]


def _find_group(path: Path) -> Mapping[str, Any] | None:
    """What an OME-Zarr group that is there says of itself; raises if something else is there."""
    if not path.exists():
        return None
    import zarr

    try:
        said = zarr.open_group(path, mode="r", zarr_format=3).attrs.get("ome")
    except (FileNotFoundError, ValueError) as exc:  # no Zarr 3, or no group
        raise VideoError(
            f"{str(path)!r} exists and is no Zarr 3 group; name another place for the labels"
        ) from exc
    found = said if isinstance(said, dict) else {}
    version = found.get("version")
    if version != VERSION:
        raise VideoError(
            f"{str(path)!r} is not of OME-Zarr {VERSION} (it says {version!r}); labels can't be "
            "added to it, name another place for them"
        )
    return found


export_ome_zarr = exporter(OmeZarrWriter)

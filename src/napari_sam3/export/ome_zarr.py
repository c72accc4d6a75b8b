"""OME-Zarr labels, 0.4 and 0.5: one chunk a frame, with axes, units and the window's colours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

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

Version = Literal["0.4", "0.5"]

NAME = "objects"

_IMAGE = "image"
"""Under this the group says what its image is, if it was made here: the video, or the labels."""

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
    """Writes labels as `labels/<name>` of an OME-Zarr group, 0.5 (Zarr 3) or 0.4 (Zarr 2).

    If `path` is an OME-Zarr image of that version, the labels are added to it and become labels of
    that image; labels of the same name are replaced. Else a group is made that opens as an image
    too: the video if it is given, and else the labels themselves, which it refers to.
    The array is (T, H, W), one resolution, so that napari can paint in it; the video is (T, H, W)
    or (T, 3, H, W), in its own values.
    An object without a class is "object". The attributes of the labels tell which frames were
    processed, under "napari-sam3".

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them; the path is usually named *.ome.zarr.
    name : str
        Of the labels in the group.
    version : "0.4" or "0.5"
        Of OME-Zarr.
    copied_video : Video or array, optional
        (T, H, W) or (T, H, W, 3), to be the image; read frame by frame.
    on_progress : callable, optional
        Called with (frames of the video written, frames); what it raises ends the writing.

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
        version: Version = "0.5",
        copied_video: Any = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not name or Path(name).name != name:
            raise ValueError(f"{name!r} can't be the name of labels; give a plain name")
        if version not in ("0.4", "0.5"):
            raise ValueError(f"version is {version!r}; choose '0.4' or '0.5'")
        if copied_video is not None and tuple(copied_video.shape[:3]) != tuple(shape):
            raise ValueError(
                f"the video has shape {tuple(copied_video.shape)}, but the labels {shape}"
            )
        self._version = version
        self._format: Literal[2, 3] = 2 if version == "0.4" else 3
        super().__init__(path, shape, facts=facts, objects=objects)
        self._name = name
        self._video = copied_video
        self._on_progress = on_progress

    def _prepare(self) -> None:
        self._group = _find_group(self.path, self._version)
        super()._prepare()

    @property
    def _others_image(self) -> Mapping[str, Any] | None:
        """What a group that is there says of its image, if that was not made here."""
        if self._group is None or "multiscales" not in self._group:
            return None
        return None if _IMAGE in self._group[OWN] else self._group

    @property
    def _has_video(self) -> bool:
        """Whether the group that is there has the video from an earlier time."""
        return self._group is not None and self._group[OWN].get(_IMAGE) == "video"

    def _finish(self) -> None:
        if self._group is not None:
            self._add_to_group(self.path)
            return
        with folder_written_whole(self.path, NOTHING) as folder:
            import zarr

            zarr.create_group(folder, zarr_format=self._format)
            self._add_to_group(folder)

    def _add_to_group(self, root: Path) -> None:
        """Put the labels in place, then tell of them: a reader never sees half of them."""
        import zarr

        folder = root / "labels"
        group = zarr.open_group(folder, mode="a", zarr_format=self._format)
        if self._video is not None and self._others_image is None:
            with folder_written_whole(root / "0", ANYTHING) as target:
                self._write_video(target)
        with folder_written_whole(folder / self._name, ANYTHING) as target:
            ids = self._write_array(target)
            labels = zarr.open_group(target, mode="a", zarr_format=self._format)
            self._tell(labels, self._describe(ids))
            labels.attrs[OWN] = {PROCESSED: say_frames(self.processed)}
        said: Any = dict(group.attrs)
        listed = said.get("ome", said).get("labels", [])
        names = list(dict.fromkeys([*listed, self._name]))
        self._tell(group, {"labels": names})
        if self._others_image is None and (self._video is not None or not self._has_video):
            image = zarr.open_group(root, mode="a", zarr_format=self._format)
            self._tell(image, self._describe_image())
            image.attrs[OWN] = {_IMAGE: "labels" if self._video is None else "video"}

    def _tell(self, group: Any, said: Mapping[str, Any]) -> None:
        """Write what the specification wants of a group, where the version has it."""
        if self._version == "0.5":
            group.attrs["ome"] = {"version": self._version, **said}
        else:
            group.attrs.update(said)

    def _make_array(self, place: Path, shape: tuple[int, ...], dtype: Any, names: str) -> Any:
        """An array of a chunk a frame."""
        import zarr

        common: dict[str, Any] = {
            "shape": shape,
            "chunks": (1, *shape[1:]),
            "dtype": dtype,
            "fill_value": 0,
            "config": {"write_empty_chunks": True},  # looking for empty ones takes most of the time
        }
        if self._format == 2:
            import numcodecs

            return zarr.create_array(
                place,
                zarr_format=2,
                compressors=numcodecs.Blosc(cname="zstd", clevel=1),
                chunk_key_encoding={"name": "v2", "separator": "/"},
                **common,
            )
        from zarr.codecs import ZstdCodec

        return zarr.create_array(
            place,
            zarr_format=3,
            compressors=ZstdCodec(level=1),
            dimension_names=tuple(names),
            **common,
        )

    def _write_array(self, folder: Path) -> NDArray[np.integer[Any]]:
        """Write all frames; returns the labels there are, rising."""
        greatest = self._frames.greatest
        dtype = np.uint16 if greatest <= np.iinfo(np.uint16).max else np.uint32
        array = self._make_array(folder / "0", self.shape, dtype, "tyx")
        found: set[int] = set()
        for frame_index in self._frames.frames:  # the others are background as it is
            if ids := self._frames.ids(frame_index):
                found.update(ids)
                array[frame_index] = self._frames.get(frame_index)
        return np.array(sorted(found), np.int64)

    def _write_video(self, folder: Path) -> None:
        """Write the frames of the video as they are."""
        length, height, width = self.shape
        is_grey = len(self._video.shape) == 3
        shape = self.shape if is_grey else (length, 3, height, width)
        folder.rmdir()  # zarr wants to make it
        array = self._make_array(folder, shape, self._video.dtype, "tyx" if is_grey else "tcyx")
        for frame_index in range(length):
            frame = np.asarray(self._video[frame_index])
            array[frame_index] = frame if is_grey else np.moveaxis(frame, -1, 0)
            if self._on_progress is not None:
                self._on_progress(frame_index + 1, length)

    def _multiscales(
        self, axes: list[dict[str, str]], scale: list[float], place: str, name: str
    ) -> list[dict[str, Any]]:
        steps = [{"type": "scale", "scale": scale}]
        said: dict[str, Any] = {"version": self._version} if self._version == "0.4" else {}
        said |= {
            "name": name,
            "axes": axes,
            "datasets": [{"path": place, "coordinateTransformations": steps}],
        }
        return [said]

    def _describe_image(self) -> dict[str, Any]:
        axes, scale = _axes_of(self.facts)
        if self._video is None:
            place = f"labels/{self._name}/0"
            return {"multiscales": self._multiscales(axes, scale, place, self._name)}
        name = self.known_facts.name or "video"
        if len(self._video.shape) == 4:
            axes.insert(1, {"name": "c", "type": "channel"})
            scale.insert(1, 1.0)
        said = {"multiscales": self._multiscales(axes, scale, "0", name)}
        is_rgb = len(self._video.shape) == 4
        return said | {"omero": _describe_colors(self._video.dtype)} if is_rgb else said

    def _describe(self, ids: NDArray[np.integer[Any]]) -> dict[str, Any]:
        axes, scale = _axes_of(self.facts)
        image = self._others_image
        if image is not None:
            axes, scale = _as_the_image_has_them(image, axes, scale)
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
        if image is not None or self._video is not None or self._has_video:
            label["source"] = {"image": "../../"}
        if not len(ids):  # the specification has no empty lists here
            label = {key: value for key, value in label.items() if key == "source"}
        if self._version == "0.4":
            label = {"version": self._version, **label}
        return {
            "multiscales": self._multiscales(axes, scale, "0", self._name),
            "image-label": label,
        }


def _describe_colors(dtype: Any) -> dict[str, Any]:
    """How viewers show the three channels of a video."""
    kind = np.dtype(dtype)
    ends = (0, int(np.iinfo(kind).max)) if kind.kind in "iu" else (0, 1)
    window = dict(zip(("min", "max", "start", "end"), ends * 2, strict=True))
    named = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
    channels = [
        {"label": name, "color": color, "active": True, "window": window}
        for name, color in named.items()
    ]
    return {"channels": channels, "rdefs": {"model": "color"}}


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


def _find_group(path: Path, version: Version) -> Mapping[str, Any] | None:
    """What an OME-Zarr group that is there says of itself; raises if something else is there."""
    if not path.exists():
        return None
    import zarr

    number: Literal[2, 3] = 2 if version == "0.4" else 3
    try:
        said: Any = dict(zarr.open_group(path, mode="r", zarr_format=number).attrs)
    except (FileNotFoundError, ValueError) as exc:  # no Zarr of that number, or no group
        raise VideoError(
            f"{str(path)!r} exists and is no Zarr {number} group; name another place for the labels"
        ) from exc
    found = said.get("ome") if version == "0.5" else said
    found = dict(found) if isinstance(found, dict) else {}
    try:
        told = found["version"] if version == "0.5" else found["multiscales"][0]["version"]
    except (KeyError, IndexError, TypeError):
        told = None
    if told != version:
        raise VideoError(
            f"{str(path)!r} is not of OME-Zarr {version} (it says {told!r}); labels can't be "
            "added to it, name another place for them"
        )
    own = said.get(OWN)
    return {**found, OWN: own if isinstance(own, dict) else {}}


export_ome_zarr = exporter(OmeZarrWriter)

"""Folders of OME-Zarr (0.1 to 0.5) and Zarr (formats 2 and 3) as video."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_sam3.errors import UnsafeFileError, VideoError
from napari_sam3.video.array_video import check_dtype, first_of
from napari_sam3.video.base import Video
from napari_sam3.video.plane_choice import PlaneChoice, choose_scene
from napari_sam3.video.plane_stack import ArrayPlanes, PlaneStack, guess_axes
from napari_sam3.video.tiff_calibration import length_unit, seconds_in

_OLD_AXES = "TCZYX"
_WORDS = {"time": "T", "channel": "C"}
_MOST_AXES = 8
_MOST_NAMED = 10_000


def open_zarr(path: Path, choice: PlaneChoice) -> Video:
    """Open a folder of Zarr; of several resolutions the finest.

    Raises
    ------
    VideoError
        If there is no picture in it, or a choice is missing.
    """
    import zarr

    from napari_sam3.video.plain_zarr import PlainStore

    store = PlainStore(path)
    try:
        node: Any = zarr.open(store, mode="r")
        said: dict[str, Any]
        if isinstance(node, zarr.Array):
            scene, array, said = None, node, {}
        else:
            scene, array, said = _find_image(node, path, choice)
        if not isinstance(array, zarr.Array):
            raise VideoError(f"{path.name!r} has a folder where the finest picture belongs")
        check_dtype(array.dtype)
        if len(array.shape) > _MOST_AXES:
            raise VideoError(f"{path.name!r} has {len(array.shape)} axes; save fewer")
        store.expect(array)
        axes = _axes_of(array, said, path, choice)
        return PlaneStack(_planes(array, axes, said, path, scene), choice)
    except (VideoError, MemoryError):
        raise
    except UnsafeFileError as exc:
        raise VideoError(str(exc)) from exc
    except BaseExceptionGroup as exc:
        raise _damaged(path, first_of(exc)) from exc
    except Exception as exc:  # zarr raises of every kind, as the damage is
        raise _damaged(path, exc) from exc


def _damaged(path: Path, exc: BaseException) -> VideoError:
    return VideoError(
        f"{str(path)!r} can't be read as Zarr ({type(exc).__name__}: {exc}); get a whole copy of it"
    )


def _find_image(group: Any, path: Path, choice: PlaneChoice) -> tuple[int | None, Any, Any]:
    """Its scene where there are several, the array, and what is said of it."""
    said = _attributes(group)
    if "plate" in said or "well" in said:
        what = "a plate of wells" if "plate" in said else "a well of a plate"
        inside = "/".join([str(path), *_way_in(said)])
        raise VideoError(
            f"{path.name!r} is {what}, not one picture; open one of its pictures, as {inside!r}"
        )
    if "image-label" in said or ("labels" in said and "multiscales" not in said):
        raise VideoError(
            f"{path.name!r} holds labels, and no picture; open the picture that they are of"
        )
    if "multiscales" in said:
        return None, *_finest(group, said)
    names = sorted((name for name, _ in _members(group)), key=lambda n: (len(n), n))
    if "bioformats2raw.layout" in said:  # a folder of pictures, numbered from 0
        scenes = [name for name in names if name.isdecimal()]
        if scenes:
            number = choose_scene(path.name, choice.scene, scenes)
            image = group[scenes[number]]
            found = _finest(image, _attributes(image))
            return (number if len(scenes) > 1 else None), *found
    arrays = [name for name, kind in _members(group) if kind == "array"]
    if len(arrays) == 1:
        return None, group[arrays[0]], {}
    if arrays:
        number = choose_scene(path.name, choice.scene, sorted(arrays))
        return number, group[sorted(arrays)[number]], {}
    listed = f"; in it lie {', '.join(map(repr, names[:5]))}: open one of them" if names else ""
    raise VideoError(f"{path.name!r} is a group of Zarr without a picture{listed}")


def _members(group: Any) -> list[tuple[str, str]]:
    import zarr

    found: list[tuple[str, str]] = []
    for name, member in group.members():
        found.append((name, "array" if isinstance(member, zarr.Array) else "group"))
        if len(found) >= _MOST_NAMED:
            break
    return found


def _way_in(said: Mapping[str, Any]) -> list[str]:
    """The way to the first picture of a plate or a well, as its description says it."""
    images = said.get("well", {}).get("images") or [{}]
    wells = said.get("plate", {}).get("wells") or [{}]
    if "well" in said:
        return [str(images[0].get("path", "0"))]
    return [str(wells[0].get("path", "A/1")), "0"]


def _finest(group: Any, said: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The array of the finest level, which stands first, and what is said of the picture."""
    scales = said["multiscales"][0]
    level = scales["datasets"][0]
    transforms = [
        *(level.get("coordinateTransformations") or ()),
        *(scales.get("coordinateTransformations") or ()),
    ]
    return group[level["path"]], {
        "axes": scales.get("axes"),
        "scales": [t["scale"] for t in transforms if t.get("type") == "scale" and "scale" in t],
        "channels": (said.get("omero") or {}).get("channels") or (),
    }


def _attributes(group: Any) -> dict[str, Any]:
    said = dict(group.attrs)
    inner = said.get("ome")
    return dict(inner) if isinstance(inner, dict) else said  # before 0.5 it has no name


def _axes_of(array: Any, said: Mapping[str, Any], path: Path, choice: PlaneChoice) -> str:
    """A letter for each axis before the picture's own."""
    named = said.get("axes")
    names = [a.get("name", "") if isinstance(a, dict) else str(a) for a in named or ()]
    if not names and said:
        names = list(_OLD_AXES[-len(array.shape) :])
    if not names and getattr(array.metadata, "dimension_names", None):
        names = [str(name or "") for name in array.metadata.dimension_names]
    letters = [_WORDS.get(name.strip().lower(), name.strip().upper()[:1]) for name in names]
    if len(letters) != len(array.shape) or not all(letters):
        return guess_axes(array.shape, choice, repr(path.name))
    if letters[-3:] == ["Y", "X", "C"] and array.shape[-1] in (3, 4):
        letters[-1] = "S"  # colours, as pictures of other formats have them
    end = letters[-3:] if letters[-1] == "S" else letters[-2:]
    leading = letters[: len(letters) - len(end)]
    if end[:2] != ["Y", "X"] or len(set(letters)) != len(letters):
        raise VideoError(
            f"{path.name!r} has the axes {''.join(letters)}; only those that end with y, x are read"
        )
    return "".join(leading)


def _planes(
    array: Any, axes: str, said: Mapping[str, Any], path: Path, scene: int | None
) -> ArrayPlanes:
    named = said.get("axes") or ()
    units = [a.get("unit") if isinstance(a, dict) else None for a in named]
    sizes: dict[str, float] = {}
    for scale in said.get("scales", ()):
        for letter, factor in zip(axes + "YX", scale, strict=False):
            sizes[letter] = sizes.get(letter, 1.0) * float(factor)
    by_letter = dict(zip(axes + "YX", units, strict=False))
    length = length_unit(str(by_letter.get("Y") or ""))
    metadata: dict[str, Any] = {"container": "zarr"}
    if length and by_letter.get("Y") == by_letter.get("X") and _are_sizes(sizes, "YX"):
        metadata |= {"pixel_size": (sizes["Y"], sizes["X"]), "pixel_unit": length}
    second = seconds_in(str(by_letter.get("T") or ""))
    fps = 1 / (sizes["T"] * second) if second and _are_sizes(sizes, "T") else None
    channels = [str(c.get("label") or "") for c in said.get("channels", ())]
    return ArrayPlanes(
        array,
        path.name,
        axes,
        path=path,
        scene=scene,
        channels=channels if "C" in axes else (),
        fps=fps,
        metadata=metadata,
    )


def _are_sizes(sizes: Mapping[str, float], axes: str) -> bool:
    return all(0 < sizes.get(axis, 0) < math.inf for axis in axes)

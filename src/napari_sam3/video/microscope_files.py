"""Files of microscopes (ND2, CZI, LIF) as video, by packages that are extras.

`napari-sam3[bio]` brings them; each is BSD-licensed, and reads one plane at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame
from napari_sam3.video.demuxer import identify
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.plane_choice import PlaneChoice, choose_scene
from napari_sam3.video.plane_stack import PlaneSource, PlaneStack

_PICTURE = "YXS"


def open_microscope_file(path: Path, choice: PlaneChoice) -> PlaneStack:
    """Open a file of one of `MICROSCOPE_SUFFIXES`.

    Raises
    ------
    VideoError
        If the package that reads it is not installed, it is damaged, or a choice is missing.
    """
    return PlaneStack(_READERS[path.suffix.lower()](path, choice.scene), choice)


class MicroscopeFile(PlaneSource):
    """Planes of a file that a package of others reads; one call at a time.

    Parameters
    ----------
    path : Path
    scene : int or str, optional
        Which one is meant.
    """

    package = ""

    def __init__(self, path: Path, scene: int | str | None) -> None:
        self._lock = FairLock()
        self._file: Any = None
        package = _import(self.package, path)
        try:
            with self._reading(path, "opened"):
                opened = self._open(package, path, scene)
            super().__init__(path.name, path=path, **opened)
        except BaseException:
            self.close()
            raise
        self._identity = identify(path)

    @abstractmethod
    def _open(self, package: Any, path: Path, scene: int | str | None) -> dict[str, Any]:
        """Open the file as `_file`, and say what is in it: what `PlaneSource` is made with."""

    @abstractmethod
    def _read(self, place: Mapping[str, int]) -> Any:
        """Read a plane."""

    def read(self, place: tuple[int, ...]) -> Frame:
        """Read a plane."""
        assert self.path is not None
        with self._lock:
            if identify(self.path) != self._identity:
                raise VideoError(f"{self.name!r} has changed since it was opened; open it anew")
            with self._reading(self.path, f"read at {place}"):
                plane = self._read(dict(zip(self.sizes, place, strict=True)))
                return np.asarray(plane).reshape(self.plane_shape)

    def reopen(self) -> MicroscopeFile:
        """Open the same scene once more."""
        assert self.path is not None
        return type(self)(self.path, self.scene)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    @contextmanager
    def _reading(self, path: Path, what: str) -> Iterator[None]:
        """Errors of the package, of every kind where a file is damaged, as one of ours."""
        try:
            yield
        except (VideoError, MemoryError):
            raise
        except Exception as exc:
            raise VideoError(
                f"{str(path)!r} can't be {what} by the package {self.package} "
                f"({type(exc).__name__}: {exc}); get a whole copy of it, or save it as OME-TIFF"
            ) from exc


class Nd2File(MicroscopeFile):
    """A file of Nikon's, by `nd2`; positions are scenes."""

    package = "nd2"

    def _open(self, package: Any, path: Path, scene: int | str | None) -> dict[str, Any]:
        file = self._file = package.ND2File(path)
        sizes = dict(file.sizes)
        n_scenes = sizes.pop("P", 1)
        number = choose_scene(path.name, scene, [""] * n_scenes)
        n_channels = sizes.pop("C", 1)
        shape = tuple(sizes.pop(axis) for axis in _PICTURE if axis in sizes)
        loops = tuple(sizes)
        # where in the file each frame of this position lies; a frame holds all its channels
        self._frames = {
            tuple(at.get(axis, 0) for axis in loops): index
            for index, at in enumerate(file.loop_indices or ({},))
            if at.get("P", 0) == number
        }
        self._loops = loops
        channels = getattr(file.metadata, "channels", None) or ()
        size = file.voxel_size()
        periods = [
            loop.parameters.periodMs / 1000
            for loop in file.experiment or ()
            if loop.type == "TimeLoop"
        ]
        return {
            "sizes": {**sizes, "C": n_channels},
            "plane_shape": shape,
            "dtype": file.dtype,
            "scene": number if n_scenes > 1 else None,
            "channels": [str(one.channel.name or "") for one in channels],
            "fps": 1 / periods[0] if periods and periods[0] > 0 else None,
            "metadata": {"container": "nd2", **_scale(size.y, size.x)},
        }

    def _read(self, place: Mapping[str, int]) -> Any:
        frame = self._file.read_frame(self._frames[tuple(place[axis] for axis in self._loops)])
        return np.asarray(frame).reshape(self.sizes["C"], *self.plane_shape)[place["C"]]


class CziFile(MicroscopeFile):
    """A file of Zeiss's, by `czifile`."""

    package = "czifile"

    def _open(self, package: Any, path: Path, scene: int | str | None) -> dict[str, Any]:
        file = self._file = package.CziFile(path)
        if not hasattr(file, "scenes"):
            raise VideoError(
                f"{path.name!r} needs a newer release of czifile, and these need Python 3.12; "
                "save it as OME-TIFF or OME-Zarr, or use a newer Python"
            )
        keys = list(file.scenes)
        number = choose_scene(path.name, scene, [""] * len(keys))
        image = self._image = file.scenes[keys[number]]
        sizes = dict(image.sizes)
        shape = tuple(sizes.pop(axis) for axis in _PICTURE if axis in sizes)
        # planes are asked for by the file's own numbers, which need not begin at 0
        self._start = dict(zip(image.dims, image.start, strict=True))
        step = image.coord_scales.get("T", 0)
        size = image.mpp or (0, 0)
        return {
            "sizes": sizes,
            "plane_shape": shape,
            "dtype": image.dtype,
            "scene": number if len(keys) > 1 else None,
            "channels": [str(name) for name in image.channels],
            "fps": 1 / step if step > 0 else None,
            "metadata": {"container": "czi", **_scale(size[1], size[0])},
        }

    def _read(self, place: Mapping[str, int]) -> Any:
        chosen = {axis: index + self._start.get(axis, 0) for axis, index in place.items()}
        return (self._image(**chosen) if chosen else self._image).asarray()


class LifFile(MicroscopeFile):
    """A file of Leica's, by `liffile`; its images are scenes."""

    package = "liffile"

    def _open(self, package: Any, path: Path, scene: int | str | None) -> dict[str, Any]:
        file = self._file = package.LifFile(path)
        images = list(file.images)
        number = choose_scene(path.name, scene, [str(image.name) for image in images])
        if not images:
            raise VideoError(f"{path.name!r} holds no picture")
        image = images[number]
        frames = self._frames = image.frames
        sizes = dict(frames.sizes)
        shape = tuple(sizes.pop(axis) for axis in _PICTURE if axis in sizes)
        steps = {axis: _step(values) for axis, values in image.coords.items()}
        seconds = steps.get("T")
        return {
            "sizes": sizes,
            "plane_shape": shape,
            "dtype": image.dtype,
            "scene": number if len(images) > 1 else None,
            "fps": 1 / seconds if seconds else None,
            "metadata": {
                "container": "lif",
                **_scale(*(1e6 * (steps.get(axis) or 0) for axis in "YX")),
            },
        }

    def _read(self, place: Mapping[str, int]) -> Any:
        return self._frames[tuple(place.values())]


_READERS: dict[str, Callable[[Path, int | str | None], MicroscopeFile]] = {
    ".nd2": Nd2File,
    ".czi": CziFile,
    ".lif": LifFile,
}


def _import(package: str, path: Path) -> Any:
    try:
        return import_module(package)
    except ImportError as exc:
        raise VideoError(
            f"{path.name!r} is read with the package {package}, which is not installed; get it by "
            "pip install 'napari-sam3[bio]', or save the file as OME-TIFF or OME-Zarr"
        ) from exc


def _scale(height: float, width: float) -> dict[str, Any]:
    """Micrometres a pixel as metadata of a video; nothing where they are unknown."""
    if not (0 < height < np.inf and 0 < width < np.inf):
        return {}
    return {"pixel_size": (float(height), float(width)), "pixel_unit": "um"}


def _step(values: Any) -> float | None:
    """The distance of coordinates from each other, if there are any and it can be one."""
    values = np.asarray(values)
    if values.ndim != 1 or values.size < 2 or values.dtype.kind not in "iuf":
        return None
    step = float(values[-1] - values[0]) / (values.size - 1)
    return step if 0 < step < np.inf else None

"""Stacks of planes with named axes as video: one channel, one depth or a projection of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.values import MOST_FRAMES
from napari_sam3.video.array_video import check_dtype, fetch
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.limits import check_picture_size
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice, choose_scene, plan_planes


class PlaneSource(ABC):
    """Planes that are read one at a time. Called from any thread.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    sizes : dict of str to int
        How long each axis before the picture's own is, in their order.
    plane_shape : tuple of int
        (H, W), or (H, W, 3) or (H, W, 4) of colours.
    dtype : numpy dtype
    path : Path, optional
    scene : int, optional
        Which one this is, where the file holds several.
    channels : sequence of str
        Names of the channels; empty where there are none.
    fps : float, optional
    metadata : mapping, optional
        What else is known.
    """

    def __init__(
        self,
        name: str,
        sizes: Mapping[str, int],
        plane_shape: Sequence[int],
        dtype: Any,
        *,
        path: Path | None = None,
        scene: int | None = None,
        channels: Sequence[str] = (),
        fps: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.sizes = dict(sizes)
        self.plane_shape = tuple(int(n) for n in plane_shape)
        self.dtype = np.dtype(dtype)
        self.path = path
        self.scene = scene
        self.channels = tuple(channels)
        self.fps = fps
        self.metadata = dict(metadata or {})
        if 0 in (*self.sizes.values(), *self.plane_shape):
            raise VideoError(f"{name!r} of shape {self.shape} holds nothing")
        check_dtype(self.dtype)
        check_picture_size(path or Path(name), *self.plane_shape[:2])
        if max(self.sizes.values(), default=1) > MOST_FRAMES:
            raise VideoError(
                f"{name!r} says it is of shape {self.shape}; no more than {MOST_FRAMES:,} are read "
                "along an axis"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all, the picture's axes last."""
        return (*self.sizes.values(), *self.plane_shape)

    @property
    def picture_axes(self) -> str:
        """YX, or YXS where colours come last."""
        return "YXS" if len(self.plane_shape) == 3 else "YX"

    @abstractmethod
    def read(self, place: tuple[int, ...]) -> Frame:
        """Read a plane; `place` has an index for each of `sizes`."""

    @abstractmethod
    def reopen(self) -> PlaneSource:
        """The same once more, with a handle of its own."""

    def close(self) -> None:  # noqa: B027  (most hold nothing)
        """Give back what is held."""


class PlaneStack(Video):
    """Frames of a stack of planes.

    Parameters
    ----------
    source : PlaneSource
        Closed with the video, also where it is refused.
    choice : PlaneChoice

    Raises
    ------
    VideoError
        If the choice leaves it open which picture is meant.
    """

    def __init__(self, source: PlaneSource, choice: PlaneChoice = NO_CHOICE) -> None:
        self._source = source
        try:
            if source.scene is None:
                choose_scene(source.name, choice.scene, ("",))
            plan = plan_planes(
                source.name,
                source.sizes,
                PlaneChoice(choice.channel, choice.z, source.scene),
                picture=source.picture_axes,
                channels=source.channels,
            )
        except VideoError:
            source.close()
            raise
        self._plan = plan
        height, width, *colours = source.plane_shape
        n_frames = 1 if plan.time is None else source.sizes[plan.time]
        is_time = plan.time == "T"
        super().__init__(
            (n_frames, height, width, *((3,) if colours else ())),
            source.dtype.newbyteorder("="),
            path=source.path,
            fps=source.fps if is_time else None,
            timestamps=np.arange(n_frames) / source.fps if is_time and source.fps else None,
            metadata={**source.metadata, **_describe(source)},
            choice=plan.choice,
        )

    def _read(self, frame_index: int) -> Frame:
        source, plan = self._source, self._plan
        fixed = dict(plan.fixed)
        if plan.time is not None:
            fixed[plan.time] = frame_index
        if not plan.projected:
            return self._plane(fixed)
        return project(
            (self._plane({**fixed, "Z": z}) for z in range(source.sizes["Z"])), plan.projected
        )

    def _plane(self, place: Mapping[str, int]) -> Frame:
        plane = self._source.read(tuple(place[axis] for axis in self._source.sizes))
        if plane.shape != self._source.plane_shape:
            raise VideoError(
                f"a plane of {self._source.name!r} is {plane.shape}, and should be "
                f"{self._source.plane_shape}; the file is damaged"
            )
        return np.array(plane[..., :3] if self.is_rgb else plane, self.dtype)

    def reopen(self) -> PlaneStack:
        """Open the same once more."""
        return PlaneStack(self._source.reopen(), self.choice)

    def _release(self) -> None:
        self._source.close()


class ArrayPlanes(PlaneSource):
    """Planes of an array of more axes, in memory or lazy; parameters as of `PlaneSource`."""

    def __init__(self, array: Any, name: str, axes: str, **known: Any) -> None:
        self._array, self._axes = array, axes
        self._known = known
        shape = tuple(int(n) for n in array.shape)
        n_leading = len(axes)
        super().__init__(
            name,
            dict(zip(axes, shape[:n_leading], strict=True)),
            shape[n_leading:],
            _dtype_of(array, n_leading, name),
            **known,
        )

    def read(self, place: tuple[int, ...]) -> Frame:
        """Fetch a plane."""
        return fetch(self._array, place, f"the plane {place} of {self.name}")

    def reopen(self) -> ArrayPlanes:
        """Another view of the same array."""
        return ArrayPlanes(self._array, self.name, self._axes, **self._known)


def _dtype_of(array: Any, n_leading: int, name: str) -> np.dtype[Any]:
    if isinstance(array.dtype, np.dtype):
        return array.dtype
    return fetch(array, (0,) * n_leading, name).dtype  # of a tensor


def project(planes: Any, kind: str) -> Frame:
    """The brightest, or the mean, of planes at each pixel, of their own type; one at a time."""
    total: Any = None
    count = 0
    dtype: Any = None
    for plane in planes:
        count += 1
        if total is None:
            dtype = plane.dtype
            total = plane if kind == "max" else plane.astype(np.float64)
        elif kind == "max":
            np.maximum(total, plane, out=total)
        else:
            total += plane
    if kind == "mean":
        total /= count
        if dtype.kind in "iub":
            np.rint(total, out=total)
    frame: Frame = total.astype(dtype, copy=False)
    return frame


def guess_axes(shape: Sequence[int], choice: PlaneChoice, name: str) -> str:
    """The axes before the picture's own, of an array that does not name them.

    Five are TCZYX, in the order of OME; of four the second is what was chosen of.

    Raises
    ------
    VideoError
        If nobody can tell.
    """
    n_leading = len(shape) - (3 if len(shape) > 3 and shape[-1] in (3, 4) else 2)
    wanted = [a for a, v in (("C", choice.channel), ("Z", choice.z)) if v is not None]
    if n_leading == 3:
        return "TCZ"
    if n_leading == 2:
        if not wanted:
            raise VideoError(
                f"{name} of shape {tuple(shape)} is a video of channels or of depth, and does not "
                "say of which: say channel=0 (--channel 0) or z=0 (--z 0; --z max for a projection)"
            )
        if len(wanted) == 2:
            return "CZ"
        return f"T{wanted[0]}"
    if n_leading == 1:
        return "T"
    raise VideoError(
        f"{name} of shape {tuple(shape)} is no video: give (T, H, W), (T, H, W, 3), or 4 or 5 axes "
        "in the order time, channels, depth, height, width"
    )


def _describe(source: PlaneSource) -> dict[str, Any]:
    said: dict[str, Any] = {"axes": "".join(source.sizes) + source.picture_axes}
    if source.channels:
        said["channels"] = source.channels
    return said

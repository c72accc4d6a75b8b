"""Which pages of a TIFF stack make the frames, where it holds channels, depth or several images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_sam3.video.base import Frame
from napari_sam3.video.image_file import PICTURE_ERRORS
from napari_sam3.video.plane_choice import PlaneChoice, PlanePlan, choose_scene, plan_planes
from napari_sam3.video.plane_stack import guess_axes, project
from napari_sam3.video.tiff_files import OmePlan
from napari_sam3.video.tiff_pages import Pages

_UNNAMED = set("QIO")
"""What tifffile calls axes that nobody named."""


class ChosenPages(Pages):
    """Frames made of some pages of a stack.

    Parameters
    ----------
    pages : Pages
        All that are there.
    sizes : dict of str to int
        The axes that they lie along, the slowest first.
    plan : PlanePlan
        Which of them are meant.
    breaks_off : bool
        Whether what is missing lies behind the end of the file.

    Raises
    ------
    EOFError
        If not one frame is whole.
    """

    def __init__(
        self, pages: Pages, sizes: Mapping[str, int], plan: PlanePlan, *, breaks_off: bool
    ) -> None:
        steps = {}
        step = 1
        for axis, size in reversed(list(sizes.items())):
            steps[axis] = step
            step *= size
        base = sum(steps[axis] * index for axis, index in plan.fixed.items())
        depth = range(sizes["Z"]) if plan.projected else range(1)
        self._pages, self._plan = pages, plan
        n_frames = 1 if plan.time is None else sizes[plan.time]
        time_step = 0 if plan.time is None else steps[plan.time]
        places = {number: place for place, number in enumerate(pages.numbers)}
        self._frames: list[tuple[int, ...]] = []
        numbers = []
        for frame in range(n_frames):
            first = base + frame * time_step
            planes = [places.get(first + z * steps.get("Z", 0)) for z in depth]
            whole = tuple(place for place in planes if place is not None)
            if len(whole) == len(planes):
                self._frames.append(whole)
                numbers.append(frame)
        if not numbers:
            raise EOFError("not one frame of what was chosen is whole")
        self.n_lost = n_frames - len(numbers)
        self.why, self.note = pages.why, pages.note
        super().__init__(
            _Like(pages),
            (plan.time or "T") + pages.axes.lstrip("".join(sizes) + "".join(_UNNAMED)),
            len(numbers),
            numbers,
            None if breaks_off else n_frames,
        )

    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored, or the projection of several."""
        planes = self._frames[frame_index]
        if not self._plan.projected:
            return self._pages.read(planes[0])
        return project((self._pages.read(place) for place in planes), self._plan.projected)

    def close(self) -> None:
        """Close what the pages hold."""
        self._pages.close()


class _Like:
    """What pages look like."""

    def __init__(self, pages: Pages) -> None:
        self.shape, self.dtype = pages.page_shape, pages.dtype


def choose_pages(
    path: Path,
    stack: Pages,
    declared: Mapping[str, int],
    lost: int | None,
    choice: PlaneChoice,
    channels: Sequence[str],
) -> tuple[Pages, int | None, PlaneChoice]:
    """The frames of a stack: its pages, or those of the channel and depth that are meant.

    Parameters
    ----------
    path : Path
    stack : Pages
    declared : dict of str to int
        The axes as the file tells them, for pages that were found without them.
    lost : int or None
        How many pages are missing at the end.
    choice : PlaneChoice
        Its scene was followed already.
    channels : sequence of str
        Their names.

    Returns
    -------
    Pages, int or None, PlaneChoice
        The frames, how many are missing at the end, and the choice as indices.

    Raises
    ------
    VideoError
        If a choice is missing, or can't be followed.
    """
    sizes = dict(stack.sizes)
    if not sizes and math.prod(declared.values()) >= len(stack):
        sizes = dict(declared)
    if not sizes:
        letter = stack.axes[:1]
        sizes = {letter if letter in "TCZ" else "T": stack.n_announced}
    picture = stack.axes[-3:] if "S" in stack.axes[-3:] else "YX"
    of_planes = PlaneChoice(choice.channel, choice.z)
    plan = plan_planes(path.name, sizes, of_planes, picture=picture, channels=channels)
    if not plan.choice:
        return stack, lost, plan.choice  # nothing but time
    chosen = ChosenPages(stack, sizes, plan, breaks_off=lost != 0)
    return chosen, chosen.n_lost if lost else lost, plan.choice


def axes_of_series(
    path: Path, axes: str, shape: Sequence[int], n_leading: int, choice: PlaneChoice
) -> dict[str, int]:
    """The axes before a page's own, of a series as tifffile names them; {} of a plain film."""
    leading = axes[:n_leading]
    if n_leading > 1 and set(leading) <= _UNNAMED:
        leading = guess_axes(shape, choice, repr(path.name))
    elif n_leading < 2 and leading not in ("T", "C", "Z"):
        return {}
    return dict(zip(leading, shape, strict=False))


def scene_of(path: Path, tiff: tifffile.TiffFile, choice: PlaneChoice) -> tuple[int, int]:
    """Which image of a file is meant, of how many; OME-XML tells of them, else there are series.

    Raises
    ------
    VideoError
        If OME-XML tells of several and none is chosen, or there is no such one.
    """
    scenes: list[str] = []
    try:
        if tiff.is_ome:
            root = ElementTree.fromstring(tiff.ome_metadata or "")
            scenes = [image.get("Name", "") for image in root.iterfind("{*}Image")]
        elif choice.scene:
            scenes = [series.name for series in tiff.series]
    except PICTURE_ERRORS:
        pass
    return choose_scene(path.name, choice.scene, scenes or ("",)), len(scenes)


def declared_axes(tiff: tifffile.TiffFile, plan: OmePlan | None) -> dict[str, int]:
    """The axes that the description tells of; {} where it tells of none."""
    try:
        if plan is not None:
            return plan.sizes if len(plan.axes) > 1 else {}
        said = tiff.imagej_metadata if tiff.is_imagej else None
        if said:
            names = {"T": "frames", "Z": "slices", "C": "channels"}
            sizes = {axis: int(said.get(name, 1)) for axis, name in names.items()}
            if sum(size > 1 for size in sizes.values()) > 1 and min(sizes.values()) > 0:
                return sizes
    except PICTURE_ERRORS:
        pass
    return {}


def channel_names(tiff: tifffile.TiffFile, scene: int) -> tuple[str, ...]:
    """What OME-XML calls the channels, or ImageJ's labels of them; empty where they have none."""
    try:
        if tiff.is_ome:
            root = ElementTree.fromstring(tiff.ome_metadata or "")
            images = root.findall("{*}Image/{*}Pixels")
            found: list[Any] = images[scene].findall("{*}Channel") if scene < len(images) else []
            names = [channel.get("Name", "") for channel in found]
        else:
            said = (tiff.imagej_metadata if tiff.is_imagej else None) or {}
            # channels are the fastest: the labels of the first planes are theirs
            names = [str(label) for label in said.get("Labels", ())[: said.get("channels", 0)]]
            if len(set(names)) != said.get("channels"):
                names = []
    except PICTURE_ERRORS:
        return ()
    return tuple(names) if any(names) else ()

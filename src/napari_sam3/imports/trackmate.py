"""TrackMate's XML: outlines of spots as labels, spots as prompts, tracks with their divisions."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.annotated import AnnotatedLabels, check_ids, polygon_points, whole_number
from napari_sam3.imports.found_prompts import FoundPrompt, FoundPrompts
from napari_sam3.imports.frame_numbers import MOST_FRAMES
from napari_sam3.imports.label_file import check_pixels, explain_read_errors
from napari_sam3.imports.plain_xml import read_xml
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import BoolArray
from napari_sam3.video.tiff_calibration import length_unit, seconds_in
from napari_sam3.video.video_facts import VideoFacts

_MOST_SPOTS = 5_000_000
_OWN_NAME = re.compile(r"Track_?[0-9]*")  # which TrackMate gives itself
_OWN_ID = "OBJECT_ID"  # a feature of spots in files that were written here
_CENTRE = 0.5  # TrackMate counts from the centre of the first pixel, prompts from its corner


class Spot(NamedTuple):
    """A spot, in pixels from the centre of the first one.

    Attributes
    ----------
    frame_index : int
        0-based.
    x, y, radius_x, radius_y : float
        Its place and size; two radii where pixels are no squares.
    outline : (N, 2) array or None
        Corners x, y.
    """

    frame_index: int
    x: float
    y: float
    radius_x: float
    radius_y: float
    outline: NDArray[np.float64] | None


class TrackMateFile:
    """What a file of TrackMate tells.

    An object goes from where its track begins, or divides, to its end or next division.

    Parameters
    ----------
    path : Path
        The XML.

    Attributes
    ----------
    size : (height, width) or None
        Of the video, where it tells.
    length : int
        Frames of the video, or up to the last spot.
    spots : list of (id, Spot)
        By frame, then id.
    objects : ObjectTable
        Divisions, and names that a person gave tracks.
    facts : VideoFacts or None
        What it tells of the video; None where that is not even its size.
    told : list of str
        What is left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self._rows: dict[int, tuple[int, float, float, float, float]] = {}
        self._outlines: dict[int, NDArray[np.float64]] = {}
        self._hidden: set[int] = set()
        self._own_ids: dict[int, int] = {}
        self._own_names: dict[int, str] = {}
        self._edges: list[tuple[int, int, int]] = []
        self._names: dict[int, str] = {}
        self._filtered: set[int] | None = None
        self._image: dict[str, str] = {}
        self._units: dict[str, str] = {}
        self._spot = self._track = -1
        self._n_corners = 0
        self._has_begun = False
        with explain_read_errors(path):
            read_xml(path, self._start, self._end)
            self._finish()

    # ------------------------------------------------------------- as it is read

    def _start(self, name: str, said: dict[str, str]) -> None:
        if not self._has_begun:
            self._has_begun = True
            if name != "TrackMate":
                raise ValueError(f"its first element is {name!r}, not 'TrackMate'")
        elif name == "Model":
            self._units = said
        elif name == "Spot":
            self._add_spot(said)
        elif name == "Track":
            self._track = whole_number(said["TRACK_ID"], "TRACK_ID")
            self._names[self._track] = said.get("name", "")
        elif name == "Edge":
            source, target = (
                whole_number(said[f"SPOT_{end}_ID"], "spot") for end in ("SOURCE", "TARGET")
            )
            self._edges.append((self._track, source, target))
            if len(self._edges) > _MOST_SPOTS:
                raise ValueError(f"it has more than {_MOST_SPOTS:,} edges; part it")
        elif name == "FilteredTracks":
            self._filtered = set()
        elif name == "TrackID" and self._filtered is not None:
            self._filtered.add(whole_number(said["TRACK_ID"], "TRACK_ID"))
        elif name == "ImageData":
            self._image = said

    def _add_spot(self, said: dict[str, str]) -> None:
        spot = whole_number(said["ID"], "spot's ID")
        frame_index = whole_number(said["FRAME"], "FRAME")
        if not 0 <= frame_index < MOST_FRAMES:
            raise ValueError(f"spot {spot} is on frame {frame_index}; that is no number of a frame")
        x, y, z = (float(said.get(f"POSITION_{axis}", 0)) for axis in "XYZ")
        radius = float(said.get("RADIUS", 0))
        if not np.isfinite([x, y, z, radius]).all() or radius < 0:
            raise ValueError(f"spot {spot} is at ({x}, {y}, {z}) with radius {radius}")
        if spot in self._rows:
            raise ValueError(f"two spots have the ID {spot}")
        self._rows[spot] = (frame_index, x, y, z, radius)
        if len(self._rows) > _MOST_SPOTS:
            raise ValueError(f"it has more than {_MOST_SPOTS:,} spots; part it")
        if said.get("VISIBILITY", "1") == "0":
            self._hidden.add(spot)
        if _OWN_ID in said:
            self._own_ids[spot] = whole_number(said[_OWN_ID], _OWN_ID)
            self._own_names[self._own_ids[spot]] = said.get("name", "")
        self._spot, self._n_corners = spot, int(said.get("ROI_N_POINTS", 0))

    def _end(self, name: str, words: str) -> None:
        if name == "Spot" and self._n_corners > 0:
            numbers = np.array(words.split(), np.float64)
            if numbers.size != 2 * self._n_corners or not np.isfinite(numbers).all():
                raise ValueError(
                    f"the outline of spot {self._spot} is of {numbers.size} numbers; it says that "
                    f"it has {self._n_corners} points x, y"
                )
            if self._n_corners > 2:
                self._outlines[self._spot] = numbers.reshape(-1, 2)

    # --------------------------------------------------------------- what it means

    def _finish(self) -> None:
        if not self._has_begun or not self._rows:
            raise ValueError("there are no spots in it")
        if len({row[3] for row in self._rows.values()}) > 1:
            raise VideoError(
                f"{str(self.path)!r} has spots of a volume (POSITION_Z differs); only those of one "
                "plane can be read"
            )
        pixel = self._read_pixel()
        ids = self._name_objects()
        order = sorted(ids, key=lambda spot: (self._rows[spot][0], ids[spot]))
        self.spots = [(ids[spot], self._place(spot, pixel)) for spot in order]
        if not self.spots:
            raise ValueError("all its spots are hidden by its filters")
        self.size = self._read_size()
        frames = whole_number(self._image.get("nframes") or "0", "nframes")
        last = max(spot.frame_index for _, spot in self.spots)
        if not 0 <= frames <= MOST_FRAMES:
            raise ValueError(f"it says that the video has {frames} frames")
        self.is_length_said = frames > last
        self.length = max(frames, last + 1)
        self.facts = self._make_facts(pixel)

    def _read_pixel(self) -> tuple[float, float]:
        """Height and width of a pixel, in the unit of the spots."""
        said = [float(self._image.get(f"pixel{one}") or 1) for one in ("height", "width")]
        if not (np.isfinite(said).all() and min(said) > 0):
            raise ValueError(f"it says that a pixel has the height and width {said}")
        return said[0], said[1]

    def _read_size(self) -> tuple[int, int] | None:
        height, width = (
            whole_number(self._image.get(one) or "0", one) for one in ("height", "width")
        )
        if min(height, width) < 1:
            return None
        check_pixels(self.path, height, width)
        return height, width

    def _make_facts(self, pixel: tuple[float, float]) -> VideoFacts | None:
        if self.size is None:
            return None
        unit = length_unit(self._units.get("spatialunits", ""))
        second = seconds_in(self._units.get("timeunits", ""))
        step = float(self._image.get("timeinterval") or 0) * (second or 0)
        return VideoFacts(
            self.length,
            *self.size,
            name=self._image.get("filename") or None,
            fps=1 / step if 0 < step < math.inf else None,
            pixel_size=pixel if unit else None,
            unit=unit,
        )

    def _place(self, spot: int, pixel: tuple[float, float]) -> Spot:
        frame_index, x, y, _, radius = self._rows[spot]
        height, width = pixel
        x, y = x / width, y / height
        outline = self._outlines.get(spot)
        if outline is not None:
            outline = outline / (width, height) + (x, y)
        return Spot(frame_index, x, y, radius / width, radius / height, outline)

    def _name_objects(self) -> dict[int, int]:
        """The object of each spot that counts."""
        earlier, later, track_of = self._link()
        visible = self._rows.keys() - self._hidden
        if self._own_ids.keys() >= visible:
            return self._name_as_told(earlier, visible)
        spots = track_of.keys() if track_of else visible
        if track_of:
            alone = len(visible - track_of.keys())
            if alone:
                self.told.append(f"spots of no track are left out ({alone})")
        elif len(self._rows) > 1:
            self.told.append("it has no tracks; each spot is an object of its own")
        known = check_ids([track + 1 for track in set(track_of.values())]).ids
        fresh = max(known, default=0)
        ids: dict[int, int] = {}
        named: set[int] = set()
        mothers: dict[int, int] = {}
        births: dict[int, int] = {}
        names: dict[int, str] = {}
        for spot in sorted(spots, key=lambda one: (self._rows[one][0], one)):
            before = earlier.get(spot)
            if before is not None and len(later[before]) == 1:
                ids[spot] = ids[before]
                continue
            track = track_of.get(spot)
            if before is None and track is not None and track not in named:
                named.add(track)
                ids[spot] = track + 1  # as TrackMate's own pictures of labels have it
                if not _OWN_NAME.fullmatch(self._names.get(track, "")):
                    names[track + 1] = self._names[track]
                continue
            fresh += 1
            ids[spot] = fresh
            if before is not None:
                mothers[fresh], births[fresh] = ids[before], self._rows[spot][0]
        check_ids([*ids.values()])
        self._set_objects(mothers, births, names)
        return ids

    def _name_as_told(self, earlier: dict[int, int], spots: Iterable[int]) -> dict[int, int]:
        """The same where spots tell their objects; links between two are divisions."""
        ids = {spot: self._own_ids[spot] for spot in spots}
        if check_ids([*ids.values()]).raised:
            raise ValueError(f"a spot has the {_OWN_ID} 0; objects count from 1")
        mothers: dict[int, int] = {}
        births: dict[int, int] = {}
        for spot, before in earlier.items():
            if spot in ids and before in ids and ids[spot] != ids[before]:
                mothers[ids[spot]], births[ids[spot]] = ids[before], self._rows[spot][0]
        names = {i: name for i, name in self._own_names.items() if name and name != str(i)}
        self._set_objects(mothers, births, names)
        return ids

    def _set_objects(
        self, mothers: dict[int, int], births: dict[int, int], names: dict[int, str]
    ) -> None:
        problems: list[str] = []
        self.objects = ObjectTable.from_parents(mothers, births, names=names, problems=problems)
        self.told += [f"{one}; this is left out" for one in problems]

    def _link(self) -> tuple[dict[int, int], dict[int, list[int]], dict[int, int]]:
        """The spot before each, those behind it, and the track of each spot."""
        earlier: dict[int, int] = {}
        later: dict[int, list[int]] = defaultdict(list)
        track_of: dict[int, int] = {}
        merges = 0
        for track, *ends in self._edges:
            if self._filtered is not None and track not in self._filtered:
                continue
            if any(end not in self._rows for end in ends):
                raise ValueError(f"an edge of track {track} names a spot that is not there: {ends}")
            before, behind = sorted(ends, key=lambda end: self._rows[end][0])
            if self._rows[before][0] == self._rows[behind][0]:
                raise ValueError(f"an edge of track {track} joins two spots of one frame: {ends}")
            for end in ends:
                if track_of.setdefault(end, track) != track:
                    raise ValueError(f"spot {end} is in two tracks, {track_of[end]} and {track}")
            if behind in earlier:
                merges += 1  # an object has one past here: the first that is told
            else:
                earlier[behind] = before
                later[before].append(behind)
        if merges:
            self.told.append(f"objects that merge into one end there, all but the first ({merges})")
        return earlier, later, track_of

    def tracks(self) -> NDArray[np.float64]:
        """Rows of id, frame, y, x, in pixels from the centre of the first one, by id and frame."""
        rows = np.array([(i, spot.frame_index, spot.y, spot.x) for i, spot in self.spots])
        return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


class TrackMateLabels(AnnotatedLabels):
    """The outlines of a file's spots, under the ids of their objects.

    They are drawn as TrackMate's own export of labels draws them: what has its centre in an outline
    belongs to it. Spots without one are discs there, and here as well where others have one.

    Parameters
    ----------
    path : Path
        The XML.
    size : (height, width), optional
        Of the video, where the file does not tell.
    """

    def __init__(self, path: Path, *, size: tuple[int, int] | None = None) -> None:
        file = TrackMateFile(path)
        without = sum(spot.outline is None for _, spot in file.spots)
        if without == len(file.spots):
            raise VideoError(
                f"{str(path)!r} has spots without outlines, which are no labels; give it as prompts"
            )
        shown = file.size or size
        if shown is None:
            raise VideoError(f"{str(path)!r} does not tell the size of the video; give it")
        told = [*file.told]
        if without:
            told.append(f"spots without an outline are drawn as discs ({without})")
        self._found = defaultdict(list)
        for obj_id, spot in file.spots:
            self._found[spot.frame_index].append((obj_id, None, spot))
        super().__init__(
            path,
            (file.length, *shown),
            greatest=max(obj_id for obj_id, _ in file.spots),
            may_go_on=not file.is_length_said,
            objects=file.objects,
            facts=file.facts,
            told=told,
        )

    def _decode(self, annotation: Any) -> BoolArray:
        from skimage import draw

        spot: Spot = annotation
        size = self.shape[1:]
        drawn = np.zeros(size, bool)
        if spot.outline is not None:
            corners = polygon_points(spot.outline, size)
            place = draw.polygon(corners[:, 1], corners[:, 0], size)
        else:
            most = 4.0 * max(size)
            radii = [min(max(r, 1e-6), most) for r in (spot.radius_y, spot.radius_x)]
            place = draw.ellipse(spot.y, spot.x, *radii, shape=size)
        drawn[place] = True
        return drawn


def read_spots(path: Path) -> FoundPrompts:
    """The spots of a file as prompts: a point and the box round its circle, or round its outline.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    file = TrackMateFile(path)
    found = []
    for obj_id, spot in file.spots:
        points: tuple[tuple[float, float], ...] = ()
        if spot.outline is not None:  # whose middle may lie outside
            (x0, y0), (x1, y1) = spot.outline.min(axis=0), spot.outline.max(axis=0)
        else:
            points = ((spot.x + _CENTRE, spot.y + _CENTRE),)
            x0, x1 = spot.x - spot.radius_x, spot.x + spot.radius_x
            y0, y1 = spot.y - spot.radius_y, spot.y + spot.radius_y
        box = (x0 + _CENTRE, y0 + _CENTRE, x1 + _CENTRE, y1 + _CENTRE)
        found.append(
            FoundPrompt(spot.frame_index, obj_id, tuple(float(n) for n in box), points)  # type: ignore[arg-type]
        )
    return FoundPrompts(path, found, file.objects, file.told)

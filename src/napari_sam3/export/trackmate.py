"""TrackMate's XML: spots with their outlines, and tracks that divide."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter
from napari_sam3.export.xml_text import xml_attribute
from napari_sam3.labels.tracks import assign_tracks
from napari_sam3.whole_files import written_whole

VERSION = "7.14.0"

# of spots, edges and tracks: name, dimension, whether it is a whole number
_SPOT = (
    *(("QUALITY", "QUALITY", 0), ("POSITION_X", "POSITION", 0), ("POSITION_Y", "POSITION", 0)),
    *(("POSITION_Z", "POSITION", 0), ("POSITION_T", "TIME", 0), ("FRAME", "NONE", 1)),
    *(("RADIUS", "LENGTH", 0), ("VISIBILITY", "NONE", 1), ("AREA", "AREA", 0)),
    ("OBJECT_ID", "NONE", 1),
)
_EDGE = (("SPOT_SOURCE_ID", "NONE", 1), ("SPOT_TARGET_ID", "NONE", 1))
_TRACK = (
    *(("TRACK_INDEX", "NONE", 1), ("TRACK_ID", "NONE", 1), ("NUMBER_SPOTS", "NONE", 1)),
    *(("NUMBER_GAPS", "NONE", 1), ("NUMBER_SPLITS", "NONE", 1), ("NUMBER_MERGES", "NONE", 1)),
    *(("TRACK_START", "TIME", 0), ("TRACK_STOP", "TIME", 0), ("TRACK_DURATION", "TIME", 0)),
)
_UNITS = {"um": "µm", "angstrom": "Å"}


class TrackMateWriter(ObjectWriter):
    """Writes a session of TrackMate: a spot for each object on each frame, and the links.

    Links lead from an object to itself on the next frame that it is seen on, and from a mother to
    her daughters (see `plan_tracks`); all that hangs together is one track, as TrackMate has it.
    A spot is called by the object's name, or its id, which is its feature OBJECT_ID too; its
    quality is the score (1 where there is none). Places are in the pixels' unit where it is known,
    times in s where the rate is; the centre of the top left pixel is 0, 0. The outline runs along
    the pixels' edges; a mask of several pieces or with holes has one, whose pieces are joined by
    lines.

    Parameters are those of `ResultWriter`.
    """

    def _prepare(self) -> None:
        super()._prepare()
        self._counts = np.zeros(self.shape[0], np.int64)

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        spots = []
        for measure, crop in found:
            centre = measure.centroid_xy
            outline = single_polygon(crop, *measure.bbox[:2], along="edges") - centre
            score = 1.0 if measure.score is None else measure.score
            spots.append((measure.obj_id, score, measure.area, centre, outline.ravel().tolist()))
        self._counts[frame_index] = len(spots)
        self._frames.put(frame_index, json.dumps(spots).encode())

    @property
    def _pixel(self) -> tuple[float, float]:
        """(y, x) size."""
        return self.known_facts.pixel_size or (1.0, 1.0)

    @property
    def _interval(self) -> float:
        return self.known_facts.frame_interval or 1.0

    def _finish(self) -> None:
        nodes = array("q")  # frame, object; by the million, so in plain numbers
        with written_whole(self.path) as part, part.open("w", encoding="utf-8") as file:
            file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
            file.write(f'<TrackMate version="{VERSION}">\n  <Log/>\n')
            facts = self.known_facts
            unit = xml_attribute(_UNITS.get(facts.unit or "pixel", facts.unit or "pixel"))
            time = "sec" if facts.frame_interval else "frame"
            file.write(f'  <Model spatialunits={unit} timeunits="{time}">\n')
            file.writelines(_declarations())
            file.write(f'    <AllSpots nspots="{self._counts.sum()}">\n')
            for frame_index in self._frames.frames:
                file.write(f'      <SpotsInFrame frame="{frame_index}">\n')
                for spot in json.loads(self._frames.get(frame_index)):
                    file.write(self._spot(len(nodes) // 2, frame_index, *spot))
                    nodes.extend((frame_index, spot[0]))
                file.write("      </SpotsInFrame>\n")
            file.write("    </AllSpots>\n")
            file.writelines(self._tracks(np.array(nodes, np.int64).reshape(-1, 2)))
            file.write("  </Model>\n")
            file.writelines(self._settings())
            file.write('  <GUIState state="ConfigureViews"/>\n  <DisplaySettings/>\n</TrackMate>\n')

    def _spot(
        self,
        number: int,
        frame_index: int,
        obj_id: int,
        score: float,
        area: int,
        centre: tuple[float, float],
        outline: list[float],
    ) -> str:
        height, width = self._pixel
        name = xml_attribute(self._objects[obj_id].name or str(obj_id))
        steps = (np.array(outline).reshape(-1, 2) * (width, height)).ravel().tolist()
        points = " ".join(f"{n:.7g}" for n in steps)
        size = area * width * height
        return (
            f'        <Spot ID="{number}" name={name} QUALITY="{score:.4g}" '
            f'POSITION_X="{(centre[0] - 0.5) * width:.9g}" '
            f'POSITION_Y="{(centre[1] - 0.5) * height:.9g}" POSITION_Z="0.0" '
            f'POSITION_T="{frame_index * self._interval:.9g}" FRAME="{frame_index}" '
            f'RADIUS="{(size / np.pi) ** 0.5:.7g}" VISIBILITY="1" AREA="{size:.7g}" '
            f'OBJECT_ID="{obj_id}" ROI_N_POINTS="{len(outline) // 2}">{points}</Spot>\n'
        )

    def _tracks(self, nodes: NDArray[np.int64]) -> Iterator[str]:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        frames = nodes[:, 0]
        edges = assign_tracks(frames, nodes[:, 1], self._objects.divisions).edges(frames)
        links = coo_array((np.ones(len(edges)), edges.T), (len(nodes) + 1,) * 2)
        _, family = connected_components(links, directed=False)
        families = family[edges[:, 0]]
        order = np.argsort(families, kind="stable")
        begins = np.flatnonzero(np.diff(families[order])) + 1
        tracks = np.split(edges[order], begins) if len(edges) else []
        yield "    <AllTracks>\n"
        for number, track in enumerate(tracks):
            yield from _track(number, track, frames, self._interval)
        yield "    </AllTracks>\n    <FilteredTracks>\n"
        yield from (f'      <TrackID TRACK_ID="{n}"/>\n' for n in range(len(tracks)))
        yield "    </FilteredTracks>\n"

    def _settings(self) -> Iterator[str]:
        length, rows, columns = self.shape
        height, width = self._pixel
        name = xml_attribute(self.known_facts.name or "")
        yield f'  <Settings>\n    <ImageData filename={name} folder="" width="{columns}" '
        yield f'height="{rows}" nslices="1" nframes="{length}" pixelwidth="{width!r}" '
        yield f'pixelheight="{height!r}" voxeldepth="1.0" timeinterval="{self._interval!r}"/>\n'
        yield f'    <BasicSettings xstart="0" xend="{columns - 1}" ystart="0" yend="{rows - 1}" '
        yield f'zstart="0" zend="0" tstart="0" tend="{length - 1}"/>\n'
        yield '    <InitialSpotFilter feature="QUALITY" value="0.0" isabove="true"/>\n'
        yield "    <SpotFilterCollection/>\n    <TrackFilterCollection/>\n  </Settings>\n"


def _declarations() -> Iterator[str]:
    yield "    <FeatureDeclarations>\n"
    for kind, features in (("Spot", _SPOT), ("Edge", _EDGE), ("Track", _TRACK)):
        yield f"      <{kind}Features>\n"
        for name, dimension, is_whole in features:
            said = name.replace("_", " ").capitalize()
            yield f'        <Feature feature="{name}" name="{said}" shortname="{said}" '
            yield f'dimension="{dimension}" isint="{"true" if is_whole else "false"}"/>\n'
        yield f"      </{kind}Features>\n"
    yield "    </FeatureDeclarations>\n"


def _track(
    number: int, links: NDArray[np.int64], frames: NDArray[np.int64], interval: float
) -> Iterator[str]:
    """A track: what is reckoned of it, and its links."""
    spots = np.unique(links)
    begin, end = int(frames[spots].min()), int(frames[spots].max())
    known: dict[str, Any] = {
        "TRACK_INDEX": number,
        "TRACK_ID": number,
        "NUMBER_SPOTS": len(spots),
        "NUMBER_GAPS": int((np.diff(frames[links], axis=1) > 1).sum()),
        "NUMBER_SPLITS": int((np.unique(links[:, 0], return_counts=True)[1] > 1).sum()),
        "NUMBER_MERGES": 0,
        "TRACK_START": begin * interval,
        "TRACK_STOP": end * interval,
        "TRACK_DURATION": (end - begin) * interval,
    }
    said = " ".join(f'{name}="{value}"' for name, value in known.items())
    yield f'      <Track name="Track_{number}" {said}>\n'
    for source, target in links.tolist():
        yield f'        <Edge SPOT_SOURCE_ID="{source}" SPOT_TARGET_ID="{target}"/>\n'
    yield "      </Track>\n"


export_trackmate = exporter(TrackMateWriter)

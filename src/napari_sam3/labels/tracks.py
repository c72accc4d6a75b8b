"""Objects as tracks: cut where they divide, each with the track that it comes from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.lineage import Division
from napari_sam3.labels.measures import measure_labels
from napari_sam3.labels.objects import ObjectTable


class TrackPart(NamedTuple):
    """A track, from its first to its last frame.

    Attributes
    ----------
    label : int
        Of the track.
    begin, end : int
        First and last frame, 0-based.
    parent : int
        Label of the track that it comes from; 0 for none.
    obj_id : int
        The object that it is a part of.
    """

    label: int
    begin: int
    end: int
    parent: int
    obj_id: int


def plan_tracks(
    seen: Mapping[int, Iterable[int]],
    divisions: Iterable[Division] = (),
    *,
    ends_at_gaps: bool = False,
) -> list[TrackPart]:
    """Cut objects into tracks so that their lineage is a tree.

    A mother's track ends before the frame of her division: if her id goes on, that is a daughter
    too. What is seen of a daughter before that frame is a track of its own, without relation to
    hers. A daughter whose mother was not seen before has no parent.

    Parameters
    ----------
    seen : mapping of object id to frames
        On which frames each object is, in any order.
    divisions : iterable of Division
        Of those objects, and maybe others.
    ends_at_gaps : bool
        Whether an object that comes back is a new track, whose parent is the one before.

    Returns
    -------
    list of TrackPart
        By rising label. The first part of an object keeps its id as label.
    """
    frames = {obj_id: sorted(set(on)) for obj_id, on in seen.items()}
    frames = {obj_id: on for obj_id, on in frames.items() if on}
    cuts: dict[int, set[int]] = defaultdict(set)
    births: dict[int, Division] = {}
    for division in divisions:
        for obj_id in (division.mother, *division.daughters):
            cuts[obj_id].add(division.frame_index)
        births.update(dict.fromkeys(division.daughters, division))
    spans = {
        obj_id: _spans(on, sorted(cuts[obj_id]), ends_at_gaps)
        for obj_id, on in sorted(frames.items())
    }
    fresh = iter(range(max(frames, default=0) + 1, 2**63))
    labels = {
        obj_id: [obj_id, *(next(fresh) for _ in parts[1:])] for obj_id, parts in spans.items()
    }
    tracks = []
    for obj_id, parts in spans.items():
        birth = births.get(obj_id)
        for n, (begin, end) in enumerate(parts):
            parent = labels[obj_id][n - 1] if n else 0
            is_first = n == 0 or birth is None or parts[n - 1][1] < birth.frame_index
            if birth is not None and is_first and begin >= birth.frame_index:
                above = spans.get(birth.mother, [])
                earlier = [m for m, (_, last) in enumerate(above) if last < birth.frame_index]
                parent = labels[birth.mother][earlier[-1]] if earlier else 0
            tracks.append(TrackPart(labels[obj_id][n], begin, end, parent, obj_id))
    return sorted(tracks)


def _spans(frames: list[int], cuts: list[int], ends_at_gaps: bool) -> list[tuple[int, int]]:
    """First and last frame of each part; a new one begins at the first frame from a cut on."""
    spans: list[tuple[int, int]] = []
    for frame in frames:
        if spans:
            begin, end = spans[-1]
            is_cut = any(end < cut <= frame for cut in cuts)
            if not is_cut and not (ends_at_gaps and frame > end + 1):
                spans[-1] = (begin, frame)
                continue
        spans.append((frame, frame))
    return spans


class NodeTracks(NamedTuple):
    """Which track each of many places of objects belongs to.

    Attributes
    ----------
    labels : (N,) int64 array
        Label of the track of each node.
    parents : dict of label to label
        Where each track that comes from another one comes from.
    """

    labels: NDArray[np.int64]
    parents: dict[int, int]

    def edges(self, frames: NDArray[Any]) -> NDArray[np.int64]:
        """Pairs of nodes that follow each other: in a track, and from a track to those of it.

        Parameters
        ----------
        frames : (N,) array
            Frame of each node.

        Returns
        -------
        (M, 2) int64 array
            Numbers of the nodes, rising.
        """
        order = np.lexsort((frames, self.labels))
        sorted_labels = self.labels[order]
        same = sorted_labels[1:] == sorted_labels[:-1]
        within = np.stack([order[:-1][same], order[1:][same]], axis=1)
        children = np.array(sorted(self.parents), np.int64)
        above = np.array([self.parents[int(child)] for child in children], np.int64)
        last = order[np.searchsorted(sorted_labels, above, "right") - 1]
        first = order[np.searchsorted(sorted_labels, children, "left")]
        found = np.concatenate([within, np.stack([last, first], axis=1)]).astype(np.int64)
        return found[np.lexsort((found[:, 1], found[:, 0]))]


def assign_tracks(
    frames: NDArray[Any], ids: NDArray[Any], divisions: Iterable[Division] = ()
) -> NodeTracks:
    """Say to which track each place of an object belongs.

    Parameters
    ----------
    frames, ids : (N,) integer arrays
        Frame and object of each node; no object twice on a frame.
    divisions : iterable of Division
        Of those objects.
    """
    frames, ids = frames.astype(np.int64), ids.astype(np.int64)
    # object and frame in one number, for both to be found at once
    length = int(frames.max(initial=0)) + 1
    keys = ids * length + frames
    order = np.argsort(keys)
    numbers, starts = np.unique(ids[order], return_index=True)
    on = np.split(frames[order], starts[1:])
    parts = plan_tracks(
        dict(zip(numbers.tolist(), map(np.ndarray.tolist, on), strict=True)) if len(ids) else {},
        divisions,
    )
    labels = np.zeros(len(ids), np.int64)
    for part in parts:
        low = np.searchsorted(keys[order], part.obj_id * length + part.begin)
        high = np.searchsorted(keys[order], part.obj_id * length + part.end, "right")
        labels[order[low:high]] = part.label
    return NodeTracks(labels, {part.label: part.parent for part in parts if part.parent})


class Centroids(NamedTuple):
    """Where objects are, frame by frame, as napari's Tracks layers have it.

    Attributes
    ----------
    data : (N, 4) float64 array
        Track, frame, and y and x of the centroid in px; the centre of the top left pixel is 0, 0.
        By track, then frame.
    graph : dict of label to list of int
        Tracks that a track comes from.
    properties : dict of str to (N,) array
        id, name, class, score (NaN where there is none), area (px).
    """

    data: NDArray[np.float64]
    graph: dict[int, list[int]]
    properties: dict[str, NDArray[Any]]


class Places(NamedTuple):
    """Where objects are, one entry for each object on each frame, by frame.

    Attributes
    ----------
    frames, ids : (N,) int64 array
        Frame and object.
    centres_yx : (N, 2) float64 array
        Centroid, px; the centre of the top left pixel is 0, 0.
    scores : (N,) float64 array
        NaN where there is none.
    areas : (N,) int64 array
        px.
    """

    frames: NDArray[np.int64]
    ids: NDArray[np.int64]
    centres_yx: NDArray[np.float64]
    scores: NDArray[np.float64]
    areas: NDArray[np.int64]


def measure_places(labels: Any, *, on_progress: Callable[[int, int], None] | None = None) -> Places:
    """Measure where objects are.

    Parameters
    ----------
    labels : (T, H, W) integer array-like
        Read frame by frame; if it has `notes`, as `LabelStack`, scores are taken from there, and
        with `processed_frames` only those are read.
    on_progress : callable, optional
        Called with (frames done, frames); what it raises ends the measuring.
    """
    notes = getattr(labels, "notes", None)
    processed = getattr(labels, "processed_frames", None)
    wanted = range(labels.shape[0]) if processed is None else processed().tolist()
    rows: list[tuple[float, ...]] = []
    for done, n in enumerate(wanted, 1):
        known = None if notes is None else notes(n)
        for m in measure_labels(np.asarray(labels[n]), n, known):
            score = np.nan if m.score is None else m.score
            rows.append((n, m.obj_id, m.centroid_xy[1], m.centroid_xy[0], score, m.area))
        if on_progress is not None:
            on_progress(done, len(wanted))
    table = np.array(rows, np.float64).reshape(-1, 6)
    frames, ids, areas = (table[:, column].astype(np.int64) for column in (0, 1, 5))
    return Places(frames, ids, table[:, 2:4] - 0.5, table[:, 4], areas)


def arrange_tracks(places: Places, objects: ObjectTable | None = None) -> Centroids:
    """Make tracks of the places of objects.

    Parameters
    ----------
    places : Places
        As measured.
    objects : ObjectTable, optional
        Names, classes and divisions.

    Returns
    -------
    Centroids
        A mother ends before her daughters begin (see `plan_tracks`).
    """
    table = ObjectTable() if objects is None else objects
    frames, ids, centres, scores, areas = places
    tracks = assign_tracks(frames, ids, table.divisions)
    order = np.lexsort((frames, tracks.labels))
    properties = {
        "id": ids,
        "name": np.array([table[i].name for i in ids.tolist()], object),
        "class": np.array([table[i].class_name for i in ids.tolist()], object),
        "score": scores,
        "area": areas,
    }
    return Centroids(
        np.column_stack([tracks.labels, frames, centres]).astype(np.float64)[order],
        {label: [parent] for label, parent in sorted(tracks.parents.items())},
        {name: values[order] for name, values in properties.items()},
    )

"""Objects cut into tracks, and their centroids."""

from __future__ import annotations

import numpy as np

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.lineage import Division
from napari_sam3.labels.object_notes import PAINTED, ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.labels.tracks import (
    TrackPart,
    arrange_tracks,
    assign_tracks,
    measure_places,
    plan_tracks,
)


def test_a_mother_that_goes_on_becomes_a_daughter():
    assert plan_tracks({1: range(6), 2: range(3, 6)}, [Division(1, (2,), 3)]) == [
        TrackPart(1, 0, 2, 0, 1),
        TrackPart(2, 3, 5, 1, 2),
        TrackPart(3, 3, 5, 1, 1),
    ]


def test_a_daughter_seen_too_early_is_born_when_the_mother_divides():
    assert plan_tracks({1: range(3), 2: range(1, 5)}, [Division(1, (2,), 3)]) == [
        TrackPart(1, 0, 2, 0, 1),
        TrackPart(2, 1, 2, 0, 2),
        TrackPart(3, 3, 4, 1, 2),
    ]


def test_a_daughter_seen_later_still_has_her_mother():
    seen = {1: [0, 1], 2: [4, 6]}
    assert plan_tracks(seen, [Division(1, (2,), 2)]) == [
        TrackPart(1, 0, 1, 0, 1),
        TrackPart(2, 4, 6, 1, 2),
    ]
    assert plan_tracks(seen, [Division(1, (2,), 2)], ends_at_gaps=True) == [
        TrackPart(1, 0, 1, 0, 1),
        TrackPart(2, 4, 4, 1, 2),
        TrackPart(3, 6, 6, 2, 2),
    ]


def test_a_mother_not_seen_before_is_no_parent():
    divisions = [Division(1, (2,), 3), Division(9, (4,), 1)]
    assert plan_tracks({1: [4], 2: [3], 4: [1]}, divisions) == [
        TrackPart(1, 4, 4, 0, 1),
        TrackPart(2, 3, 3, 0, 2),
        TrackPart(4, 1, 1, 0, 4),
    ]


def test_nodes_are_linked_over_gaps_and_divisions():
    ids = np.array([5, 1, 5, 2, 3, 5, 2])
    frames = np.array([0, 1, 1, 2, 2, 3, 3])
    tracks = assign_tracks(frames, ids, [Division(1, (2, 3), 2)])
    assert tracks.labels.tolist() == ids.tolist()
    assert tracks.parents == {2: 1, 3: 1}
    assert tracks.edges(frames).tolist() == [[0, 2], [1, 3], [1, 4], [2, 5], [3, 6]]


def test_nothing_has_no_tracks():
    found = arrange_tracks(measure_places(np.zeros((3, 4, 5), np.uint16)))
    assert found.data.shape == (0, 4)
    assert found.graph == {}


class Noted:
    """Labels that know how sure they are; 1 divides into 2 and 7 on frame 2."""

    shape = (4, 20, 30)

    def __getitem__(self, frame_index):
        labels = np.zeros((20, 30), np.uint16)
        if frame_index < 2:
            labels[2:5, 3:6] = 1
        else:
            labels[2:5, 0:3], labels[2:5, 10:13] = 7, 2
        return labels

    def notes(self, frame_index):
        return {2: ObjectNote(0.5, "propagated")}


def test_centroids_know_who_and_how_sure():
    objects = ObjectTable()
    objects.rename(2, "left")
    objects.mark_division(1, [2, 7], 2)
    found = arrange_tracks(measure_places(Noted()), objects)
    assert found.data.tolist() == [
        [1, 0, 3, 4],
        [1, 1, 3, 4],
        [2, 2, 3, 11],
        [2, 3, 3, 11],
        [7, 2, 3, 1],
        [7, 3, 3, 1],
    ]
    assert found.graph == {2: [1], 7: [1]}
    assert found.properties["id"].tolist() == [1, 1, 2, 2, 7, 7]
    assert found.properties["name"].tolist() == ["", "", "left", "left", "", ""]
    assert found.properties["area"].tolist() == [9] * 6
    scores = [np.nan, np.nan, 0.5, 0.5, np.nan, np.nan]
    np.testing.assert_array_equal(found.properties["score"], scores)


def test_mean_scores_are_of_the_frames_that_have_one():
    stack = LabelStack((3, 4, 5))
    stack.draw(0, np.zeros((4, 5), int), {1: ObjectNote(0.5, "prompt"), 2: PAINTED})
    stack.draw(1, np.zeros((4, 5), int), {1: ObjectNote(1.0, "propagated"), 3: PAINTED})
    stack.annotate(2, {1: PAINTED})
    assert stack.mean_scores() == {1: 0.75, 2: None, 3: None}
    assert LabelStack((3, 4, 5)).mean_scores() == {}

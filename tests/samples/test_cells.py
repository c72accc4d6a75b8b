"""The generated movie shows what it promises, and its truth is consistent."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.samples import make_cells


@pytest.fixture(scope="module")
def movie():
    return make_cells(size=(240, 320))


def test_the_same_seed_gives_the_same_movie(movie):
    again = make_cells(size=(240, 320))
    np.testing.assert_array_equal(again.frames, movie.frames)
    np.testing.assert_array_equal(again.labels, movie.labels)
    assert again.lineage == movie.lineage
    other = make_cells(1, size=(240, 320))
    assert (other.labels != movie.labels).any()


def test_is_a_movie_of_ten_to_fifteen_bright_cells(movie):
    assert movie.frames.shape == movie.labels.shape == (60, 240, 320)
    assert (movie.frames.dtype, movie.labels.dtype) == (np.uint8, np.uint16)
    for frame, labels in zip(movie.frames, movie.labels, strict=True):
        assert 10 <= len(np.unique(labels)) - 1 <= 15
        assert frame[labels > 0].mean() > frame[labels == 0].mean() + 30


def test_lineage_names_every_label_where_it_is(movie):
    tracks = {track.cell_id: track for track in movie.lineage}
    assert set(tracks) == set(np.unique(movie.labels)) - {0}
    for cell_id, track in tracks.items():
        when = np.flatnonzero((movie.labels == cell_id).any(axis=(1, 2)))
        np.testing.assert_array_equal(when, np.arange(track.first, track.last + 1))


def test_mothers_give_way_to_two_daughters_in_their_place(movie):
    tracks = {track.cell_id: track for track in movie.lineage}
    mothers = {track.parent for track in movie.lineage} - {0}
    assert len(mothers) == 3
    for mother in mothers:
        daughters = [track for track in movie.lineage if track.parent == mother]
        assert len(daughters) == 2
        end = tracks[mother].last
        assert all(daughter.first == end + 1 for daughter in daughters)
        place = np.argwhere(movie.labels[end] == mother).mean(axis=0)
        for daughter in daughters:
            born = np.argwhere(movie.labels[end + 1] == daughter.cell_id).mean(axis=0)
            assert np.hypot(*(born - place)) < 20


def test_one_cell_leaves_and_one_comes(movie):
    founders = [track for track in movie.lineage if track.parent == 0]
    mothers = {track.parent for track in movie.lineage}
    left = [t for t in founders if t.last < 59 and t.cell_id not in mothers]
    came = [t for t in founders if t.first > 0]
    assert len(left) == len(came) == 1
    edge = np.zeros((240, 320), bool)
    edge[:, [0, -1]] = edge[[0, -1]] = True
    assert edge[movie.labels[left[0].last] == left[0].cell_id].any()
    assert edge[movie.labels[came[0].first] == came[0].cell_id].any()


def test_two_cells_pass_each_other(movie):
    """They touch in the middle of the movie, and change sides."""
    ids = [t.cell_id for t in movie.lineage if (t.first, t.last) == (0, 59)]
    centres = {
        i: np.array([np.argwhere(frame == i).mean(axis=0) for frame in movie.labels]) for i in ids
    }
    passing = [
        (a, b)
        for a in ids
        for b in ids
        if centres[a][0, 1] < centres[b][0, 1]
        and centres[a][-1, 1] > centres[b][-1, 1]
        and np.hypot(*(centres[a] - centres[b]).T).min() < 25
    ]
    assert len(passing) == 1
    areas = np.array([[(frame == i).sum() for frame in movie.labels] for i in passing[0]])
    hidden = areas.min(axis=1) / areas[:, 0]
    assert 0.1 < hidden.min() < 0.8


@pytest.mark.parametrize(("frames", "size"), [(1, (480, 640)), (60, (20, 640))])
def test_refuses_what_is_too_small_to_show_anything(frames, size):
    with pytest.raises(ValueError, match="at least 2 frames of 60 x 80"):
        make_cells(frames=frames, size=size)

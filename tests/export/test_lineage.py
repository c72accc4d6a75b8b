"""The divisions of the sample survive every format of tracks, and come back."""

from __future__ import annotations

import csv

import geff
import pytest
from ctc_metrics.scripts.validate import validate_sequence

from napari_sam3.export import export_ctc, export_geff, export_table
from napari_sam3.imports import open_labels
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.labels.tracks import arrange_tracks, measure_places
from napari_sam3.samples.cells import make_cells


@pytest.fixture(scope="module")
def movie():
    return make_cells(frames=30, size=(120, 160))


@pytest.fixture(scope="module")
def objects(movie) -> ObjectTable:
    """The truth's divisions."""
    daughters = [track for track in movie.lineage if track.parent]
    assert daughters, "some cell divides"
    return ObjectTable.from_parents(
        {track.cell_id: track.parent for track in daughters},
        {track.cell_id: track.first for track in daughters},
    )


def test_cell_tracking_challenge(tmp_path, movie, objects):
    folder = tmp_path / "01_RES"
    export_ctc(folder, movie.labels, objects=objects)
    assert validate_sequence(str(folder), threads=1) == {"Valid": 1}
    lines = [
        tuple(map(int, line.split()))
        for line in (folder / "res_track.txt").read_text().splitlines()
    ]
    ends = {label: end for label, _, end, _ in lines}
    for _, begin, _, parent in lines:
        assert not parent or ends[parent] < begin
    with open_labels(folder) as labels:
        assert labels.objects.divisions == objects.divisions


def test_geff(tmp_path, movie, objects):
    export_geff(tmp_path / "t.geff", movie.labels, objects=objects)
    geff.validate_structure(tmp_path / "t.geff")
    graph, _ = geff.read(tmp_path / "t.geff")
    track = {node: data["track_id"] for node, data in graph.nodes(data=True)}
    born = {(track[a], track[b]) for a, b in graph.edges if track[a] != track[b]}
    assert born == {(mother, daughter) for daughter, mother in objects.parents.items()}


def test_tracks_layer(movie, objects):
    found = arrange_tracks(measure_places(movie.labels), objects)
    assert found.graph == {daughter: [mother] for daughter, mother in objects.parents.items()}
    assert set(found.properties["id"].tolist()) == {t.cell_id for t in movie.lineage}


def test_table(tmp_path, movie, objects):
    export_table(tmp_path / "t.csv", movie.labels, objects=objects)
    with (tmp_path / "t.csv").open(newline="") as file:
        said = {int(r["id"]): int(r["mother"]) for r in csv.DictReader(file) if r["mother"]}
    assert said == objects.parents

"""Tracks, as the tools that show and judge them see them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import geff
import motmetrics
import networkx
import numpy as np
import pytest
import tifffile
from ctc_metrics.scripts.validate import validate_sequence
from geff.convert import from_trackmate_xml_to_geff
from pycellin import load_TrackMate_XML
from pytrackmate import trackmate_peak_import
from traccuracy import TrackingGraph, run_metrics
from traccuracy.loaders import load_ctc_data
from traccuracy.matchers import CTCMatcher
from traccuracy.metrics import CTCMetrics

from tests.formats.film import DIVISION, GAP, PROCESSED, SHAPE, make_labels, seen

pytestmark = pytest.mark.formats

HIGHEST = 65_000
"""Of the Cell Tracking Challenge; the object that comes back takes another one there."""


def links(highest: int) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """From each object to itself on the next frame that it is seen on, and to daughters."""
    frames: dict[int, list[int]] = {}
    for t, obj_id in seen(highest):
        frames.setdefault(obj_id, []).append(t)
    found = {((a, obj_id), (b, obj_id)) for obj_id, on in frames.items() for a, b in pairwise(on)}
    return found | {((DIVISION - 1, 3), (DIVISION, daughter)) for daughter in (7, 8)}


# ------------------------------------------------------- Cell Tracking Challenge


def test_ctc_metrics_validates_a_result(export, capsys):
    path = export("ctc", highest=HIGHEST)
    validate_sequence(str(path))
    assert "error" not in capsys.readouterr().out.lower()


def test_traccuracy_reads_the_challenge(export):
    path = export("ctc", highest=HIGHEST)
    tracks = load_ctc_data(str(path), str(path / "res_track.txt"), name="ours")
    labels = make_labels(HIGHEST)
    assert tracks.segmentation.shape == SHAPE
    np.testing.assert_array_equal(tracks.segmentation > 0, labels > 0)
    nodes = {
        n: (d["t"], int(labels[d["t"]][tracks.segmentation[d["t"]] == d["segmentation_id"]][0]))
        for n, d in tracks.graph.nodes(data=True)
    }
    assert set(nodes.values()) == seen(HIGHEST).keys()
    assert {(nodes[a], nodes[b]) for a, b in tracks.graph.edges} == links(HIGHEST)
    assert [nodes[n] for n in tracks.get_divisions()] == [(DIVISION - 1, 3)]
    (scores,), _ = run_metrics(
        gt_data=tracks, pred_data=tracks, matcher=CTCMatcher(), metrics=[CTCMetrics()]
    )
    assert scores["results"]["TRA"] == scores["results"]["DET"] == 1


# -------------------------------------------------------------- GEFF, MOT


def test_geff_reads_the_graph_and_traccuracy_takes_it(export):
    graph, metadata = geff.read(export("geff"))
    nodes = {n: (d["frame"], d["track_id"]) for n, d in graph.nodes(data=True)}
    assert set(nodes.values()) == seen().keys()
    assert {(nodes[a], nodes[b]) for a, b in graph.edges} == links(70_000)
    assert [axis.name for axis in metadata.axes] == ["t", "y", "x"]
    tracks = TrackingGraph(networkx.DiGraph(graph), frame_key="frame", location_keys=("y", "x"))
    assert [nodes[n] for n in tracks.get_divisions()] == [(DIVISION - 1, 3)]


def test_motmetrics_reads_the_boxes(export):
    path = export("mot")
    for format_ in ("mot15-2D", "mot16"):
        table = motmetrics.io.loadtxt(path, fmt=format_)
        assert {(t - 1, n) for t, n in table.index} == seen().keys()
        assert set(table["Visibility"]) == {1}
        assert set(table["Confidence"]) == {0.75}
        for (t, obj_id), mask in seen().items():
            rows, columns = np.nonzero(mask)
            box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
            found = table.loc[(t + 1, obj_id)][["X", "Y", "Width", "Height"]]
            assert tuple(found) == box


# ---------------------------------------------------------------- TrackMate


def test_geff_converts_trackmate(export, tmp_path):
    from_trackmate_xml_to_geff(export("trackmate"), tmp_path / "a.geff")
    graph, _ = geff.read(tmp_path / "a.geff")
    nodes = {n: (d["FRAME"], d["OBJECT_ID"]) for n, d in graph.nodes(data=True)}
    assert set(nodes.values()) == seen().keys()
    assert {(nodes[a], nodes[b]) for a, b in graph.edges} == links(70_000)
    for n, said in graph.nodes(data=True):
        rows, columns = np.nonzero(seen()[nodes[n]])
        place = said["POSITION_X"], said["POSITION_Y"]
        np.testing.assert_allclose(place, (columns.mean(), rows.mean()), atol=1e-5)


def test_pycellin_reads_trackmate(export):
    model = load_TrackMate_XML(str(export("trackmate")))
    found = set()
    for lineage in model.get_cell_lineages():
        nodes = {n: (int(d["FRAME"]), int(d["OBJECT_ID"])) for n, d in lineage.nodes(data=True)}
        found |= {(nodes[a], nodes[b]) for a, b in lineage.edges}
        if (0, 3) in nodes.values():
            assert [nodes[n] for n in lineage.get_divisions()] == [(DIVISION - 1, 3)]
    assert found == links(70_000)


def test_pytrackmate_reads_spots(export):
    table = trackmate_peak_import(export("trackmate"), get_tracks=True)
    assert len(table) == len(seen())
    assert sorted(set(table["t_stamp"].astype(int))) == PROCESSED
    assert (GAP, 5) not in seen()


# ------------------------------------------------------------- label pictures


@pytest.mark.parametrize(("name", "highest"), [("png", HIGHEST), ("davis", 200)])
def test_pictures_hold_the_labels(export, name, highest):
    from PIL import Image

    path = export(name, highest=highest)
    labels = make_labels(highest)
    files = sorted(Path(path).iterdir())
    assert [int(f.stem) for f in files] == (PROCESSED if name == "png" else list(range(12)))
    for file in files:
        np.testing.assert_array_equal(np.asarray(Image.open(file)), labels[int(file.stem)])


def test_tifffile_reads_the_stack(export):
    with tifffile.TiffFile(export("tiff")) as file:
        assert file.series[0].axes == "TYX"
        np.testing.assert_array_equal(file.asarray(), make_labels(70_000))

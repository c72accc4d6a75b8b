"""`napari-sam3 review`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sam3.cli import main
from napari_sam3.export import export_labels_tiff
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.projects import Project
from napari_sam3.review import CheckFile, Review

T, H, W = 30, 60, 90


def frame(t):
    labels = np.zeros((H, W), np.uint16)
    labels[20:36, 10 + t : 26 + t] = 4 if t < 20 else 0
    return labels


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "film.sam3"
    with Project.create(folder, None, (T, H, W)) as made:
        for t in range(T):
            source = "propagated" if t else "prompt"
            made.labels.draw(t, frame(t), {4: ObjectNote(0.9, source)} if t < 20 else {})
    return folder


def listed(capsys, *arguments):
    assert main(["review", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["places"]


def test_a_project_is_listed_as_a_table(project, capsys):
    assert main(["review", str(project)]) == 0
    out = capsys.readouterr().out
    assert "lost on frames 20 to 29" in out
    assert f"on {T} frames" in out


def test_json_tells_object_frame_value_and_reasons(project, capsys):
    first, *others = listed(capsys, project)
    assert first["object"] == 4
    assert 20 <= first["frame"] < T
    assert first["reasons"][0]["kind"] == "lost"
    assert all(first["value"] >= other["value"] for other in others)
    assert listed(capsys, project, "--most", 1) == [first]


def test_what_was_checked_in_the_project_is_left_out(project, capsys):
    before = listed(capsys, project)
    review = Review()
    review.look(before[0]["frame"], frame(before[0]["frame"]))
    CheckFile(project).save([review.check(4, before[0]["frame"])])
    try:
        after = listed(capsys, project)
    finally:
        CheckFile(project).save([])
    assert before[0]["frame"] not in {place["frame"] for place in after}


def test_labels_of_a_file_are_listed_too(tmp_path, capsys):
    export_labels_tiff(tmp_path / "labels.tif", np.stack([frame(t) for t in range(T)]))
    assert listed(capsys, tmp_path / "labels.tif")[0]["reasons"][0]["kind"] == "lost"


def test_what_is_no_labels_is_refused_in_one_line(tmp_path, capsys):
    assert main(["review", str(tmp_path / "nothing.tif")]) == 2
    assert "nothing.tif" in capsys.readouterr().err

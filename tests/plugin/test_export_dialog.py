"""Export in the window: formats with what they keep, a place with the right ending, whole files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from napari_sam3.errors import VideoError
from napari_sam3.export.registry import FORMATS, KEPT
from napari_sam3.imports import open_labels
from napari_sam3.plugin.views.export_dialog import ExportDialog, default_place, with_suffix

from .conftest import disc, labels_of

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.fixture
def results(ready, work):
    work(ready, ready.propagate)
    ready.tracking.objects.rename(labels_of(ready), 1, "mother cell")
    return ready


@pytest.fixture
def dialog(results, qtbot):
    dialog = ExportDialog(results.tracking, results)
    qtbot.addWidget(dialog)
    return dialog


@pytest.fixture
def answer(monkeypatch):
    """A function that says what the file dialog is answered; what it was asked is in its list."""
    asked: list[tuple] = []

    def answer(path):
        def ask(*args):
            asked.append(args)
            return str(path), ""

        monkeypatch.setattr("napari_sam3.plugin.views.export_dialog.ask_file", ask)
        return asked

    return answer


def choose(dialog, name):
    dialog.formats.selectRow(list(FORMATS).index(name))


def test_the_table_says_what_each_format_keeps(dialog):
    table = dialog.formats
    for row, kind in enumerate(FORMATS.values()):
        assert kind.summary in table.item(row, 0).text()
        ticked = {what for column, what in enumerate(KEPT, 1) if table.item(row, column).text()}
        assert ticked == set(kind.keeps)


def test_a_format_is_written_where_the_person_says(dialog, answer, tmp_path, notes):
    answer(tmp_path / "cells")
    choose(dialog, "coco")
    dialog.choose.click()
    (path,) = tmp_path.iterdir()
    assert path.name == "cells.json"
    assert any(str(path) in text for _, text in notes)
    assert dialog.result() == dialog.DialogCode.Accepted
    labels = open_labels(path)
    assert labels.objects[1].name == "mother cell"
    assert ((labels[4] == 1) == disc(4, 30, 40)).all()


def test_the_frames_go_along_where_the_format_takes_them(dialog, answer, tmp_path):
    choose(dialog, "mot")
    assert not dialog.images.isEnabled()
    choose(dialog, "coco")
    dialog.images.setCurrentIndex(dialog.images.findData("png"))
    answer(tmp_path / "coco.json")
    dialog.choose.click()
    named = [i["file_name"] for i in json.loads((tmp_path / "coco.json").read_text())["images"]]
    assert named
    assert all((tmp_path / name).is_file() for name in named)


def test_nothing_is_written_where_nothing_is_said(dialog, answer, tmp_path):
    asked = answer("")
    choose(dialog, "tiff")
    dialog.choose.click()
    assert len(asked) == 1
    assert dialog.result() != dialog.DialogCode.Accepted


def test_what_goes_wrong_is_told_and_leaves_no_half_file(
    dialog, answer, tmp_path, notes, monkeypatch
):
    def stop(path, write):
        def tell(done, total):
            if done == 5:
                raise VideoError("it was stopped")

        write(tell)

    monkeypatch.setattr("napari_sam3.plugin.io.save_in_background.save_apart", stop)
    answer(tmp_path / "labels.tif")
    dialog.choose.click()
    assert any("it was stopped" in text for _, text in notes)
    assert list(tmp_path.iterdir()) == []
    assert dialog.result() != dialog.DialogCode.Accepted


def test_without_results_it_says_what_to_do(ready, answer, tmp_path, notes, qtbot):
    answer(tmp_path / "labels.tif")
    dialog = ExportDialog(ready.tracking, ready)
    qtbot.addWidget(dialog)
    dialog.choose.click()
    assert any("no results to export" in text for _, text in notes)


@pytest.mark.parametrize(
    ("given", "name", "expected"),
    [
        ("cells", "coco", "cells.json"),
        ("cells.JSON", "coco", "cells.JSON"),
        ("cells.v2", "tiff", "cells.v2.tif"),
        ("cells", "ome-zarr", "cells.ome.zarr"),
        ("cells.zarr", "ome-zarr", "cells.zarr"),
        ("01_RES", "ctc", "01_RES"),
    ],
)
def test_the_ending_is_the_format_s(given, name, expected):
    assert with_suffix(Path("/a") / given, name) == Path("/a") / expected


def test_the_place_offered_is_beside_the_video(results):
    assert default_place(results.tracking, "tiff") == Path.home() / "labels.tif"


def test_the_docs_say_the_same():
    """What `docs/formats.md` says under "What carries what" is what the registry says."""
    text = DOCS.read_text(encoding="utf-8").split("## What carries what")[1]
    rows = {}
    for line in re.findall(r"^\| (`.*) \|$", text.split("\n## ")[0], re.M):
        first, *cells = [cell.strip() for cell in line.split("|")]
        for name in re.findall(r"`([^`]+)`", first):
            rows[name] = cells
    columns = ("names", "classes", "lineage", "scores")
    for name, kind in FORMATS.items():
        cells = rows.get(name, [""] * 5)
        said = {what for what, cell in zip(columns, cells, strict=False) if cell}
        assert said == set(kind.keeps) & set(columns), name

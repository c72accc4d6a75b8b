"""What can be said on the command line, and what is refused."""

from __future__ import annotations

import argparse

import pytest

from napari_sam3.cli import parse
from napari_sam3.cli.parse import GivenPrompt


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("120,80", GivenPrompt("point", numbers=(120, 80))),
        ("120.5,80,+", GivenPrompt("point", numbers=(120.5, 80))),
        ("3:120,80,-", GivenPrompt("point", 3, numbers=(120, 80), is_positive=False)),
        ("120,80@30", GivenPrompt("point", frame_index=30, numbers=(120, 80))),
        ("3:120,80,-@30", GivenPrompt("point", 3, 30, (120, 80), False)),
    ],
)
def test_points(text, prompt):
    assert parse.point(text) == prompt


def test_boxes_masks_and_texts():
    assert parse.box("2:10,20,110.5,90@7") == GivenPrompt("box", 2, 7, (10, 20, 110.5, 90))
    assert parse.mask("labels.png") == GivenPrompt("mask", words="labels.png")
    assert parse.mask("2:a b.png@7") == GivenPrompt("mask", 2, 7, words="a b.png")
    assert parse.mask(r"C:\data\labels.png").words == r"C:\data\labels.png"
    assert parse.text(" red blood cell ") == GivenPrompt("text", words="red blood cell")


def test_a_file_is_taken_by_its_whole_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mask@7").touch()
    assert parse.mask("mask@7") == GivenPrompt("mask", words="mask@7")


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse.point, "120", r"120,80"),
        (parse.point, "1,2,3", r"X,Y\[,\+\|-\]"),
        (parse.point, "a,b", "no number"),
        (parse.point, "nan,1", "no finite number"),
        (parse.point, "1,2,-", "1:1,2,-"),
        (parse.point, "0:1,2", "ids count from 1"),
        (parse.point, "", "X,Y"),
        (parse.box, "1,2,3", "X0,Y0,X1,Y1"),
        (parse.box, "1,2,3,inf", "no finite number"),
        (parse.mask, "3:", "FILE"),
        (parse.text, "  ", "empty"),
        (parse.index, "-1", "count from 0"),
        (parse.index, "1.5", "count from 0"),
        (parse.count, "0", "1 or more"),
        (parse.contrast, "5", "LOW,HIGH"),
        (parse.contrast, "9,5", "less than HIGH"),
        (parse.formats, "tiff,jpeg", "'jpeg'"),
        (parse.formats, ",", "no format"),
    ],
)
def test_what_is_wrong_is_said(parse, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse(text)


def test_formats():
    assert parse.formats("csv, tiff,csv") == ("csv", "tiff")

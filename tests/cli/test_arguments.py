"""What can be said on the command line, and what is refused."""

from __future__ import annotations

import argparse

import pytest

from napari_sam3.cli.arguments import (
    GivenPrompt,
    parse_box,
    parse_contrast,
    parse_count,
    parse_formats,
    parse_index,
    parse_mask,
    parse_point,
    parse_text,
)


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
    assert parse_point(text) == prompt


def test_boxes_masks_and_texts():
    assert parse_box("2:10,20,110.5,90@7") == GivenPrompt("box", 2, 7, (10, 20, 110.5, 90))
    assert parse_mask("labels.png") == GivenPrompt("mask", words="labels.png")
    assert parse_mask("2:a b.png@7") == GivenPrompt("mask", 2, 7, words="a b.png")
    assert parse_mask(r"C:\data\labels.png").words == r"C:\data\labels.png"
    assert parse_text(" red blood cell ") == GivenPrompt("text", words="red blood cell")


def test_a_file_is_taken_by_its_whole_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mask@7").touch()
    assert parse_mask("mask@7") == GivenPrompt("mask", words="mask@7")


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_point, "120", r"120,80"),
        (parse_point, "1,2,3", r"X,Y\[,\+\|-\]"),
        (parse_point, "a,b", "no number"),
        (parse_point, "nan,1", "no finite number"),
        (parse_point, "1,2,-", "1:1,2,-"),
        (parse_point, "0:1,2", "ids count from 1"),
        (parse_point, "", "X,Y"),
        (parse_box, "1,2,3", "X0,Y0,X1,Y1"),
        (parse_box, "1,2,3,inf", "no finite number"),
        (parse_mask, "3:", "FILE"),
        (parse_text, "  ", "empty"),
        (parse_index, "-1", "count from 0"),
        (parse_index, "1.5", "count from 0"),
        (parse_count, "0", "1 or more"),
        (parse_contrast, "5", "LOW,HIGH"),
        (parse_contrast, "9,5", "less than HIGH"),
        (parse_formats, "tiff,jpeg", "'jpeg'"),
        (parse_formats, ",", "no format"),
    ],
)
def test_what_is_wrong_is_said(parse, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse(text)


def test_formats():
    assert parse_formats("csv, tiff,csv") == ("csv", "tiff")

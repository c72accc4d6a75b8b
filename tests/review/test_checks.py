"""What was checked, kept in a project's folder."""

from __future__ import annotations

import json

import pytest

from napari_sam3.errors import ProjectError
from napari_sam3.review import Check, CheckFile

CHECKS = (Check(1, 3, 120, 10.5, 20.25), Check(2, 0, 0, 0.0, 0.0))


def test_what_was_checked_is_there_again(tmp_path):
    CheckFile(tmp_path).save(CHECKS)
    assert CheckFile(tmp_path).load() == CHECKS


def test_a_project_without_checks_gets_no_file(tmp_path):
    file = CheckFile(tmp_path)
    file.save(())
    assert (file.load(), [*tmp_path.iterdir()]) == ((), [])


def test_the_last_check_taken_back_leaves_none(tmp_path):
    file = CheckFile(tmp_path)
    file.save(CHECKS)
    file.save(())
    assert CheckFile(tmp_path).load() == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"format": "other"}']
    + [
        json.dumps({"format": "napari-sam3 review", "version": 1, "right": rows})
        for rows in ([[1, 2]], [[-1, 0, 5, 1, 1]], [[1, 0, 5, "nan", 1]], [[True, 0, 5, 1, 1]], 7)
    ],
)
def test_a_damaged_file_is_told_and_kept_when_saved_again(tmp_path, text):
    (tmp_path / "review.json").write_text(text)
    file = CheckFile(tmp_path)
    assert file.load() == ()
    assert "review.json" in str(file.problem)
    file.save(CHECKS)
    assert CheckFile(tmp_path).load() == CHECKS
    assert (tmp_path / "review.json.damaged").read_text() == text


def test_a_newer_file_is_refused(tmp_path):
    text = json.dumps({"format": "napari-sam3 review", "version": 99, "right": []})
    (tmp_path / "review.json").write_text(text)
    with pytest.raises(ProjectError, match="newer"):
        CheckFile(tmp_path).load()

"""Files written whole or not at all."""

from __future__ import annotations

import pytest

from napari_sam3 import whole_files
from napari_sam3.whole_files import explain_refusal, portable_name, written_whole
from tests.windows_files import SHARING, refusal


@pytest.mark.parametrize("is_durable", [False, True])
def test_takes_the_place_of_what_was_there(tmp_path, is_durable):
    path = tmp_path / "notes.json"
    path.write_text("before")
    with written_whole(path, is_durable=is_durable) as part:
        part.write_text("after")
        assert part.suffix == ".json"
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "notes.json"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError), written_whole(path) as part:
        part.write_text("half, then \ud800", encoding="utf-8")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_rights_that_any_has(tmp_path):
    with written_whole(tmp_path / "new.txt") as part:
        part.write_text("text")
    (tmp_path / "other.txt").write_text("text")
    modes = {(tmp_path / name).stat().st_mode for name in ("new.txt", "other.txt")}
    assert len(modes) == 1


def test_a_link_at_the_place_is_replaced_not_followed(tmp_path):
    (tmp_path / "theirs.txt").write_text("theirs")
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "theirs.txt")
    with written_whole(link) as part:
        part.write_text("ours")
    assert (tmp_path / "theirs.txt").read_text() == "theirs"
    assert link.read_text() == "ours"
    assert not link.is_symlink()


def test_a_file_that_somebody_reads_for_a_moment_is_replaced_after_it(tmp_path, monkeypatch):
    """As Windows wants it: what is open is not replaced."""
    path, waits = tmp_path / "notes.json", []
    path.write_text("before")
    replace = type(path).replace

    def replace_if_closed(self, target):
        if len(waits) < 2:
            raise refusal(SHARING, self)
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", replace_if_closed)
    monkeypatch.setattr(whole_files.time, "sleep", waits.append)
    with written_whole(path) as part:
        part.write_text("after")
    assert path.read_text() == "after"
    assert len(waits) == 2


def test_a_file_that_stays_open_is_told_and_what_was_there_stays(tmp_path, monkeypatch):
    path, waits = tmp_path / "notes.json", []
    path.write_text("before")

    def refuse(self, target):
        raise refusal(SHARING, self)

    monkeypatch.setattr(type(path), "replace", refuse)
    monkeypatch.setattr(whole_files.time, "sleep", waits.append)
    with pytest.raises(PermissionError) as told, written_whole(path) as part:
        part.write_text("after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    assert "it may be open" in explain_refusal(path, told.value)
    assert 0 < sum(waits) < 1  # s; the window's thread may wait for it


def test_a_path_that_is_too_long_for_windows_is_told(tmp_path, monkeypatch):
    path = tmp_path / ("x" * 200) / ("y" * 100)
    missing = FileNotFoundError(2, "No such file")
    assert explain_refusal(path, missing) == "No such file"
    monkeypatch.setattr(whole_files, "MOST_PATH", 259)
    assert "long paths are switched on" in explain_refusal(path, missing)
    assert explain_refusal(tmp_path / "a", missing) == "No such file"


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("film", "film"),
        ("Zellen 3.2 (neu)", "Zellen 3.2 (neu)"),
        ("\u7d30\u80de", "\u7d30\u80de"),
        ("12:30 what?", "12_30 what_"),
        ("film. .", "film"),
        ("...", "_"),
        ("NUL", "_NUL"),
        ("com1.cam2", "_com1.cam2"),
        ("console", "console"),
    ],
)
def test_names_that_windows_has_not_are_changed_as_little_as_can_be(name, portable):
    assert portable_name(name) == portable
    assert portable_name(portable) == portable


def test_a_long_name_is_cut_between_signs():
    assert portable_name("\u7d30" * 100) == "\u7d30" * 50

"""Files written whole or not at all."""

from __future__ import annotations

import pytest

from napari_sam3.whole_files import written_whole


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

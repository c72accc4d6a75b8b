"""Plain files of bounded size are opened, and nothing else."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from napari_sam3 import plain_files
from napari_sam3.errors import UnsafeFileError
from napari_sam3.plain_files import (
    check_folder,
    check_text,
    copy_folder,
    copy_plain,
    is_plain,
    open_plain,
    read_json,
    read_plain,
    read_text,
)


@pytest.fixture
def mine(tmp_path):
    place = tmp_path / "mine"
    place.write_text("mine")
    return place


def test_a_plain_file_is_read(mine):
    assert read_plain(mine, 4) == b"mine"
    assert read_text(mine) == "mine"
    assert is_plain(mine)
    with pytest.raises(UnsafeFileError, match="MB"):
        read_plain(mine, 3)


@pytest.mark.parametrize("writable", [False, True])
def test_a_link_is_not_followed(mine, tmp_path, writable):
    link = tmp_path / "link"
    link.symlink_to(mine)
    with pytest.raises(UnsafeFileError, match="link"):
        open_plain(link, writable=writable)
    assert not is_plain(link)
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "folder")
    check_folder(tmp_path / "folder")
    with pytest.raises(UnsafeFileError, match="link"):
        check_folder(tmp_path / "way")


def test_a_link_laid_after_the_look_is_not_followed(mine, tmp_path, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(mine)
    looks = iter([mine.lstat(), link.lstat()])
    place = SimpleNamespace(lstat=lambda: next(looks), __fspath__=lambda: str(link))
    monkeypatch.setattr(
        plain_files.os, "open", lambda _path, *rest, _open=os.open: _open(link, *rest)
    )
    with pytest.raises(UnsafeFileError, match="link"):
        open_plain(place)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "it")
    with pytest.raises(OSError, match=r"pipe|directory"):
        open_plain(tmp_path / "it")
    assert not is_plain(tmp_path / "it")


def test_links_of_windows_are_links(mine, monkeypatch):
    tag = 0xA0000003  # of a junction
    monkeypatch.setattr(plain_files, "_LINK_TAGS", {tag})
    status = SimpleNamespace(st_mode=mine.stat().st_mode, st_reparse_tag=tag)
    with pytest.raises(UnsafeFileError, match="link"):
        plain_files._check(mine, status, None)


def test_a_file_of_other_names_is_written_to_alone(mine, tmp_path):
    other = tmp_path / "other"
    os.link(mine, other)
    with open_plain(mine, writable=True) as file:
        file.write(b"M")
    assert (mine.read_text(), other.read_text()) == ("Mine", "mine")
    with open_plain(mine, writable=True) as file:  # now it has no other name
        inode = os.fstat(file.fileno()).st_ino
    assert mine.stat().st_ino == inode


def test_a_copy_takes_the_place_of_a_link(mine, tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "link").symlink_to(mine)
    copy_plain(tmp_path / "new", tmp_path / "link")
    assert (tmp_path / "link").read_text() == "new"
    assert mine.read_text() == "mine"


def test_a_folder_is_copied_without_what_leads_out_of_it(mine, tmp_path):
    inner = tmp_path / "from" / "inner"
    inner.mkdir(parents=True)
    (inner / "a").write_text("a")
    (inner / "b").write_text("b")
    (inner / "link").symlink_to(mine)
    (tmp_path / "from" / "way").symlink_to(tmp_path)
    os.mkfifo(inner / "pipe")
    copy_folder(tmp_path / "from", tmp_path / "to", lambda name: name == "b")
    assert sorted(p.name for p in (tmp_path / "to").rglob("*")) == ["a", "inner"]


def test_json_of_any_depth_and_number_of_values_is_a_value_error(mine, monkeypatch):
    mine.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="deep"):
        read_json(mine)
    monkeypatch.setattr(plain_files, "MOST_VALUES", 10)
    assert check_text("[1, 2]") == "[1, 2]"
    with pytest.raises(ValueError, match="values"):
        check_text("[" + "1," * 10 + "1]")
    monkeypatch.setattr(plain_files, "MOST_TEXT", 4)
    with pytest.raises(ValueError, match="MB"):
        check_text("ééé")

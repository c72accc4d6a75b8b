"""What a worker reads: under its roots, and what was sent to it, checked and bounded."""

from __future__ import annotations

import hashlib
import os

import pytest

from napari_sam3.cluster.worker_limits import WorkerLimits, read_limits
from napari_sam3.cluster.worker_videos import MOST_PIECE, Upload, UploadFolder, find_under_roots
from napari_sam3.errors import VideoError, WireError


def limits(tmp_path, n_bytes=1000):
    return WorkerLimits((), tmp_path / "uploads", n_bytes, 2)


def upload_of(data, name="film.mp4"):
    return Upload(hashlib.sha256(data).hexdigest(), name, ((name, len(data)),), False)


def send(folder, upload, data, piece=64):
    folder.begin(upload)
    for place in range(0, len(data), piece):
        folder.add(upload, 0, place, data[place : place + piece])
    return folder.finish(upload)


def test_what_lies_under_a_root_is_found(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "deep", outside):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    (root / "link.png").symlink_to(outside / "a.png")
    (root / "linked").symlink_to(outside)
    roots = [root.resolve()]
    assert find_under_roots(str(root / "deep" / "a.png"), roots) == root / "deep" / "a.png"
    assert find_under_roots(str(root / "deep"), roots) == root / "deep"
    assert find_under_roots(str(root / "deep" / "*.png"), roots) == root / "deep" / "*.png"
    for path in ("link.png", "linked/a.png", "../outside/a.png", "deep/none.png", "linked/*.png"):
        assert find_under_roots(str(root / path), roots) is None
    assert find_under_roots(str(root / "deep" / "a.png"), []) is None
    assert find_under_roots("a\0b", roots) is None


def test_pieces_come_in_order_and_broken_off_ones_go_on(tmp_path):
    data = os.urandom(300)
    upload = upload_of(data)
    folder = UploadFolder(limits(tmp_path))
    assert folder.find(upload) is None
    assert folder.begin(upload) == [0]
    assert folder.add(upload, 0, 0, data[:100]) == 100
    again = UploadFolder(limits(tmp_path))  # another process
    assert again.begin(upload) == [100]
    assert again.add(upload, 0, 0, data[:100]) == 100  # came twice
    assert again.add(upload, 0, 200, data[200:]) == 100  # too early
    with pytest.raises(VideoError, match="not all of"):
        again.finish(upload)
    assert again.add(upload, 0, 100, data[100:]) == 300
    assert again.finish(upload).read_bytes() == data
    assert folder.find(upload).read_bytes() == data
    assert folder.finish(upload).read_bytes() == data


def test_the_same_content_under_another_name_is_another_video(tmp_path):
    data, folder = os.urandom(300), UploadFolder(limits(tmp_path))
    one, other = upload_of(data, "one.mp4"), upload_of(data, "other.mp4")
    for upload in (one, other):  # both are on their way
        folder.begin(upload)
        folder.add(upload, 0, 0, data[:100])
    folder.add(one, 0, 100, data[100:])
    assert folder.finish(one).read_bytes() == data
    assert folder.find(other) is None
    folder.add(other, 0, 100, data[100:])
    assert folder.finish(other).read_bytes() == data
    assert folder.find(one).name == "one.mp4"


def test_what_came_wrong_is_thrown_away(tmp_path):
    upload = upload_of(b"a" * 100)
    folder = UploadFolder(limits(tmp_path))
    with pytest.raises(VideoError, match="came with errors"):
        send(folder, upload, b"b" * 100)
    assert folder.begin(upload) == [0]
    assert send(folder, upload, b"a" * 100).read_bytes() == b"a" * 100


def test_the_budget_is_kept_by_letting_the_least_used_go(tmp_path):
    folder = UploadFolder(limits(tmp_path, 250))
    uploads = [(upload_of(text * 100), text * 100) for text in (b"a", b"b", b"c")]
    for age, (upload, data) in enumerate(uploads[:2]):
        send(folder, upload, data)
        os.utime(tmp_path / "uploads" / upload.key, (1000 + age, 1000 + age))
    folder.find(uploads[0][0])  # used now
    send(folder, *uploads[2])
    assert [folder.find(upload) is not None for upload, _ in uploads] == [True, False, True]


def test_what_has_no_room_is_told_before_it_is_sent(tmp_path):
    folder = UploadFolder(limits(tmp_path, 99))
    with pytest.raises(VideoError, match="has 100 bytes, and the worker keeps 99"):
        folder.begin(upload_of(b"a" * 100))


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "../" * 21 + "a"},
        {"digest": 7},
        {"name": "../a"},
        {"name": "/etc/passwd"},
        {"name": ".."},
        {"name": ".hidden"},
        {"name": "a\\b"},
        {"name": "C:a"},
        {"name": ""},
        {"files": []},
        {"files": [["a/b", 1]]},
        {"files": [["a", -1]]},
        {"files": [["a", 1], ["a", 1]]},
        {"files": [["a", True]]},
        {"files": "all"},
    ],
)
def test_names_that_lead_elsewhere_are_refused(change):
    said = upload_of(b"a").to_head()
    assert Upload.from_head(said) == upload_of(b"a")
    with pytest.raises(WireError):
        Upload.from_head({**said, **change})


def test_pieces_that_are_too_long_are_refused(tmp_path):
    upload = upload_of(b"a" * 10)
    folder = UploadFolder(limits(tmp_path))
    for place, piece in ((0, b"a" * 11), (5, b"a" * 6)):
        with pytest.raises(WireError):
            folder.add(upload, 0, place, piece)
    large = Upload("0" * 64, "a", (("a", 2 * MOST_PIECE),), False)
    with pytest.raises(WireError):
        UploadFolder(limits(tmp_path, 10**9)).add(large, 0, 0, bytes(MOST_PIECE + 1))


def test_the_environment_says_the_limits(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_ROOTS", os.pathsep.join([str(tmp_path), ""]))
    monkeypatch.setenv("NAPARI_SAM3_UPLOADS", str(tmp_path / "up"))
    monkeypatch.setenv("NAPARI_SAM3_UPLOADS_MB", "3")
    monkeypatch.setenv("NAPARI_SAM3_MAX_SESSIONS", "5")
    assert read_limits() == WorkerLimits((tmp_path.resolve(),), tmp_path / "up", 3 * 2**20, 5)

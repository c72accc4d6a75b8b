"""`napari-sam3 proxy`."""

import pytest
from tests.video.clips import encode

from napari_sam3.cli import main
from napari_sam3.video import open_video
from napari_sam3.video.proxy import show_proxy


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")


def test_a_proxy_is_made_and_removed(tmp_path, capsys):
    path = str(encode(tmp_path / "clip.mp4", n_frames=20))
    assert main(["proxy", path]) == 0
    assert "wrote" in capsys.readouterr().out
    assert show_proxy(open_video(path)).metadata["is_proxy"]
    assert main(["proxy", path]) == 0
    assert "already" in capsys.readouterr().out
    assert main(["proxy", path, "--remove"]) == 0
    assert main(["proxy", path, "--remove"]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["deleted", "there was none"]
    assert "is_proxy" not in show_proxy(open_video(path)).metadata


def test_what_can_have_none_is_an_error(tmp_path, capsys):
    path = encode(tmp_path / "grey.mkv", "ffv1", "gray16le", n_frames=3)
    assert main(["proxy", str(path)]) == 1
    assert "grey" in capsys.readouterr().err
    assert main(["proxy", str(tmp_path / "no.mp4")]) == 2

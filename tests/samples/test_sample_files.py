"""The sample's files: made once, whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.samples import make_cells, read_lineage, sample_files, sample_paths
from napari_sam3.video import open_video


@pytest.fixture(scope="module")
def movie():
    return make_cells(frames=6, size=(120, 160))


@pytest.fixture(autouse=True)
def small_movie(monkeypatch, movie):
    monkeypatch.setattr(sample_files, "make_cells", lambda: movie)


def test_files_hold_the_movie(tmp_path, movie):
    paths = sample_paths(tmp_path)
    with open_video(paths.video) as video:
        assert video.shape == (6, 120, 160, 3)
        assert video.fps == pytest.approx(12)
        error = np.asarray(video)[..., 1].astype(int) - movie.frames
    assert np.abs(error).mean() < 3  # H.264 smooths the noise a little
    with tifffile.TiffFile(paths.truth) as tiff:
        assert tiff.series[0].axes == "TYX"
        np.testing.assert_array_equal(tiff.asarray(), movie.labels)
    assert read_lineage(paths.lineage) == movie.lineage


def test_files_are_made_once(tmp_path):
    before = sample_paths(tmp_path).video.stat().st_mtime_ns
    assert sample_paths(tmp_path).video.stat().st_mtime_ns == before


def test_missing_parts_are_made_again(tmp_path):
    sample_paths(tmp_path).truth.unlink()
    assert sample_paths(tmp_path).are_there


def test_a_failure_leaves_nothing_half(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", fail)
    with pytest.raises(VideoError, match="No space left"):
        sample_paths(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_is_kept_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path)
    assert sample_paths().video.is_relative_to(tmp_path / "samples")

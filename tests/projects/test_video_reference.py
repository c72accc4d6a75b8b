"""The video of a project: found where it is now, or said not to be."""

from __future__ import annotations

import os
import shutil

import pytest

from napari_sam3.errors import ProjectError, VideoError
from napari_sam3.projects import Project
from napari_sam3.projects.tracking import open_or_create
from napari_sam3.video import open_video
from napari_sam3.video.content_hash import SAMPLE, hash_samples
from tests.projects.conftest import SHAPE


@pytest.fixture
def work(tmp_path):
    """A folder with a video file and its project; the file is none really, nobody opens it."""
    home = tmp_path / "work"
    home.mkdir()
    (home / "film.mp4").write_bytes(b"film" * 1000)
    Project.create(home / "film.sam3", home / "film.mp4", SHAPE).close()
    return home


def find(project_folder):
    with Project.open(project_folder) as project:
        return project.find_video(), project.video_problem


def test_where_it_was(work):
    assert find(work / "film.sam3") == (work / "film.mp4", None)


def test_moved_along_with_the_project(work, tmp_path):
    moved = work.rename(tmp_path / "elsewhere")
    assert find(moved / "film.sam3") == (moved / "film.mp4", None)


def test_film_whose_name_is_no_utf8(tmp_path):
    film = tmp_path / os.fsdecode(b"Gel\xe4nde.mp4")
    film.write_bytes(b"film" * 1000)
    Project.create(tmp_path / "film.sam3", film, SHAPE).close()
    assert find(tmp_path / "film.sam3") == (film, None)
    (tmp_path / "film.sam3" / "project.json").read_text("utf-8")


@pytest.mark.parametrize("place", ["beside", "film.sam3"])
def test_beside_the_project_or_in_it(tmp_path, place):
    (tmp_path / "videos").mkdir()
    film = tmp_path / "videos" / "film.mp4"
    film.write_bytes(b"film" * 1000)
    home = tmp_path / "beside"
    Project.create(home / "film.sam3", film, SHAPE).close()
    target = home if place == "beside" else home / place
    film.rename(target / "film.mp4")
    assert find(home / "film.sam3") == (target / "film.mp4", None)


def test_a_project_that_is_moved_alone_finds_the_video_where_it_was(work, tmp_path):
    moved = (work / "film.sam3").rename(tmp_path / "alone.sam3")
    assert find(moved) == (work / "film.mp4", None)


def test_not_found_says_where_it_looked_and_what_to_do(work, tmp_path):
    (work / "film.mp4").rename(tmp_path / "renamed.mp4")
    place, problem = find(work / "film.sam3")
    assert place is None
    assert all(word in problem for word in ("film.mp4", str(work), "point_to"))
    with Project.open(work / "film.sam3") as project:
        project.point_to(tmp_path / "renamed.mp4")
        assert project.find_video() == tmp_path / "renamed.mp4"
    assert find(work / "film.sam3") == (tmp_path / "renamed.mp4", None)


def test_a_changed_video_is_not_taken_unless_told_to(work):
    film = work / "film.mp4"
    film.write_bytes(b"FILM" * 1000)
    with Project.open(work / "film.sam3") as project:
        assert project.find_video() is None
        assert "content has changed" in project.video_problem
        with pytest.raises(ProjectError, match="even_if_changed"):
            project.point_to(film)
        project.point_to(film, even_if_changed=True)
        assert project.find_video() == film
    with Project.open(work / "film.sam3") as project, pytest.raises(VideoError):
        project.point_to(work / "no.mp4")


def test_another_video_of_the_same_name_is_passed_over(work, tmp_path):
    moved = work.rename(tmp_path / "elsewhere")
    work.mkdir()
    (work / "film.mp4").write_bytes(b"other" * 800)
    assert find(moved / "film.sam3") == (moved / "film.mp4", None)


def test_a_project_is_not_taken_for_one_of_another_video(folder, video):
    with open_video(video) as same, open_or_create(folder, same) as project:
        assert project.find_video() == video  # where it is now
    shutil.copy(video / "003.png", video / "000.png")
    with open_video(video) as other, pytest.raises(ProjectError, match="another"):
        open_or_create(folder, other)
    (video / "000.png").unlink()
    with open_video(video) as other, pytest.raises(ProjectError, match="shape"):
        open_or_create(folder, other)


# ------------------------------------------------------------------------------ the hash


def test_every_sample_counts_and_so_does_the_size(tmp_path):
    path = tmp_path / "film"
    size = 8 * SAMPLE
    with path.open("wb") as file:
        file.truncate(size)
    seen = {hash_samples(path)}
    for place in (0, SAMPLE - 1, size // 2, size - SAMPLE, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        seen.add(hash_samples(path))
    with path.open("ab") as file:
        file.truncate(size + 1)
    seen.add(hash_samples(path))
    assert len(seen) == 7


def test_a_small_file_is_hashed_whole(tmp_path):
    path = tmp_path / "film"
    path.write_bytes(b"a" * 5000)
    before = hash_samples(path)
    path.write_bytes(b"a" * 3333 + b"b" + b"a" * 1666)
    assert hash_samples(path) != before


def test_a_folder_is_told_by_names_sizes_and_three_files(video):
    before = hash_samples(video)
    (video / ".hidden").write_text("x")
    assert hash_samples(video) == before
    (video / "001.png").rename(video / "001b.png")
    assert hash_samples(video) != before


def test_pictures_named_by_a_pattern_are_found_where_they_are_moved_to(tmp_path):
    home = tmp_path / "work"
    (home / "frames").mkdir(parents=True)
    for name in ("cam1_0.png", "cam1_1.png", "cam2_0.png"):
        (home / "frames" / name).write_bytes(name.encode())
    Project.create(home / "a.sam3", home / "frames" / "cam1_*.png", SHAPE).close()
    (home / "frames" / "cam2_0.png").unlink()  # it is not of the video
    moved = home.rename(tmp_path / "elsewhere")
    assert find(moved / "a.sam3") == (moved / "frames" / "cam1_*.png", None)
    (moved / "frames" / "cam1_1.png").write_bytes(b"another")
    place, problem = find(moved / "a.sam3")
    assert place is None
    assert "its content has changed" in problem

"""What the files of a folder are taken for: frames, masks beside them, several series, films."""

from __future__ import annotations

import pickle
import unicodedata
import warnings
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.session.frames import source_identity
from napari_sam3.video import open_video
from napari_sam3.video.content_hash import count_bytes, hash_content, hash_samples
from napari_sam3.video.folder_contents import look_into, name_of

Touch = Callable[..., Path]


@pytest.fixture
def touch(tmp_path: Path) -> Touch:
    """Makes a folder of empty files."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).touch()
        return tmp_path

    return make


def save(path: Path, value: int) -> None:
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def values(path: Path) -> list[int]:
    with open_video(path) as video:
        return [int(frame[0, 0]) for frame in video]


def times(n_frames: int, *patterns: str) -> list[str]:
    return [pattern.format(n) for pattern in patterns for n in range(n_frames)]


ONE_VIDEO = {
    "numbered": times(12, "frame_{}.png"),
    "other endings of one kind": ["a1.jpg", "A2.JPG", "a3.jpeg"],
    "two kinds, numbered on": ["a1.png", "a2.tif", "a3.png"],
    "names without numbers": ["first.png", "second.png", "third.png"],
    "two numbers that rise together": ["t0_c1.png", "t1_c2.png", "t2_c3.png"],
    "parts, numbered on": ["part1_001.png", "part1_002.png", "part2_003.png"],
    "a hash behind the number": ["01_ab12.png", "02_9f00.png", "03_7.png"],
    "hours of several days": [
        f"2024-01-0{day}_{hour}-30-00.jpg" for day in (1, 2) for hour in ("00", "12")
    ],
    "phone": ["IMG_20240101_000000.jpg", "IMG_20240101_120000.jpg", "IMG_20240102_000000.jpg"],
    "hours since the start": [f"x_A1_{d:02}d{h:02}h00m.tif" for d in (0, 1) for h in (0, 12)],
    "circled digits": ["①1.png", "①2.png", "①3.png"],
    "a power": ["10²1.png", "10²2.png"],
    "arabic digits": ["صورة١.png", "صورة٢.png", "صورة١٠.png"],
    "masks alone": times(3, "mask_{}.png"),
    "thumbnails alone": times(3, "thumb_{}.png"),
    "one that is called poster": ["poster.jpg"],
}


@pytest.mark.parametrize("names", ONE_VIDEO.values(), ids=ONE_VIDEO)
def test_one_video(names: list[str], touch: Touch) -> None:
    contents = look_into(touch(*names))
    assert contents.frames is not None
    assert [file.name for file in contents.frames] == names
    assert not contents.beside


BESIDE = {
    "cellpose": (times(3, "img_{:03}.tif"), times(3, "img_{:03}_cp_masks.tif")),
    "cellpose's outlines": (times(3, "img_{:03}.tif"), times(3, "img_{:03}_cp_output.png")),
    "some masks only": (times(9, "i{}.png"), times(2, "i{}_mask.png")),
    "another name": (times(3, "image_{}.png"), times(3, "mask_{}.png")),
    "ilastik": (times(3, "t{}.tif"), times(3, "t{}_Simple Segmentation.tif")),
    "predictions": (times(3, "{}.jpg"), times(3, "{}-pred.jpg")),
    "labels of another kind": (times(3, "a{}.tif"), times(3, "a{}.labels.png")),
    "CTC": (times(4, "t{:03}.tif"), ["man_seg000.tif", "man_seg002.tif"]),
    "without numbers": (["cell.png"], ["cell_mask.png"]),
    "poster": (times(5, "frame{}.png"), ["poster.jpg"]),
    "thumbnail of the film": (times(5, "frame{}.png"), ["Thumbnail.JPG"]),
}


@pytest.mark.parametrize(("frames", "others"), BESIDE.values(), ids=BESIDE)
def test_what_is_no_frame_is_left_out(frames: list[str], others: list[str], touch: Touch) -> None:
    contents = look_into(touch(*frames, *others))
    assert contents.frames is not None
    assert [file.name for file in contents.frames] == frames
    assert sorted(file.name for file in contents.beside) == sorted(others)


SEVERAL = {
    "two cameras": (times(5, "cam1_{:04}.png"), times(5, "cam2_{:04}.png")),
    "cameras of other lengths": (times(5, "left{}.png"), times(3, "right{}.png")),
    "cameras that take turns": (["c1_1.png", "c1_3.png"], ["c2_2.png", "c2_4.png"]),
    "channels": (times(3, "t{}_c1.tif"), times(3, "t{}_c2.tif")),
    "another channel without the word": (times(3, "t{}.tif"), times(3, "t{}_red.tif")),
    "raw and preview": (times(3, "a{}.png"), times(3, "a{}.jpg")),
    "a background": (times(5, "frame{}.png"), ["background.png"]),
    "a copy": (times(5, "frame{}.png"), ["frame3 copy.png"]),
    "wells": tuple([f"x_{w}_{d:02}d00h00m.tif" for d in (0, 1)] for w in ("A1", "A2")),
    "masks of other frames": (times(3, "a{}.png"), ["a7_mask.png", "a8_mask.png"]),
}


@pytest.mark.parametrize("series", SEVERAL.values(), ids=SEVERAL)
def test_several_series_are_refused_and_each_can_be_named(
    series: tuple[list[str], ...], touch: Touch
) -> None:
    folder = touch(*chain(*series))
    contents = look_into(folder)
    assert contents.frames is None
    assert sorted([f.name for f in files] for files in contents.series) == sorted(series)
    with pytest.raises(VideoError, match=f"{len(series)} series") as caught:
        open_video(folder)
    for files in contents.series:
        pattern = contents.pattern_of(files)
        assert look_into(Path(pattern)).frames == files
        assert f"{Path(pattern).name!r} ({len(files)})" in str(caught.value)


def test_a_pattern_says_which_series_is_meant(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"cam1_{number}.png", number)
        save(tmp_path / f"cam2_{number}.png", 10 + number)
    pattern = tmp_path / "cam2_*.png"
    assert values(pattern) == [10, 11, 12]
    assert values(tmp_path / "cam?_[02].png") == [0, 2, 10, 12]
    with open_video(str(pattern)) as video:
        assert pickle.loads(pickle.dumps(video)).reopen()[1][0, 0] == 11
    assert name_of(pattern) == f"{tmp_path.name}-cam2"
    with pytest.raises(VideoError, match=r"cam3.*names no picture"):
        open_video(tmp_path / "cam3_*.png")
    with pytest.raises(VideoError, match="there is no file or folder"):
        open_video(tmp_path / "nowhere" / "*.png")


def test_a_pattern_is_known_by_its_files_alone(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"a{number}.png", number)
    pattern = tmp_path / "a*.png"
    known = [hash_samples(pattern), hash_content(pattern), source_identity(pattern)]
    assert known[:2] == [hash_samples(tmp_path), hash_content(tmp_path)]
    size = count_bytes(pattern)
    save(tmp_path / "b.png", 0)
    assert [hash_samples(pattern), hash_content(pattern), source_identity(pattern)] == known
    assert (count_bytes(pattern), size < count_bytes(tmp_path)) == (size, True)
    save(tmp_path / "a1.png", 99)
    assert hash_samples(pattern) != known[0]


def test_a_name_with_brackets_is_no_pattern_where_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "run [1]").mkdir()
    for number in range(2):
        save(tmp_path / "run [1]" / f"a[{number}].png", number)
    assert values(tmp_path / "run [1]") == [0, 1]
    assert values(tmp_path / "run [1]" / "a[1].png") == [1]


def test_a_pattern_means_names_however_their_accents_are_composed(tmp_path: Path) -> None:
    save(tmp_path / unicodedata.normalize("NFD", "é1.png"), 1)
    save(tmp_path / "e2.png", 2)
    assert values(tmp_path / unicodedata.normalize("NFC", "é*.png")) == [1]


def test_masks_are_left_out_and_told_once(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"img_{number}.png", number)
        save(tmp_path / f"img_{number}_mask.png", 255)
    with pytest.warns(UserWarning, match=r"'img_0_mask\.png'.*\(4 files\)") as caught:
        assert values(tmp_path) == [0, 1, 2, 3]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(tmp_path / "img_*_mask.png") == [255] * 4


def test_hidden_files_are_no_frames(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
        (tmp_path / f"._{number}.png").write_bytes(b"resource fork")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    assert values(tmp_path) == values(tmp_path / "*.png") == [0, 1, 2]
    assert not recwarn


# ----------------------------------------------------------------------------------- films


@pytest.mark.parametrize(
    "pictures",
    [["poster.jpg"], ["a.jpg", "b.jpg"], ["a.mp4.png"], ["still.png"], ["DSC1.jpg", "DSC2.jpg"]],
)
def test_a_folder_of_films_is_no_video(pictures: list[str], touch: Touch) -> None:
    folder = touch("a.mp4", "b.mp4", *pictures)
    contents = look_into(folder)
    assert contents.is_of_films
    assert [film.name for film in contents.films] == ["a.mp4", "b.mp4"]
    with pytest.raises(VideoError, match=rf"2 films \('a.mp4', 'b.mp4'\).*{pictures[0]}"):
        open_video(folder)


def test_frames_beside_the_film_they_are_of(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").touch()
    for number in range(3):
        save(tmp_path / f"film_{number}.png", number)
    with pytest.warns(UserWarning, match=r"left out.*'film\.mp4'"):
        assert values(tmp_path) == [0, 1, 2]
    (tmp_path / "other.mp4").touch()
    contents = look_into(tmp_path)
    assert contents.frames is None
    assert not contents.is_of_films
    with pytest.raises(VideoError, match=r"2 films .* and 3 pictures.*film_\*\.png"):
        open_video(tmp_path)
    assert values(tmp_path / "film_*.png") == [0, 1, 2]


# ----------------------------------------------------------------------------------- stacks


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"metadata": None},
        {"compression": "deflate"},
    ],
)
def test_stacks_in_a_folder_are_refused_by_name(arguments: dict, tmp_path: Path) -> None:
    for number in range(3):
        stack = np.full((5 if number else 1, 16, 16), number, np.uint8)
        tifffile.imwrite(tmp_path / f"t{number}.tif", stack, **arguments)
    with pytest.raises(VideoError, match=r"'t1\.tif'.* 5 pages.*open the stack itself"):
        open_video(tmp_path)


def test_a_stack_of_more_axes_in_a_folder_is_refused_too(tmp_path: Path) -> None:
    for number in range(2):
        stack = np.zeros((3, 2, 16, 16), np.uint8)
        tifffile.imwrite(tmp_path / f"{number}.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(VideoError, match=r"'0\.tif' can't be a frame.*ZCYX"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_animation_in_a_folder_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / f"0{suffix}", 0)
    pictures = [Image.fromarray(np.full((8, 8, 3), 99 * n, np.uint8)) for n in range(2)]
    pictures[0].save(
        tmp_path / f"1{suffix}", save_all=True, append_images=pictures[1:], lossless=True
    )
    with pytest.raises(VideoError, match=rf"'1\{suffix}'.*animated"):
        open_video(tmp_path)


def test_a_small_picture_behind_the_frame_is_no_second_frame(tmp_path: Path) -> None:
    for number in range(2):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif") as tiff:
            tiff.write(np.full((16, 16), number, np.uint8), metadata=None)
            tiff.write(np.zeros((4, 4), np.uint8), metadata=None, subfiletype=1)
    assert values(tmp_path) == [0, 1]

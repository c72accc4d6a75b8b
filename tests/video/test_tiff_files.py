"""Films kept in several TIFF files: found beside the first one, what is missing is told."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video

from .clips import draw, read_number

OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME '
    'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{uuid}">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="96" '
    'SizeY="48" SizeC="{c}" SizeZ="1" SizeT="{t}" TimeIncrement="2">{data}</Pixels></Image></OME>'
)


def write_set(
    folder: Path,
    parts: Sequence[Sequence[int]],
    *,
    names: dict[int, str] | None = None,
    n_channels: int = 1,
    compression: str | None = None,
) -> list[Path]:
    """Write a film in parts, each with the plan of all; `names` are other ones for the plan."""
    n_frames = sum(map(len, parts))
    ids = [str(uuid.UUID(int=number)) for number in range(len(parts))]
    files = [folder / f"film_{number}.ome.tif" for number in range(len(parts))]
    data, first = "", 0
    for number, part in enumerate(parts):
        name = (names or {}).get(number, files[number].name)
        axes = f'FirstT="{first}"' if n_channels == 1 else f'FirstC="{number}"'
        data += (
            f'<TiffData IFD="0" {axes} PlaneCount="{len(part)}">'
            f'<UUID FileName="{name}">urn:uuid:{ids[number]}</UUID></TiffData>'
        )
        first += len(part)
    for number, part in enumerate(parts):
        xml = OME.format(uuid=ids[number], c=n_channels, t=n_frames // n_channels, data=data)
        with tifffile.TiffWriter(files[number]) as writer:
            for page, frame in enumerate(part):
                writer.write(
                    draw(frame),
                    description=xml if page == 0 else None,
                    metadata=None,
                    contiguous=False,
                    photometric="minisblack",
                    compression=compression,
                )
    return files


def read(path: Path) -> tuple[list[int], list[str]]:
    """The numbers of all frames, and what was said on the way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_video(path) as video:
            forwards = [read_number(frame) for frame in video]
            assert [read_number(video[n]) for n in range(len(video) - 1, -1, -1)] == forwards[::-1]
            assert [read_number(f) for f in pickle.loads(pickle.dumps(video))] == forwards
    return forwards, [str(w.message) for w in caught if w.category is UserWarning][:1]


@pytest.mark.parametrize("parts", [[range(4), range(4, 7), range(7, 12)], [[n] for n in range(12)]])
def test_film_in_several_files_whichever_is_opened(
    parts: list[Sequence[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_set(tmp_path, parts)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # others of the same names in the current folder are none of it
    write_set(elsewhere, [[900 + n for n in part] for part in parts])
    monkeypatch.chdir(elsewhere)
    for path in (files[0], files[-1], Path("..") / files[1].name):
        assert read(path) == (list(range(12)), [])
    with open_video(files[0]) as video:
        monkeypatch.chdir(tmp_path)
        assert read_number(video[11]) == 11
        assert video.timestamps == pytest.approx(np.arange(12) * 2)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_file_that_is_missing_is_told_and_not_black(
    compression: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_set(tmp_path, [range(4), range(4, 7), range(7, 12)], compression=compression)
    files[1].rename(tmp_path / "away.tif")
    monkeypatch.chdir(tmp_path)
    numbers, said = read(files[0])
    assert numbers == [0, 1, 2, 3, 7, 8, 9, 10, 11]
    assert "3 frames of 'film_0.ome.tif' are missing in 1 place" in said[0]
    assert "'film_1.ome.tif'" in said[0]
    with pytest.warns(UserWarning, match="are missing"):
        video = open_video(files[2])
    with video:
        assert video.metadata["left_out"] == (3, 1)
        assert video.timestamps == pytest.approx(np.array([0, 1, 2, 3, 7, 8, 9, 10, 11]) * 2)


def test_pages_that_are_missing_or_cut_are_told(tmp_path: Path) -> None:
    files = write_set(tmp_path, [range(4), range(4, 8), range(8, 12)])
    with tifffile.TiffFile(files[1]) as tiff:
        end = tiff.pages[2].dataoffsets[0]
    with files[1].open("r+b") as file:
        file.truncate(end + 100)
    numbers, said = read(files[0])
    assert numbers == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
    assert "2 frames of 'film_0.ome.tif' are missing in 1 place" in said[0]


def test_first_file_alone(tmp_path: Path) -> None:
    files = write_set(tmp_path, [[0], [1], [2]])
    for path in files[1:]:
        path.unlink()
    numbers, said = read(files[0])
    assert numbers == [0]
    assert "2 frames of 'film_0.ome.tif' are missing" in said[0]


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "folder", "pipe", "nonsense"])
def test_names_lead_nowhere_else(kind: str, tmp_path: Path) -> None:
    secret = write_set(tmp_path, [[500]])[0].rename(tmp_path / "secret.tif")
    home = tmp_path / "film"
    home.mkdir()
    name = {
        "above": "../secret.tif",
        "absolute": str(secret),
        "nonsense": "a" * 5000,
        "folder": ".",
    }.get(kind, "other.tif")
    files = write_set(home, [[0, 1], [2], [3]], names={1: name})
    if kind == "link":
        (home / "other.tif").symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(home / "other.tif")
    numbers, said = read(files[0])
    assert numbers == [0, 1, 3]
    assert "1 frame of 'film_0.ome.tif' is missing in 1 place" in said[0]
    assert repr(name)[:50] in said[0]


def test_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    files = write_set(tmp_path, [[0], [1]], names={1: "other.tif"})
    (tmp_path / "other.tif").symlink_to(files[1].name)
    assert read(files[0]) == ([0, 1], [])


def test_channels_in_files_of_their_own_are_asked_about_as_in_one(tmp_path: Path) -> None:
    files = write_set(tmp_path, [range(4), range(4)], n_channels=2)
    with pytest.raises(VideoError, match=r"axes TCZYX \(T 4, C 2, Z 1\): which channel"):
        open_video(files[0])
    files[1].unlink()
    with pytest.raises(VideoError, match=r"axes TCZYX \(T 4, C 2, Z 1\): which channel"):
        open_video(files[0])


def test_film_that_announces_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "film.ome.tif"
    for n_frames in (5, 10**8, 10**12):
        data = f'<TiffData IFD="0" PlaneCount="{n_frames}"/>'
        xml = OME.format(uuid=uuid.UUID(int=1), c=1, t=n_frames, data=data)
        with tifffile.TiffWriter(path) as writer:
            for number in range(3):
                writer.write(
                    draw(number),
                    description=xml if number == 0 else None,
                    metadata=None,
                    contiguous=False,
                    photometric="minisblack",
                )
        tracemalloc.start()
        numbers, said = read(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
        tracemalloc.stop()
        assert numbers == [0, 1, 2]
        assert f"{n_frames - 3} frames of 'film.ome.tif' are missing" in said[0]


def test_part_that_leaves_the_plan_to_another_file_is_told(tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<BinaryOnly MetadataFile="film.companion.ome" UUID="urn:uuid:2"/></OME>'
    )
    path = tmp_path / "film_1.ome.tif"
    tifffile.imwrite(path, draw(4), description=xml, metadata=None, photometric="minisblack")
    numbers, said = read(path)
    assert numbers == [4]
    assert "one of several files of a film that 'film.companion.ome' describes" in said[0]


def test_file_of_a_set_without_a_plan_is_told(tmp_path: Path) -> None:
    for number in range(2):
        path = tmp_path / f"film_NDTiffStack{f'_{number}' if number else ''}.tif"
        pages = np.stack([draw(3 * number + n) for n in range(3)])
        tifffile.imwrite(path, pages, photometric="minisblack")
    numbers, said = read(tmp_path / "film_NDTiffStack.tif")
    assert numbers == [0, 1, 2]
    assert "one of 2 files of a Micro-Manager set" in said[0]


def test_file_beside_that_changes_or_goes_is_refused_from_then_on(tmp_path: Path) -> None:
    files = write_set(tmp_path, [[n] for n in range(20)])
    with open_video(files[0]) as video:
        assert read_number(video[1]) == 1
        os.utime(files[1], ns=(1, 1))
        with pytest.raises(VideoError, match=r"film_1\.ome\.tif' has changed"):
            video[1]
        files[5].unlink()
        assert read_number(video[19]) == 19
        with pytest.raises(VideoError, match=r"film_5\.ome\.tif' is gone"):
            video[5]


def test_page_of_2_to_the_31_px_a_side_is_refused_by_its_tags(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint8), photometric="minisblack")
    with tifffile.TiffFile(path) as tiff:
        places = [page.tags[code].valueoffset for page in tiff.pages for code in (256, 257)]
        kinds = [page.tags[code].dtype for page in tiff.pages for code in (256, 257)]
    with path.open("r+b") as file:
        for place, kind in zip(places, kinds, strict=True):
            assert kind == 4
            file.seek(place)
            file.write((2**31).to_bytes(4, "little"))
    with pytest.raises(VideoError, match=r"2147483648 x 2147483648 px.*NAPARI_SAM3_FRAME_MEGA"):
        open_video(path)

"""Pictures as video: folders and single images."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import animated_webp, open_video
from napari_sam3.video.image_file import read_head, read_image

from .clips import draw, forget, read_number


def save(path: Path, number: int, mode: str = "RGB") -> None:
    Image.fromarray(draw(number)).convert(mode).save(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".webp", ".tif", ".tiff"])
def test_folder_of_frames_in_natural_order(suffix: str, tmp_path: Path) -> None:
    numbers = [1, 2, 9, 10, 11, 100]
    for number in numbers:
        save(tmp_path / f"frame{number}{suffix}", number)
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".hidden.png").write_bytes(b"not a frame")
    (tmp_path / "masks").mkdir()
    with open_video(tmp_path) as video:
        assert video.shape == (6, 48, 96, 3)
        assert [read_number(frame) for frame in video] == numbers
        assert read_number(pickle.loads(pickle.dumps(video))[-1]) == 100


@pytest.mark.parametrize(("mode", "dtype"), [("L", np.uint8), ("I;16", np.uint16), ("1", np.uint8)])
def test_grey_pictures_keep_their_depth(mode: str, dtype: type, tmp_path: Path) -> None:
    picture = draw(3).astype(dtype)
    if mode == "I;16":
        picture = picture * 250
    if mode == "1":
        picture = np.where(picture > 128, 255, 0).astype(np.uint8)
        Image.fromarray(picture).convert("1").save(tmp_path / "a.png")
    else:
        Image.fromarray(picture).save(tmp_path / "a.png")
    with open_video(tmp_path) as video:
        assert video.dtype == dtype
        np.testing.assert_array_equal(video[0], picture)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "LA"])
def test_other_modes_become_colour_or_grey(mode: str, tmp_path: Path) -> None:
    save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), 5, mode)
    with open_video(tmp_path) as video:
        assert video.shape == ((1, 48, 96) if mode == "LA" else (1, 48, 96, 3))
        assert read_number(video[0]) == 5


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["a1", "a2", "a3"], None),
        (["a00", "a10", "a20"], None),
        (["a001", "a002", "a005", "a007"], ((3, 4), (6, 6))),
        (["cell2_t1", "cell2_t2", "cell2_t4"], ((3, 3),)),
        (["t0_c1", "t1_c2"], None),
        (["first", "second"], None),
        (["7"], None),
        (["1", "01", "2", "5"], ((3, 4),)),
    ],
)
def test_gaps_in_the_numbering_are_said(
    names: list[str], gaps: tuple[tuple[int, int], ...] | None, tmp_path: Path
) -> None:
    for number, name in enumerate(names):
        save(tmp_path / f"{name}.png", number)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        video = open_video(tmp_path)
        pickle.loads(pickle.dumps(video)).reopen()
    assert video.metadata.get("gaps") == gaps
    assert len(video) == len(names)
    assert len(caught) == bool(gaps)
    if gaps and len(gaps) == 2:
        assert "left out" in str(caught[0].message)
        assert "3 to 4, 6;" in str(caught[0].message)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_deep_colour_keeps_its_values(suffix: str, alpha: bool, tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    array = dice.integers(0, 2**16, (48, 96, 4 if alpha else 3), np.uint16)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, array, photometric="rgb")
    else:
        write_png(path, array, "rgba64" if alpha else "rgb48")
    with open_video(tmp_path) as video:
        assert video.shape == (1, 48, 96, 3)
        assert video.dtype == np.uint16
        np.testing.assert_array_equal(video[0], array[..., :3])
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(VideoError, match=f"a{suffix}"):
        open_video(tmp_path)


def write_png(path: Path, array: np.ndarray, format_name: str) -> None:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.height, stream.width = array.shape[:2]
        stream.pix_fmt = f"{format_name}be"
        frame = av.VideoFrame.from_ndarray(array, format=f"{format_name}le")
        container.mux(stream.encode(frame.reformat(format=f"{format_name}be")))
        container.mux(stream.encode(None))


def test_mixed_sizes_are_refused_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(VideoError, match=r"a\.png.*48.*b\.png.*20"):
        open_video(tmp_path)


@pytest.mark.parametrize("kind", ["uint8 uint16", "uint16 float32"])
def test_mixed_depths_are_refused_by_name_on_opening(kind: str, tmp_path: Path) -> None:
    for name, dtype in zip("ab", kind.split(), strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", draw(0).astype(dtype))
    with pytest.raises(VideoError, match=r"'a\.tif' is .*int.*'b\.tif' is .*(uint16|float32)"):
        open_video(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("grey", [0, 1])
def test_grey_among_colours_is_shown_as_colour(suffix: str, grey: int, tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}{suffix}", number, "L" if number == grey else "RGB")
    with open_video(tmp_path) as opened, opened.reopen() as video:
        assert video.shape == (3, 48, 96, 3)
        assert [read_number(frame) for frame in video] == [0, 1, 2]
        assert (video[grey] == video[grey][..., :1]).all()


def test_deep_grey_among_deep_colours_keeps_its_depth(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 2**16, (48, 96, 3), np.uint16)
    write_png(tmp_path / "0.png", colour, "rgb48")
    Image.fromarray(colour[..., 0]).save(tmp_path / "1.png")
    with open_video(tmp_path) as video:
        assert video.dtype == np.uint16
        np.testing.assert_array_equal(video[0], colour)
        np.testing.assert_array_equal(video[1], np.repeat(colour[..., :1], 3, axis=2))


def test_too_many_channels_are_refused_by_name_wherever_they_are(tmp_path: Path) -> None:
    save(tmp_path / "0.tif", 0)
    five = np.zeros((48, 96, 5), np.uint8)
    tifffile.imwrite(tmp_path / "1.tif", five, photometric="minisblack", planarconfig="contig")
    with pytest.raises(VideoError, match=r"1\.tif.*\(48, 96, 5\).*choose one channel"):
        open_video(tmp_path)


@pytest.mark.parametrize("kind", ["I;16 I", "F I", "L I;16"])
def test_pictures_of_several_modes_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    for number, mode in enumerate(kind.split()):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32, "L": np.uint8}[mode]
        Image.fromarray(draw(number).astype(dtype)).save(tmp_path / f"{number}.tif")
    with pytest.raises(VideoError, match=r"one size and type: '0\.tif' .* '1\.tif'"):
        open_video(tmp_path)


MODES = {
    ".png": "1 L LA I;16 P RGB RGBA",
    ".jpg": "1 L RGB CMYK",
    ".tif": "1 L LA I;16 F P RGB RGBA CMYK",
    ".bmp": "1 L P RGB",
    ".webp": "L RGB RGBA",
}


@pytest.mark.parametrize(
    ("suffix", "mode"), [(suffix, mode) for suffix in MODES for mode in MODES[suffix].split()]
)
def test_a_head_tells_what_reading_gives(suffix: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    deep = {"I;16": np.uint16, "F": np.float32}
    if mode in deep:
        Image.fromarray(draw(3).astype(deep[mode])).save(path)
    else:
        save(path, 3, mode)
    head, picture = read_head(path), read_image(path)
    assert head.size == picture.shape[:2]
    assert head.is_rgb == (picture.ndim == 3)
    assert head.dtype == picture.dtype


def test_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(VideoError, match=r"holds no pictures.*png"):
        open_video(tmp_path)


def test_broken_picture_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    with open_video(tmp_path) as video, pytest.raises(VideoError, match=r"b\.png"):
        video[1]


def test_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.fromarray(np.ascontiguousarray(np.rot90(draw(9))))
    sideways.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    with open_video(tmp_path / "photo.jpg") as video:
        assert video.shape == (1, 48, 96)
        assert read_number(video[0]) == 9


def save_turned(path: Path, number: int, orientation: int) -> None:
    """A picture that looks upright once it is turned as its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(draw(number), turns)))
    stored.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_pictures_that_fit_once_they_are_turned(suffix: str, tmp_path: Path) -> None:
    for number, orientation in enumerate([1, 6, 8]):
        save_turned(tmp_path / f"{number}{suffix}", number, orientation)
    with pytest.warns(UserWarning, match=r"orientation 1, .* 6") as caught:
        video = open_video(tmp_path)
    assert len(caught) == 1
    assert [read_number(frame) for frame in video] == [0, 1, 2]
    video.close()


def test_all_pictures_turned_alike_say_nothing(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    for number in range(3):
        save_turned(tmp_path / f"{number}.jpg", number, 6)
    with open_video(tmp_path) as video:
        assert [read_number(frame) for frame in video] == [0, 1, 2]
    assert not recwarn


def test_pictures_that_do_not_fit_once_they_are_turned(tmp_path: Path) -> None:
    save(tmp_path / "0.jpg", 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(draw(1)).save(tmp_path / "1.jpg", exif=exif)
    with pytest.raises(VideoError, match=r"96 x 48 px.*'1\.jpg' is 48 x 96 px as EXIF turns it"):
        open_video(tmp_path)


def test_single_picture_is_one_frame(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 7)
    with open_video(tmp_path / "a.png") as video:
        assert video.shape == (1, 48, 96, 3)
        assert read_number(video[0]) == 7


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_animated_picture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"moving{suffix}"
    first, *others = [Image.fromarray(draw(n)).convert("RGB") for n in range(6)]
    first.save(path, save_all=True, append_images=others, duration=40, lossless=True)
    with open_video(path) as video:
        assert [read_number(video[n]) for n in (5, 0, 3, 1, 4, 2)] == [5, 0, 3, 1, 4, 2]
        assert video.fps == pytest.approx(25)
        assert video.timestamps == pytest.approx(np.arange(6) / 25)


def write_webp(path: Path, n_frames: int = 20) -> None:
    first, *others = [Image.fromarray(draw(n)).convert("RGB") for n in range(n_frames)]
    first.save(path, save_all=True, append_images=others, duration=40, lossless=True)


def test_animated_webp_is_opened_without_decoding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_webp(tmp_path / "moving.webp")
    loaded = []
    decode = animated_webp.AnimatedWebp._decode_next

    def watch(self: animated_webp.AnimatedWebp, number: int) -> np.ndarray:
        loaded.append(number)
        return decode(self, number)

    monkeypatch.setattr(animated_webp.AnimatedWebp, "_decode_next", watch)
    with open_video(tmp_path / "moving.webp") as video:
        assert loaded == [0]
        assert len(video) == 20
        assert video.metadata["duration"] == pytest.approx(0.8)
        assert read_number(video[12]) == 12
        assert loaded == list(range(13))


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_broken_off_webp(share: float, tmp_path: Path) -> None:
    path = tmp_path / "moving.webp"
    write_webp(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.warns(UserWarning, match=r"'moving.webp' breaks off: frames \(how many") as caught:
        video = open_video(path)
    assert len(caught) == 1
    assert 20 * share - 3 < len(video) < 20
    assert [read_number(frame) for frame in video] == list(range(len(video)))
    video.close()


def test_damaged_webp(tmp_path: Path) -> None:
    path = tmp_path / "moving.webp"
    write_webp(path)
    data = bytearray(path.read_bytes())
    place = [match.start() for match in re.finditer(b"ANMF", data)][11]
    data[place + 40 : place + 70] = bytes(30)
    path.write_bytes(data)
    with open_video(path) as video:
        with pytest.warns(UserWarning, match=r"9 frames, from frame 11 on, can't be") as caught:
            numbers = [read_number(frame) for frame in video]
        assert len(caught) == 1
        assert numbers[:11] == list(range(11))
        forget(video)
        assert [read_number(video[n]) for n in (15, 3, 10, 19)] == [10, 3, 10, 10]

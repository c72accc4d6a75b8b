import subprocess
import sys
from fractions import Fraction

import numpy as np
import pint
import pytest
import tifffile
from napari.layers import Image, Layer
from PIL import Image as Picture

from napari_sam3.errors import VideoError
from napari_sam3.plugin.io.video_reader import get_reader, read_layers
from napari_sam3.plugin.layers.video_layer import contrast_limits, video_layer
from napari_sam3.video import Video, as_video, tiff_calibration
from tests.video.clips import encode, read_number


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("clips") / "clip.mp4", n_frames=30, rate=24)


class Watched(Video):
    """Grey 16-bit noise that remembers which frames were read."""

    def __init__(self, frames):
        super().__init__(frames.shape, frames.dtype)
        self.frames, self.asked = frames, []

    def _read(self, frame_index):
        self.asked.append(frame_index)
        return self.frames[frame_index].copy()

    def reopen(self):
        return Watched(self.frames)


def test_video_becomes_an_image_layer(clip):
    read = get_reader(str(clip))
    assert read is read_layers
    ((video, arguments, kind),) = read(str(clip))
    assert kind == "image"
    assert isinstance(video, Video)
    assert arguments["name"] == "clip"
    assert arguments["rgb"] is True
    assert arguments["contrast_limits"] == (0, 255)
    assert arguments["axis_labels"] == ("t", "y", "x")
    assert arguments["scale"] == pytest.approx((1 / 24, 1, 1))
    assert arguments["units"] == ("second", "pixel", "pixel")
    assert arguments["metadata"]["fps"] == 24
    assert arguments["metadata"]["path"] == str(clip)
    assert arguments["metadata"]["codec"] == "h264"
    assert len(arguments["metadata"]["timestamps"]) == 30


def test_time_is_in_frames_where_frames_last_unequally(tmp_path):
    pts = [0, 3, 4, 9, 10, 17, 18, 19, 25, 31]
    path = encode(tmp_path / "vfr.mkv", n_frames=10, pts=pts, time_base=Fraction(1, 100))
    ((_, arguments, _),) = read_layers(path)
    assert arguments["scale"] == (1, 1, 1)
    assert arguments["units"] == ("pixel",) * 3


def test_folder_of_frames_is_read_in_natural_order(disc_folder, disc_film):
    read = get_reader(str(disc_folder))
    assert read is not None
    ((video, arguments, _),) = read(str(disc_folder))
    assert np.array_equal(video[10], disc_film[10])
    assert arguments["scale"] == (1, 1, 1)


def test_layer_is_as_large_as_the_file_says(tmp_path):
    stack = np.zeros((4, 20, 30), np.uint16)
    told = {"axes": "TYX", "unit": "um", "finterval": 0.5}
    tifffile.imwrite(tmp_path / "cells.tif", stack, imagej=True, resolution=(4, 2), metadata=told)
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(stack):
        tifffile.imwrite(
            tmp_path / "frames" / f"{number}.tif",
            frame,
            imagej=True,
            resolution=(4, 2),
            metadata={"unit": "um"},
        )
    for path, step in ((tmp_path / "cells.tif", 0.5), (tmp_path / "frames", 1)):
        layer = Layer.create(*read_layers(path)[0])
        assert tuple(layer.scale) == (step, 0.5, 0.25)
        assert layer.units[1:] == (pint.Unit("um"),) * 2
        assert layer.metadata["pixel_size"] == (0.5, 0.25)


@pytest.mark.parametrize("unit", sorted(set(tiff_calibration._LENGTHS.values())))
def test_napari_knows_every_unit_of_length(unit):
    layer = Image(np.zeros((2, 3, 4)), units=("pixel", unit, unit))
    assert layer.units[1].is_compatible_with("um")


def test_several_videos_become_several_layers(clip, disc_folder):
    paths = [str(clip), str(disc_folder)]
    read = get_reader(paths)
    assert read is not None
    assert [arguments["name"] for _, arguments, _ in read(paths)] == ["clip", disc_folder.name]


def test_upper_case_and_path_objects_are_taken(clip, tmp_path):
    path = tmp_path / "CLIP.MP4"
    path.write_bytes(clip.read_bytes())
    assert get_reader(path) is not None


@pytest.mark.parametrize(
    "path", ["", [], "missing.mp4", "/dev/null", "a\0b.mp4", ["clip.mp4", "missing.mp4"], None]
)
def test_what_is_no_video_is_declined(path, clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    assert get_reader(path) is None


def test_other_files_and_folders_are_declined(tmp_path):
    (tmp_path / "notes.txt").write_text("no frames")
    (tmp_path / "program.ts").write_text("export const a = 1")
    (tmp_path / "image.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "program.ts", "image.png", "empty"):
        assert get_reader(str(tmp_path / name)) is None
    (tmp_path / "folder.mp4").mkdir()
    assert get_reader(str(tmp_path / "folder.mp4")) is None


def test_transport_stream_is_told_from_typescript(tmp_path):
    path = encode(tmp_path / "clip.ts", format="mpegts", n_frames=5)
    assert get_reader(path) is not None


def test_broken_video_is_reported_when_it_is_read(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"this is no video" * 100)
    read = get_reader(str(path))
    assert read is not None
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        read(str(path))


def test_opening_reads_one_frame_at_most():
    frames = np.random.default_rng(0).integers(100, 4000, (50, 8, 9)).astype(np.uint16)
    video = Watched(frames)
    _, arguments, _ = video_layer(video)
    assert video.asked == [0]
    assert arguments["contrast_limits"] == (frames[0].min(), frames[0].max())


@pytest.mark.parametrize(
    ("frames", "limits"),
    [
        (np.zeros((3, 4, 5), np.uint8), (0, 255)),
        (np.zeros((3, 4, 5, 3), np.uint16), (0, 65535)),
        (np.zeros((3, 4, 5, 3), np.float32), (0, 1)),
        (np.full((3, 4, 5), 7, np.uint16), (7, 8)),
        (np.full((3, 4, 5), np.nan, np.float32), (0, 1)),
    ],
)
def test_contrast_limits_are_always_set_and_never_equal(frames, limits):
    assert contrast_limits(as_video(frames)) == limits


def test_grey_16_bit_frames_keep_their_bits(tmp_path):
    folder = tmp_path / "well.2"
    folder.mkdir()
    for t in range(3):
        Picture.fromarray(np.full((8, 9), 1000 * t + 500, np.uint16)).save(folder / f"{t}.png")
    ((video, arguments, _),) = read_layers(folder)
    assert arguments["name"] == "well.2"
    assert video.dtype == np.uint16
    assert arguments["rgb"] is False
    assert video[2, 0, 0] == 2500


@pytest.mark.parametrize("rate", [12, 24, Fraction(24000, 1001), Fraction(30000, 1001), 7])
def test_every_frame_can_be_reached_by_the_slider(rate, tmp_path):
    from napari.components import ViewerModel
    from napari.layers import Layer

    # lengths at which napari counts a step too few where the scale is the plain quotient
    for n_frames in (7, 8, 60):
        path = encode(tmp_path / f"{n_frames}.mp4", n_frames=n_frames, rate=rate)
        viewer = ViewerModel()
        viewer.add_layer(Layer.create(*read_layers(path)[0]))
        assert viewer.dims.nsteps[0] == n_frames
        viewer.dims.set_current_step(0, n_frames - 1)
        (layer,) = viewer.layers
        frame_index = round(float(layer.world_to_data(viewer.dims.point)[0]))
        assert read_number(layer.data[frame_index]) == n_frames - 1


def test_reading_loads_neither_torch_nor_napari_nor_qt(clip):
    code = (
        "import sys\n"
        "from napari_sam3.plugin.io.video_reader import get_reader\n"
        f"video, *_ = get_reader({str(clip)!r})({str(clip)!r})[0]\n"
        "video[3]\n"
        "heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'magicgui', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_pattern_is_a_layer_of_its_pictures(tmp_path):
    for camera in (1, 2):
        for number in range(3):
            picture = np.full((8, 9), 10 * camera + number, np.uint8)
            Picture.fromarray(picture).save(tmp_path / f"cam{camera}_{number}.png")
    pattern = str(tmp_path / "cam2_*.png")
    assert get_reader(pattern) is read_layers
    ((video, arguments, _),) = read_layers(pattern)
    assert [int(frame[0, 0]) for frame in video] == [20, 21, 22]
    assert (arguments["name"], arguments["metadata"]["path"]) == (f"{tmp_path.name}-cam2", pattern)
    with pytest.raises(VideoError, match="2 series"):
        read_layers(str(tmp_path))
    assert get_reader(str(tmp_path / "*.txt")) is None

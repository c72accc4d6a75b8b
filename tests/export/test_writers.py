"""Every format comes back as it went out, in whatever order its frames came."""

from __future__ import annotations

import csv

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export import (
    LabelPngWriter,
    LabelTiffWriter,
    OverlayWriter,
    TableWriter,
    export_labels_png,
    export_labels_tiff,
    export_overlay,
    export_table,
)
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.values import FrameResult, ObjectMask, label_image
from napari_sam3.video import open_video
from napari_sam3.video.video_facts import VideoFacts

SHAPE = (6, 41, 53)  # odd: the film must be padded


class GreyFrames:
    """A video of grey pictures, each a little brighter."""

    size = SHAPE[1:]

    def __len__(self):
        return SHAPE[0]

    def __getitem__(self, frame_index):
        return np.full((*self.size, 3), 40 + 10 * frame_index, np.uint8)


def result(frame_index: int, *ids: int) -> FrameResult:
    """Bars, one beside the other, that move down by a pixel a frame."""
    objects = {}
    for place, obj_id in enumerate(ids):
        mask = np.zeros(SHAPE[1:], bool)
        mask[10 + frame_index : 30 + frame_index, 5 + 20 * place : 20 + 20 * place] = True
        objects[obj_id] = ObjectMask.from_mask(mask, 0.9 - 0.1 * place)
    return FrameResult(frame_index, objects)


RESULTS = [result(2, 1, 2), result(3, 2), result(1, 1, 2), result(0)]  # 4 and 5 never come


def expected_labels() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    for one in RESULTS:
        labels[one.frame_index] = label_image(one.objects, SHAPE[1:])
    return labels


def write(writer, results=RESULTS):
    with writer:
        for one in results:
            writer.write(one)


def names(folder) -> set[str]:
    return {path.name for path in folder.rglob("*")}


# ------------------------------------------------------------------------- TIFF


def test_tiff_holds_all_frames_and_the_scale(tmp_path):
    path = tmp_path / "labels.tif"
    write(LabelTiffWriter(path, SHAPE, frame_interval=0.25, pixel_size=(0.5, 0.4)))
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal(tiff.asarray(), expected_labels())
        assert tiff.series[0].axes == "TYX"
        assert tiff.is_imagej
        assert tiff.imagej_metadata["finterval"] == 0.25
        assert tiff.imagej_metadata["unit"] == "um"
        across, one = tiff.pages[0].tags["XResolution"].value
        assert one / across == pytest.approx(0.4)
        assert tiff.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    assert names(tmp_path) == {"labels.tif"}


def test_tiff_of_ids_above_65535_is_32_bit(tmp_path):
    path = tmp_path / "labels.tif"
    write(
        LabelTiffWriter(path, SHAPE, frame_interval=0.25, pixel_size=(0.5, 0.4)),
        [result(2, 1, 70_000)],
    )
    with tifffile.TiffFile(path) as tiff:
        labels = tiff.asarray()
        assert tiff.series[0].axes == "TYX"
        assert 'TimeIncrement="0.25"' in tiff.ome_metadata
        assert 'PhysicalSizeX="0.4"' in tiff.ome_metadata
    assert labels.dtype == np.uint32
    assert set(np.unique(labels)) == {0, 1, 70_000}


def test_tiff_too_large_for_imagej_is_ome(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.export.tiff.IMAGEJ_BYTES", 1000)
    path = tmp_path / "labels.tif"
    write(LabelTiffWriter(path, SHAPE))
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        np.testing.assert_array_equal(tiff.asarray(), expected_labels())


def test_a_frame_that_comes_again_replaces_the_first(tmp_path):
    path = tmp_path / "labels.tif"
    write(LabelTiffWriter(path, SHAPE), [result(2, 1), result(2, 7), result(3, 5), result(3)])
    labels = tifffile.imread(path)
    assert set(np.unique(labels[2])) == {0, 7}
    assert labels[3].max() == 0


def test_tiff_of_one_frame(tmp_path):
    export_labels_tiff(tmp_path / "one.tif", np.ones((1, 8, 9), np.uint16))
    assert tifffile.imread(tmp_path / "one.tif").squeeze().shape == (8, 9)


# -------------------------------------------------------------------------- PNG


def test_png_one_file_for_each_frame_that_came(tmp_path):
    write(LabelPngWriter(tmp_path / "labels", SHAPE))
    assert names(tmp_path) == {"labels", "00000.png", "00001.png", "00002.png", "00003.png"}
    for frame_index, labels in enumerate(expected_labels()[:4]):
        with Image.open(tmp_path / "labels" / f"{frame_index:05d}.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), labels)


def test_png_becomes_16_bit_as_a_whole(tmp_path):
    write(LabelPngWriter(tmp_path, SHAPE), [result(0, 1, 2), result(1, 1, 300)])
    first, second = (np.asarray(Image.open(tmp_path / f"0000{n}.png")) for n in (0, 1))
    assert first.dtype == second.dtype == np.uint16
    np.testing.assert_array_equal(first, label_image(result(0, 1, 2).objects, SHAPE[1:]))
    assert set(np.unique(second)) == {0, 1, 300}


def test_png_refuses_ids_that_do_not_fit(tmp_path):
    with pytest.raises(VideoError, match=r"70000 .* TIFF"):
        write(LabelPngWriter(tmp_path, SHAPE), [result(0, 70_000)])
    assert names(tmp_path) == set()


# -------------------------------------------------------------------------- CSV


def test_table_is_sorted_by_frame_and_id(tmp_path):
    path = tmp_path / "objects.csv"
    write(TableWriter(path, SHAPE, timestamps=np.arange(6) / 4))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["id"]) for row in rows] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
        ("3", "2"),
    ]
    assert rows[3] == {
        **{"frame": "2", "time_s": "0.500000", "id": "2", "score": "0.8000", "area": "300"},
        **{"name": "", "class": "", "mother": "", "source": "propagated"},
        **{"x0": "25", "y0": "12", "x1": "40", "y1": "32"},
        **{"centroid_x": "32.50", "centroid_y": "22.00"},
    }


def test_table_without_times(tmp_path):
    write(TableWriter(tmp_path / "objects.csv", SHAPE))
    with (tmp_path / "objects.csv").open(newline="") as file:
        assert {row["time_s"] for row in csv.DictReader(file)} == {""}


def test_table_refuses_times_of_another_video(tmp_path):
    with pytest.raises(ValueError, match="6 frames"):
        TableWriter(tmp_path / "objects.csv", SHAPE, timestamps=[0, 1])


def read_table(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_in_calibrated_units(tmp_path):
    facts = VideoFacts(*SHAPE, pixel_size=(0.5, 0.4), unit="um", timestamps=tuple(range(6)))
    write(TableWriter(tmp_path / "objects.csv", SHAPE, facts=facts))
    row = read_table(tmp_path / "objects.csv")[3]
    assert (row["frame"], row["time_s"], row["area"]) == ("2", "2.000000", "300")
    assert float(row["area_um2"]) == 300 * 0.5 * 0.4
    assert float(row["centroid_x_um"]) == 32.5 * 0.4
    assert float(row["centroid_y_um"]) == 22 * 0.5


def test_table_has_the_mean_of_the_videos_own_values(tmp_path):
    video = np.zeros(SHAPE, np.uint16)
    video[2, :, :25] = 1000
    video[2, 12:22, 25:] = 3000  # half of object 2
    write(TableWriter(tmp_path / "grey.csv", SHAPE, video=video))
    rows = {(r["frame"], r["id"]): r for r in read_table(tmp_path / "grey.csv")}
    assert float(rows["2", "1"]["mean_intensity"]) == 1000
    assert float(rows["2", "2"]["mean_intensity"]) == 1500
    assert float(rows["2", "2"]["score"]) == 0.8
    assert float(rows["1", "1"]["mean_intensity"]) == 0
    colours = np.stack([video, video // 10, video * 0], axis=-1)
    export_table(tmp_path / "rgb.csv", expected_labels(), video=colours)
    row = {(r["frame"], r["id"]): r for r in read_table(tmp_path / "rgb.csv")}["2", "1"]
    assert [float(row[f"mean_{name}"]) for name in ("red", "green", "blue")] == [1000, 100, 0]


def test_table_refuses_another_video(tmp_path):
    with pytest.raises(ValueError, match="but the labels"):
        TableWriter(tmp_path / "objects.csv", SHAPE, video=np.zeros((6, 5, 5)))


# ---------------------------------------------------------------------- overlay


def test_overlay_shows_first_to_last_frame_with_coloured_objects(tmp_path):
    path = tmp_path / "overlay.mp4"
    seen = []
    writer = OverlayWriter(
        path, GreyFrames(), fps=4, on_progress=lambda done, total: seen.append((done, total))
    )
    write(writer, [result(4, 1), result(2, 1)])
    assert seen == [(1, 3), (2, 3), (3, 3)]
    with open_video(path) as video:
        assert video.shape == (3, 42, 54, 3)
        assert video.fps == pytest.approx(4)
        film = np.asarray(video).astype(int)
    ground = film[:, 2, 48]
    np.testing.assert_allclose(ground, np.array([[60], [70], [80]]) * [1, 1, 1], atol=6)
    inside = film[:, 16, 8]  # the colour of label 1 is a sky blue
    assert inside[0, 2] - inside[0, 0] > 20
    assert abs(inside[1, 0] - inside[1, 2]) < 6  # frame 3 never came


def test_overlay_keeps_the_video_times(tmp_path):
    times = np.array([0, 0.1, 0.2, 0.7, 0.8, 1.5])
    write(OverlayWriter(tmp_path / "o.mp4", GreyFrames(), fps=8, timestamps=times))
    with open_video(tmp_path / "o.mp4") as video:
        np.testing.assert_allclose(video.timestamps, times[:4], atol=1e-3)


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("pcm_s16le", ".avi")])
def test_overlay_keeps_the_sound_of_its_frames(tmp_path, codec, suffix):
    film = tmp_path / f"film{suffix}"
    make_beep(film, codec, silence=2.0, length=6.0)
    path = tmp_path / "o.mp4"
    write(OverlayWriter(path, GreyFrames(), fps=1, sound=film), [result(1, 1), result(4, 1)])
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        loud = [f.time for f in frames if np.abs(f.to_ndarray().astype(float)).max() > 0.1]
        end = frames[-1].time + frames[-1].samples / frames[-1].sample_rate
        assert container.streams.audio[0].codec_context.name == "aac"
    assert loud[0] == pytest.approx(1.0, abs=0.06)  # it begins with frame 1
    assert end == pytest.approx(4.0, abs=0.06)
    with open_video(path) as video:
        assert len(video) == 4


def test_overlay_of_a_silent_film_is_silent(tmp_path):
    write(OverlayWriter(tmp_path / "a.mp4", GreyFrames(), fps=4))
    write(OverlayWriter(tmp_path / "b.mp4", GreyFrames(), fps=4, sound=tmp_path / "a.mp4"))
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert not container.streams.audio


def make_beep(path, codec: str, silence: float, length: float) -> None:
    rate = 48_000
    wave = np.sin(np.arange(int(rate * length)) * 440 * 2 * np.pi / rate) * 0.5
    wave[: int(rate * silence)] = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        samples = (wave * 32767).astype(np.int16)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], layout="mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_overlay_of_nothing_writes_nothing(tmp_path):
    write(OverlayWriter(tmp_path / "o.mp4", GreyFrames()), [])
    assert names(tmp_path) == set()


# ------------------------------------------------------------------ all formats


def make_writers(folder):
    return [
        LabelTiffWriter(folder / "labels.tif", SHAPE),
        TableWriter(folder / "objects.csv", SHAPE),
        OverlayWriter(folder / "overlay.mp4", GreyFrames()),
    ]


@pytest.mark.parametrize("number", range(3), ids=["tiff", "table", "overlay"])
def test_an_interrupted_run_leaves_what_was_there(tmp_path, number):
    writer = make_writers(tmp_path)[number]
    writer.path.write_text("precious")

    def write_and_stop():
        with writer:
            writer.write(RESULTS[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert names(tmp_path) == {writer.path.name}
    assert writer.path.read_text() == "precious"


@pytest.mark.parametrize("number", range(3), ids=["tiff", "table", "overlay"])
def test_a_failure_at_the_end_leaves_what_was_there(tmp_path, monkeypatch, number):
    writer = make_writers(tmp_path)[number]
    writer.path.write_text("precious")
    writer.write(RESULTS[0])

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer._frames, "get", fail)
    with pytest.raises(VideoError, match="No space left on device"):
        writer.close()
    assert names(tmp_path) == {writer.path.name}
    assert writer.path.read_text() == "precious"


@pytest.mark.parametrize("number", range(3), ids=["tiff", "table", "overlay"])
def test_wrong_frames_are_refused(tmp_path, number):
    with make_writers(tmp_path)[number] as writer:
        with pytest.raises(ValueError, match="no frame 6"):
            writer.write(FrameResult(6))
        with pytest.raises(ValueError, match="does not fit"):
            writer.write_labels(0, np.zeros((5, 5), np.uint16))
        writer.write(RESULTS[0])
    with pytest.raises(ValueError, match="is closed"):
        writer.write(RESULTS[0])


def test_a_place_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(VideoError, match="file"):
        LabelTiffWriter(tmp_path / "file" / "labels.tif", SHAPE)
    with pytest.raises(VideoError, match="file"):
        write(LabelPngWriter(tmp_path / "file" / "labels", SHAPE))


def test_whole_label_arrays(tmp_path):
    labels = LabelStack(SHAPE)
    labels[:] = expected_labels()
    export_labels_tiff(tmp_path / "labels.tif", labels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), labels[:])
    export_labels_png(tmp_path / "png", labels)
    assert len(list((tmp_path / "png").iterdir())) == 6
    export_table(tmp_path / "objects.csv", labels)
    with (tmp_path / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert {row["score"] for row in rows} == {""}
    export_overlay(tmp_path / "overlay.mp4", labels, GreyFrames())
    with open_video(tmp_path / "overlay.mp4") as video:
        assert len(video) == 6


@pytest.mark.parametrize(
    "labels", [np.zeros((4, 5), np.uint16), np.zeros((2, 4, 5))], ids=["2D", "float"]
)
def test_what_is_no_label_array_is_refused(tmp_path, labels):
    for export in (export_labels_tiff, export_labels_png, export_table):
        with pytest.raises(ValueError, match="can't be exported"):
            export(tmp_path / "out", labels)

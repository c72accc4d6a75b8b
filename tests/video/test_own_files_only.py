"""A file opens itself and no other: lists of files are refused, whatever they are called."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import av
import pytest
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.audio_track import AudioTrack
from napari_sam3.video.demuxer import DEMUXERS
from napari_sam3.video.first_frame import FirstFrame

from .clips import draw, encode, read_number

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{place}\n#EXT-X-ENDLIST\n"
LISTS = {
    "hls": HLS,
    "hls behind a mark": "\ufeff" + HLS,
    "concat": "ffconcat version 1.0\nfile '{place}'\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1000">'
    "<BaseURL>{place}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return encode(folder / "private.ts", n_frames=5)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.m3u8", "a.ffconcat", "a.avi", "a"])
@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_files_are_refused(kind: str, name: str, other: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    text = LISTS[kind].format(place="elsewhere/private.ts" if kind == "hls" else other)
    path.write_text(text, "utf-8")
    with pytest.raises(VideoError, match=r"is a list of other files.*: open the files that"):
        open_video(path)
    with pytest.raises(VideoError, match="is a list of other files"):
        FirstFrame(path)
    assert not AudioTrack(path, 0, 1)


@pytest.mark.parametrize(
    "text", ["tty\x1b[31mred", "; comment\n[Script Info]\nTitle: x\n", "\x1b[H"]
)
def test_text_is_no_video_whatever_ffmpeg_would_draw(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ans"
    path.write_text(text * 100)
    with pytest.raises(VideoError, match=r"a\.ans"):
        open_video(path)


def test_names_are_no_patterns(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(draw(number)).convert("RGB").save(tmp_path / f"film0{number}.png")
        encode(tmp_path / f"film0{number}.gif", "gif", "rgb8", n_frames=number + 1)
    for suffix in (".gif", ".mp4"):
        path = encode(tmp_path / f"film%02d{suffix}", "libx264", n_frames=7, format="mp4")
        with open_video(path) as video:
            assert [read_number(frame) for frame in video] == list(range(7))
    # one of 16 bits, which FFmpeg reads
    with av.open(str(tmp_path / "deep.png"), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 48, "rgb48be"
        frame = av.VideoFrame.from_ndarray(draw(9), format="gray").reformat(format="rgb48be")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video((tmp_path / "deep.png").rename(tmp_path / "film%02d.png")) as video:
        assert len(video) == 1
        assert read_number(video[0]) == 9


def test_a_pattern_without_a_file_of_that_name_is_no_file(tmp_path: Path) -> None:
    Image.fromarray(draw(0)).save(tmp_path / "film00.png")
    with pytest.raises(VideoError, match="no file or folder"):
        open_video(tmp_path / "film%02d.png")


def test_quicktime_whose_pictures_lie_in_another_file(other: Path, tmp_path: Path) -> None:
    source = encode(other.with_suffix(".mov"), n_frames=5)
    path = tmp_path / "reference.mov"
    path.write_bytes(refer_to(source.read_bytes(), "/elsewhere/private.mov"))
    with av.open(str(path), container_options={"enable_drefs": "1"}) as container:
        assert len(list(container.decode(video=0))) == 5, "FFmpeg would follow it, if told to"
    with pytest.raises(VideoError, match=r"reference\.mov.*another one, which is not opened"):
        open_video(path)


def refer_to(data: bytes, name: str) -> bytes:
    """Have a QuickTime film's track say by an alias that its pictures lie in another file."""
    # the tables are at the end, so that what is put in shifts nothing
    where = data.rindex(b"dref") + 4
    path = name.encode()
    alias = bytes(130) + struct.pack(">HH", 1, len(Path(name).parts) - 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + b"\0" * (len(path) % 2)
    alias += struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    old = data[where : where + 8 + 12]
    new = struct.pack(">II", 0, 1) + entry
    grown = len(new) - len(old)
    out = bytearray(data[:where] + new + data[where + len(old) :])
    for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = out.rindex(kind, 0, where) - 4 if kind != b"dref" else where - 8
        (size,) = struct.unpack_from(">I", out, place)
        struct.pack_into(">I", out, place, size + grown)
    return bytes(out)


def test_readers_that_open_other_files_or_run_something_are_not_on_the_list() -> None:
    names = set(DEMUXERS)
    assert len(names) == len(DEMUXERS)
    strange = {"hls", "concat", "dash", "sdp", "rtsp", "rtp", "sap", "image2", "image2pipe", "imf"}
    strange |= {"lavfi", "mlv", "vobsub", "webm_dash_manifest", "avisynth", "vapoursynth", "tty"}
    assert not names & strange
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in names)

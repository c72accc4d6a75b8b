"""H.264 that codes fields as pictures of their own: two packets make one frame."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from tests.video.clips import check_every_order
from tests.video.field_stream import write_field_stream

PLACES = {
    "all": lambda number: True,
    "from the middle on": lambda number: number >= 33,
    "here and there": lambda number: number % 7 == 3,
}


@pytest.fixture(scope="module", params=PLACES)
def stream(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    return write_field_stream(folder / "clip.h264", 60, PLACES[request.param])


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi", "ts"])
def test_fields_in_any_container(stream, ending):
    path = stream.with_suffix(f".{ending}")
    with av.open(str(stream)) as source, av.open(str(path), "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                # a packet a tick: no container knows which of them are fields
                packet.pts, packet.dts, packet.duration = number, number, 1
                packet.time_base = Fraction(1, 25)
                packet.stream = copied
                target.mux(packet)
    check_every_order(path, 60)


def test_fields_in_a_raw_stream(stream):
    check_every_order(stream, 60)

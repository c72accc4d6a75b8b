"""CVAT's tracks: outlines are labels, boxes prompts, and what CVAT leaves out is there."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.imports.foreign import told_of

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports import find_prompts, open_labels, open_prompts
from napari_sam3.labels.lineage import Division

META = """<meta><task><size>{frames}</size><mode>interpolation</mode>
<start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame><frame_filter>{steps}</frame_filter>
<original_size><width>12</width><height>10</height></original_size></task></meta>"""


def write(folder, tracks, *, frames=6, start=0, stop=5, steps="", meta=META):
    path = folder / "annotations.xml"
    head = meta.format(frames=frames, start=start, stop=stop, steps=steps)
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{head}'
        f"{tracks}</annotations>"
    )
    return path


def polygon(frame, points, *, outside=0, keyframe=1):
    return (
        f'<polygon frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" '
        f'points="{points}" z_order="0"><attribute name="a">b</attribute></polygon>'
    )


def box(frame, corners, *, outside=0, keyframe=1, more=""):
    x0, y0, x1, y1 = corners
    return (
        f'<box frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" xtl="{x0}" '
        f'ytl="{y0}" xbr="{x1}" ybr="{y1}" {more}/>'
    )


SQUARE = "1,2;5,2;5,6;1,6"


def test_a_polygon_holds_what_lies_between_its_corners_until_it_is_outside(tmp_path):
    path = write(
        tmp_path,
        f'<track id="0" label="cell">{polygon(1, SQUARE)}{polygon(2, SQUARE, keyframe=0)}'
        f"{polygon(3, SQUARE, outside=1)}</track>",
    )
    labels, told = told_of(lambda: open_labels(path))
    assert labels.shape == (6, 10, 12)
    expected = np.zeros((10, 12))
    expected[2:6, 1:5] = 1
    for n in (1, 2):
        np.testing.assert_array_equal(labels[n], expected)
    for n in (0, 3, 4, 5):
        assert not labels[n].any()
    assert labels.objects[1].class_name == "cell"
    assert labels.processed_frames().tolist() == [0, 1, 2, 3, 4, 5]
    assert any("raised by one" in one for one in told)


def test_names_and_mothers_are_known_where_attributes_tell_them(tmp_path):
    def said(**attributes):
        inside = "".join(f'<attribute name="{k}">{v}</attribute>' for k, v in attributes.items())
        return polygon(3, SQUARE).replace('<attribute name="a">b</attribute>', inside)

    path = write(
        tmp_path,
        f'<track id="0" label="cell">{polygon(0, SQUARE)}{polygon(2, SQUARE, outside=1)}</track>'
        f'<track id="4" label="cell">{said(name="Ann", mother="0", born_at="3")}</track>'
        f'<track id="5" label="cell">{said(name="Ben", mother="unknown", born_at="")}</track>',
    )
    with pytest.warns(UserWarning, match="raised by one"):
        labels = open_labels(path)
    assert labels.objects.names == {5: "Ann", 6: "Ben"}
    assert labels.objects.divisions == (Division(1, (5,), 3),)


def test_what_is_left_out_between_keyframes_is_there(tmp_path):
    """A polygon goes over into the next, holds from the last one to the end; a mask holds."""
    mask = (
        '<mask frame="0" keyframe="1" outside="0" rle="1, 2, 3" left="3" top="7" width="3" '
        'height="2"/>'
    )
    path = write(
        tmp_path,
        f'<track id="1" label="a">{polygon(0, "0,0;2,0;2,2;0,2")}{polygon(2, "4,0;6,0;6,2;4,2")}'
        f'</track><track id="2" label="b">{mask}</track>',
    )
    labels, told = told_of(lambda: open_labels(path))
    places = [np.argwhere(labels[n] == 1)[:, 1] for n in range(6)]
    assert [(p.min(), p.max()) for p in places] == [(0, 1), (2, 3), *[(4, 5)] * 4]
    for n in range(6):  # runs along the rows: one off, two on, three off
        assert np.argwhere(labels[n] == 2).tolist() == [[7, 4], [7, 5]]
    assert any("between keyframes" in one for one in told)


def test_frames_that_the_task_left_out_were_never_labelled(tmp_path):
    path = write(
        tmp_path,
        f'<track id="1" label="a">{polygon(2, SQUARE)}{polygon(6, SQUARE)}</track>',
        start=2,
        stop=8,
        steps="step=2",
    )
    labels = open_labels(path)
    assert labels.processed_frames().tolist() == [2, 4, 6, 8]
    assert labels[4].any()
    assert not labels[3].any()


def test_boxes_are_prompts_on_keyframes_and_reckoned_between(tmp_path):
    path = write(
        tmp_path,
        f'<track id="7" label="car">{box(0, (0, 0, 4, 2))}{box(4, (4, 2, 12, 10))}'
        f"{box(5, (4, 2, 12, 10), outside=1)}</track>",
    )
    found = find_prompts(path)
    assert [(f.frame_index, f.obj_id, f.is_said) for f in found.found] == [
        (0, 7, True),
        (1, 7, False),
        (2, 7, False),
        (3, 7, False),
        (4, 7, True),
    ]
    assert [f.box_xyxy for f in found.found][1:3] == [(1, 0.5, 6, 4), (2, 1, 8, 6)]
    assert found.objects[7].class_name == "car"
    prompts = open_prompts(path)
    assert [p.frame_index for p in prompts] == [0, 4]
    with pytest.raises(VideoError, match=r"boxes alone.*as prompts"):
        open_labels(path)


def test_boxes_are_cut_to_the_video_and_turned_ones_made_upright(tmp_path):
    turned = box(1, (2, 4, 8, 6), more='rotation="90"')
    path = write(
        tmp_path,
        f'<track id="1" label="a">{box(0, (-3, 1, 5, 4))}{turned}</track>'
        f'<track id="2" label="a">{box(0, (20, 20, 30, 30))}</track>',
    )
    prompts, told = told_of(lambda: open_prompts(path, size=(10, 12)))
    assert [p.box_xyxy.tolist() for p in prompts] == [[0, 1, 5, 4], pytest.approx([4, 2, 6, 8])]
    assert any("outside the frame" in one for one in told)


def test_boxes_beside_polygons_are_told(tmp_path):
    path = write(
        tmp_path,
        f'<track id="1" label="a">{polygon(0, SQUARE)}</track>'
        f'<track id="2" label="a">{box(0, (0, 0, 4, 4))}</track>'
        '<track id="3" label="a"><points frame="0" keyframe="1" outside="0" points="1,1"/></track>',
    )
    labels, told = told_of(lambda: open_labels(path))
    assert np.unique(labels[0]).tolist() == [0, 1]
    assert any("boxes are prompts" in one for one in told)
    assert any("'points' are left out" in one for one in told)
    prompts, told = told_of(lambda: open_prompts(path))
    assert [p.obj_id for p in prompts] == [2]
    assert any("polygons and masks are labels" in one for one in told)


TRACK = '<track id="1" label="a">{}</track>'
WRONG = {
    "no number of a frame": TRACK.format(polygon(-1, SQUARE)),
    "no number of a frame ": TRACK.format(polygon(10**9, SQUARE)),
    "can't be the id": f'<track id="{2**31}" label="a">{polygon(0, SQUARE)}</track>',
    "can't be the id ": f'<track id="-4" label="a">{polygon(0, SQUARE)}</track>',
    "points of a polygon": TRACK.format(polygon(0, "nan,1;2,2;3,3")),
    "finite": TRACK.format(box(0, ("nan", 0, 1, 1))),
    "runs of a mask": TRACK.format(
        '<mask frame="0" keyframe="1" outside="0" rle="9,9" left="0" top="0" width="2" height="2"/>'
    ),
    "has the place": TRACK.format(
        '<mask frame="0" keyframe="1" outside="0" rle="9" left="0" top="0" width="99999999" '
        'height="9"/>'
    ),
    "nested": "<a>" * 100 + "</a>" * 100,
    "CVAT for video 1.1": '<image id="0" name="a.png"/>',
    "no polygons and no masks": "",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_can_not_be_is_refused(tmp_path, said):
    path = write(tmp_path, WRONG[said])
    with pytest.raises(VideoError, match=said.strip()):
        open_labels(path)


def test_shapes_that_leave_the_frame_are_refused_when_it_is_drawn(tmp_path):
    far = TRACK.format(polygon(0, "0,0;900,0;900,900"))
    mask = '<mask frame="0" rle="0,4" left="11" top="0" width="2" height="2"/>'
    for track, said in ((far, "far outside"), (TRACK.format(mask), "leaves its frame")):
        labels = open_labels(write(tmp_path, track))
        with pytest.raises(VideoError, match=said):
            labels[0]


@pytest.mark.parametrize("said", ["its frames go from", "the video has"])
def test_a_video_that_can_not_be_is_refused(tmp_path, said):
    tracks = TRACK.format(polygon(0, SQUARE))
    meta = META if "frames" in said else META.replace(">12<", ">0<")
    with pytest.raises(VideoError, match=said):
        open_labels(write(tmp_path, tracks, stop=10**12 if "frames" in said else 5, meta=meta))


def test_the_size_is_that_of_the_video_where_the_file_does_not_tell(tmp_path):
    path = write(tmp_path, TRACK.format(polygon(0, SQUARE)), meta="<meta></meta>")
    with pytest.raises(VideoError, match="original_size"):
        open_labels(path)
    assert open_labels(path, size=(20, 30)).shape == (1, 20, 30)


def test_many_frames_of_many_tracks_take_no_memory(tmp_path):
    tracks = "".join(
        f'<track id="{n}" label="a">{polygon(0, SQUARE)}</track>' for n in range(1, 200)
    )
    path = write(tmp_path, tracks, stop=9_999_999)
    labels = open_labels(path)
    assert len(labels) == 10_000_000
    assert labels[9_999_999].any()
    corners = 'xtl="0" ytl="0" xbr="1" ybr="1" was='
    boxes = tracks.replace("polygon", "box").replace("points=", corners)
    path = write(tmp_path, boxes, stop=9_999_999)
    assert len(open_prompts(path)) == 199


BOMB = """<?xml version="1.0"?><!DOCTYPE annotations [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><annotations>&b;</annotations>"""
OTHERS = {
    "DOCTYPE": BOMB,
    "DOCTYPE ": '<!DOCTYPE a SYSTEM "file:///etc/hostname"><annotations/>',
    "of the kind 'svg'": "<svg/>",
    "no XML": "ids\n1\n",
    "no XML ": "",
    "no whole XML": '<annotations><track id="1">',
}


@pytest.mark.parametrize("said", OTHERS)
def test_other_xml_is_refused_by_what_it_is(tmp_path, said):
    path = tmp_path / "a.xml"
    path.write_text(OTHERS[said])
    with pytest.raises(VideoError, match=said.strip()):
        open_labels(path)
    with pytest.raises(PromptFileError, match=said.strip()):
        open_prompts(path)


def test_an_entity_is_refused_in_every_encoding(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(BOMB.replace("?>", ' encoding="utf-16"?>', 1).encode("utf-16"))
    with warnings.catch_warnings(), pytest.raises(VideoError, match="DOCTYPE"):
        open_labels(path)

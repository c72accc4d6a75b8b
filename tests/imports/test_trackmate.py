"""TrackMate's spots and tracks: outlines are labels, spots prompts, and divisions are kept."""

from __future__ import annotations

import numpy as np
import pytest
from tests.imports.foreign import told_of

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports import find_prompts, open_labels, open_prompts
from napari_sam3.imports.trackmate import TrackMateFile
from napari_sam3.labels.lineage import Division

IMAGE = (
    '<ImageData filename="cells.tif" folder="/data/" height="10" width="12" nframes="6" '
    'nslices="1" pixelheight="0.5" pixelwidth="0.5" timeinterval="30.0" voxeldepth="1.0"/>'
)
# round the pixels from 2 behind to 1 before the middle: TrackMate counts from centres of pixels
ROI = "-1.25 -1.25 0.75 -1.25 0.75 0.75 -1.25 0.75"


def spot(number, frame, x, y, roi="", z=0, radius=1.5, visible=1):
    corners = len(roi.split()) // 2
    outline = f'ROI_N_POINTS="{corners}" ' if roi else ""
    return (
        f'<Spot ID="{number}" name="ID{number}" FRAME="{frame}" POSITION_T="{frame * 30}" '
        f'POSITION_X="{x}" POSITION_Y="{y}" POSITION_Z="{z}" QUALITY="20.5" RADIUS="{radius}" '
        f'{outline}VISIBILITY="{visible}">{roi}</Spot>'
    )


def track(number, *edges, name=None):
    lines = "".join(
        f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}" LINK_COST="1.0"/>' for a, b in edges
    )
    return f'<Track name="{name or f"Track_{number}"}" TRACK_ID="{number}">{lines}</Track>'


def write(folder, spots, tracks="", kept=None, image=IMAGE):
    path = folder / "cells.xml"
    chosen = "".join(f'<TrackID TRACK_ID="{n}"/>' for n in kept or ())
    filtered = "" if kept is None else f"<FilteredTracks>{chosen}</FilteredTracks>"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><TrackMate version="7.11.1"><Log>x</Log>'
        '<Model spatialunits="micron" timeunits="sec"><FeatureDeclarations/><AllSpots>'
        f'<SpotsInFrame frame="0">{"".join(spots)}</SpotsInFrame></AllSpots>'
        f"<AllTracks>{tracks}</AllTracks>{filtered}</Model><Settings>{image}</Settings></TrackMate>"
    )
    return path


FAMILY = [spot(n, n - 10, 2, 2, ROI) for n in (10, 11)]
FAMILY += [spot(20, 2, 1.5, 2, ROI), spot(21, 2, 4, 2, ROI), spot(22, 4, 4, 3, ROI)]
EDGES = [(10, 11), (11, 20), (21, 11), (21, 22)]  # edges may be written either way round


def test_what_has_its_centre_in_an_outline_belongs_to_it(tmp_path):
    """In pixels the spot is at 4, 4, and its outline goes from 1.5 to 5.5: columns 2 to 5."""
    labels = open_labels(write(tmp_path, FAMILY, track(0, *EDGES)))
    expected = np.zeros((10, 12))
    expected[2:6, 2:6] = 1
    assert labels.shape == (6, 10, 12)
    np.testing.assert_array_equal(labels[0], expected)
    assert [np.unique(labels[n]).tolist() for n in range(6)] == [
        [0, 1],
        [0, 1],
        [0, 2, 3],
        [0],
        [0, 3],
        [0],
    ]
    assert labels.facts is not None
    assert labels.facts.pixel_size == (0.5, 0.5)
    assert labels.facts.unit == "um"
    assert labels.facts.fps == pytest.approx(1 / 30)
    assert labels.facts.name == "cells.tif"


def test_where_a_track_splits_an_object_divides(tmp_path):
    path = write(tmp_path, FAMILY, track(0, *EDGES, name="Eve"))
    file = TrackMateFile(path)
    assert file.objects.divisions == (Division(1, (2, 3), 2),)
    assert file.objects[1].name == "Eve"
    assert file.tracks().tolist() == [
        [1, 0, 4, 4],
        [1, 1, 4, 4],
        [2, 2, 4, 3],
        [3, 2, 4, 8],
        [3, 4, 6, 8],
    ]


def test_ids_are_those_of_trackmate_s_own_labels_and_filters_hold(tmp_path):
    spots = [spot(n, n % 3, 2, 2, ROI) for n in range(9)]
    tracks = track(4, (0, 1), (1, 2)) + track(7, (3, 4)) + track(9, (6, 7), (7, 8))
    path = write(tmp_path, spots, tracks, kept=[9, 4])
    _, told = told_of(lambda: open_labels(path))
    assert sorted({i for i, _ in TrackMateFile(path).spots}) == [5, 10]
    assert any("spots of no track are left out (3)" in one for one in told)


def test_spots_that_tell_their_objects_keep_their_ids_and_names(tmp_path):
    told = {10: (9, "Eve"), 11: (9, "Eve"), 20: (4, "4"), 21: (70_000, "Ann"), 22: (70_000, "Ann")}
    spots = [
        one.replace(f'name="ID{n}"', f'name="{name}" OBJECT_ID="{i}"')
        for one, (n, (i, name)) in zip(FAMILY, told.items(), strict=True)
    ]
    alone = spot(30, 5, 2, 2, ROI).replace("name=", 'OBJECT_ID="6" name=')
    labels = open_labels(write(tmp_path, [*spots, alone], track(0, *EDGES)))
    assert [np.unique(labels[n]).tolist() for n in (0, 2, 5)] == [[0, 9], [0, 4, 70_000], [0, 6]]
    assert labels.objects.divisions == (Division(9, (4, 70_000), 2),)
    assert labels.objects.names == {6: "ID30", 9: "Eve", 70_000: "Ann"}
    wrong = [one.replace('OBJECT_ID="9"', 'OBJECT_ID="0"') for one in spots]
    with pytest.raises(VideoError, match="OBJECT_ID 0"):
        open_labels(write(tmp_path, wrong, track(0, *EDGES)))


def test_where_objects_merge_one_goes_on_and_it_is_told(tmp_path):
    spots = [spot(1, 0, 2, 2), spot(2, 0, 4, 2), spot(3, 1, 3, 2)]
    file = TrackMateFile(write(tmp_path, spots, track(0, (1, 3), (2, 3))))
    assert [i for i, _ in file.spots] == [1, 2, 1]
    assert file.told == ["objects that merge into one end there, all but the first (1)"]


def test_spots_are_prompts_in_pixels(tmp_path):
    """A spot at 2 um is at pixel 4, whose centre is 4.5 here; its radius is 3 px."""
    path = write(tmp_path, [spot(1, 0, 2, 2), spot(2, 3, 2, 1, ROI)], track(2, (1, 2)))
    prompts = open_prompts(path, size=(10, 12))
    assert [(p.frame_index, p.obj_id) for p in prompts] == [(0, 3), (3, 3)]
    assert prompts[0].points_xy.tolist() == [[4.5, 4.5]]
    assert prompts[0].box_xyxy.tolist() == [1.5, 1.5, 7.5, 7.5]
    assert not len(prompts[1].points_xy)
    assert prompts[1].box_xyxy.tolist() == [2, 0, 6, 4]
    labels, told = told_of(lambda: open_labels(path))
    assert any("drawn as discs (1)" in one for one in told)
    assert labels[0][4, 2:7].all()
    assert not labels[0][4, 8]


def test_without_tracks_each_visible_spot_is_an_object(tmp_path):
    path = write(tmp_path, [spot(5, 0, 1, 1), spot(6, 1, 1, 1), spot(7, 1, 2, 2, visible=0)])
    found = find_prompts(path)
    assert [(f.frame_index, f.obj_id) for f in found.found] == [(0, 1), (1, 2)]
    assert found.told == ["it has no tracks; each spot is an object of its own"]
    with pytest.raises(VideoError, match="spots without outlines"):
        open_labels(path)


def test_the_size_is_that_of_the_video_where_the_file_does_not_tell(tmp_path):
    path = write(tmp_path, [spot(1, 2, 2, 2, ROI)], image="")
    with pytest.raises(VideoError, match="size of the video"):
        open_labels(path)
    labels = open_labels(path, size=(30, 40))
    assert labels.shape == (3, 30, 40)
    assert labels.facts is None


WRONG = {
    "on frame -1": ([spot(1, -1, 2, 2, ROI)], ""),
    "on frame 99999999": ([spot(1, 99999999, 2, 2, ROI)], ""),
    "is at": ([spot(1, 0, "NaN", 2, ROI)], ""),
    "is at ": ([spot(1, 0, 2, 2, ROI, radius="-Infinity")], ""),
    "two spots have the ID 1": ([spot(1, 0, 2, 2), spot(1, 1, 2, 2)], ""),
    "of a volume": ([spot(1, 0, 2, 2, ROI), spot(2, 1, 2, 2, ROI, z=3)], ""),
    "outline of spot 1": ([spot(1, 0, 2, 2, ROI).replace('"4"', '"99999999"')], ""),
    "outline of spot 1 ": ([spot(1, 0, 2, 2, "nan 0 1 1 2 2")], ""),
    "no spots": ([], ""),
    "not there": ([spot(1, 0, 2, 2, ROI)], track(0, (1, 2))),
    "of one frame": ([spot(1, 0, 2, 2), spot(2, 0, 2, 2)], track(0, (1, 2))),
    "in two tracks": (
        [spot(n, n, 2, 2) for n in range(3)],
        track(0, (0, 1)) + track(1, (1, 2)),
    ),
    "can't be the id": ([spot(1, 0, 2, 2), spot(2, 1, 2, 2)], track(2**31 - 1, (1, 2))),
    "can't be the id ": ([spot(1, 0, 2, 2), spot(2, 1, 2, 2)], track(-9, (1, 2))),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_can_not_be_is_refused(tmp_path, said):
    spots, tracks = WRONG[said]
    path = write(tmp_path, spots, tracks)
    for opening, error in ((open_labels, VideoError), (open_prompts, PromptFileError)):
        with pytest.raises(error, match=said.strip()):
            opening(path)


def test_outlines_far_outside_are_refused_and_discs_cut_to_the_frame(tmp_path):
    spots = [spot(1, 0, 1e30, 2, ROI), spot(2, 1, 2, 2, radius=1e30), spot(3, 1, -1e30, 2)]
    with pytest.warns(UserWarning, match="drawn as discs"):
        labels = open_labels(write(tmp_path, spots))
    with pytest.raises(VideoError, match="far outside"):
        labels[0]
    assert (labels[1] == 2).all()


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('pixelwidth="0.5"', 'pixelwidth="0"'),
        ('pixelwidth="0.5"', 'pixelwidth="-1"'),
        ('nframes="6"', 'nframes="-6"'),
        ('nframes="6"', 'nframes="99999999999"'),
        ('width="12"', 'width="99999999999"'),
        ('pixelwidth="0.5"', 'pixelwidth="NaN"'),
    ],
)
def test_a_video_that_can_not_be_is_refused(tmp_path, was, now):
    assert was in IMAGE
    image = IMAGE.replace(f" {was}", f" {now}")
    with pytest.raises(VideoError):
        open_labels(write(tmp_path, [spot(1, 0, 2, 2, ROI)], image=image))

"""MOTChallenge's boxes are prompts, counted from 1 there and from 0 here."""

from __future__ import annotations

import pytest
from tests.imports.foreign import told_of

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports import open_labels, open_prompts


def write(folder, text, name="gt.txt"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["gt.txt", "boxes.csv"])
def test_the_first_pixel_frame_and_id_are_1(tmp_path, name):
    path = write(tmp_path, "1,1,1,1,4,3,0.9,-1,-1,-1\n3, 2, 5.5, 6, 2, 2, 1\n", name)
    prompts = open_prompts(path)
    assert [(p.frame_index, p.obj_id) for p in prompts] == [(0, 1), (2, 2)]
    assert [p.box_xyxy.tolist() for p in prompts] == [[0, 0, 4, 3], [4.5, 5, 6.5, 7]]


def test_what_does_not_count_in_a_truth_is_left_out(tmp_path):
    path = write(tmp_path, "1,1,1,1,4,3,1,1,0.5\n1,2,1,1,4,3,0,7,1\n")
    prompts, told = told_of(lambda: open_prompts(path))
    assert [p.obj_id for p in prompts] == [1]
    assert any("do not count" in one for one in told)


def test_boxes_are_cut_to_the_video(tmp_path):
    path = write(tmp_path, "1,1,-4,1,40,30,1,-1,-1,-1\n2,1,100,100,5,5,1,-1,-1,-1\n")
    prompts, told = told_of(lambda: open_prompts(path, size=(10, 12)))
    assert [p.box_xyxy.tolist() for p in prompts] == [[0, 0, 12, 10]]
    assert any("outside the frame is left out (1)" in one for one in told)
    with (
        pytest.raises(PromptFileError, match="nothing to track"),
        pytest.warns(UserWarning, match="outside"),
    ):
        open_prompts(write(tmp_path, "2,1,100,100,5,5\n"), size=(10, 12))


ROW = "1,1,1,1,4,3\n"
WRONG = {
    "frame 0; frames count from 1": "0,1,1,1,4,3\n",
    "frame -3": "-3,1,1,1,4,3\n",
    "frame 99999999": "99999999,1,1,1,4,3\n",
    "detections without tracks": "1,-1,1,1,4,3\n",
    "can't be the id": f"1,{2**31},1,1,4,3\n",
    "can't be the id ": "1,-2,1,1,4,3\n",
    "without an area": "1,2,1,1,0,3\n",
    "without an area ": "1,2,1e999,1,4,3\n",
    "two boxes on frame 1": ROW,
    "line 2 is 'nan": "nan,1,1,1,4,3\n",
    "line 2 is '1,2,3": "1,2,3\n",
    "line 2 is 'a": "a table of something\n",
    "whole number": "1.5,2,1,1,4,3\n",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_can_not_be_is_refused(tmp_path, said):
    with pytest.raises(PromptFileError, match=said.strip()):
        open_prompts(write(tmp_path, ROW + WRONG[said]))


def test_boxes_are_no_labels_and_other_text_no_boxes(tmp_path):
    with pytest.raises(VideoError, match="give them as prompts"):
        open_labels(write(tmp_path, ROW))
    with pytest.raises(PromptFileError, match="has no column 'frame'"):
        open_prompts(write(tmp_path, "1 2 3"))


def test_tables_and_files_of_our_own_are_read_as_before(tmp_path):
    path = write(tmp_path, "frame,object,kind,x,y\n2,5,point,3,4\n", "prompts.csv")
    (prompt,) = open_prompts(path)
    assert (prompt.frame_index, prompt.obj_id, prompt.points_xy.tolist()) == (2, 5, [[3, 4]])
    path = write(
        tmp_path,
        '{"format": "napari-sam3 prompts", "version": 1, "prompts": [{"frame": 1, "text": "x"}]}',
        "prompts.json",
    )
    assert open_prompts(path)[0].text == "x"
    with pytest.raises(PromptFileError, match="can't be read"):
        open_prompts(tmp_path / "missing.csv")

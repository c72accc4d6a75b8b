"""YOLO's files: parts of a picture become pixels of it, by the rule of YOLO's own tools."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.imports.foreign import told_of

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports import open_labels, open_prompts

SIZE = (10, 20)
SQUARE = "0.1 0.2 0.25 0.2 0.25 0.5 0.1 0.5"  # x 2 to 5, y 2 to 5


def pictures(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(folder / name)


def texts(folder, **said):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in said.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_an_outline_and_what_it_touches_become_pixels(tmp_path):
    """YOLO's tools cut corners to whole numbers and fill up to them: x and y from 2 to 5."""
    pictures(tmp_path, ["a0.png", "a1.png", "a2.png"])
    texts(tmp_path, a0=f"0 {SQUARE}\n", a2=f"1 {SQUARE}\n0 0.9 0.9 0.99 0.9 0.99 0.99\n")
    (tmp_path / "classes.txt").write_text("cell\nbead\n")
    labels, told = told_of(lambda: open_labels(tmp_path))
    expected = np.zeros(SIZE)
    expected[2:6, 2:6] = 1
    assert labels.shape == (3, *SIZE)
    np.testing.assert_array_equal(labels[0], expected)
    assert np.unique(labels[2]).tolist() == [0, 2, 3]
    # a picture without a file has nothing on it, as in training
    assert labels.processed_frames().tolist() == [0, 1, 2]
    assert [labels.objects[n].class_name for n in (1, 2, 3)] == ["cell", "bead", "cell"]
    assert any("each is an object of its own" in one for one in told)


def test_numbers_of_six_digits_mean_the_pixels_that_were_written(tmp_path):
    width, height = 1021, 7
    for x in range(width):
        corners = " ".join(
            f"{px / width:.6f} {py / height:.6f}" for px, py in [(x, 1), (x, 5), (x, 5), (x, 1)]
        )
        if x % 97 == 0:
            texts(tmp_path, a=f"0 {corners}")
            labels = open_labels(tmp_path / "a.txt", size=(height, width))
            assert np.argwhere(labels[0]).tolist() == [[y, x] for y in range(1, 6)]


def test_a_data_set_is_found_by_its_folders(tmp_path):
    pictures(tmp_path / "images" / "train", ["f3.jpg", "f10.jpg"])
    texts(tmp_path / "labels" / "train", f3=f"0 {SQUARE}", f10=f"1 {SQUARE}")
    (tmp_path / "data.yaml").write_text("path: .\nnames:\n  0: cell\n  1: bead\n")
    for place in (tmp_path, tmp_path / "labels", tmp_path / "labels" / "train"):
        labels = open_labels(place)
        assert labels.shape == (2, *SIZE)
        assert labels.objects.classes == {1: "cell", 2: "bead"}
    texts(tmp_path / "labels" / "val", f4="")
    texts(tmp_path / "labels" / "val", f5=f"0 {SQUARE}")
    with pytest.raises(VideoError, match="several sets of pictures"):
        open_labels(tmp_path)


def test_a_tracker_s_ids_and_confidences_are_known(tmp_path):
    folder = texts(tmp_path / "a", t0=f"0 {SQUARE} 7", t1=f"0 {SQUARE} 7\n0 {SQUARE} 8")
    labels = open_labels(folder, size=SIZE)
    assert np.unique(labels[1]).tolist() == [0, 7]  # of equals the first keeps the pixel
    folder = texts(tmp_path / "b", t0=f"0 {SQUARE} 0.5 7", t1=f"0 {SQUARE} 0.25 9")
    labels = open_labels(folder, size=SIZE)
    assert list(labels.notes(1)) == [9]
    assert labels.notes(0)[7].score == 0.5
    folder = texts(tmp_path / "c", t0=f"0 {SQUARE} 0.5")
    assert open_labels(folder, size=SIZE).notes(0)[1].score == 0.5
    # a corner that lies at the far edge is no id
    folder = texts(tmp_path / "d", t0="0 0 0 1 0 1 1")
    assert open_labels(folder, size=SIZE)[0].sum() > 90


def test_boxes_are_prompts(tmp_path):
    folder = texts(
        tmp_path, t0="0 0.5 0.5 0.2 0.4 3", t1="0 0.5 0.5 0.2 0.4 3\n1 0.9 0.9 0.4 0.4 4"
    )
    prompts = open_prompts(folder, size=SIZE)
    assert [(p.frame_index, p.obj_id) for p in prompts] == [(0, 3), (1, 3), (1, 4)]
    assert prompts[0].box_xyxy.tolist() == pytest.approx([8, 3, 12, 7])
    assert prompts[2].box_xyxy.tolist() == pytest.approx([14, 7, 20, 10])  # cut to the video
    with pytest.raises(VideoError, match="boxes alone"):
        open_labels(folder, size=SIZE)
    with pytest.raises(PromptFileError, match="no boxes"):
        open_prompts(texts(tmp_path / "a", t0=f"0 {SQUARE}"), size=SIZE)


def test_without_pictures_the_size_must_be_told(tmp_path):
    folder = texts(tmp_path, t0=f"0 {SQUARE}")
    with pytest.raises(VideoError, match="does not tell the size"):
        open_labels(folder)
    with pytest.raises(VideoError, match="at most"):
        open_labels(folder, size=(2**20, 2**20))


WRONG = {
    "no parts of a picture": f"0 {SQUARE}\n0 3 4 5 6 7 8",
    "no parts of a picture ": f"0 {SQUARE}\n0 nan 0.1 0.2 0.1 0.3 0.3",
    "no class with a box": f"0 {SQUARE}\n0 0.1 0.1",
    "no class with a box ": f"0 {SQUARE}\n0.5 {SQUARE}",
    "can't be read": f"0 {SQUARE}\ncell {SQUARE}",
    "can't be the id": f"0 {SQUARE} {2**31}",
}


@pytest.mark.parametrize("said", WRONG)
def test_what_can_not_be_is_refused(tmp_path, said):
    folder = texts(tmp_path, t0=WRONG[said])
    with pytest.raises(VideoError, match=said.strip()):
        open_labels(folder, size=SIZE)


@pytest.mark.parametrize("text", ["some words", "1,2,3,4,5,6", "0.5 0.1 0.1 0.2 0.2", "3 4"])
def test_other_text_is_no_label(tmp_path, text):
    folder = texts(tmp_path, t0=text)
    with pytest.raises(VideoError, match="no format of labels"):
        open_labels(folder / "t0.txt", size=SIZE)
    with pytest.raises(VideoError, match="no pictures"):
        open_labels(folder, size=SIZE)


def test_a_folder_of_masks_with_notes_beside_them_is_one_of_masks(tmp_path):
    for n in range(2):
        Image.fromarray(np.full(SIZE, n, np.uint8)).save(tmp_path / f"{n}.png")
    (tmp_path / "readme.txt").write_text("0 1 2 3 4 5")
    (tmp_path / "settings.txt").write_text("0 1 2 3 4 5")
    assert open_labels(tmp_path)[1].all()

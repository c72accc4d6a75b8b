"""Prompts: what each kind gives, ids, refinement, removal."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.values import ObjectMask
from tests.conftest import CENTRES, SIZE, disc_mask


def assert_well_formed(outputs):
    total = np.zeros(SIZE, int)
    for obj_id, found in outputs.items():
        assert type(obj_id) is int
        assert obj_id >= 1
        mask = found["mask"]
        assert mask.shape == SIZE
        assert mask.dtype == bool
        assert 0 <= found["score"] <= 1
        x0, y0, x1, y1 = found["bbox"]
        assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
        assert tuple(found["bbox"]) == ObjectMask.from_mask(mask).bbox
        total += mask
    assert total.max(initial=0) <= 1


@pytest.mark.parametrize("kind", ["points", "box", "mask", "box and points", "mask and points"])
def test_every_kind_finds_the_disc(talk, kind):
    x, y = CENTRES[1]
    fields = {}
    if "points" in kind:
        fields |= {"points": [[x, y]], "point_labels": [1]}
    if "box" in kind:
        fields |= {"bounding_boxes": [talk.box()], "bounding_box_labels": [1]}
    if "mask" in kind:
        fields |= {"mask": disc_mask(0), "obj_id": 1}
    outputs = talk.prompt(**fields)
    assert list(outputs) == [1]
    assert_well_formed(outputs)
    talk.assert_sees(outputs, 1, 0)


def test_labels_left_out_are_positive(predictor, talk, disc_film):
    other = type(talk)(predictor, video=disc_film)
    told = talk.prompt(points=[CENTRES[1]], point_labels=[1])
    silent = other.prompt(points=[CENTRES[1]])
    assert np.array_equal(told[1]["mask"], silent[1]["mask"])


def test_numpy_and_lists_are_the_same(predictor, disc_film, talk):
    other = type(talk)(predictor, video=disc_film)
    x, y = CENTRES[1]
    a = talk.prompt(np.int64(0), points=[[x, y]], point_labels=[1], obj_id=3)
    b = other.prompt(0, points=np.float32([[x, y]]), point_labels=np.array([1]), obj_id=np.int32(3))
    assert np.array_equal(a[3]["mask"], b[3]["mask"])


def test_each_click_without_id_is_a_new_object_and_all_are_answered(talk):
    assert list(talk.click(which=1)) == [1]
    outputs = talk.click(which=2)
    assert list(outputs) == [1, 2]
    assert_well_formed(outputs)


def test_each_box_is_an_object(talk):
    outputs = talk.prompt(bounding_boxes=[talk.box(1), talk.box(2)])
    assert list(outputs) == [1, 2]
    for which in (1, 2):
        talk.assert_sees(outputs, which, 0, which)


def test_points_refine_the_box_that_holds_them(talk):
    outputs = talk.prompt(bounding_boxes=[talk.box(1), talk.box(2)], points=[CENTRES[2]])
    assert list(outputs) == [1, 2]


def test_caller_names_an_id_and_issued_ids_go_on_from_there(talk):
    assert list(talk.click(which=1, obj_id=7)) == [7]
    assert list(talk.click(which=2)) == [7, 8]


def test_prompt_with_id_refines(talk):
    before = talk.click(obj_id=1)[1]["mask"]
    x, y = CENTRES[1]
    after = talk.prompt(points=[[x, y - 8]], point_labels=[0], obj_id=1)
    assert list(after) == [1]
    assert not np.array_equal(after[1]["mask"], before)


def test_negative_click_takes_away_what_it_is_on(seeing_talk):
    before = seeing_talk.click(obj_id=1)[1]["mask"]
    x, y = CENTRES[1]
    after = seeing_talk.prompt(points=[[x, y - 8]], point_labels=[0], obj_id=1)
    assert not after[1]["mask"][int(y - 8), int(x)]
    assert after[1]["mask"].sum() < before.sum()


def test_prompts_on_a_frame_add_up_until_cleared(fake_talk):
    x, y = CENTRES[1]
    one = fake_talk.click()[1]["mask"]
    both = fake_talk.prompt(points=[[x + 50, y]], obj_id=1)[1]["mask"]
    assert both.sum() > one.sum()
    replaced = fake_talk.prompt(points=[[x, y]], obj_id=1, clear_old_points=True)[1]["mask"]
    assert np.array_equal(replaced, one)


def test_mask_prompt_is_taken_as_painted(talk):
    painted = disc_mask(0)
    painted[50:60, 100:130] = True
    outputs = talk.prompt(mask=painted, obj_id=4)
    assert np.array_equal(outputs[4]["mask"], painted)


def test_higher_score_keeps_the_pixel(fake_talk):
    fake_talk.click()  # score 0.9
    outputs = fake_talk.prompt(mask=disc_mask(0), obj_id=2)  # score 1.0
    assert list(outputs) == [2]


def test_point_on_the_far_edge_is_the_last_pixel(fake_talk):
    height, width = SIZE
    mask = fake_talk.prompt(points=[[width, height]])[1]["mask"]
    assert mask[-1, -1]


def test_removed_object_is_gone_and_its_id_stays_unused(talk):
    talk.click(which=1)
    talk.click(which=2)
    assert talk.remove(1, is_user_action=True) == {"is_success": True}
    assert list(talk.click(which=1)) == [2, 3]
    assert all(1 not in outputs for outputs in talk.track().values())
    with pytest.raises(RuntimeError, match="object 1 was removed"):
        talk.click(obj_id=1)


def test_reset_is_as_just_after_the_start(talk):
    talk.click(which=1)
    talk.track()
    assert talk.send("reset_session", session_id=talk.id) == {"is_success": True}
    with pytest.raises(RuntimeError, match="no prompt"):
        talk.stream()
    outputs = talk.click(which=2)
    assert list(outputs) == [1]
    talk.assert_sees(outputs, 1, 0, 2)


def test_sessions_side_by_side_do_not_meet(talk, predictor, disc_film):
    other = type(talk)(predictor, video=disc_film)
    assert other.id != talk.id
    talk.click(which=1)
    assert list(other.click(which=2)) == [1]
    talk.send("close_session", session_id=talk.id)
    assert list(other.click(which=1)) == [1, 2]
    with pytest.raises(RuntimeError, match="no session"):
        talk.click()


@pytest.mark.parametrize("kind", ["folder", "image", "video"])
def test_every_resource(predictor, talk, disc_folder, disc_film, tmp_path, kind):
    from napari_sam3.video.video_writer import VideoWriter

    path = {"folder": disc_folder, "image": disc_folder / "frame0.png"}.get(kind)
    if path is None:
        path = tmp_path / "discs.mp4"
        with VideoWriter(path, fps=10) as writer:
            for frame in disc_film:
                writer.write(frame)
    other = type(talk)(predictor, resource_path=str(path), session_id="mine")
    assert other.id == "mine"
    other.click()
    tracked = other.track()
    assert list(tracked) == list(range(1 if kind == "image" else len(disc_film)))
    for frame_index, outputs in tracked.items():
        other.assert_sees(outputs, 1, frame_index)

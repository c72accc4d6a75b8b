"""Of what is found, what is new; and what of it is proposed on later frames."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import track_video
from napari_sam3.detection import NewObjects, known_of_prompts, new_objects, propose
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.values import ObjectMask

SIZE = (60, 80)


def box(x0, y0, x1, y1, score=1.0):
    return ObjectMask(np.ones((y1 - y0, x1 - x0), bool), (x0, y0, x1, y1), SIZE, score)


CELL = box(20, 20, 40, 40)


@pytest.mark.parametrize(
    ("other", "is_new"),
    [
        (box(50, 20, 70, 40), True),  # elsewhere
        (box(40, 20, 60, 40), True),  # beside it
        (box(38, 20, 58, 40), True),  # a tenth in common: neighbours drawn wide
        (box(34, 20, 54, 40), False),  # three tenths
        (box(22, 22, 27, 27), False),  # a piece of it
        (box(10, 10, 60, 50), False),  # a clump with it
        (CELL, False),
    ],
)
def test_new_is_what_has_less_than_a_fifth_in_common(other, is_new):
    assert new_objects([other], [CELL]) == ([other] if is_new else [])


def test_without_known_ones_all_are_new_in_their_order():
    found = [box(50, 0, 60, 10), CELL]
    assert new_objects(found, []) == found


def test_masks_boxes_and_clicks_on_a_frame_are_known_there():
    prompts = [
        SavedPrompt(3, 1, mask=CELL),
        SavedPrompt(3, 2, box_xyxy=np.array([50.0, 5, 70, 15])),
        SavedPrompt(3, 3, np.array([[5.5, 5.5], [60.5, 50.5]]), np.array([True, False])),
        SavedPrompt(4, 4, mask=box(0, 40, 20, 60)),
        SavedPrompt(3, 5, np.array([[80.0, 60.0]])),  # on the very corner of the picture
    ]
    known = known_of_prompts(prompts, 3, SIZE)
    found = [CELL, box(50, 5, 70, 15), box(0, 0, 10, 10), box(55, 45, 65, 55), box(0, 40, 20, 60)]
    assert new_objects(found, known) == found[3:]


def test_proposals_are_mask_prompts_with_ids_that_nobody_has():
    prompts = propose([CELL, box(0, 0, 5, 5)], 7, taken={1, 3})
    assert [(p.frame_index, p.obj_id, p.mask.bbox) for p in prompts] == [
        (7, 2, (20, 20, 40, 40)),
        (7, 4, (0, 0, 5, 5)),
    ]


def test_proposals_can_be_tracked():
    film = np.zeros((3, *SIZE), np.uint8)
    with track_video(film, propose([CELL], 0), model="fake") as tracked:
        np.testing.assert_array_equal(tracked.labels[0], CELL.mask)


class Scripted:
    """Finds what is written down for each frame, which is known by its grey."""

    def __init__(self, found):
        self.found = found

    def detect(self, frame):
        return self.found[int(frame[0, 0, 0])]

    def close(self):
        pass


def test_what_stays_new_is_proposed_as_one_object():
    frames = [np.full((*SIZE, 3), number, np.uint8) for number in range(4)]
    comer = box(0, 0, 10, 10)
    detector = Scripted([[CELL], [CELL, comer], [box(1, 1, 11, 11), CELL, box(60, 0, 70, 9)], []])
    looking = NewObjects(detector, frames, taken=[1, 2])
    ids = [[p.obj_id for p in looking.look_at(i, {1: CELL})] for i in range(4)]
    assert ids == [[], [3], [3, 4], []]
    assert [(p.frame_index, p.obj_id) for p in looking.prompts] == [(1, 3), (2, 3), (2, 4)]
    assert looking.object_ids == [3, 4]

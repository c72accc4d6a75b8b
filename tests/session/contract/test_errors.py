"""Every wrong request is a RuntimeError that says what was wrong, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import RequestError
from tests.conftest import SIZE
from tests.session.contract.test_propagation import assert_same

POINT = {"frame_index": 0, "points": [[30, 40]]}
WRONG = {
    # type and fields
    "no type": ({"type": None}, "unknown request type None"),
    "unknown type": ({"type": "add_promt"}, "did you mean 'add_prompt'"),
    "stream to handle_request": (
        {"type": "propagate_in_video", "propagation_direction": "forward"},
        "handle_stream_request",
    ),
    "missing field": ({"type": "add_prompt", "points": [[1, 1]]}, "needs the field 'frame_index'"),
    "unknown field": ({**POINT, "bounding_box": []}, "did you mean 'bounding_boxes'"),
    "unknown session": ({**POINT, "session_id": "nobody"}, "no session 'nobody'"),
    "session id of another kind": ({**POINT, "session_id": 5}, "no session 5"),
    # frames
    "frame too high": ({**POINT, "frame_index": 12}, "frame_index 12 is out of range"),
    "negative frame": ({**POINT, "frame_index": -1}, "frame_index -1 is out of range"),
    "frame is bool": ({**POINT, "frame_index": True}, "must be an integer, not True"),
    "frame is float": ({**POINT, "frame_index": 1.0}, "must be an integer, not 1.0"),
    # points
    "nothing": ({"frame_index": 0}, "needs text, points, boxes or a mask"),
    "empty points": ({"frame_index": 0, "points": []}, "none was given"),
    "flat points": ({"frame_index": 0, "points": [3, 4]}, "shape"),
    "three coordinates": ({"frame_index": 0, "points": [[1, 2, 3]]}, "shape"),
    "words": ({"frame_index": 0, "points": [["a", "b"]]}, "must be numbers"),
    "ragged": ({"frame_index": 0, "points": [[1, 2], [3]]}, "must be numbers"),
    "nan": ({"frame_index": 0, "points": [[float("nan"), 2]]}, "finite"),
    "inf": ({"frame_index": 0, "points": [[float("inf"), 2]]}, "finite"),
    "outside right": ({"frame_index": 0, "points": [[160.5, 2]]}, "outside the image"),
    "outside above": ({"frame_index": 0, "points": [[5, -0.5]]}, "outside the image"),
    "too few labels": (
        {**POINT, "points": [[1, 1], [2, 2]], "point_labels": [1]},
        "1 labels for 2",
    ),
    "label 2": ({**POINT, "point_labels": [2]}, "1 .positive. and 0"),
    "label words": ({**POINT, "point_labels": ["yes"]}, "1 .positive. and 0"),
    "labels without points": ({"frame_index": 0, "point_labels": [1]}, "1 labels for 0"),
    "negative only": ({**POINT, "point_labels": [0]}, "negative points alone"),
    "negative only, new id": ({**POINT, "point_labels": [0], "obj_id": 9}, "negative points alone"),
    # boxes
    "box in pixels": ({"frame_index": 0, "bounding_boxes": [[30, 40, 20, 20]]}, "outside 0..1"),
    "box over the edge": ({"frame_index": 0, "bounding_boxes": [[0.9, 0.5, 0.4, 0.2]]}, "reaches"),
    "box without area": ({"frame_index": 0, "bounding_boxes": [[0.5, 0.5, 0, 0.2]]}, "no area"),
    "box nan": ({"frame_index": 0, "bounding_boxes": [[0.5, 0.5, float("nan"), 0.2]]}, "finite"),
    "flat box": ({"frame_index": 0, "bounding_boxes": [0.5, 0.5, 0.2, 0.2]}, "shape"),
    "negative box": (
        {"frame_index": 0, "bounding_boxes": [[0.5, 0.5, 0.2, 0.2]], "bounding_box_labels": [0]},
        "negative box needs text",
    ),
    "box labels": (
        {"frame_index": 0, "bounding_boxes": [[0.5, 0.5, 0.2, 0.2]], "bounding_box_labels": [1, 1]},
        "2 labels for 1",
    ),
    "two boxes, one id": (
        {"frame_index": 0, "bounding_boxes": [[0.5, 0.5, 0.2, 0.2]] * 2, "obj_id": 1},
        "2 boxes for object 1",
    ),
    # masks
    "mask shape": ({"frame_index": 0, "mask": np.ones((5, 5), bool)}, "shape"),
    "mask empty": ({"frame_index": 0, "mask": np.zeros(SIZE, bool)}, "empty"),
    "mask values": ({"frame_index": 0, "mask": np.full(SIZE, 7)}, "mask > 0"),
    "mask and text": (
        {"frame_index": 0, "mask": np.ones(SIZE, bool), "text": "dog"},
        "two prompts",
    ),
    # ids, text, flags
    "id 0": ({**POINT, "obj_id": 0}, "from 1"),
    "id bool": ({**POINT, "obj_id": True}, "must be an integer"),
    "id too big": ({**POINT, "obj_id": 2**31}, "from 1"),
    "empty text": ({"frame_index": 0, "text": "  "}, "text must be"),
    "text is a number": ({"frame_index": 0, "text": 5}, "text must be"),
    "exemplar without boxes": ({**POINT, "exemplar": True}, "boxes round the examples"),
    "flag": ({**POINT, "clear_old_points": "yes"}, "True or False"),
    "remove unknown": ({"type": "remove_object", "obj_id": 5}, "no object 5 to remove.*1"),
    "remove word": ({"type": "remove_object", "obj_id": "1"}, "must be an integer"),
    "user action": ({"type": "remove_object", "obj_id": 1, "is_user_action": 3}, "True or False"),
    "text is an array": ({"frame_index": 0, "text": np.array(["a", "b"])}, "text must be"),
    "frame is an array": ({**POINT, "frame_index": np.arange(2)}, "must be an integer"),
    "id is an array": ({**POINT, "obj_id": np.arange(2)}, "must be an integer"),
    "flag is an array": ({**POINT, "exemplar": np.ones(2, bool)}, "True or False"),
    "session id is an array": ({**POINT, "session_id": np.arange(2)}, "no session"),
    "type is an array": ({"type": np.arange(2)}, "unknown request type"),
    "points are objects": ({"frame_index": 0, "points": np.array([[{}, 1]])}, "must be numbers"),
    "points are complex": ({"frame_index": 0, "points": [[1j, 2]]}, "must be numbers"),
    "mask of floats": ({"frame_index": 0, "mask": np.full(SIZE, 0.5)}, "mask > 0"),
    "taken session id": ({"type": "start_session", "video": np.zeros((2, 4, 4))}, "in use"),
}


def assert_is_refused(talk, case):
    fields, message = WRONG[case]
    request = {"type": "add_prompt", "session_id": talk.id, **fields}
    with pytest.raises(RequestError, match=message) as caught:
        talk.predictor.handle_request(request)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_request_changes_nothing(fake_talk, case):
    fake_talk.click()
    before = fake_talk.track()
    assert_is_refused(fake_talk, case)
    assert_same(fake_talk.track(), before)
    assert list(fake_talk.click(which=2)) == [1, 2]


# of every model
def test_all_wrong_requests_change_nothing(talk):
    talk.click()
    before = talk.track()
    for case in WRONG:
        assert_is_refused(talk, case)
    assert_same(talk.track(), before)
    assert list(talk.click(which=2)) == [1, 2]


WRONG_STREAMS = (
    ({"propagation_direction": "sideways"}, "'forward', 'backward' or 'both', not 'sideways'"),
    ({"propagation_direction": np.array(["forward", "both"])}, "must be 'forward'"),
    ({"propagation_direction": ["forward"]}, "must be 'forward'"),
    ({"propagation_direction": 5}, "must be 'forward'"),
    ({"start_frame_index": np.arange(2)}, "must be an integer"),
    ({"max_frame_num_to_track": np.arange(2)}, "must be an integer"),
    ({"propagation_direction": None}, "needs the field 'propagation_direction'"),
    ({"start_frame_index": 12}, "start_frame_index 12 is out of range"),
    ({"start_frame_index": 1.5}, "must be an integer"),
    ({"max_frame_num_to_track": 0}, "at least 1"),
    ({"max_frame_num_to_track": True}, "must be an integer"),
    ({"frames": 3}, "no field 'frames'"),
    ({"type": "add_prompt"}, "handle_request"),
    ({"session_id": "nobody"}, "no session"),
)


def test_wrong_streams_are_refused_at_the_call(talk):
    talk.click()
    for fields, message in WRONG_STREAMS:
        with pytest.raises(RequestError, match=message):
            talk.stream(**{"direction": "forward", **fields})
    assert len(talk.track()) == 12


def test_propagation_before_any_prompt(talk):
    with pytest.raises(RequestError, match="no prompt"):
        talk.stream()


@pytest.mark.parametrize("request_", [None, [], "add_prompt", {}])
def test_request_that_is_none(predictor, request_):
    with pytest.raises(RequestError, match=r"dict|no 'type'"):
        predictor.handle_request(request_)


def test_bad_resources(predictor, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    (tmp_path / "empty").mkdir()
    cases = [
        {"resource_path": str(tmp_path / "nowhere.mp4")},
        {"resource_path": str(text)},
        {"resource_path": str(tmp_path / "empty")},
        {"resource_path": 5},
        {"resource_path": np.arange(3)},
        {"video": np.zeros((64, 96, 3))},
        {"video": np.zeros((3, 4, 4), object)},
        {"video": np.zeros((3, 4, 4)), "hold_back": np.ones(2)},
        {},
        {"video": np.zeros(7)},
        {"video": np.zeros((2, 4, 4)), "resource_path": "a.mp4"},
        {"video": np.zeros((2, 4, 4)), "session_id": ""},
    ]
    for fields in cases:
        with pytest.raises(RequestError):
            predictor.handle_request({"type": "start_session", "session_id": "s", **fields})
    good = {"type": "start_session", "session_id": "s", "video": np.zeros((2, 4, 4))}
    assert predictor.handle_request(good) == {"session_id": "s"}


def test_text_is_refused_with_the_reason_where_it_is_not_known(talk):
    if talk.predictor.model.capabilities.text:
        assert talk.prompt(text=talk.word)
        return
    with pytest.raises(RequestError, match=r"knows no words.*Models that can: .*takes: points"):
        talk.prompt(text="person")
    with pytest.raises(RequestError, match="exemplar"):
        talk.prompt(bounding_boxes=[talk.box()], exemplar=True)

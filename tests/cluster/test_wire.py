"""Messages come back as they were said; what is none is refused before it costs memory."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from napari_sam3.cluster.said import (
    KeyframesKept,
    KeyframesSent,
    Masks,
    concept_from_head,
    concept_to_head,
    frame_from_head,
    frame_to_message,
    prompt_from_head,
    prompt_to_head,
)
from napari_sam3.cluster.wire import decode, encode, encode_error, join, raise_error, split
from napari_sam3.errors import ComputeError, UnknownObjectError, WireError
from napari_sam3.models.base import TrackedFrame
from napari_sam3.values import Concept, Journal, Keyframe, ObjectMask, ObjectPrompt


def some_mask(seed=0, size=(60, 80), score=0.7):
    rng = np.random.default_rng(seed)
    crop = rng.random((17, 23)) > 0.4
    crop[0, 0] = crop[-1, -1] = True
    return ObjectMask.from_crop(crop, 9 + seed, 5, size, score)


def assert_equal(one, other):
    assert (one.bbox, one.size, one.score) == (other.bbox, other.size, other.score)
    assert np.array_equal(one.crop, other.crop)


def test_masks_come_back_and_can_not_be_written():
    sent = [some_mask(seed, score=1 / (seed + 3)) for seed in range(4)]
    head, masks = decode(encode({"frame": 7}, sent))
    assert head == {"frame": 7}
    for one, other in zip(sent, masks, strict=True):
        assert_equal(one, other)
        assert not other.crop.flags.writeable


def test_a_frame_takes_a_fraction_of_its_pixels():
    size = (1080, 1920)
    rows, columns = np.ogrid[:1080, :1920]
    masks = {
        i: ObjectMask.from_mask((rows - 500) ** 2 + (columns - 90 * i) ** 2 < 100**2, 0.5)
        for i in range(1, 21)
    }
    message = frame_to_message(TrackedFrame(3, masks))
    assert len(message) < sum(m.crop.size for m in masks.values()) / 20
    back = frame_from_head(*decode(message))
    assert back.frame_index == 3
    assert list(back.objects) == list(masks)
    assert back.objects[1].size == size


def test_a_frame_on_the_way_holds_nothing():
    assert frame_from_head(*decode(frame_to_message(TrackedFrame(3, None)))).objects is None
    assert frame_from_head(*decode(frame_to_message(TrackedFrame(3, {})))).objects == {}


@pytest.mark.parametrize("painted", [None, np.zeros((60, 80), bool), some_mask().mask])
def test_prompts_come_back(painted):
    prompt = ObjectPrompt(
        np.array([[0.1, 1 / 3], [7, 8]]),
        np.array([True, False]),
        np.array([1.5, 2, 3.25, 4]),
        painted,
        some_mask(1),
    )
    masks = Masks()
    head = prompt_to_head(prompt, masks)
    assert prompt_from_head(*decode(encode(head, masks))).says_as(prompt)


def test_concepts_come_back():
    concept = Concept("a cell", np.array([[1.5, 2, 3, 4.25]]), np.array([False]))
    back = concept_from_head(json.loads(json.dumps(concept_to_head(concept))))
    assert back.text == concept.text
    assert np.array_equal(back.boxes_xyxy, concept.boxes_xyxy)
    assert np.array_equal(back.box_labels, concept.box_labels)


def test_a_keyframe_is_sent_once_and_stays_the_same_object():
    keyframe = Keyframe(ObjectPrompt(np.array([[3.0, 4.0]]), np.array([True])), some_mask())
    later = Keyframe(ObjectPrompt(), None)
    sent, kept = KeyframesSent(), KeyframesKept()
    first = sent.journal_to_message(Journal({2: {5: keyframe}}), range(5, 9))
    journal, frames = kept.journal_from_head(*decode(first), lambda i: None)
    assert frames == range(5, 9)
    assert journal.recall is None
    assert_equal(journal.objects[2][5].mask, keyframe.mask)
    second = sent.journal_to_message(
        Journal(
            {1: {3: later}, 2: {5: keyframe}},
            ((0, Concept("dog")),),
            True,
            {4: {2: some_mask(2)}},
            frozenset({1}),
            lambda i: None,
            frozenset({2}),
        ),
        range(8, -1, -1),
        run=4,
    )
    head, masks = decode(second)
    again, frames = kept.journal_from_head(head, masks, lambda i: None)
    assert frames == range(8, -1, -1)
    assert again.objects[2][5] is journal.objects[2][5]
    assert list(again.objects) == [1, 2]
    assert again.objects[1][3].mask is None
    assert again.concepts[0][1].text == "dog"
    assert (again.hold_back, again.found, again.only) == (True, {1}, {2})
    assert_equal(again.known[4][2], some_mask(2))
    assert again.recall is not None
    assert len(second) < len(first) + 400


def test_errors_come_as_our_own():
    head, _ = decode(encode_error(UnknownObjectError("no object 3")))
    with pytest.raises(UnknownObjectError, match="no object 3"):
        raise_error(head, "tcp://there")
    head, _ = decode(encode_error(ZeroDivisionError("by zero")))
    with pytest.raises(ComputeError, match=r"tcp://there.*ZeroDivisionError: by zero"):
        raise_error(head, "tcp://there")
    raise_error({}, "tcp://there")


@pytest.mark.parametrize("name", ["Exception", "SystemExit", "errno", "__doc__", "Sam3Errors"])
def test_no_name_of_an_error_makes_anything_else(name):
    with pytest.raises(ComputeError, match="should not have"):
        raise_error({"error": [name, "text"]}, "there")


def test_several_messages_are_parted():
    parts = [b"", b"one", encode({}, [some_mask()])]
    assert split(join(parts)) == parts


def written(table, deflated):
    text = json.dumps({"masks": table}).encode()
    return b"NS3W" + struct.pack("<I", len(text)) + text + deflated


BOX = [0, 0, 8, 1, 8, 8, 0.5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NS3",
        pickle.dumps({"frame": 1}),
        b"NS3W" + struct.pack("<I", 2**31) + b"{}",
        b"NS3W\x02\x00\x00\x00[]",
        b"NS3W\x02\x00\x00\x00{]",
        written("x", b""),
        written([[0, 0, 8, 1, 8, 8]], zlib.compress(b"\xff")),
        written([[0, 0, 9, 1, 8, 8, 0.5]], zlib.compress(b"\xff\xff")),
        written([[-1, 0, 8, 1, 8, 8, 0.5]], zlib.compress(b"\xff\xff")),
        written([[0, 0, 8, 1, 8, 8, 1.5]], zlib.compress(b"\xff")),
        written([[0, 0, 8, 1, 8, 8, True]], zlib.compress(b"\xff")),
        written([[0, 0, 8, 1, 2**20, 2**20, 0.5]], zlib.compress(b"\xff")),
        written([BOX], b"no deflate"),
        written([BOX], zlib.compress(b"")),
        written([BOX], zlib.compress(b"\xff\xff")),
        written([BOX], b""),
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        decode(data)


def test_a_small_message_takes_no_large_memory():
    table = [[0, 0, 16384, 16384, 16384, 16384, 0.5]] * 8
    tracemalloc.start()
    with pytest.raises(WireError, match="pixels"):
        decode(written(table, zlib.compress(bytes(1000))))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xff\xff\xff", join([b"abc"])[:-1], join([b"a"]) + b"b"]
)
def test_what_is_no_row_of_messages_is_refused(data):
    with pytest.raises(WireError):
        split(data)


@pytest.mark.parametrize(
    "change",
    [
        {"objects": None},
        {"objects": [[0, []]]},
        {"objects": [[1, [[0, 5]]]]},
        {"objects": [[1, [[-1, 0]]]]},
        {"new": [[0, {}]]},
        {"known": [[0, [[1, 99]]]]},
        {"frames": [0, 5, 0]},
        {"frames": [0, 10**9, 1]},
        {"found": [True]},
        {"only": "all"},
        {"concepts": [[0, {"text": 3, "boxes": [], "labels": []}]]},
        {"concepts": [[0, {"text": "a", "boxes": [[1, 2, 3, float("1e999")]], "labels": [1]}]]},
    ],
)
def test_a_journal_that_does_not_fit_together_is_refused(change):
    keyframe = Keyframe(ObjectPrompt(), some_mask())
    head, masks = decode(KeyframesSent().journal_to_message(Journal({1: {0: keyframe}}), range(5)))
    with pytest.raises(WireError):
        KeyframesKept().journal_from_head({**head, **change}, masks, lambda i: None)

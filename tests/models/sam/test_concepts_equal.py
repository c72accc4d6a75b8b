"""Our concepts against transformers' own loops, to the pixel, and where ours differ on purpose."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
import torch
from transformers import Sam3Model
from transformers.models.sam3_video import modeling_sam3_video as upstream

from napari_sam3.models.sam import concept_track
from napari_sam3.models.sam.concept_track import new_session, prune_memory
from napari_sam3.values import Concept, without_overlap
from tests.models.sam.concept_kit import (
    BareConcepts,
    OurConcepts,
    Script,
    assert_same_masks,
    make_film,
    make_seeing,
)
from tests.models.sam.test_cleanup import PlainKernel
from tests.models.sam.words import make_tokenizer
from tests.sweeps import sweep

N = 10
FORWARD, BACKWARD = range(N), range(N - 1, -1, -1)


@pytest.fixture(autouse=True)
def plain_kernel(monkeypatch):
    """Give upstream the kernel that it would fetch."""
    monkeypatch.setattr(upstream, "cv_utils_kernel", PlainKernel)


@pytest.fixture(scope="module")
def film():
    return make_film(N)


@pytest.fixture(scope="module")
def networks(film):
    made = {}

    def network(seed, **changes):
        """A copy of its own, for our detector changes what the model's loop would do."""
        if seed not in made:
            made[seed] = make_seeing(film, seed)
        copy = deepcopy(made[seed])
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    return network


# boxes apart from each other, and one round two of them
A, B, C, D, E = (2, 2, 6, 6), (20, 20, 6, 6), (12, 2, 6, 6), (3, 21, 6, 6), (21, 10, 6, 6)
A_AND_C = (2, 2, 16, 8)


def scripted(network, film, boxes_xywh, *, step=1, **kwargs):
    """Upstream and ours on the same script.

    Ours looks at the first frame once more when it is asked, and going back once more again.
    """
    copy = deepcopy(network)
    bare, ours = BareConcepts(network, film, ["dog"]), OurConcepts(copy, film, **kwargs)
    Script(network, boxes_xywh)
    Script(copy, [boxes_xywh[0]] * (1 if step > 0 else 2) + boxes_xywh)
    return bare, ours


def track_of(ours, step=1):
    """Of the one concept asked for."""
    (search,) = ours.tracker._searches.values()
    return search.serving(step, FORWARD[::step][0])


@pytest.mark.parametrize("frames", [FORWARD, BACKWARD])
@pytest.mark.parametrize("seed", sweep([0, 5], [0]))
def test_text_is_followed_as_upstream_does(networks, film, seed, frames):
    bare = BareConcepts(networks(seed), film, ["dog"])
    masks = bare.track(frames)
    ours = OurConcepts(networks(seed), film)
    ours.ask(frames[0], "dog")
    assert_same_masks(ours.track(frames), masks)
    assert any(masks.values())


@pytest.mark.parametrize("frames", [FORWARD, BACKWARD])
def test_what_is_found_on_the_way_is_followed_as_upstream_does(networks, film, frames):
    boxes = [[A, B] if place < 2 else [A, B, C] if place < 5 else [A, D] for place in range(N)]
    bare, ours = scripted(networks(0), film, boxes, step=frames.step)
    masks = bare.track(frames)
    assert len(ours.ask(frames[0], "dog")) == 2
    tracked = ours.track(frames)
    assert_same_masks(tracked, masks)
    for found in (masks, tracked):
        assert [len(found[i]) for i in frames] == [2] * 2 + [3] * 3 + [4] * 5
    # the pixels along the edges are the network's
    assert len({mask.sum() for objects in masks.values() for mask in objects.values()}) > N


def one_at_a_time(network):
    """Have memories made for each object alone: a larger batch rounds differently."""
    encode = network.tracker_model._encode_new_memory

    def encode_each(current_vision_feats, pred_masks_high_res, object_score_logits, **how):
        parts = [
            encode(current_vision_feats[:, :1], mask[None], score[None], **how)
            for mask, score in zip(pred_masks_high_res, object_score_logits, strict=True)
        ]
        return tuple(torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True))

    network.tracker_model._encode_new_memory = encode_each
    return network


def test_several_texts_are_followed_as_upstream_does(networks, film):
    """As long as nothing new is found: upstream then makes all memories anew (see below)."""
    changes = {"new_det_thresh": 2.0}
    network = one_at_a_time(networks(0, **changes))
    bare = BareConcepts(network, film, ["dog", "cat"])
    theirs = bare.track(range(6))
    prompt_of = bare.session.obj_id_to_prompt_id
    assert set(prompt_of.values()) == {0, 1}
    ours = OurConcepts(networks(0, **changes), film)
    ids = [ours.ask(0, text) for text in ("dog", "cat")]
    tracked = ours.propagate(range(6))
    for prompt, own in enumerate(ids):
        group = {
            frame: {i: m for i, m in objects.items() if prompt_of[i] == prompt}
            for frame, objects in theirs.items()
        }
        alone = {
            frame: without_overlap({i: m for i, m in objects.items() if i in own})
            for frame, objects in tracked.items()
        }
        masks = {f: {i: m.mask for i, m in objects.items()} for f, objects in alone.items()}
        assert any(masks.values())
        assert_same_masks(masks, group)


def test_both_texts_in_one_session_change_nothing_of_each_other(networks, film):
    both = OurConcepts(networks(0), film)
    dogs = both.ask(0, "dog")
    both.ask(0, "cat")
    alone = OurConcepts(networks(0), film)
    assert alone.ask(0, "dog") == dogs
    together, expected = both.propagate(FORWARD), alone.propagate(FORWARD)
    for frame, objects in expected.items():
        for obj_id in dogs:
            assert (obj_id in objects) == (obj_id in together[frame])
            if obj_id in objects:
                assert np.array_equal(objects[obj_id].mask, together[frame][obj_id].mask)


@pytest.mark.sweep
def test_pruned_equals_unpruned_over_sixty_frames(networks, film):
    long_film = make_film(60, seed=1)
    bare = BareConcepts(networks(5), long_film, ["dog"])
    masks = bare.track(range(60))
    memories = bare.session.output_dict_per_obj.values()
    assert max(len(memory["cond_frame_outputs"]) for memory in memories) > 1  # reconditioned
    ours = OurConcepts(networks(5), long_film)
    ours.ask(0, "dog")
    assert_same_masks(ours.track(range(60)), masks)
    (search,) = ours.tracker._searches.values()
    session = search.serving(1, 0)._session
    assert not session.obj_id_to_tracker_score_frame_wise
    assert not session.suppressed_obj_ids
    assert not session.cache._vision_features
    assert max(map(len, session.unmatched_frame_inds.values()), default=0) <= 8
    for index, memory in session.output_dict_per_obj.items():
        assert len(memory["non_cond_frame_outputs"]) <= 15
        assert all("pred_masks" not in m for kind in memory.values() for m in kind.values())
        assert not session.mask_inputs_per_obj[index]
        assert not session.frames_tracked_per_obj[index]


def test_memory_has_a_limit():
    """Upstream adds a conditioning frame every 16 frames, and looks at the pointers of all."""

    class Config:
        max_object_pointers_in_encoder = 16
        max_cond_frame_num = 4
        num_maskmem = 7

    def output():
        names = ("object_pointer", "maskmem_features", "maskmem_pos_enc", "pred_masks")
        return {name: torch.zeros(1) for name in names}

    memory = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    for frame in range(2000):
        kind = "cond_frame_outputs" if frame % 16 == 0 else "non_cond_frame_outputs"
        memory[kind][frame] = output()
        prune_memory(memory, Config, frame)
    conditioning = list(memory["cond_frame_outputs"])
    assert conditioning == [0, *range(1999 - 15 - 15 * 16, 2000, 16)]
    whole = [f for f, m in memory["cond_frame_outputs"].items() if "maskmem_features" in m]
    assert whole == conditioning[-4:]
    others = memory["non_cond_frame_outputs"]
    assert list(others) == [f for f in range(1985, 2000) if f % 16]
    assert [f for f, m in others.items() if "maskmem_features" in m] == list(range(1994, 2000))


@pytest.mark.parametrize("text", [None, "dog"])
@pytest.mark.parametrize("signs", [[True], [True, False], [False]])
def test_exemplars_on_a_frame_are_as_the_image_model_finds_them(
    networks, film, tmp_path, text, signs
):
    model = networks(0, det_nms_thresh=0.0, score_threshold_detection=0.0)
    model.config.det_nms_thresh = 0.0
    model.config.fill_hole_area = 0  # the image model cleans nothing
    model.save_pretrained(tmp_path)
    image_model = Sam3Model.from_pretrained(tmp_path).eval()
    boxes = np.array([[20.0, 10, 50, 45], [70, 40, 110, 80]])[: len(signs)]
    height, width = film.shape[1:3]
    centred = [
        [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
        for x0, y0, x1, y1 in boxes
    ]
    words = make_tokenizer()(
        text or "visual", return_tensors="pt", padding="max_length", max_length=32
    )
    frame = BareConcepts(model, film, ["dog"]).session.get_frame(3)[None]
    with torch.inference_mode():
        output = image_model(
            pixel_values=frame,
            **words,
            input_boxes=torch.tensor([centred], dtype=torch.float32),
            input_boxes_labels=torch.tensor([signs]).long(),
        )
    scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0]
    large = torch.nn.functional.interpolate(
        output.pred_masks, (height, width), mode="bilinear", align_corners=False
    )[0]
    expected = sorted(
        (
            (float(score), logits.numpy())
            for score, logits in zip(scores, large, strict=True)
            if (logits > 0).any()
        ),
        key=lambda pair: -pair[0],
    )
    found = OurConcepts(model, film).tracker.detect(3, Concept(text, boxes, np.array(signs)))
    assert len(found) == len(expected) > 0
    # the image model computes the same in another order, so that it rounds differently
    for mask, (score, logits) in zip(found, expected, strict=True):
        assert mask.score == pytest.approx(score, abs=1e-5)
        is_certain = np.abs(logits) > 1e-4 * np.abs(logits).max()
        assert np.array_equal(mask.mask & is_certain, (logits > 0) & is_certain)


def test_negative_exemplars_and_words_count(networks, film):
    model = networks(0, score_threshold_detection=0.0)  # whatever is thought of them
    tracker = OurConcepts(model, film).tracker
    boxes = np.array([[20.0, 10, 50, 45], [70, 40, 110, 80]])
    asked = [
        Concept(None, boxes, np.array([True, True])),
        Concept(None, boxes, np.array([True, False])),
        Concept("cat", boxes, np.array([True, False])),
    ]
    tracker._views.fetch(3)
    with torch.inference_mode():
        prompts = [tracker._encode(3, concept) for concept in asked]
        view = tracker._views.detector(3)
        answers = [tracker._detector.detect(new_session(model, p, N), view) for p in prompts]
    first, second, third = (answer["scores"] for answer in answers)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_tokens_of_exemplars_find_look_alikes_on_other_frames(networks, film):
    """What upstream can't do in video: the same as one prompt for every frame."""
    ours = OurConcepts(networks(4), film)
    concept = Concept(None, np.array([[20.0, 10, 50, 45]]), np.array([True]))
    ours.ask(0, concept)
    tracked = ours.propagate(FORWARD)
    on_the_way = {i for objects in tracked.values() for i in objects} - ours.objects.keys()
    assert on_the_way
    (search,) = ours.tracker._searches.values()
    tokens = search.prompt
    model = ours.tracker._detector.model
    words = make_tokenizer()("visual", return_tensors="pt", padding="max_length", max_length=32)
    with torch.inference_mode():
        text = model.detector_model.get_text_features(**words, return_dict=True).pooler_output
    # the text, one token for the box, and one for all boxes
    assert torch.equal(tokens.pooler_output[:, :32], text)
    assert tokens.mask.tolist() == [[*words.attention_mask[0].bool().tolist(), True, True]]


# ------------------------------------------------------------ where we differ on purpose


HOLD_BACK = {"hotstart_delay": 6, "hotstart_unmatch_thresh": 3, "hotstart_dup_thresh": 3}


def test_nothing_is_held_back_or_taken_away_by_default(networks, film):
    """Upstream removes what its first frames do not confirm, and withholds 15 frames for it."""
    bare, _ = scripted(networks(0), film, [[A, B, C]] + [[]] * (N - 1))
    masks = bare.track(FORWARD)
    _, ours = scripted(networks(0, **HOLD_BACK), film, [[A, B, C]] + [[]] * (N - 1))
    assert len(ours.ask(0, "dog")) == 3
    stream = ours.tracker.propagate(ours.journal, FORWARD, ours.new_id)
    assert next(stream).frame_index == 0
    tracked = ours.track(FORWARD)
    assert_same_masks(tracked, masks)
    assert Counter(i for objects in tracked.values() for i in objects).keys() == {1, 2, 3}


@pytest.mark.parametrize("seed", sweep([0, 4], [0]))
def test_hold_back_is_as_upstreams_own_loop(networks, film, seed):
    for number in range(seed, 50, 5):  # with other releases a network sees other things, or none
        bare = BareConcepts(networks(number, **HOLD_BACK), film, ["dog"])
        bare.keep_ids()
        masks = bare.hold_back()
        if any(masks.values()):
            break
    ours = OurConcepts(networks(number, **HOLD_BACK), film, hold_back=True)
    ours.ask(0, "dog")
    frames = [
        t.frame_index
        for t in ours.tracker.propagate(ours.journal, FORWARD, ours.new_id)
        if t.objects is not None
    ]
    assert frames == list(FORWARD)
    assert_same_masks(ours.track(FORWARD), masks)
    assert any(masks.values())


REMOVING = [
    [A, B, C, D],  # numbers 0 to 3
    [A, B, C, D, A_AND_C],
    *[[A, C, D, A_AND_C]] * 2,  # for the third time C is where A is
    [A, D],  # for the third time B is not seen
    [A, D, E],  # number 4, which is not seen again
    *[[A, D]] * 4,
]
REMOVED = {2: 3, 1: 4, 4: 8}  # number: frame


def test_what_is_not_confirmed_is_removed_as_in_upstreams_own_loop(networks, film):
    bare, ours = scripted(networks(0, **HOLD_BACK), film, REMOVING, hold_back=True)
    bare.keep_ids()
    masks = bare.hold_back()
    assert bare.session.hotstart_removed_obj_ids == REMOVED.keys()
    assert all(objects.keys() == {0, 3} for objects in masks.values())
    assert len(ours.ask(0, "dog")) == 4
    assert_same_masks(ours.track(FORWARD), masks)
    assert track_of(ours).removed == REMOVED


def test_masks_keep_their_ids_where_an_object_is_removed(networks, film):
    """Upstream hands out the masks of the objects before, by the ids of those after."""
    bare, ours = scripted(networks(0, **HOLD_BACK), film, REMOVING, hold_back=True)
    swapped = bare.hold_back()
    ours.ask(0, "dog")
    tracked = ours.track(FORWARD)
    first, last = sorted(tracked[0])
    for frame in FORWARD:
        assert np.array_equal(swapped[frame][0], tracked[frame][first])
        # on frame 4 the detector corrects it, and on frame 8 nothing is behind what goes
        is_same = np.array_equal(swapped[frame][3], tracked[frame][last])
        assert is_same == (frame != 3)
    removed = track_of(ours).masks(2)[2].mask
    assert (removed & swapped[3][3]).any()
    assert not (removed & tracked[3][last]).any()


def test_a_part_of_a_film_held_back_is_as_the_whole(networks, film):
    """Upstream's loop looks no further than the frames asked for."""
    bare, parts = scripted(networks(4, **HOLD_BACK), film, REMOVING, hold_back=True)
    _, whole = scripted(networks(4, **HOLD_BACK), film, REMOVING, hold_back=True)
    for ours in (parts, whole):
        ours.ask(0, "dog")
    expected = whole.track(FORWARD)
    assert [len(objects) for objects in expected.values()] == [2] * N
    assert [len(m) for m in bare.hold_back(max_frame_num_to_track=2).values()] == [4] * 3
    assert_same_masks(parts.track(range(3)), {i: expected[i] for i in range(3)})


def test_frames_are_encoded_once_for_all(networks, film):
    ours = OurConcepts(networks(0), film)
    ours.ask(0, "dog")
    ours.ask(0, "cat")
    ours.click(2, None, (60, 45))
    ours.propagate(FORWARD)
    assert ours.features.n_encoded == N
    ours.ask(4, Concept("dog", np.array([[20.0, 10, 50, 45]]), np.array([True])))
    ours.click(7, 1, (30, 30))
    for frames in (FORWARD, BACKWARD):
        ours.propagate(frames)
    assert ours.features.n_encoded == N


def test_what_has_not_been_seen_for_long_is_followed_no_longer(networks, film, monkeypatch):
    # upstream follows everything for ever, and takes longer for each frame
    def hiding(network):
        track = network.run_tracker_propagation

        def hide_first(session, frame_index, reverse):
            masks, scores = track(session, frame_index, reverse)
            if frame_index >= 2 and 0 in session.obj_ids:
                masks[session.obj_ids.index(0)] = -5.0
            return masks, scores

        network.run_tracker_propagation = hide_first
        return network

    def tracked(limit):
        monkeypatch.setattr(concept_track, "FORGET_AFTER", limit)
        ours = OurConcepts(hiding(one_at_a_time(networks(0))), film)
        ours.ask(0, "dog")
        masks = ours.track(FORWARD)
        (search,) = ours.tracker._searches.values()
        return masks, search.serving(1, 0)._session.obj_ids

    (whole, all_ids), (masks, ids) = tracked(300), tracked(3)
    assert ids == [i for i in all_ids if i != 0] != all_ids
    assert [set(objects) for objects in masks.values()] == [set(o) for o in whole.values()]
    assert len(ids) > 1

"""Which places of labels are worth a look."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.lineage import Division
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.review import Review, review_labels

FRAMES, SIZE = 40, (90, 160)
SURE = ObjectNote(0.95, "propagated")
PROMPT = ObjectNote(1.0, "prompt")


def disc(x, y, radius=8):
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def course(frame_index):
    """A cell that drifts slowly to the right, well inside the picture."""
    return disc(30 + frame_index, 45)


def feed(review, masks, *, notes=None, frames=range(FRAMES)):
    """Feed frames of one object, or of several by id; the first one is prompted."""
    for t in frames:
        shown = masks(t)
        shown = shown if isinstance(shown, dict) else {1: shown}
        labels = np.zeros(SIZE, np.uint16)
        for obj_id, mask in shown.items():
            labels[mask] = obj_id
        known = {i: PROMPT if t == 0 else SURE for i in shown if shown[i].any()}
        review.look(t, labels, {**known, **((notes or {}).get(t, {}))})
    return review


def best(review, **options):
    return review.places(**options)[0]


def kinds(place):
    return [reason.kind for reason in place.reasons]


def test_a_sure_track_of_one_cell_has_nothing_doubtful():
    assert not any(place.is_doubtful for place in feed(Review(), course).places())


def test_no_frames_have_no_places():
    assert Review().places() == []


def test_a_low_score_is_a_place_within_the_stretch_that_has_it():
    low = {t: {1: ObjectNote(0.3, "propagated")} for t in range(20, 30)}
    place = best(feed(Review(), course, notes=low))
    assert kinds(place)[0] == "score"
    assert 20 <= place.frame_index < 30
    assert place.reasons[0].amount == pytest.approx(0.3)


def test_what_is_lost_in_the_middle_of_the_picture_is_worth_a_look():
    place = best(feed(Review(), lambda t: course(t) & (t < 25)))
    assert kinds(place)[0] == "lost"
    assert (place.reasons[0].frame_index, place.reasons[0].amount) == (25, 15)
    assert 25 <= place.frame_index < FRAMES


def test_what_goes_out_of_the_picture_is_not_lost():
    inside = feed(Review(), lambda t: course(t) & (t < 25))
    outside = feed(Review(), lambda t: disc(155 - 6 * (25 - t), 45) & (t < 26))
    values = [sum(p.value for p in review.places()) for review in (outside, inside)]
    assert values[0] < 0.3 * values[1]


def test_found_again_far_away_comes_first_and_is_looked_at_where_it_is_found():
    def moves(t):
        """Object 1 is lost and found again over there; 2 has a low score for as long."""
        far = disc(140, 15) if t >= 22 else course(t) & (t < 20)
        return {1: far, 2: disc(30, 75)}

    low = {t: {2: ObjectNote(0.5, "propagated")} for t in range(22, FRAMES)}
    place = best(feed(Review(), moves, notes=low))
    assert (place.obj_id, place.frame_index, kinds(place)[0]) == (1, 22, "far")
    assert place.last == FRAMES - 1  # all that follows hangs on it


def test_found_again_where_it_would_be_by_now_is_no_far_way():
    def hides(t):
        return course(t) & (not 20 <= t < 24)

    found = feed(Review(), hides).places()
    assert all("far" not in kinds(place) for place in found)


def test_a_jump_of_place_is_a_place_there():
    place = best(feed(Review(), lambda t: disc(30 + t, 20 if t < 18 else 70)))
    assert (place.frame_index, kinds(place)[0]) == (18, "jump")


def test_a_film_that_shakes_all_the_time_has_no_jumps():
    shakes = np.random.default_rng(0).integers(-12, 13, FRAMES)
    found = feed(Review(), lambda t: disc(60 + shakes[t], 45)).places()
    assert all("jump" not in kinds(place) for place in found)


def test_a_jump_of_size_is_told_with_the_frame_and_how_much():
    place = best(feed(Review(), lambda t: disc(40 + t, 45, 8 if t < 20 else 16)))
    reason = next(r for r in place.reasons if r.kind == "size")
    assert reason.frame_index == 20
    assert reason.amount == pytest.approx(4, rel=0.1)


def test_a_size_that_comes_back_is_doubted_only_while_it_is_off():
    def blinks(t):
        return disc(40 + t, 45, 16 if 20 <= t < 23 else 8)

    stays = feed(Review(), lambda t: disc(40 + t, 45, 16 if t >= 20 else 8))
    back = feed(Review(), blinks)
    assert sum(p.value for p in back.places()) < 0.5 * sum(p.value for p in stays.places())


def test_what_falls_in_parts_is_told():
    def falls(t):
        return disc(30 + t, 45) | (disc(30 + t, 70) if t >= 15 else False)

    found = feed(Review(), falls).places()
    assert any("split" in kinds(place) for place in found)


def test_two_that_begin_to_touch_are_told_with_the_other_one():
    def meet(t):
        return {1: disc(40, 45), 2: disc(40 + max(17, 36 - t), 45) & ~disc(40, 45)}

    found = feed(Review(), meet).places()
    touching = [r for p in found for r in p.reasons if r.kind == "touch"]
    assert {r.other for r in touching} <= {1, 2}
    assert touching
    assert min(r.frame_index for r in touching) == 19


def test_a_prompt_on_the_way_ends_the_doubt_of_before():
    low = {t: {1: ObjectNote(0.4, "propagated")} for t in range(20, FRAMES)}
    before = best(feed(Review(), course, notes=low))
    painted = {**low, before.frame_index: {1: ObjectNote(None, "painted")}}
    after = feed(Review(), course, notes=painted).places()
    assert all(place.frame_index != before.frame_index for place in after)
    assert max(place.value for place in after) < before.value


def test_wiped_off_by_hand_is_not_lost():
    def wiped(t):
        return course(t) & (t < 25)

    notes = {25: {1: ObjectNote(None, "painted")}}
    said = feed(Review(), wiped, notes=notes).places()
    unsaid = feed(Review(), wiped).places()
    assert sum(p.value for p in said) < 0.3 * sum(p.value for p in unsaid)


def test_places_spread_over_what_is_doubtful():
    low = {t: {1: ObjectNote(0.2, "propagated")} for t in range(5, FRAMES)}
    places = feed(Review(), course, notes=low).places()
    assert [p.value for p in places] == sorted((p.value for p in places), reverse=True)
    first, second = (p.frame_index for p in places[:2])
    assert abs(first - second) >= 5
    assert len({p.frame_index for p in places}) == len(places)


def test_what_was_found_right_falls_out_and_takes_value_from_what_is_near():
    low = {t: {1: ObjectNote(0.4, "propagated")} for t in range(15, FRAMES)}
    review = feed(Review(), course, notes=low)
    before = best(review)
    review.check(1, before.frame_index)
    after = review.places()
    assert before.frame_index not in {p.frame_index for p in after}
    assert all(p.value < before.value for p in after)
    review.uncheck(1, before.frame_index)
    assert best(review) == before


def test_a_check_holds_only_while_the_object_is_as_it_was():
    low = {t: {1: ObjectNote(0.4, "propagated")} for t in range(15, FRAMES)}
    review = feed(Review(), course, notes=low)
    check = review.check(1, 30)
    assert review.checks == (check,)
    feed(review, lambda t: disc(30 + t, 50), notes=low, frames=[30])
    assert review.checks == ()


def test_checks_are_taken_over_by_another_review():
    low = {t: {1: ObjectNote(0.4, "propagated")} for t in range(15, FRAMES)}
    review = feed(Review(), course, notes=low)
    review.check(1, best(review).frame_index)
    again = feed(Review(), course, notes=low)
    again.restore(review.checks)
    assert again.places() == review.places()


def test_frames_may_come_in_any_order_and_again():
    low = {t: {1: ObjectNote(0.4, "propagated")} for t in range(15, FRAMES)}
    forward = feed(Review(), course, notes=low)
    backward = feed(Review(), lambda t: disc(5, 5), frames=[3])
    feed(backward, course, notes=low, frames=reversed(range(FRAMES)))
    assert backward.places() == forward.places()


def test_a_mother_that_divided_is_not_lost_and_her_daughter_was_not_hidden():
    def divides(t):
        if t < 20:
            return {1: course(t)}
        return {2: disc(30 + t, 35), 3: disc(30 + t, 60)}

    review = feed(Review(), divides)
    assert best(review).reasons[0].kind == "lost"
    assert all(p.reasons[0].kind != "lost" for p in review.places([Division(1, (2, 3), 20)]))


def test_a_stack_is_looked_at_frame_by_frame_unprocessed_ones_left_out():
    stack = LabelStack((FRAMES, *SIZE))
    for t in range(0, 20):
        note = PROMPT if t == 0 else ObjectNote(0.3, "propagated")
        stack.draw(t, course(t).astype(np.uint16), {1: note})
    told = []
    review = review_labels(stack, on_frame=told.append)
    assert told == review.frames.tolist() == list(range(20))
    assert best(review).last < 20

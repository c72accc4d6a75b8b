"""What pictures do to a tracker: shake, light, noise, borders; look-alikes; two prompts."""

import numpy as np
import pytest

from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.models.optical_flow.confidence import confidence_of, score_of
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt
from napari_sam3.video import as_video
from tests.models.optical_flow.scenes import Film, cells, disc, follow, overlap, texture

SIZE = (120, 160)


def cell_film(places, radius=13, level=170, ground=30):
    truths = [disc(SIZE, *p, radius) for p in places]
    return [cells(SIZE, [m], level, ground, seed=t) for t, m in enumerate(truths)], truths


def test_a_shaking_camera_is_followed():
    shakes = np.random.default_rng(1).integers(-9, 10, (8, 2))
    ground, skin = texture((200, 240), 1, (70, 110, 70)), texture((200, 240), 2, (200, 80, 60))
    whole = disc((200, 240), 120, 100, 24)
    scene = np.where(whole[..., None], skin, ground)
    views = [(slice(40 + y, 160 + y), slice(40 + x, 200 + x)) for x, y in shakes]
    found = follow([scene[v] for v in views], {1: whole[views[0]]})
    assert min(overlap(f.get(1), whole[v]) for f, v in zip(found, views, strict=True)) > 0.8


def test_uneven_light_does_not_draw_a_cell_out():
    frames, truths = cell_film([(40 + 6 * t, 60) for t in range(12)], level=110)
    light = np.linspace(0.5, 1.6, SIZE[1])[None, :, None]
    frames = [np.clip(f * light, 0, 255).astype(np.uint8) for f in frames]
    found = follow(frames, {1: truths[0]})
    assert overlap(found[-1].get(1), truths[-1]) > 0.75


def test_sixteen_bits_of_low_contrast_are_enough():
    truths = [disc(SIZE, 50 + 4 * t, 60, 13) for t in range(8)]
    rng = np.random.default_rng(0)
    film = np.stack([3000 + 60 * t + rng.normal(0, 6, SIZE) for t in truths]).astype(np.uint16)
    tracker = OpticalFlowModel().start(RgbFrames(as_video(film)))
    journal = both_ends(truths, [0])
    *_, last = tracker.propagate(journal, range(8), lambda: 9)
    assert overlap(last.objects.get(1), truths[-1]) > 0.75


def test_single_pixels_of_noise_do_not_tear_a_cell():
    frames, truths = cell_film([(50 + 4 * t, 60) for t in range(8)])
    rng = np.random.default_rng(0)
    for frame in frames:
        hit = rng.random(SIZE) < 0.02
        frame[hit] = rng.choice([0, 255], (hit.sum(), 1))
    assert overlap(follow(frames, {1: truths[0]})[-1].get(1), truths[-1]) > 0.7


def test_a_cell_at_the_border_stays_there_and_one_that_leaves_is_gone():
    staying = [disc(SIZE, 4, 30 + 3 * t, 12) for t in range(12)]
    leaving = [disc(SIZE, 130 + 5 * t, 60, 12) for t in range(12)]
    pairs = zip(staying, leaving, strict=True)
    frames = [cells(SIZE, pair, 170, 30, seed=t) for t, pair in enumerate(pairs)]
    found = follow(frames, {1: staying[0], 2: leaving[0]})
    assert overlap(found[-1].get(1), staying[-1]) > 0.75
    assert 2 in found[2]
    assert 2 not in found[-1]


def test_a_neighbour_is_not_taken_for_a_cell_that_is_gone():
    cell, neighbour = disc(SIZE, 60, 60, 13), disc(SIZE, 88, 60, 13)
    frames = [
        cells(SIZE, [cell, neighbour] if t < 4 else [neighbour], 170, 30, seed=t) for t in range(9)
    ]
    found = follow(frames, {1: cell})
    assert 1 in found[3]
    assert all(1 not in f for f in found[4:])


def both_ends(truths, frames):
    keyframes = {
        f: Keyframe(ObjectPrompt(mask=truths[f]), ObjectMask.from_mask(truths[f])) for f in frames
    }
    return Journal({1: keyframes})


@pytest.mark.parametrize("step", [1, -1])
def test_two_prompts_see_what_neither_sees_alone(step):
    """A thing goes behind a wall and comes out with another look."""
    count, wall = 13, np.zeros(SIZE, bool)
    wall[:, 58:104] = True
    frames, truths = [], []
    for t in range(count):
        shown = disc(SIZE, 28 + 9 * t, 60, 20)
        skin = texture(SIZE, 5, (210, 70, 60) if t < 6 else (60, 80, 220))
        frame = texture(SIZE, 6, (80, 120, 80))
        frame[shown] = skin[shown]
        frame[wall] = texture(SIZE, 7, (130, 130, 130))[wall]
        frames.append(frame)
        truths.append(shown & ~wall)

    def run(prompted):
        tracker = OpticalFlowModel().start(Film(frames))
        found = tracker.propagate(both_ends(truths, prompted), range(count)[::step], lambda: 9)
        masks = {f.frame_index: f.objects.get(1) for f in found if f.objects is not None}
        scored = [t for t in range(1, count - 1) if truths[t].sum() > 400]
        return [overlap(masks[t], truths[t]) for t in scored]

    first, last, both = run([0]), run([count - 1]), run([0, count - 1])
    assert min(first) < 0.3
    assert min(last) < 0.3
    assert min(both) > 0.6


@pytest.mark.parametrize("blob", [True, False])
def test_a_score_can_be_turned_back_into_the_confidence_it_was_made_of(blob):
    for confidence in (0.05, 0.4, 0.8, 0.99):
        assert confidence_of(score_of(confidence, blob=blob), blob=blob) == pytest.approx(
            confidence
        )
    assert score_of(0.3, blob=blob) < 0.5 < 0.8 < score_of(0.85, blob=blob)

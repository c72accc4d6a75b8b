"""What moves as an object does, and what as its surroundings."""

import numpy as np

from napari_sam3.models.optical_flow.motion_ratio import motion_ratio
from tests.models.optical_flow.scenes import disc

SIZE = (90, 120)


def flow_of(moving, velocity, ground=(0.0, 0.0)):
    noise = np.random.default_rng(0).normal(0, 0.1, (*SIZE, 2))
    return (np.where(moving[..., None], velocity, ground) + noise).astype(np.float32)


def test_a_limb_that_moves_along_speaks_for_the_object_and_still_ground_against():
    body, limb = disc(SIZE, 40, 45, 20), disc(SIZE, 75, 45, 8)
    told = motion_ratio(flow_of(body | limb, (4, -2)), disc(SIZE, 40, 45, 15), ~(body | limb))
    assert told[limb].mean() > 2
    assert told[~(body | limb)].mean() < -2


def test_the_cameras_motion_is_no_objects():
    body = disc(SIZE, 40, 45, 20)
    told = motion_ratio(flow_of(~body, (7, 1)), disc(SIZE, 40, 45, 15), ~body)
    assert told[body].mean() > 2
    assert told[~body].mean() < -2


def test_where_everything_moves_alike_nothing_is_told():
    body = disc(SIZE, 40, 45, 20)
    told = motion_ratio(flow_of(body, (3, 3), ground=(3, 3)), body, ~body)
    assert np.abs(told).mean() < 0.2


def test_of_a_few_pixels_nothing_is_told():
    body = disc(SIZE, 40, 45, 2)
    assert motion_ratio(flow_of(body, (3, 3)), body, ~body) is None

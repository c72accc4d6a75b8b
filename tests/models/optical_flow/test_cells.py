"""What one click on a cell means where cells touch, are textured, or lie on uneven ground."""

import cv2
import numpy as np
import pytest

from tests.models.optical_flow.scenes import (
    cells,
    click,
    disc,
    overlap,
    phase_contrast,
    rod,
    segment,
)

SIZE = (160, 200)


def thick_line(size, x, y, length, width, degrees):
    image = np.zeros(size, np.uint8)
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    ends = [np.round(np.array([x, y]) + s * along * (length - width) / 2) for s in (-1, 1)]
    cv2.line(image, *(tuple(map(int, end)) for end in ends), 255, width)
    return image > 0


def colony():
    """Dark rods side by side and end to end, with bright halos round them and faint gaps."""
    rods = [
        thick_line(SIZE, 62 + 38 * column + 3 * row, 50 + 16 * row, 36, 12, 4)
        for row in range(5)
        for column in range(3)
    ]
    grey = np.full(SIZE, 120, np.float32)
    near = np.any(rods, axis=0).astype(np.float32)
    grey += 110 * cv2.GaussianBlur(near, (0, 0), 7)
    for number, mask in enumerate(rods):
        grey[mask] = 12 + 5 * (number % 4)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.5)
    grey += np.random.default_rng(0).normal(0, 2, SIZE)
    frame = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return frame, rods


@pytest.mark.parametrize("number", [0, 4, 7, 14])
def test_a_click_takes_one_rod_of_a_dense_colony(number):
    frame, rods = colony()
    row, column = np.argwhere(rods[number]).mean(axis=0)
    assert overlap(segment(frame, **click((column, row))), rods[number]) > 0.6


@pytest.mark.parametrize("number", [4, 7])
def test_a_box_takes_one_rod_of_a_dense_colony(number):
    frame, rods = colony()
    rows, columns = np.nonzero(rods[number])
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    found = segment(frame, box_xyxy=box)
    assert overlap(found, rods[number]) > 0.75
    assert not found.mask[: rows.min()].any()
    assert not found.mask[:, columns.max() + 1 :].any()


@pytest.mark.parametrize(("length", "ahead"), [(34, 0), (46, 10), (52, 22)])
def test_a_click_takes_one_of_two_rods_side_by_side(length, ahead):
    """As a pair they resemble an ellipse no less than each alone; the valley between is faint."""
    rods = [rod(100, 75, 80, length), rod(113.5, 75 + ahead, 80, length)]
    frame = phase_contrast(rods)
    for mask, place in zip(rods, [(100, 75), (113.5, 75 + ahead)], strict=True):
        assert overlap(segment(frame, **click(place)), mask) > 0.75


def test_two_clicks_take_two_rods_of_a_colony():
    frame, rods = colony()
    places = [np.argwhere(rods[n]).mean(axis=0)[::-1] for n in (6, 9)]
    found = segment(frame, **click(*places))
    assert overlap(found, rods[6] | rods[9]) > 0.6


@pytest.mark.parametrize("sign", [1, -1], ids=["bright", "dark"])
def test_a_click_on_a_speck_takes_the_cell_round_it(sign):
    cell, speck = disc(SIZE, 100, 80, 34), disc(SIZE, 102, 82, 5).astype(np.float32)
    frame = cells(SIZE, [cell], 128 + sign * 25, 128 - sign * 25).astype(np.float32)
    frame = cv2.GaussianBlur(frame, (0, 0), 5)
    frame += sign * 30 * cv2.GaussianBlur(speck, (0, 0), 1)[..., None]
    frame += np.random.default_rng(0).normal(0, 3, SIZE)[..., None]
    found = segment(np.clip(frame, 0, 255).astype(np.uint8), **click((102, 82)))
    assert overlap(found, cell) > 0.8


def test_a_click_in_a_faint_hole_takes_the_cell_round_it():
    cell, hole = disc(SIZE, 100, 80, 30), disc(SIZE, 92, 84, 6)
    frame = cells(SIZE, [cell], 150, 30)
    frame[hole] -= 40
    assert overlap(segment(frame, **click((92, 84))), cell) > 0.8


def test_a_cell_with_texture_is_not_parted():
    cell = disc(SIZE, 100, 80, 40)
    frame = cells(SIZE, [cell], 130, 20)
    noise = np.random.default_rng(5).normal(0, 1, SIZE).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 3) * 160 * cell
    grey = np.clip(frame[..., 0] + texture, 0, 255).astype(np.uint8)
    found = segment(np.repeat(grey[..., None], 3, axis=2), **click((104, 76)))
    assert overlap(found, cell) > 0.8


def test_a_faint_cell_beside_bright_ones_is_found_on_uneven_ground():
    bright, faint = disc(SIZE, 50, 60, 20), disc(SIZE, 130, 90, 16)
    frame = cells(SIZE, [bright], 220, 20).astype(int)
    frame[faint] += 26
    frame += (np.arange(SIZE[1]) * 0.2).astype(int)[None, :, None]
    found = segment(np.clip(frame, 0, 255).astype(np.uint8), **click((128, 92)))
    assert overlap(found, faint) > 0.7


def test_a_box_over_several_cells_is_not_filled_by_a_part_of_one():
    """The strongest edge in the box is one cell's; the box means what reaches through it."""
    size = (120, 160)
    spots = [disc(size, x, y, 12) for y in (35, 70) for x in (40, 75, 110)]
    frame = cells(size, spots, 120, 60)
    frame[disc(size, 75, 70, 5)] = 250
    mask = segment(frame, box_xyxy=np.array([26.0, 20, 124, 84]))
    assert all(overlap(mask.mask & spot, spot) > 0.5 for spot in spots)


def test_a_picture_of_one_channel_is_as_good_as_a_grey_one():
    size = (100, 120)
    grey = cells(size, [disc(size, 60, 50, 18)], 150, 40)
    blue = grey.copy()
    blue[..., :2] = 0
    found = segment(blue, **click((60, 50)))
    assert overlap(found, disc(size, 60, 50, 18)) > 0.85

"""How the cells of the sample move, change shape, divide, cross, come and go.

Lengths are in px of a 640 x 480 picture and times in frames of 60; `simulate` scales both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

WAVES = np.arange(2, 7)  # lobes of the outline; 1 would only move the cell
PICTURE = np.array([640.0, 480.0])
LENGTH = 60
LANE_Y = 262.0  # where two cells meet and pass
MITOSIS = 9.0  # frames from rounding up to two daughters
CLEAVAGE = 4.0  # the last of them: the cell stretches and pinches in


@dataclass(frozen=True, eq=False)
class CellShape:
    """One cell at one moment.

    Attributes
    ----------
    cell_id : int
        From 1.
    centre_xy : (2,) float64
        px.
    radius : float
        Of a disc of the same area, px.
    angle : float
        Direction of the long axis, rad.
    stretch : float
        Long axis over that of a disc.
    waves : (5,) complex128
        Amplitude and phase of 2 to 6 lobes, as a fraction of the radius.
    pinch : float
        0: whole, 1: cut in two across the long axis.
    glow : float
        Brightness, about 1.
    patch_xy : (2,) float64
        Where in the texture the cell's own grain lies.
    """

    cell_id: int
    centre_xy: NDArray[np.float64]
    radius: float
    angle: float
    stretch: float
    waves: NDArray[np.complex128]
    pinch: float
    glow: float
    patch_xy: NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One cell's life: the frames (0-based, both inclusive) on which it is seen.

    `parent` is the id of the cell it came from by division, 0 if none.
    """

    cell_id: int
    parent: int
    first: int
    last: int


@dataclass(eq=False)
class _Cell:
    cell_id: int
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    radius: float
    rng: np.random.Generator
    parent: int = 0
    age: float = 1e9  # frames since birth; founders are grown up
    divides_at: float | None = None
    steered: bool = False  # holds its course: crossers, the one that leaves, the one that comes
    waves: NDArray[np.complex128] = field(init=False)
    angle: float = field(init=False)
    glow: float = field(init=False)
    patch_xy: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.waves = self._new_waves()
        self.angle = float(self.rng.uniform(0, np.pi))
        self.glow = float(self.rng.uniform(0.78, 1.15))
        self.patch_xy = self.rng.uniform(0, 512, 2)

    def _new_waves(self) -> NDArray[np.complex128]:
        spread = 0.25 / WAVES**1.25
        noise = self.rng.normal(size=(2, len(WAVES)))
        return np.asarray(spread * (noise[0] + 1j * noise[1]) / np.sqrt(2))

    def step(self, dt: float) -> None:
        """Wander and crawl: velocity and outline drift and are pulled back to their habit."""
        if not self.steered:
            self.velocity += dt * (-0.12 * self.velocity) + np.sqrt(dt) * self.rng.normal(
                0, 0.32, 2
            )
        keep = np.exp(-0.07 * dt)
        self.waves = keep * self.waves + np.sqrt(1 - keep**2) * self._new_waves()
        # the long axis swings towards where the cell is going; an axis has no head or tail
        course = np.arctan2(self.velocity[1], self.velocity[0])
        swing = (course - self.angle + np.pi / 2) % np.pi - np.pi / 2
        self.angle += 0.04 * dt * float(swing) * min(1.0, float(np.hypot(*self.velocity)))
        self.position += dt * self.velocity
        self.age += dt

    def shape(self, time: float) -> CellShape:
        """What is to be drawn."""
        young = float(np.clip(self.age / 12, 0, 1))
        grown = float(np.clip(self.age / 26, 0, 1))
        radius = self.radius * (0.80 + 0.20 * grown)
        stretch = 1.0 + 0.10 * min(1.5, float(np.hypot(*self.velocity))) * young
        waves, pinch, glow = self.waves * young, 0.0, self.glow * (1.30 - 0.30 * young)
        if self.divides_at is not None:
            left = self.divides_at - time
            rounded = float(np.clip(1 - (left - CLEAVAGE) / (MITOSIS - CLEAVAGE), 0, 1))
            cleft = float(np.clip(1 - left / CLEAVAGE, 0, 1))
            waves = waves * (1 - 0.85 * rounded)
            stretch = (1 - rounded) * stretch + rounded * (1 + 0.20 * cleft)
            radius *= 1 - 0.12 * rounded + 0.10 * cleft
            glow *= 1 + 0.30 * rounded
            pinch = 0.55 * cleft
        return CellShape(
            self.cell_id,
            self.position.copy(),
            radius,
            self.angle,
            stretch,
            waves,
            pinch,
            glow,
            self.patch_xy,
        )

    def divide(self, first_id: int) -> tuple[_Cell, _Cell]:
        """Two daughters, drifting apart along the long axis."""
        axis = np.array([np.cos(self.angle), np.sin(self.angle)])
        radius = self.radius * 0.86
        daughters = []
        for number, side in enumerate((-1.0, 1.0)):
            daughter = _Cell(
                first_id + number,
                self.position + side * 0.66 * self.radius * axis,
                self.velocity + side * 1.1 * axis,
                radius,
                self.rng.spawn(1)[0],
                parent=self.cell_id,
                age=0.0,
            )
            daughter.angle = self.angle + np.pi / 2
            daughter.glow = self.glow
            daughters.append(daughter)
        return daughters[0], daughters[1]


def simulate(
    seed: int, frames: int, size: tuple[int, int]
) -> tuple[list[list[CellShape]], dict[int, int]]:
    """Play the scene.

    Parameters
    ----------
    seed : int
        Of everything random.
    frames : int
        How many.
    size : (height, width)
        Of the picture, px.

    Returns
    -------
    shapes : list of list of CellShape
        For every frame the cells, those further back first; some lie outside the picture.
    parents : dict of int to int
        Parent of each cell's id, 0 if none.
    """
    rng = np.random.default_rng(seed)
    cells = _founders(rng)
    parents = {cell.cell_id: 0 for cell in cells}
    dt = LENGTH / frames
    scale = np.array(size[::-1]) / PICTURE
    shapes: list[list[CellShape]] = []
    for frame_index in range(frames):
        time = frame_index * dt
        for mother in [c for c in cells if c.divides_at is not None and c.divides_at <= time]:
            daughters = mother.divide(max(parents) + 1)
            parents.update({d.cell_id: mother.cell_id for d in daughters})
            place = cells.index(mother)
            cells[place : place + 1] = daughters
        shapes.append([_scaled(cell.shape(time), scale) for cell in cells])
        _push_apart(cells, dt)
        for cell in cells:
            cell.step(dt)
    return shapes, parents


def _founders(rng: np.random.Generator) -> list[_Cell]:
    """The cells of the first frame, and one that waits outside the picture."""
    planned = [  # position, velocity, radius
        ((225.0, LANE_Y - 14), (2.7, 0.12), 31.0),  # these two pass each other
        ((405.0, LANE_Y + 15), (-2.5, -0.05), 34.0),
        ((572.0, 372.0), (2.0, 0.55), 32.0),  # leaves
        ((-72.0, 120.0), (2.5, 0.2), 33.0),  # comes
    ]
    cells = []
    for start, course, radius in planned:
        cell = _Cell(0, np.array(start), np.array(course), radius, rng.spawn(1)[0], steered=True)
        cell.angle = float(rng.normal(0, 0.3))
        cells.append(cell)
    places = [c.position for c in cells]
    for _ in range(20_000):
        if len(cells) == 12:
            break
        place = rng.uniform([48, 48], PICTURE - 48)
        in_lane = abs(place[1] - LANE_Y) < 78 and 155 < place[0] < 500
        in_gate = place[0] < 165 and abs(place[1] - 128) < 62
        apart = min(float(np.hypot(*(place - p))) for p in places)
        if not in_lane and not in_gate and apart > 96:
            velocity = rng.normal(0, 0.6, 2)
            cells.append(_Cell(0, place, velocity, float(rng.uniform(29, 38)), rng.spawn(1)[0]))
            places.append(place)
    dividing = rng.choice(np.arange(4, len(cells)), 3, replace=False)
    for number, when in zip(dividing, (14.0, 27.0, 39.0), strict=True):
        cells[number].divides_at = when + float(rng.uniform(-2, 2))
        cells[number].radius = 36.0
    # the one that comes in gets the last id, the others count from the top left
    inside = sorted((c for c in cells if c.position[0] > 0), key=lambda c: tuple(c.position))
    outside = [c for c in cells if c.position[0] <= 0]
    for cell_id, cell in enumerate([*inside, *outside], 1):
        cell.cell_id = cell_id
    return cells


def _push_apart(cells: list[_Cell], dt: float) -> None:
    """Neighbours that touch and the picture's edge push; who holds a course isn't moved."""
    for cell in cells:
        if cell.steered:
            continue
        for other in cells:
            gap = cell.position - other.position
            distance = float(np.hypot(*gap))
            reach = 1.12 * (cell.radius + other.radius)
            if other is not cell and 0 < distance < reach:
                siblings = cell.parent and cell.parent == other.parent
                force = (0.10 if siblings else 0.22) * (reach - distance) / reach * 6
                cell.velocity += dt * force * gap / distance
        margin = cell.radius + 8
        inward = np.clip(margin - cell.position, 0, None)
        inward -= np.clip(cell.position - (PICTURE - margin), 0, None)
        cell.velocity += dt * 0.05 * inward
        speed = float(np.hypot(*cell.velocity))
        if speed > 2.4:
            cell.velocity *= 2.4 / speed


def _scaled(shape: CellShape, scale: NDArray[np.float64]) -> CellShape:
    return replace(
        shape,
        centre_xy=shape.centre_xy * scale,
        radius=shape.radius * float(np.sqrt(scale.prod())),
    )

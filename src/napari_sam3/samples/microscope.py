"""What a microscope's camera makes of the cells: fluorescence, uneven light, defocus and noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.samples.motion import CellShape

Picture = NDArray[np.float32]

PHOTONS = 260.0  # of a bright cell's pixel; sets the shot noise
READ_NOISE = 3.2  # electrons
GREY_LEVELS = 190.0  # that such a pixel gets
OFFSET = 9.0  # of the camera, grey levels
TEXTURE = 512
MOST_OUTLINE = 1.7  # of the radius


class Microscope:
    """Turns cell shapes into camera frames and their true labels.

    Parameters
    ----------
    seed : int
        Of ground, grain and noise; the noise of a frame depends on its number only.
    frames : int
        Length of the movie: light fades and focus drifts over it.
    size : (height, width)
        px.
    """

    def __init__(self, seed: int, frames: int, size: tuple[int, int]) -> None:
        rng = np.random.default_rng([seed, frames])
        self._seed = seed
        self._frames = frames
        self._size = size
        self._scale = float(np.sqrt(size[0] * size[1] / (480 * 640)))
        self._grain = _grain(rng)
        height, width = size
        y, x = np.mgrid[:height, :width].astype(np.float32)
        y, x = y / height, x / width
        # the lamp is not quite centred, and one side of the field is darker
        falloff = ((x - 0.58) ** 2 + 0.8 * (y - 0.44) ** 2) / 0.5
        self._lamp = (1.08 - 0.62 * falloff + 0.22 * (x - 0.5)).clip(0.35, None)
        ground = _smooth(rng.normal(size=size), 60 * self._scale)
        fibres = _smooth(rng.normal(size=size), 14 * self._scale)
        self._ground = (0.200 + 0.050 * ground + 0.011 * fibres).clip(0.02, None)
        self._debris = self._make_debris(rng)
        self._hot = rng.random(size) > 0.99997

    def expose(
        self, frame_index: int, cells: list[CellShape]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """One frame; may be called from several threads.

        Returns
        -------
        frame : (H, W) uint8
            As the camera gives it.
        labels : (H, W) uint16
            Ids of the cells; where two overlap, of the one in front.
        """
        light = np.zeros(self._size, np.float32)
        labels = np.zeros(self._size, np.uint16)
        for cell in cells:
            self._draw(cell, light, labels)
        time = frame_index / max(1, self._frames - 1)
        focus = (1.25 + 0.45 * np.sin(2.3 * np.pi * time + 0.8)) * self._scale
        sharp = cv2.GaussianBlur(light + self._debris, (0, 0), focus)
        # light from above and below the focal plane: a halo round every cell
        coarse = cv2.resize(light, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        coarse = cv2.GaussianBlur(coarse, (0, 0), 4 * self._scale)
        haze = cv2.resize(coarse, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        scene = (sharp + 0.16 * haze + self._ground) * self._lamp * (1 - 0.12 * time)
        photons = scene * PHOTONS
        # at 30 photons and more a Poisson law is as good as normal, which is drawn far sooner
        rng = np.random.default_rng([self._seed, frame_index])
        noise = rng.standard_normal(self._size, np.float32)
        electrons = photons + np.sqrt(photons + READ_NOISE**2) * noise
        grey = OFFSET + electrons * (GREY_LEVELS / PHOTONS)
        grey[self._hot] += 70
        return grey.clip(0, 255).round().astype(np.uint8), labels

    def _draw(self, cell: CellShape, light: Picture, labels: NDArray[np.uint16]) -> None:
        lobes = 1 + float(np.abs(cell.waves).sum())
        reach = int(np.ceil(cell.radius * cell.stretch * min(lobes, MOST_OUTLINE))) + 1
        column, row = np.floor(cell.centre_xy).astype(int)
        height, width = self._size
        x0, x1 = max(0, column - reach), min(width, column + reach + 1)
        y0, y1 = max(0, row - reach), min(height, row + reach + 1)
        if x0 >= x1 or y0 >= y1:
            return
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + np.float32(0.5)
        depth, along, across = _depth(cell, x, y)
        inside = depth > 0
        # cells spread flat: they thicken at once behind the rim, then hardly
        body = np.clip(depth, 0, None) ** 0.34
        grain = self._sample(cell, along, across)
        glow = body * (0.66 + 0.10 * grain) + _nuclei(cell, along, across, grain) * inside
        # ruffles: the rim is brighter here and there
        ruffle = np.exp(-(((depth - 0.10) / 0.07) ** 2)) * np.clip(grain, 0, None) * 0.16
        glow = np.clip(glow + ruffle * inside, 0, None) * cell.glow
        place = (slice(y0, y1), slice(x0, x1))
        hidden = 0.75 * np.clip(depth * 6, 0, 1)
        light[place] = light[place] * (1 - hidden) + glow
        labels[place][inside] = cell.cell_id

    def _sample(self, cell: CellShape, along: Picture, across: Picture) -> Picture:
        """The cell's own grain: it moves, turns and stretches with the cell."""
        u = along / self._scale + cell.patch_xy[0]
        v = across / self._scale + cell.patch_xy[1]
        found = cv2.remap(
            self._grain,
            (u % TEXTURE).astype(np.float32),
            (v % TEXTURE).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        return np.asarray(found, np.float32)

    def _make_debris(self, rng: np.random.Generator) -> Picture:
        """Specks on the glass, most of them out of focus."""
        height, width = self._size
        specks = np.zeros(self._size, np.float32)
        for _ in range(26):
            speck = np.zeros(self._size, np.float32)
            y, x = int(rng.integers(height)), int(rng.integers(width))
            speck[y, x] = 1
            spread = float(rng.uniform(0.7, 2.6)) * self._scale
            speck = cv2.GaussianBlur(speck, (0, 0), spread)
            specks += speck / speck.max() * float(rng.uniform(0.03, 0.2))
        return specks


def _depth(cell: CellShape, x: Picture, y: Picture) -> tuple[Picture, Picture, Picture]:
    """How far inside the cell each pixel lies (1 in the middle, 0 on the rim, negative outside).

    Also the pixel's place in the cell's own frame, along and across its long axis, px.
    """
    dx, dy = x - np.float32(cell.centre_xy[0]), y - np.float32(cell.centre_xy[1])
    cosine, sine = np.float32(np.cos(cell.angle)), np.float32(np.sin(cell.angle))
    along = (cosine * dx + sine * dy) / np.float32(cell.stretch)
    across = (-sine * dx + cosine * dy) * np.float32(cell.stretch)
    place = (along + 1j * across).astype(np.complex64)
    distance = np.abs(place)
    bearing = place / np.maximum(distance, np.float32(1e-6))  # e^(i angle); its powers, the lobes
    lobes = bearing**2
    outline = 1 - np.float32(cell.pinch) * bearing.imag**4
    for amplitude in cell.waves:
        outline += (np.complex64(amplitude) * lobes).real
        lobes = lobes * bearing
    rim = np.float32(cell.radius) * outline.clip(0.45, MOST_OUTLINE)
    depth = np.asarray(1 - distance / rim, np.float32)
    return depth, np.asarray(along, np.float32), np.asarray(across, np.float32)


def _nuclei(cell: CellShape, along: Picture, across: Picture, grain: Picture) -> Picture:
    """One nucleus; two that part while the cell pinches in."""
    parted = 0.55 * min(1.0, cell.pinch / 0.4)
    light = np.zeros_like(along)
    for side in (-1, 1) if parted else (0,):
        radius = cell.radius * (0.40 - 0.10 * (parted > 0))
        middle = cell.radius * (side * parted + 0.10 * np.real(cell.waves[0]) * 4 * (side == 0))
        distance = np.hypot((along - middle) / 1.12, across * 1.06) / radius
        light += 0.07 / (1 + np.exp((distance - 1) * 12)) * (1 + 0.22 * grain)
    return light.astype(np.float32, copy=False)


def _grain(rng: np.random.Generator) -> Picture:
    """A texture that repeats without a seam: organelles and fibres, mean 0, deviation 1."""
    fine = _smooth(rng.normal(size=(TEXTURE, TEXTURE)), 2.2, wrap=True)
    coarse = _smooth(rng.normal(size=(TEXTURE, TEXTURE)), 6.0, wrap=True)
    mixed = 0.7 * fine + 0.7 * coarse
    return np.asarray(mixed / mixed.std(), np.float32)


def _smooth(noise: NDArray[np.float64], sigma: float, wrap: bool = False) -> Picture:
    """Blurred noise, mean 0, deviation 1."""
    pad = int(3 * sigma) + 1 if wrap else 0
    padded = np.pad(noise, pad, mode="wrap") if pad else noise
    smooth = cv2.GaussianBlur(padded.astype(np.float32), (0, 0), sigma)
    if pad:
        smooth = smooth[pad:-pad, pad:-pad]
    return np.asarray((smooth - smooth.mean()) / smooth.std(), np.float32)

"""Small films with known truth, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np

from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt

COLONY = (160, 210)
"""Size of a picture of rods, px."""

_HALF_WIDTH = 6.5  # of a rod, px


class Film:
    """Frames in memory, as a model sees them."""

    def __init__(self, frames: Iterable[np.ndarray]) -> None:
        self.frames = list(frames)

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].shape[:2]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return self.frames[frame_index]


def overlap(a: np.ndarray | ObjectMask | None, b: np.ndarray) -> float:
    if a is None:
        return 1.0 if not b.any() else 0.0
    a = a.mask if isinstance(a, ObjectMask) else a
    return float((a & b).sum() / max(1, (a | b).sum()))


def disc(size: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2


def texture(size: tuple[int, int], seed: int, base: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 90, (*size, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 2.0) * 2 + base, 0, 255).astype(np.uint8)


def cells(
    size: tuple[int, int], masks: Iterable[np.ndarray], level: int, ground: int, seed: int = 0
) -> np.ndarray:
    """Grey blobs on an even ground with sensor noise, as (H, W, 3) uint8."""
    grey = np.full(size, ground, np.float32)
    for mask in masks:
        grey[mask] = level
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)
    grey += np.random.default_rng(seed).normal(0, 2, size)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def rod(x: float, y: float, angle: float, length: float) -> np.ndarray:
    """A rod by its centre, its angle in degrees and its length."""
    rows, columns = np.mgrid[: COLONY[0], : COLONY[1]].astype(float)
    turn = np.deg2rad(angle)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = -(columns - x) * np.sin(turn) + (rows - y) * np.cos(turn)
    beyond = np.maximum(np.abs(along) - (length / 2 - _HALF_WIDTH), 0)
    return np.hypot(beyond, across) <= _HALF_WIDTH


def phase_contrast(
    rods: Iterable[np.ndarray], seed: int = 0, inner: Iterable[np.ndarray] = ()
) -> np.ndarray:
    """Dark rods with bright halos; `inner` ones are paler, as in the middle of a colony."""
    every = np.any([*rods, *inner], axis=0)
    away = cv2.distanceTransform((~every).astype(np.uint8), cv2.DIST_L2, 5)
    grey = 120 + 110 * np.exp(-away / 7)
    for masks, level in ((rods, 12), (inner, 55)):
        for mask in masks:
            # close to its outline a rod is paler: that is all that parts it from the next one
            depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
            grey = np.where(mask, level + 60 * np.exp(-depth / 1.5), grey)
    grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.7)
    grey += np.random.default_rng(seed).normal(0, 2, COLONY)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def click(*points: tuple[float, float], against: tuple[tuple[float, float], ...] = ()) -> dict:
    """Keywords of an `ObjectPrompt` for clicks on and off the object."""
    return {
        "points_xy": np.array([*points, *against], float).reshape(-1, 2),
        "point_labels": np.array([True] * len(points) + [False] * len(against), bool),
    }


def segment(frame: np.ndarray, **prompt: object) -> ObjectMask | None:
    return OpticalFlowModel().start(Film([frame])).segment(0, ObjectPrompt(**prompt))


def follow(
    frames: Iterable[np.ndarray],
    masks: dict[int, np.ndarray],
    new_id: Callable[[], int] = lambda: 99,
) -> list[dict[int, ObjectMask]]:
    """Objects of every frame, each prompted by its mask on the first one."""
    film = Film(frames)
    tracker = OpticalFlowModel().start(film)
    journal = {}
    for obj_id, mask in masks.items():
        prompt = ObjectPrompt(mask=mask)
        journal[obj_id] = {0: Keyframe(prompt, tracker.segment(0, prompt))}
    found = tracker.propagate(Journal(journal), range(len(film)), new_id)
    return [dict(frame.objects) for frame in found if frame.objects is not None]


def changing_things(n_frames: int) -> np.ndarray:
    """(T, 160, 224, 3) uint8: two textured things that change their shape over moving ground.

    Large enough to be followed by their look, which the tracker goes on learning. The boxes
    `THINGS` are round them on frame 0.
    """
    height, width = 160, 224
    ground = _cloth(1, (height + 60, width + n_frames), (110, 120, 90))
    cloths = _cloth(2, (120, 120), (150, 110, 90)), _cloth(4, (120, 120), (90, 130, 140))
    rows, columns = np.mgrid[:height, :width]
    frames = []
    for t in range(n_frames):
        frame = ground[20 : 20 + height, t // 2 : t // 2 + width].copy()
        places = (60 + 1.1 * t, 60 + 6 * np.sin(t / 5)), (165 - 0.9 * t, 105 + 4 * np.cos(t / 6))
        radii = (36, 30 + 5 * np.sin(t / 4)), (34 + 4 * np.sin(t / 3), 33)
        for cloth, (x, y), (across, down) in zip(cloths, places, radii, strict=True):
            inside = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
            moved = cloth[(rows - int(y) + 60) % 120, (columns - int(x) + 60) % 120]
            frame[inside] = moved[inside]
        noise = np.random.default_rng(100 + t).normal(0, 4, frame.shape)
        frames.append((frame + noise).clip(0, 255).astype(np.uint8))
    return np.stack(frames)


THINGS = {1: (24, 36, 96, 96), 2: (131, 76, 199, 142)}
"""Boxes x0, y0, x1, y1 of the things on frame 0, by object id, px."""


def thing_as_its_ground(
    centres: Iterable[tuple[float, float]],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames, (160, 224, 3) uint8, and masks of a disc whose colours are nearly the ground's.

    Little but its motion tells where it is.
    """
    ground, cloth = _cloth(1, (200, 300), (110, 120, 90)), _cloth(3, (100, 100), (112, 116, 100))
    rows, columns = np.mgrid[:160, :224]
    frames, truths = [], []
    for t, (x, y) in enumerate(centres):
        truth = disc((160, 224), x, y, 34)
        frame = ground[20:180, 40:264].copy()
        moved = cloth[(rows - int(y) + 50) % 100, (columns - int(x) + 50) % 100]
        frame[truth] = moved[truth]
        noise = np.random.default_rng(t).normal(0, 4, frame.shape)
        frames.append((frame + noise).clip(0, 255).astype(np.uint8))
        truths.append(truth)
    return frames, truths


def _cloth(seed: int, size: tuple[int, int], base: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (*size, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return (noise / noise.std() * 28 + base).clip(0, 255).astype(np.uint8)

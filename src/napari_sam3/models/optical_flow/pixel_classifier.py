"""Features of pixels, and a small classifier of them: a net of one hidden layer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from napari_sam3.models.optical_flow.motion import ByteImage, FloatImage
from napari_sam3.values import BoolArray

_COLOUR_BLURS = (1.0, 3.0, 8.0)  # px
_TEXTURE_BLURS = (2.0, 6.0)
_HIDDEN = 64
_STEPS, _RATE = 2000, 0.01
_DECAY = 1e-3  # of the weights, not of the biases
# pixels at once; so few that BLAS keeps to one thread: its threads cost more than they give for
# matrices this thin, very much so on a busy machine
BATCH = 128
_REACH = 6.0  # log-odds beyond it claim more than one frame can teach


def describe_pixels(rgb: ByteImage) -> FloatImage:
    """Features of every pixel of a picture, (F, h, w) float32, of about unit spread.

    Colour at three blurs; strength of edges in four orientations, and texture, at two.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB).astype(np.float32)
    planes = []
    for blur in _COLOUR_BLURS:
        smooth = cv2.GaussianBlur(lab, (0, 0), blur)
        planes += [
            (smooth[..., 0] - 128) / 60,
            (smooth[..., 1] - 128) / 20,
            (smooth[..., 2] - 128) / 20,
        ]
    lightness = cv2.GaussianBlur(lab[..., 0], (0, 0), 0.7)
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, scale=1 / 8)
    # not cv2.magnitude: its last bit depends on where in memory the pictures lie
    strength = np.sqrt(across * across + down * down)
    # double angle: an edge and its reverse are one orientation
    even = (across * across - down * down) / (strength + 1e-3)
    odd = 2 * across * down / (strength + 1e-3)
    detail = cv2.absdiff(lab[..., 0], cv2.GaussianBlur(lab[..., 0], (0, 0), 2.0))
    for blur in _TEXTURE_BLURS:
        for plane, spread in ((strength, 6.0), (even, 4.0), (odd, 4.0), (detail, 6.0)):
            planes.append(cv2.GaussianBlur(plane, (0, 0), blur) / spread)
    return np.stack(planes).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class PixelClassifier:
    """A trained classifier of pixels: what is the object, what is not.

    Attributes
    ----------
    weights : (W,) float16
        All of the net's; half precision, as a tracker keeps them for every frame.
    count : int
        Features a pixel has.
    """

    weights: NDArray[np.float16]
    count: int

    def log_odds(self, features: FloatImage) -> FloatImage:
        """Log-odds that pixels are the object: (F, ...) features to (...) float32."""
        first, first_bias, second, second_bias = _layers(
            self.weights.astype(np.float32), self.count
        )
        flat = features.reshape(features.shape[0], -1)
        odds = np.empty(flat.shape[1], np.float32)
        for begin in range(0, len(odds), BATCH):
            part = slice(begin, begin + BATCH)
            hidden = first @ flat[:, part]
            hidden += first_bias[:, None]
            np.maximum(hidden, 0, out=hidden)
            odds[part] = second @ hidden + second_bias
        return np.clip(odds, -_REACH, _REACH).reshape(features.shape[1:])

    @classmethod
    def learn(
        cls,
        features: FloatImage,
        truth: BoolArray,
        shaken: slice,
        jitter: float,
        steps: int = _STEPS,
        rate: float = _RATE,
        start: PixelClassifier | None = None,
    ) -> PixelClassifier:
        """Train on pixels, by Adam (Kingma & Ba, ICLR 2015).

        Parameters
        ----------
        features : (F, N) float32
        truth : (N,) bool
            Both kinds must be there.
        shaken : slice
            The rows that tell what is known roughly only, or will not stay.
        jitter : float
            How far they are shaken in training.
        steps : int
        rate : float
            At first; a tenth of it at the end.
        start : PixelClassifier, optional
            What to go on from; anew without.
        """
        rng = np.random.default_rng(0)
        count = features.shape[0]
        weights = np.zeros(_HIDDEN * (count + 2) + 1, np.float32)
        first, first_bias, second, second_bias = _layers(weights, count)
        if start is None:
            first[...] = rng.normal(0, np.sqrt(2 / count), first.shape)
            second[...] = rng.normal(0, np.sqrt(1 / _HIDDEN), second.shape)
        else:
            weights[...] = start.weights
        slope, decay = np.zeros_like(weights), np.zeros_like(weights)
        slopes = _layers(slope, count)
        for part in _layers(decay, count)[::2]:
            part[...] = _DECAY
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        sides = np.flatnonzero(truth), np.flatnonzero(~truth)
        chosen = np.concatenate(
            [side[rng.integers(0, len(side), (steps, BATCH // 2))] for side in sides], axis=1
        )
        answer = np.repeat(np.array([1, 0], np.float32), BATCH // 2)
        pixels = np.ascontiguousarray(features.T)
        rows = len(range(*shaken.indices(count)))
        shakes = rng.normal(0, jitter, (steps, BATCH, rows)).astype(np.float32)
        for step in range(steps):
            batch = pixels[chosen[step]]
            batch[:, shaken] += shakes[step]
            hidden = np.maximum(batch @ first.T + first_bias, 0)
            odds = hidden @ second + second_bias
            wrong = (1 / (1 + np.exp(-np.clip(odds, -60, 60))) - answer) / BATCH
            back = np.outer(wrong, second) * (hidden > 0)
            np.dot(back.T, batch, out=slopes[0])
            back.sum(axis=0, out=slopes[1])
            np.dot(wrong, hidden, out=slopes[2])
            slopes[3][0] = wrong.sum()
            slope += decay * weights
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope * slope - square)
            spread = np.sqrt(square / np.float32(1 - 0.999 ** (step + 1))) + 1e-8
            now = rate * (1 - 0.9 * (step + 1) / steps) / (1 - 0.9 ** (step + 1))
            weights -= np.float32(now) * mean / spread
        return cls(weights.astype(np.float16), count)


def _layers(weights: FloatImage, count: int) -> tuple[FloatImage, ...]:
    """Views of a net's weights: first layer and its bias, second layer and its bias."""
    first, first_bias, second, second_bias = np.split(
        weights, np.cumsum([_HIDDEN * count, _HIDDEN, _HIDDEN])
    )
    return first.reshape(_HIDDEN, count), first_bias, second, second_bias


def colour_ratio(
    source: ByteImage, mask: BoolArray, ground: BoolArray, target: ByteImage
) -> FloatImage:
    """Log-ratio of an object's and its surroundings' colours, (h, w) float32, -3..3.

    Parameters
    ----------
    source, target : (h, w, 3) uint8
        Colours are counted in the one and looked up in the other; sizes may differ.
    mask, ground : (h, w) bool
        The object and its surroundings in `source`.
    """
    bins = [0, 1, 2], None, [12, 12, 12], [0, 256, 0, 256, 0, 256]
    ratios = []
    for region in (mask, ground):
        count = cv2.calcHist([source], bins[0], region.astype(np.uint8), bins[2], bins[3])
        for axis in range(3):
            count = correlate1d(count, (0.25, 0.5, 0.25), axis, mode="constant")
        ratios.append(count / max(float(count.sum()), 1.0))
    table = np.log((ratios[0] + 1e-4) / (ratios[1] + 1e-4)).astype(np.float32)
    index = target.astype(np.int32) * 12 // 256
    return np.asarray(np.clip(table[index[..., 0], index[..., 1], index[..., 2]], -3, 3))

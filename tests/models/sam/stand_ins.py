"""An encoder that counts, and can be held up, in place of a real one."""

from __future__ import annotations

import threading

import numpy as np
import torch

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import as_video

N_FRAMES = 12


def film(n_frames: int = N_FRAMES) -> np.ndarray:
    """(T, 20, 24, 3) uint8 noise."""
    return np.random.default_rng(0).integers(0, 255, (n_frames, 20, 24, 3), dtype=np.uint8)


def rgb_frames(source=None) -> RgbFrames:
    return RgbFrames(as_video(film() if source is None else source))


class Gate(torch.nn.Module):
    """A layer at which a frame can be stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    def forward(self, values):
        self.reached.set()
        assert self.opened.wait(20)
        return values


class CountingEncoder:
    """Fulfils `ImageEncoder`: two convolutions with a gate between them."""

    def __init__(self, key: str = "counting") -> None:
        self.key = key
        self.device = Device("cpu")
        self.pictures = Pictures(16)
        self.first, self.last = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)
        rng = np.random.default_rng(0)
        with torch.no_grad():
            for parameter in (*self.first.parameters(), *self.last.parameters()):
                parameter.copy_(torch.from_numpy(rng.uniform(-0.2, 0.2, parameter.shape)))
        self.gate = Gate()
        self.began, self.done, self.preprocessed = 0, 0, 0
        self.threads: set[str] = set()

    def preprocess(self, rgb):
        self.preprocessed += 1
        self.threads.add(threading.current_thread().name)
        return self.pictures.preprocess(rgb)

    def encode(self, pixels):
        self.began += 1
        maps = self.last(self.gate(self.first(pixels)))
        self.done += 1
        return {"maps": maps, "turned": maps.flatten(2).permute(2, 0, 1)}

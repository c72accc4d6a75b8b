"""The SAM family behind the protocol of models: one loaded network, many videos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.base import Capabilities, VideoTracker
from napari_sam3.models.mask_settings import MaskSettings, memory_settings
from napari_sam3.models.sam.compiled import Compilable, compile_encoder
from napari_sam3.models.sam.encoder import TrackerEncoder
from napari_sam3.models.sam.feature_cache import SHARED_FEATURES, FeatureCache
from napari_sam3.models.sam.features import FeatureSource
from napari_sam3.models.sam.folder import LoadedSam
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.models.sam.sam3 import Sam3
from napari_sam3.models.sam.step_costs import PartTimes, StepCosts, counting, timing, wait_for
from napari_sam3.models.weights.availability import note_closed
from napari_sam3.settings import read_settings
from napari_sam3.values import Frames

if TYPE_CHECKING:
    from napari_sam3.models.sam.device import Device


class SamModel:
    """A loaded model of the SAM family.

    Attributes
    ----------
    name : str
    capabilities : Capabilities
        The prompts it takes, as its family and its files say.
    resolution : int
        Side of the square that frames are squeezed to, px.

    Parameters
    ----------
    loaded : LoadedSam
    name : str
        What it is asked for by.
    cache : FeatureCache
        Where encoded frames are kept; the process's own unless told otherwise.
    """

    def __init__(self, loaded: LoadedSam, name: str, cache: FeatureCache = SHARED_FEATURES) -> None:
        self.name = name
        self.resolution = loaded.resolution
        self.capabilities: Capabilities = loaded.family.capabilities
        self._cache = cache
        self._sam3: Sam3 | None = None
        self._place: Device = loaded.device
        self._loaded: LoadedSam | None = loaded
        self._encoder: Compilable
        if loaded.family.model_type == "sam3_video":
            self._sam3 = Sam3(loaded)
            self._encoder, self.capabilities = self._sam3.encoder, self._sam3.capabilities
        else:
            self._encoder = TrackerEncoder(
                loaded.network, loaded.pictures, loaded.device, loaded.key
            )
        self._is_compiled = False
        if read_settings().compile_encoder and loaded.device.torch.type == "cuda":
            self._is_compiled = compile_encoder(self._encoder)
        self._sources: WeakSet[FeatureSource] = WeakSet()

    @property
    def device(self) -> str:
        """Where it runs: 'cpu', 'cuda', 'cuda:1', 'mps'."""
        return self._place.name

    @property
    def precision(self) -> str:
        """What it computes in: 'float32', 'bfloat16'."""
        return self._place.precision

    @property
    def mask_settings(self) -> MaskSettings:
        """What its masks depend on besides its weights, of a session that is begun now."""
        told: dict[str, str | int | bool] = {
            "resolution": self.resolution,
            "precision": self.precision,
            "compile_encoder": self._is_compiled,
        }
        if self._loaded is None:
            return told
        return {**told, **memory_settings(read_settings(), self._loaded.family.model_type)}

    def start(self, frames: Frames) -> VideoTracker:
        """Begin on a video, as it is set now. Cheap: no frame is read before it is needed."""
        loaded = self._loaded
        if loaded is None:
            raise ModelUnavailableError(
                f"model {self.name!r} was closed; load it again with load_model"
            )
        features = FeatureSource(frames, self._encoder, self._cache)
        self._sources.add(features)
        rules = MemoryRules.of_settings(read_settings(), loaded.family.model_type)
        if self._sam3 is not None:
            return self._sam3.start(features, rules)
        return ObjectTracker(
            loaded.network, features, frames.size, len(frames), loaded.device, rules
        )

    def time_encoding(self, rgb: NDArray[np.uint8]) -> tuple[float, float]:
        """Seconds that a frame takes to become a picture for the model, and to be encoded."""
        began = time.perf_counter()
        pixels = self._encoder.preprocess(rgb)
        made = time.perf_counter()
        with self._place.computing():
            self._encoder.encode(pixels.to(self._place.torch))
            wait_for(self._place.torch)
        return made - began, time.perf_counter() - made

    @contextmanager
    def timing(self) -> Iterator[PartTimes]:
        """Time the network's parts (see `step_costs.timing`)."""
        assert self._loaded is not None, "closed"
        with timing(self._loaded.network, self._place.torch) as times:
            yield times

    @contextmanager
    def counting(self) -> Iterator[StepCosts]:
        """Count what this thread does on the device (see `step_costs.counting`)."""
        with counting(self._place.torch) as costs:
            yield costs

    def close(self) -> None:
        """Give back all memory; the model is not used afterwards."""
        if self._loaded is None:
            return
        for features in list(self._sources):
            features.close()
        # in place: whoever still holds the network holds no memory of the device
        network: Any = self._loaded.network  # annotated for other devices only
        network.to("meta")
        self._loaded = None
        self._sam3 = None
        note_closed(self)
        self._place.give_back_memory()

    def __repr__(self) -> str:
        return f"<SamModel {self.name!r} on {self.device}, {self.resolution} px>"

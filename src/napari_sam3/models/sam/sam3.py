"""SAM 3 as one model: concepts and clicks over one vision encoder."""

from __future__ import annotations

import logging
from typing import Any

from transformers import Sam3VideoModel

from napari_sam3.models.base import Capabilities, VideoTracker
from napari_sam3.models.sam.concept_prompt import Tokenizer
from napari_sam3.models.sam.concept_track import Detector
from napari_sam3.models.sam.concepts import ConceptTracker
from napari_sam3.models.sam.features import FeatureSource
from napari_sam3.models.sam.folder import LoadedSam
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.models.sam.sam3_vision import Sam3Encoder, Sam3Views, TrackerSource

logger = logging.getLogger(__name__)


class Sam3:
    """A loaded `Sam3VideoModel` and what belongs to it.

    Attributes
    ----------
    encoder : Sam3Encoder
    capabilities : Capabilities
        A folder without a tokenizer holds a model that takes neither text nor exemplars, for
        these are read beside a word.

    Raises
    ------
    ModelUnavailableError
        If the tokenizer is damaged.
    """

    def __init__(self, loaded: LoadedSam) -> None:
        network: Any = loaded.network
        self.encoder = Sam3Encoder(network, loaded.pictures, loaded.device, loaded.key)
        self._network: Sam3VideoModel = network
        self._device = loaded.device
        self._detector = Detector(network)
        self._tokenizer = Tokenizer.of_folder(loaded.folder)
        self.capabilities = loaded.family.capabilities
        if self._tokenizer is None:
            self.capabilities = Capabilities()
            logger.warning(
                "there is no tokenizer (tokenizer.json, or vocab.json and merges.txt) in %s: the "
                "model takes no text and no exemplars",
                loaded.folder,
            )

    def start(self, features: FeatureSource, rules: MemoryRules) -> VideoTracker:
        """Begin on a video."""
        views = Sam3Views(self._network, features)
        frames = features.frames
        objects = ObjectTracker(
            self._network.tracker_model,
            TrackerSource(views),
            frames.size,
            len(frames),
            self._device,
            rules,
        )
        if self._tokenizer is None:
            return objects
        return ConceptTracker(self._detector, self._tokenizer, views, objects, self._device, rules)

"""The models that keep the contract, and a way to talk to them. A new model joins MODELS.

Models of the SAM family are here as tiny networks of the real architecture with random weights:
they keep every rule, but see nothing. What takes eyes is asked of the others.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from napari_sam3 import Sam3VideoPredictor
from napari_sam3.models.fake import FakeModel
from napari_sam3.models.registry import load_model
from tests.conftest import CENTRES, RADIUS, SIZE, disc_mask, make_disc_film
from tests.sweeps import sweep


@cache
def load_tiny(family):
    """Write a tiny network as real weights are written, and load it through the same code."""
    import torch

    from napari_sam3.models.sam.load import load_sam
    from tests.models.sam.concept_kit import make_seeing
    from tests.models.sam.tiny import MAKERS, save
    from tests.models.sam.words import save_tokenizer

    torch.set_num_threads(1)  # more are slower where a layer takes microseconds
    with TemporaryDirectory() as name:
        folder = Path(name)
        if family == "sam3":
            save(make_seeing(make_disc_film()), save_tokenizer(folder))
        else:
            save(MAKERS[family](), folder)
        return load_sam(folder, "cpu", name=f"tiny {family}")


SEEING = {
    "fake": lambda: FakeModel(radius=RADIUS),
    "optical-flow": lambda: load_model("optical-flow"),
}
MODELS = {
    **SEEING,
    "tiny sam2": partial(load_tiny, "sam2"),
    "tiny edgetam": partial(load_tiny, "edgetam"),
    "tiny sam3_tracker": partial(load_tiny, "sam3_tracker"),
    "tiny sam3": partial(load_tiny, "sam3"),
}


def iou(mask, truth):
    return np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth)


class Talk:
    """Short words for requests on one session."""

    def __init__(self, predictor: Sam3VideoPredictor, **resource) -> None:
        self.predictor = predictor
        self.id = self.send("start_session", **resource)["session_id"]

    @property
    def word(self) -> str:
        """A word for something that the model finds on the film's first frame."""
        return "person" if self.predictor.model.name in SEEING else "dog"

    def send(self, kind: str, **fields):
        return self.predictor.handle_request({"type": kind, **fields})

    def prompt(self, frame_index: int = 0, **fields):
        return self.send("add_prompt", session_id=self.id, frame_index=frame_index, **fields)[
            "outputs"
        ]

    def click(self, frame_index: int = 0, which: int = 1, **fields):
        """Click the middle of a disc."""
        x, y = CENTRES[which]
        return self.prompt(
            frame_index, points=[[x + 3 * frame_index, y + 2 * frame_index]], **fields
        )

    def box(self, which: int = 1):
        """Normalised box round a disc on frame 0."""
        (x, y), (height, width) = CENTRES[which], SIZE
        side = 2 * RADIUS
        return [x / width, y / height, side / width, side / height]

    def assert_sees(self, outputs, obj_id: int, frame_index: int, which: int = 1):
        """The object is there; of a model that has learned to see: and it is that disc."""
        mask = outputs[obj_id]["mask"]
        assert mask.any()
        if self.predictor.model.name in SEEING:
            assert iou(mask, disc_mask(frame_index, which)) > 0.7

    def remove(self, obj_id: int, **fields):
        return self.send("remove_object", session_id=self.id, obj_id=obj_id, **fields)

    def stream(self, direction: str = "forward", **fields):
        return self.predictor.handle_stream_request(
            {
                "type": "propagate_in_video",
                "session_id": self.id,
                "propagation_direction": direction,
                **fields,
            }
        )

    def track(self, direction: str = "forward", **fields):
        """Run a propagation to its end: dict of frame index to outputs, in the order given."""
        responses = list(self.stream(direction, **fields))
        assert len({r["frame_index"] for r in responses}) == len(responses)
        return {r["frame_index"]: r["outputs"] for r in responses}


# clicks are followed by the same code in the others of the family
@pytest.fixture(params=sweep(MODELS, [*SEEING, "tiny sam2", "tiny sam3"]))
def predictor(request):
    return Sam3VideoPredictor(MODELS[request.param]())


@pytest.fixture
def talk(predictor, disc_film):
    return Talk(predictor, video=disc_film)


@pytest.fixture(params=SEEING)
def seeing_talk(request, disc_film):
    """A session on a model that knows a disc when it sees one."""
    return Talk(Sam3VideoPredictor(SEEING[request.param]()), video=disc_film)


@pytest.fixture
def fake_talk(disc_film):
    """A session on the fake model, for what must be exact."""
    return Talk(Sam3VideoPredictor(MODELS["fake"]()), video=disc_film)

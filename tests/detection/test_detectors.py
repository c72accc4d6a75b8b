"""Detectors by name: what each is told, and what is said where one can't be had."""

from __future__ import annotations

import sys
from importlib import import_module
from textwrap import dedent

import numpy as np
import pytest

from napari_sam3.detection import detect_objects, find_detector, list_detectors
from napari_sam3.errors import (
    ModelError,
    ModelUnavailableError,
    RequestError,
    UnsupportedPromptError,
)
from napari_sam3.models.fake import FakeModel

FRAME = np.zeros((60, 80), np.uint8)


def test_lists_those_that_find_by_themselves_first():
    blobs, cellpose, *models = list_detectors()
    assert (blobs.name, blobs.is_ready, blobs.takes_words) == ("blobs", True, False)
    assert (cellpose.name, cellpose.takes_words) == ("cellpose", False)
    assert "sam3" in [entry.name for entry in models if entry.takes_words]


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ("", RequestError, "there are: blobs"),
        ("nobody", RequestError, "no detector 'nobody'"),
        ("nobody:cell", RequestError, "no detector 'nobody:cell'"),
        ("blobs:round", RequestError, "blobs:dark"),
        ("sam3", RequestError, "sam3:WORD"),
        ("sam3: ", RequestError, "sam3:WORD"),
        ("sam3:30,10,20,40", RequestError, "X0 < X1"),
        ("optical-flow:cell", UnsupportedPromptError, "takes no text"),
        ("optical-flow:1,2,3,4", UnsupportedPromptError, "takes no exemplars"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(asked, error, said):
    with pytest.raises(error, match=said):
        find_detector(asked)


def test_a_model_finds_what_a_word_names():
    found = detect_objects(FRAME, "fake:person")
    left, right = found
    assert left.holds(20, 30)
    assert right.holds(40, 30)
    assert detect_objects(FRAME, "fake:nothing known") == []


def test_a_model_finds_what_looks_like_an_example():
    assert len(detect_objects(FRAME, "fake:50,20,70,40")) == 3  # all that the fake model knows


def test_a_loaded_model_is_used_and_left_loaded():
    class Kept(FakeModel):
        is_closed = False

        def close(self):
            self.is_closed = True

    kept, asked = Kept(), []
    detector = find_detector("fake:dog", lambda name: asked.append(name) or kept)
    assert len(detector.detect(np.zeros((60, 80, 3), np.uint8))) == 1
    detector.close()
    assert asked == ["fake"]
    assert not kept.is_closed


# ------------------------------------------------------------------------ cellpose

STAND_IN = """
    import numpy as np

    made = []

    class CellposeModel:
        def __init__(self, gpu=False, **asked):
            if "no such" in str(asked):
                raise ValueError("no such model")
            made.append(asked)

        def eval(self, x, **asked):
            made.append((x.shape, asked))
            masks = np.zeros(x.shape[:2], np.uint16)
            masks[5:15, 5:15], masks[30:40, 50:60] = 1, 2
            likely = np.full(x.shape[:2], -6.0)
            likely[5:15, 5:15], likely[30:40, 50:60] = 0.0, 6.0
            return masks, [None, None, likely], np.zeros(256)
"""


@pytest.fixture
def cellpose(monkeypatch, tmp_path):
    """Installs a stand-in of a version; gives what it was asked."""

    def install(version):
        (tmp_path / "cellpose").mkdir()
        (tmp_path / "cellpose" / "__init__.py").touch()
        (tmp_path / "cellpose" / "models.py").write_text(dedent(STAND_IN), "utf-8")
        about = tmp_path / f"cellpose-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: cellpose\nVersion: {version}\n", "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        models = import_module("cellpose.models")  # the stand-in

        return models.made

    yield install
    for name in ("cellpose", "cellpose.models"):
        sys.modules.pop(name, None)


def test_cellpose_3_is_asked_as_it_documents(cellpose):
    made = cellpose("3.1.1")
    sure, unsure = detect_objects(FRAME, "cellpose")
    assert made == [{"model_type": "cyto3"}, ((60, 80), {"channels": [0, 0]})]
    assert (sure.bbox, unsure.bbox) == ((50, 30, 60, 40), (5, 5, 15, 15))
    assert sure.score > 0.99
    assert unsure.score == pytest.approx(0.5)


def test_later_cellpose_has_one_model_and_sees_colours(cellpose):
    made = cellpose("4.0.6")
    colours = np.zeros((60, 80, 3), np.uint8)
    colours[::2, :, 0], colours[:, ::2, 1] = 90, 60
    assert len(detect_objects(colours, "cellpose")) == 2
    assert made == [{}, ((60, 80, 3), {"channel_axis": -1})]


def test_a_model_of_cellpose_can_be_named(cellpose):
    made = cellpose("3.0.11")
    detect_objects(FRAME, "cellpose:nuclei")
    assert made[0] == {"model_type": "nuclei"}


def test_what_cellpose_can_not_do_is_told(cellpose):
    cellpose("4.0.6")
    with pytest.raises(ModelError, match="cellpose can't load its model: no such model"):
        find_detector("cellpose:no such")


def test_an_old_cellpose_is_refused(cellpose):
    cellpose("2.3.2")
    with pytest.raises(ModelUnavailableError, match="too old"):
        find_detector("cellpose")


def test_without_cellpose_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cellpose", None)
    monkeypatch.setitem(sys.modules, "cellpose.models", None)
    with pytest.raises(ModelUnavailableError, match="pip install cellpose"):
        find_detector("cellpose")

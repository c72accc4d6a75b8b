"""Finding a model by name."""

from __future__ import annotations

import pytest

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.fake import FakeModel
from napari_sam3.models.registry import (
    AUTO_VARIABLE,
    choose_model,
    list_models,
    load_model,
    models_that_take,
)


def test_auto_takes_the_embedded_model_and_says_so(caplog, monkeypatch):
    monkeypatch.delenv(AUTO_VARIABLE, raising=False)
    caplog.set_level("INFO")
    assert load_model("auto").name == "optical-flow"
    assert "took optical-flow" in caplog.text


def test_auto_can_be_set_by_a_variable(monkeypatch):
    monkeypatch.setenv(AUTO_VARIABLE, "fake")
    entry, reason = choose_model()
    assert entry.name == "fake"
    assert AUTO_VARIABLE in reason


def test_people_are_not_offered_the_model_for_tests():
    assert "fake" not in [entry.name for entry in list_models()]
    assert models_that_take("points") == "optical-flow"
    assert models_that_take("text").startswith("none in this version; SAM 3")


def test_entries_tell_the_truth():
    for entry in list_models():
        model = load_model(entry.name)
        assert model.name == entry.name
        assert model.capabilities == entry.capabilities
        assert model.device in entry.devices()


def test_loaded_model_is_given_back():
    model = FakeModel()
    assert load_model(model) is model


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("sam9", None, "no model is called 'sam9'; choose one of: auto, optical-flow"),
        ("optical-flow", "cuda:7", "does not run on device 'cuda:7' here; choose one of: cpu"),
    ],
)
def test_what_is_not_there_is_said(name, device, message):
    with pytest.raises(ModelUnavailableError, match=message):
        load_model(name, device)


def test_folder_of_no_known_family(tmp_path):
    with pytest.raises(ModelUnavailableError, match="can read the folder"):
        load_model(tmp_path)

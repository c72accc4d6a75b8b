"""Finding a model by name, and what "auto" stands for."""

from __future__ import annotations

import sys

import pytest

from napari_sam3.errors import ModelUnavailableError, WeightsMissingError
from napari_sam3.models import registry
from napari_sam3.models.fake import FakeModel
from napari_sam3.models.registry import (
    AUTO_VARIABLE,
    EMBEDDED,
    choose_model,
    find_model,
    list_models,
    load_model,
    models_that_take,
)
from napari_sam3.models.weights import GiB, use_folder
from tests.models.weights.folders import write_model

OURS = ["sam3", "sam2.1-large", "sam2.1-base-plus", "sam2.1-small", "sam2.1-tiny", "edgetam"]
CPU, CUDA = ("cpu",), ("cuda", "cuda:0", "cpu")


@pytest.fixture
def machine(monkeypatch, weights_home, tmp_path):
    """Sets what models are on the disk, which devices there are, and their free memory."""
    monkeypatch.delenv(AUTO_VARIABLE, raising=False)

    def prepare(names=(), devices=CPU, free=64 * GiB):
        for name in names:
            kind = next(e.weights.model_type for e in list_models() if e.name == name)
            use_folder(write_model(tmp_path / name, kind), name)
        monkeypatch.setattr(registry, "_torch_devices", lambda: devices)
        monkeypatch.setattr(
            registry,
            "_free_memory",
            lambda device: (device if device in devices else devices[0], free),
        )

    return prepare


def test_auto_takes_the_embedded_model_and_says_so(machine, caplog):
    machine()
    caplog.set_level("INFO")
    assert load_model("auto").name == EMBEDDED
    assert "took optical-flow, because no other model's weights" in caplog.text


def test_auto_looks_at_no_device_while_nothing_is_on_the_disk(machine, monkeypatch):
    machine()
    monkeypatch.setattr(registry, "_free_memory", lambda device: pytest.fail("looked"))
    assert choose_model()[0].name == EMBEDDED


def test_auto_can_be_set_by_a_variable(monkeypatch):
    monkeypatch.setenv(AUTO_VARIABLE, "fake")
    entry, reason = choose_model()
    assert entry.name == "fake"
    assert AUTO_VARIABLE in reason


@pytest.mark.parametrize(
    ("there", "devices", "free", "expected"),
    [
        (OURS, CUDA, 64, "sam3"),
        (OURS, CUDA, 5, "sam2.1-large"),
        (OURS, CUDA, 3, "sam2.1-base-plus"),
        (OURS, CUDA, 1.5, "edgetam"),
        (OURS, CUDA, 1, EMBEDDED),
        (["sam2.1-tiny", "edgetam"], CUDA, 64, "sam2.1-tiny"),
        (["edgetam"], CUDA, 64, "edgetam"),
        (OURS, CPU, 64, "edgetam"),
        (["sam3", "sam2.1-large", "sam2.1-tiny"], CPU, 64, "sam2.1-tiny"),
        (["sam3", "sam2.1-large"], CPU, 64, EMBEDDED),
        (OURS, CPU, 0, EMBEDDED),
    ],
)
def test_auto_takes_the_best_that_is_there_and_fits(machine, there, devices, free, expected):
    machine(there, devices, free * GiB)
    entry, reason = choose_model()
    assert entry.name == expected, reason


def test_auto_heeds_the_device_asked_for(machine):
    machine(OURS, CUDA)
    assert choose_model("cpu")[0].name == "edgetam"


def test_a_loaded_model_still_fits(machine, monkeypatch):
    machine(["sam3"], CUDA, GiB)
    assert choose_model()[0].name == EMBEDDED
    monkeypatch.setattr(registry, "is_loaded", lambda name: name == "sam3")
    assert choose_model()[0].name == "sam3"


def test_without_pytorch_auto_is_the_embedded_model(machine, monkeypatch):
    machine(["edgetam"])
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "napari_sam3.models.sam.device", None)
    with pytest.raises(ModelUnavailableError, match="PyTorch can't be used here"):
        registry._torch_devices()


def test_people_are_not_offered_the_model_for_tests(weights_home):
    assert [entry.name for entry in list_models()] == [*OURS, EMBEDDED]
    assert models_that_take("text") == "sam3"


def test_entries_tell_the_truth():
    entry = find_model(EMBEDDED)
    model = load_model(EMBEDDED)
    assert (model.name, model.capabilities) == (entry.name, entry.capabilities)
    assert model.device in entry.devices()


def test_a_model_of_the_persons_own_is_listed(weights_home, tmp_path):
    use_folder(write_model(tmp_path / "cells", "sam2_video"))
    entry = next(entry for entry in list_models() if entry.name == "cells")
    assert entry.is_ready
    assert not entry.capabilities.text
    assert find_model(tmp_path / "cells").weights.model_type == "sam2_video"


def test_loaded_model_is_given_back():
    model = FakeModel()
    assert load_model(model) is model


def test_the_settings_device_is_a_wish_and_the_callers_an_order(monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_DEVICE", "cuda:7")
    assert load_model(EMBEDDED).device == "cpu"
    with pytest.raises(ModelUnavailableError, match="device 'cuda:7' here; choose one of: cpu"):
        load_model(EMBEDDED, "cuda:7")


@pytest.mark.parametrize("name", ["sam2.1-tiny", "someone/finetuned-sam2"])
def test_weights_that_are_not_here_name_the_command_that_gets_them(weights_home, name):
    with pytest.raises(WeightsMissingError, match=f"napari-sam3 models get {name}"):
        load_model(name)


def test_what_is_not_there_is_said(weights_home):
    with pytest.raises(ModelUnavailableError, match=r"did you mean 'sam3'.*auto, optical-flow"):
        load_model("sam9")


def test_folder_of_no_known_family(tmp_path):
    with pytest.raises(ModelUnavailableError, match="holds no model"):
        load_model(tmp_path)

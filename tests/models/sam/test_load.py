"""From a folder to a model: family, resolution, and what is said of folders that are wrong."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam3 import VideoSession
from napari_sam3.errors import (
    ModelUnavailableError,
    OutOfDeviceMemoryError,
    UnsupportedPromptError,
)
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.folder import load_network
from napari_sam3.models.sam.load import load_sam
from tests.models.sam.tiny import MAKERS, save

TRACKERS = ("sam2", "edgetam", "sam3_tracker")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each family of trackers, as real weights lie on the disk."""
    root = tmp_path_factory.mktemp("models")
    return {name: save(MAKERS[name](), root / name) for name in TRACKERS}


@pytest.fixture
def broken(folders, tmp_path):
    """A copy to be broken."""
    return shutil.copytree(folders["sam2"], tmp_path / "broken")


@pytest.mark.parametrize("name", TRACKERS)
def test_the_family_is_read_and_the_weights_are_those_of_the_files(folders, name):
    model = load_sam(folders[name], "cpu")
    assert model.name == name
    assert (model.device, model.precision) == ("cpu", "float32")
    assert model.capabilities.points
    assert not model.capabilities.text
    theirs, ours = MAKERS[name]().state_dict(), model._loaded.network.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    model.close()


@pytest.mark.parametrize(("name", "selects"), [("sam2", "off"), ("sam3_tracker", "on")])
def test_a_model_tells_what_its_masks_depend_on(folders, monkeypatch, name, selects):
    monkeypatch.setenv("NAPARI_SAM3_PROMPTED_FRAMES", "4")
    model = load_sam(folders[name], "cpu")
    assert model.mask_settings == {
        "resolution": model.resolution,
        "precision": "float32",
        "compile_encoder": False,
        "memory_selection": selects,
        "prompted_frames": 4,
        "distractor_memory": False,
        "motion_prior": False,
    }
    model.close()


def test_a_tracker_refuses_text_with_the_reason(folders, disc_film):
    session = VideoSession(disc_film, load_sam(folders["sam2"], "cpu", name="cells"))
    with pytest.raises(UnsupportedPromptError, match=r"'cells' can't take text \('dog'\)"):
        session.add_prompt(0, text="dog")
    session.close()


@pytest.mark.parametrize(
    ("name", "wish", "side"),
    [("sam2", 200, 192), ("edgetam", 256, 256), ("sam3_tracker", 100, 98), ("sam2", 0, 128)],
)
def test_working_resolution(folders, disc_film, name, wish, side):
    model = load_sam(folders[name], "cpu", resolution=wish)
    assert model.resolution == side
    with VideoSession(disc_film, model) as session:
        session.add_prompt(0, points=[[34, 40]])
        results = list(session.propagate(max_frame_num_to_track=3))
    assert [result.objects[1].size for result in results] == [(120, 160)] * 3


def test_a_resolution_that_shows_nothing_is_refused(folders):
    with pytest.raises(ModelUnavailableError, match="resolution of 40 px is too low"):
        load_sam(folders["sam2"], "cpu", resolution=40)


def test_features_of_other_weights_resolutions_and_precisions_are_told_apart(folders, broken):
    weights = load_file(broken / "model.safetensors")
    save_file(
        {n: t + 1 for n, t in weights.items()}, broken / "model.safetensors", {"format": "pt"}
    )
    keys = {
        load_network(folders["sam2"], "cpu").key,
        load_network(folders["sam2"], "cpu", 256).key,
        load_network(broken, "cpu").key,
    }
    assert len(keys) == 3
    assert load_network(folders["sam2"], "cpu").key in keys


def test_no_folder(tmp_path):
    with pytest.raises(ModelUnavailableError, match="no such folder"):
        load_sam(tmp_path / "nowhere", "cpu")


def test_another_kind_of_model(broken):
    (broken / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelUnavailableError, match="'llama'; these families are read"):
        load_sam(broken, "cpu")


def test_no_weights(broken):
    (broken / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match="is missing"):
        load_sam(broken, "cpu")


def test_weights_cut_short(broken):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ModelUnavailableError, match="get it again"):
        load_sam(broken, "cpu")


def test_weights_of_another_model(broken, folders):
    shutil.copy(folders["edgetam"] / "model.safetensors", broken / "model.safetensors")
    with pytest.raises(ModelUnavailableError, match=r"parameters are missing|can't be loaded"):
        load_sam(broken, "cpu")


def test_a_config_that_makes_no_sense(broken):
    config = json.loads((broken / "config.json").read_text())
    config["memory_attention_num_layers"] = "many"
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnavailableError, match="can't be loaded"):
        load_sam(broken, "cpu")


def test_a_device_that_is_not_here(folders):
    with pytest.raises(ModelUnavailableError, match="no device 'cuda:7'"):
        load_sam(folders["sam2"], "cuda:7")


def test_closing_gives_the_weights_back_whoever_holds_them(folders, disc_film):
    model = load_sam(folders["sam2"], "cpu")
    network = model._loaded.network
    session = VideoSession(disc_film, model)
    session.add_prompt(0, points=[[34, 40]])
    model.close()
    model.close()
    assert all(parameter.is_meta for parameter in network.parameters())
    with pytest.raises(ModelUnavailableError, match="was closed"):
        model.start(session._frames)
    session.close()


def test_closing_a_session_gives_the_accelerators_memory_back(folders, disc_film, monkeypatch):
    model = load_sam(folders["sam2"], "cpu")
    session = VideoSession(disc_film, model)
    session.add_prompt(0, points=[[34, 40]])
    held = session._tracker
    given_back = []
    monkeypatch.setattr(
        Device, "give_back_memory", lambda device: given_back.append(held._view is None)
    )
    session.close()
    assert given_back == [True]


def test_out_of_memory_ends_the_propagation_and_keeps_what_is_done(folders, disc_film, monkeypatch):
    model = load_sam(folders["sam2"], "cpu")
    with VideoSession(disc_film, model) as session:
        session.add_prompt(0, points=[[34, 40]])
        network, calls = model._loaded.network, []
        follow = network.memory_attention.forward

        def forward(*inputs, **options):
            calls.append(1)
            if len(calls) == 4:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return follow(*inputs, **options)

        monkeypatch.setattr(network.memory_attention, "forward", forward)
        propagation = session.propagate()
        done = [next(propagation) for _ in range(4)]
        with pytest.raises(OutOfDeviceMemoryError, match="lower working resolution"):
            next(propagation)
        assert [result.frame_index for result in done] == [0, 1, 2, 3]
        assert not session.is_propagating
        kept = session.result(3).objects[1].mask
        assert np.array_equal(kept, done[3].objects[1].mask)
        assert len(list(session.propagate(start_frame_index=4))) == len(disc_film) - 4


def test_a_network_far_larger_than_its_weights_takes_no_memory(broken):
    path = broken / "config.json"
    config = json.loads(path.read_text())
    config["memory_attention_feed_forward_hidden_size"] = 10**5
    path.write_text(json.dumps(config))
    with pytest.raises(ModelUnavailableError, match="bytes of weights"):
        load_sam(broken, "cpu")


@pytest.mark.parametrize("said", [{"image_mean": ["a", "b", "c"]}, {"resample": []}])
def test_a_processor_that_makes_no_sense(broken, said):
    (broken / "video_preprocessor_config.json").unlink(missing_ok=True)
    for path in broken.glob("*processor*.json"):
        path.unlink()
    told = {"image_mean": [0, 0, 0], "image_std": [1, 1, 1], **said}
    (broken / "processor_config.json").write_text(json.dumps(told))
    with pytest.raises(ModelUnavailableError, match="can't be loaded"):
        load_sam(broken, "cpu")

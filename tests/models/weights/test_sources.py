"""From names, folders and hub ids to weights; the person's own models."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_sam3.errors import HubOfflineError, ModelUnavailableError
from napari_sam3.models.weights import (
    all_weights,
    find_source,
    find_weights,
    forget,
    state_of,
    use_folder,
)
from napari_sam3.models.weights.models_file import models_path
from tests.hub_server import Repo
from tests.models.weights.folders import model_files, write_model, write_snapshot


def test_a_folder_is_remembered_under_its_name(weights_home, tmp_path):
    folder = write_model(tmp_path / "my-cells", "edgetam_video")
    weights = use_folder(folder)
    assert (weights.name, weights.model_type) == ("my-cells", "edgetam_video")
    assert find_weights(find_source("my-cells")) == folder
    assert weights in all_weights()
    assert forget("my-cells")
    assert not forget("my-cells")
    with pytest.raises(ModelUnavailableError, match="no model is called 'my-cells'"):
        find_source("my-cells")
    assert folder.is_dir()


def test_a_folder_stands_in_for_a_model_of_ours(weights_home, tmp_path):
    use_folder(write_model(tmp_path / "copied", "sam3_video"), "sam3")
    weights = find_source("sam3")
    assert state_of(weights).is_ready
    assert weights.licence.name == "SAM License"
    assert [w.name for w in all_weights()].count("sam3") == 1


def test_a_folder_of_another_family_does_not(weights_home, tmp_path):
    with pytest.raises(ModelUnavailableError, match="'sam3' is a SAM 3 model, and this one is SAM"):
        use_folder(write_model(tmp_path / "copied", "sam2_video"), "sam3")


@pytest.mark.parametrize("name", ["auto", "optical-flow", "a/b", "-x", "two words"])
def test_names_that_would_be_taken_for_something_else(weights_home, tmp_path, name):
    with pytest.raises(ModelUnavailableError, match="can't be a model's name"):
        use_folder(write_model(tmp_path / "cells"), name)


def test_a_folder_that_has_gone_says_so(weights_home, tmp_path):
    folder = write_model(tmp_path / "cells")
    use_folder(folder)
    (folder / "model.safetensors").unlink()
    state = state_of(find_source("cells"))
    assert not state.is_ready
    assert "model.safetensors is missing" in state.message
    assert "models folder FOLDER --name cells" in state.message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "sam2"}, "single pictures.*needs the video model"),
        ({"model_type": "bert"}, "model_type 'bert'; these families are read: SAM 3"),
        ({"architectures": ["X"]}, "names no model_type"),
        ([1], "names no model_type"),
    ],
)
def test_other_models_are_told_by_their_config(weights_home, tmp_path, config, words):
    folder = write_model(tmp_path / "other")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnavailableError, match=words):
        use_folder(folder)


def test_folders_without_a_model_say_what_is_wrong(weights_home, tmp_path):
    def told(folder):
        with pytest.raises(ModelUnavailableError) as caught:
            use_folder(folder)
        return str(caught.value)

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "sam2.pt").touch()
    assert "converted to transformers' format" in told(tmp_path / "checkpoints")
    write_model(tmp_path / "outer" / "inner")
    assert "The folder 'inner' inside it has one" in told(tmp_path / "outer")
    (write_model(tmp_path / "torn") / "config.json").write_bytes(b"{\xff")
    assert "can't be read" in told(tmp_path / "torn")
    (write_model(tmp_path / "cut") / "config.json").write_text("{")
    assert "is no JSON" in told(tmp_path / "cut")
    (write_model(tmp_path / "empty") / "model.safetensors").write_bytes(b"")
    assert "is not whole" in told(tmp_path / "empty")
    assert "neither a folder nor a hub id" in told(str(tmp_path / "nowhere" / "at" / "all"))


@pytest.mark.parametrize("place", ["", "~nobody-of-this-name", "~nobody/x", "a" * 5000, "a\0b"])
def test_places_that_can_not_be_looked_at_are_no_folders(weights_home, place):
    with pytest.raises(ModelUnavailableError, match="neither a folder nor a hub id"):
        find_source(place)
    with pytest.raises(ModelUnavailableError, match="neither a folder nor a hub id"):
        use_folder(place)


def test_of_a_hub_id_only_its_config_is_asked_for(hub):
    hub.repos["lab/cells"] = Repo(model_files("sam2_video", 10_000), {"model.safetensors"})
    weights = use_folder("lab/cells", "nuclei")
    assert (weights.name, weights.repo_id, weights.model_type) == (
        "nuclei",
        "lab/cells",
        "sam2_video",
    )
    assert [r.path for r in hub.downloads("/lab/")] == ["/lab/cells/resolve/main/config.json"]
    assert not state_of(find_source("nuclei")).is_ready


def test_a_hub_id_in_the_cache_needs_no_net(weights_home, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = write_snapshot("lab/cells", model_type="edgetam_video")
    assert find_weights(use_folder("lab/cells")) == folder
    assert find_source("lab/cells").model_type == "edgetam_video"
    with pytest.raises(HubOfflineError):
        use_folder("lab/other")


def test_the_hub_id_of_one_of_ours_is_ours(weights_home):
    assert find_source("facebook/sam3") == find_source("sam3")


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"models": 3}', '{"models": {"a": {"folder": 3}}}']
)
def test_a_damaged_memory_stops_nothing(weights_home, tmp_path, text):
    models_path().parent.mkdir(parents=True)
    models_path().write_text(text)
    assert len(all_weights()) == 6
    use_folder(write_model(tmp_path / "cells"))
    assert find_source("cells").model_type == "sam2_video"
    damaged = models_path().with_suffix(".damaged")
    assert not damaged.exists() or damaged.read_text() == text
    assert damaged.exists() == (not text.startswith("{"))


def test_nothing_is_lost_where_several_threads_remember(weights_home, tmp_path):
    folder = write_model(tmp_path / "cells")
    names = [f"cells-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: use_folder(folder, name), names))
    assert {weights.name for weights in all_weights()} >= set(names)


def test_every_model_of_ours_names_its_licence_and_size():
    for weights in all_weights():
        assert weights.licence.url.startswith("https://")
        assert weights.licence.summary.endswith(".")
        assert weights.download_bytes > 10**7
        assert weights.is_gated == (weights.name == "sam3")


def test_a_family_that_is_not_known_any_more_is_left_out(weights_home):
    models_path().parent.mkdir(parents=True)
    models_path().write_text('{"models": {"old": {"folder": "/old", "model_type": "sam0"}}}')
    assert len(all_weights()) == 6


def test_a_memory_that_can_not_be_written_is_said(weights_home, tmp_path, monkeypatch):
    models_path().parent.parent.mkdir(parents=True)
    models_path().parent.write_text("a file in the folder's place")
    with pytest.raises(ModelUnavailableError, match="can't be kept"):
        use_folder(write_model(tmp_path / "cells"))

"""Where weights are, as the disk and the hub say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from napari_sam3.errors import (
    AccessNotRequestedError,
    AccessPendingError,
    AccessRefusedError,
    HubOfflineError,
    ModelUnavailableError,
    TokenError,
    WeightsMissingError,
)
from napari_sam3.models.registry import load_model
from napari_sam3.models.weights import (
    State,
    ask_hub,
    find_source,
    find_weights,
    note_closed,
    note_loaded,
    save_token,
    size_of,
    state_of,
    who_am_i,
)
from napari_sam3.models.weights.availability import PARTIAL
from napari_sam3.models.weights.local_files import repo_folder
from tests.hub_server import Repo, _Handler
from tests.models.weights.folders import model_files, safetensors, write_model, write_snapshot

TINY, SAM3 = "facebook/sam2.1-hiera-tiny", "facebook/sam3"


@pytest.fixture
def token(hub):
    """Somebody who is logged in."""
    return save_token("hf_good")


def test_nothing_is_here_and_nothing_was_asked(hub):
    states = {name: state_of(find_source(name)).state for name in ("sam3", "edgetam")}
    assert states == {"sam3": State.NO_TOKEN, "edgetam": State.TO_DOWNLOAD}
    assert hub.requests == []


def test_offline_mode_is_honoured(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for state in (state_of(find_source("edgetam")), ask_hub(find_source("edgetam"))):
        assert state.state is State.OFFLINE
        assert "HF_HUB_OFFLINE" in state.message
    with pytest.raises(HubOfflineError, match="models folder FOLDER"):
        load_model("edgetam")
    assert hub.requests == []


def test_what_is_in_the_cache_is_on_disk_also_offline(hub, monkeypatch):
    folder = write_snapshot(TINY)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    state = ask_hub(find_source("sam2.1-tiny"))
    assert (state.state, state.folder, state.is_ready) == (State.ON_DISK, folder, True)
    assert hub.requests == []


def test_a_model_in_use_is_loaded_until_it_is_closed(weights_home):
    class Model:
        pass

    write_snapshot(TINY)
    weights, model = find_source("sam2.1-tiny"), Model()
    note_loaded(model, "sam2.1-tiny")
    assert state_of(weights).state is State.LOADED
    note_closed(model)
    assert state_of(weights).state is State.ON_DISK
    note_loaded(model, "sam2.1-tiny")
    del model
    assert state_of(weights).state is State.ON_DISK


def test_the_commit_that_the_revision_stands_for_is_taken(weights_home):
    newer = write_snapshot(TINY, "b" * 40, is_main=False)
    main = write_snapshot(TINY, "a" * 40)
    assert find_weights(find_source("sam2.1-tiny")) == main
    (main / "model.safetensors").unlink()
    assert find_weights(find_source("sam2.1-tiny")) == newer


@pytest.mark.parametrize(
    ("access", "state", "error", "words"),
    [
        ("none", State.NOT_REQUESTED, AccessNotRequestedError, "accept the licence at"),
        ("reset", State.NOT_REQUESTED, AccessNotRequestedError, "accept the licence at"),
        ("pending", State.PENDING, AccessPendingError, "models check sam3"),
        ("rejected", State.REFUSED, AccessRefusedError, "models folder FOLDER --name sam3"),
    ],
)
def test_gated_in_each_way(hub, token, access, state, error, words):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), {"model.safetensors"}, access)
    told = ask_hub(find_source("sam3"))
    assert told.state is state
    assert words in told.message
    assert told.url == "https://huggingface.co/facebook/sam3"
    # remembered, with the day, without asking again
    asked = len(hub.requests)
    assert state_of(find_source("sam3")).state is state
    assert "as of 20" in state_of(find_source("sam3")).message
    with pytest.raises(error, match=r"https://huggingface\.co/facebook/sam3"):
        load_model("sam3")
    assert len(hub.requests) == asked


def test_an_approval_takes_the_place_of_what_was_remembered(hub, token):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), {"model.safetensors"}, "pending")
    assert ask_hub(find_source("sam3")).state is State.PENDING
    hub.repos[SAM3].access = "granted"
    assert ask_hub(find_source("sam3")).state is State.TO_DOWNLOAD
    assert state_of(find_source("sam3")).state is State.TO_DOWNLOAD


def test_what_was_said_to_another_account_does_not_count(hub, token):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), access="rejected")
    ask_hub(find_source("sam3"))
    hub.tokens["hf_other"] = "another"
    save_token("hf_other")
    assert state_of(find_source("sam3")).state is State.TO_DOWNLOAD


def test_gated_without_a_token(hub):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), access="granted")
    told = ask_hub(find_source("sam3"))
    assert told.state is State.NO_TOKEN
    assert told.url == "https://huggingface.co/settings/tokens"
    with pytest.raises(TokenError, match="napari-sam3 models token"):
        load_model("sam3")


def test_a_token_that_is_not_accepted_any_more(hub, token):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), access="granted")
    del hub.tokens["hf_good"]
    told = ask_hub(find_source("sam3"))
    assert told.state is State.NO_TOKEN
    assert "not accepted" in told.message


def test_open_weights_with_a_token_that_is_not_accepted(hub, token):
    hub.repos[TINY] = Repo(model_files("sam2_video"))
    del hub.tokens["hf_good"]
    told = ask_hub(find_source("sam2.1-tiny"))
    assert told.state is State.NO_TOKEN
    assert "hf auth logout" in told.message
    assert "licence" not in told.message


def test_gated_weights_that_are_not_ours_are_remembered_too(hub, token):
    hub.repos["lab/cells"] = Repo(model_files("sam2_video"), access="pending")
    assert ask_hub(find_source("lab/cells")).state is State.PENDING
    assert state_of(find_source("lab/cells")).state is State.PENDING


def test_a_token_that_may_not_read_gated_repositories(hub, token):
    hub.repos[SAM3] = Repo(model_files("sam3_video"), access="fine-grained")
    told = ask_hub(find_source("sam3"))
    assert told.state is State.NO_TOKEN
    assert "may not read gated" in told.message


def test_the_hub_tells_the_size(hub):
    files = model_files("edgetam_video")
    hub.repos["yonigozlan/EdgeTAM-hf"] = Repo({**files, "edgetam.pt": bytes(10_000)})
    told = ask_hub(find_source("edgetam"))
    assert told.state is State.TO_DOWNLOAD
    assert told.weights.download_bytes == sum(map(len, files.values()))


@pytest.mark.parametrize("has_token", [False, True])
def test_no_such_repository(hub, has_token):
    if has_token:
        save_token("hf_good")
    with pytest.raises(ModelUnavailableError, match="no model 'who/what'"):
        ask_hub(find_source("who/what"))


def test_a_repository_without_a_model_of_transformers(hub):
    hub.repos["who/what"] = Repo({"model.pt": b"x"})
    with pytest.raises(ModelUnavailableError, match="holds no model in transformers' format"):
        ask_hub(find_source("who/what"))


def test_no_such_revision(hub):
    from dataclasses import replace

    hub.repos[TINY] = Repo(model_files("sam2_video"))
    with pytest.raises(ModelUnavailableError, match="no revision 'v9'"):
        ask_hub(replace(find_source("sam2.1-tiny"), revision="v9"))


def test_a_hub_that_is_ill_or_away(hub, weights_home, monkeypatch):
    hub.fault = 500
    told = ask_hub(find_source("edgetam"))
    assert (told.state, "500" in told.message) == (State.OFFLINE, True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert ask_hub(find_source("edgetam")).state is State.OFFLINE


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b"{}", b"[]", b"null"])
def test_a_page_in_place_of_the_hubs_answer(hub, monkeypatch, answer):
    save_token("hf_good")
    monkeypatch.setattr(_Handler, "_answer", lambda self: self._send(200, answer))
    state = ask_hub(find_source("edgetam"))
    assert (state.state, "not an answer of the hub's" in state.message) == (State.OFFLINE, True)
    with pytest.raises(HubOfflineError, match="not an answer"):
        who_am_i()


@pytest.mark.parametrize("error", [ImportError("socksio"), ValueError("Unknown scheme")])
def test_a_proxy_that_can_not_be_used(hub, monkeypatch, error):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.auth_check", fail)
    state = ask_hub(find_source("edgetam"))
    assert (state.state, "proxy" in state.message) == (State.OFFLINE, True)


@pytest.mark.parametrize(
    "token", ["hf_secr\u00e9t", "hf_secr\x1b[Det", "hf_secr\x00et", "hf_se cret"]
)
def test_what_can_not_be_a_token_is_not_sent_and_not_repeated(hub, token):
    with pytest.raises(TokenError, match="signs that no token has") as caught:
        save_token(token)
    assert "secr" not in str(caught.value)
    assert hub.requests == []


def test_a_token_that_can_not_be_read_is_none(hub, weights_home, caplog):
    (weights_home / "token").mkdir(parents=True)
    assert state_of(find_source("sam3")).state is State.NO_TOKEN
    with pytest.raises(TokenError, match="no token is saved"):
        who_am_i()
    assert "can't be read" in caplog.text


def test_whose_token_it_is(hub, monkeypatch):
    with pytest.raises(TokenError, match="no token is saved"):
        who_am_i()
    with pytest.raises(TokenError, match="does not accept"):
        save_token("hf_bad")
    with pytest.raises(TokenError, match="is empty"):
        save_token(" \n")
    assert save_token(" hf_good\n").name == "somebody"
    assert (who_am_i().name, who_am_i().role) == ("somebody", "read")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubOfflineError, match="can't be checked"):
        who_am_i()


def test_damage_is_seen_before_loading(weights_home, tmp_path):
    from napari_sam3.models.weights.local_files import what_is_missing

    def told(name, content):
        folder = write_model(tmp_path / name)
        (folder / "model.safetensors").write_bytes(content)
        return what_is_missing(folder) or ""

    whole = safetensors()
    assert told("whole", whole) == ""
    assert "cut off" in told("short", whole[:-4])
    assert "damaged" in told("long", whole + b"0")
    assert "no safetensors" in told("pointer", b"version https://git-lfs.github.com/spec/v1\n")
    assert "no safetensors" in told("empty", b"")
    for number, header in enumerate(
        (b"[]", b'{"a":1}', b'{"a":{"data_offsets":[0,"x"]}}', b'{"a":{"data_offsets":[0,1e999]}}')
    ):
        content = len(header).to_bytes(8, "little") + header
        assert "no safetensors" in told(f"header{number}", content)


def test_shards_must_all_be_there(tmp_path):
    from napari_sam3.models.weights.local_files import what_is_missing

    folder = write_model(tmp_path / "shards")
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    (folder / "model.safetensors").rename(folder / first)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": first, "b": second}}))
    assert second in what_is_missing(folder)
    (folder / second).write_bytes(safetensors())
    assert what_is_missing(folder) is None
    index.write_text("[]")
    assert "can't be read" in what_is_missing(folder)
    index.write_text('{"weight_map": {}}')
    assert "names no file" in what_is_missing(folder)


def test_a_cache_folder_of_nobody_is_empty(weights_home, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "~nobody-of-this-name/hub")
    assert state_of(find_source("edgetam")).state is State.TO_DOWNLOAD


def test_a_part_that_is_made_whole_meanwhile(weights_home):
    blobs = repo_folder(TINY) / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"gone{PARTIAL}").symlink_to(blobs / "nowhere")
    assert state_of(find_source("sam2.1-tiny")).partial_bytes == 0
    assert size_of(blobs) == 0


def test_the_environment_says_where_the_cache_is_and_whether_the_net_may_be_used(tmp_path):
    code = (
        "from napari_sam3.models.weights import *\n"
        "print(hub_cache(), state_of(find_source('sam2.1-tiny')).state, sep='|')"
    )
    for variables, expected in (
        ({"HF_HOME": str(tmp_path)}, f"{tmp_path / 'hub'}|to download"),
        ({"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}, f"{tmp_path}|offline"),
    ):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | variables
        done = subprocess.run(
            [sys.executable, "-c", code],
            **{"capture_output": True, "text": True, "check": True, "env": environment},
        )
        assert done.stdout.strip() == expected


def test_every_error_is_about_missing_weights():
    for error in (TokenError, AccessPendingError, AccessRefusedError, HubOfflineError):
        assert issubclass(error, WeightsMissingError)

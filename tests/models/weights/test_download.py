"""Downloads: whole, broken off, gone on with, stopped, damaged, and those that are not needed."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest

from napari_sam3.errors import (
    AccessPendingError,
    DownloadCancelledError,
    DownloadError,
    HubOfflineError,
    ModelUnavailableError,
    TokenError,
)
from napari_sam3.models.weights import (
    State,
    ask_hub,
    download,
    find_source,
    resumable_download,
    save_token,
    state_of,
)
from napari_sam3.models.weights.local_files import repo_folder, what_is_missing
from tests.hub_server import Repo
from tests.models.weights.folders import model_files, safetensors

TINY = "facebook/sam2.1-hiera-tiny"
BIG = "model.safetensors"
SIZE = 200_000


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Files of some kB count as large, chunks are small, and no time is lost between tries."""
    monkeypatch.setattr(resumable_download, "LARGE", 10_000)
    monkeypatch.setattr(resumable_download, "CHUNK", 4_000)
    monkeypatch.setattr(resumable_download, "PAUSE", 0.0)


@pytest.fixture
def repo(hub):
    """SAM 2.1 tiny, with things beside it that nobody needs."""
    files = model_files("sam2_video", SIZE // 4)
    hub.repos[TINY] = Repo(
        {**files, "sam2.1_hiera_tiny.pt": bytes(50_000), "onnx/config.json": b"{}"},
        {BIG, "sam2.1_hiera_tiny.pt"},
    )
    return hub.repos[TINY]


def test_only_what_is_needed_comes_and_progress_is_told_in_bytes(hub, repo):
    told = []
    folder = download("sam2.1-tiny", lambda here, total: told.append((here, total)))
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "processor_config.json", BIG}
    assert (folder / BIG).read_bytes() == repo.files[BIG]
    total = sum(len(repo.files[name]) for name in names)
    assert told[-1] == (total, total)
    assert {whole for _, whole in told} == {total}
    assert [here for here, _ in told] == sorted(here for here, _ in told)
    assert state_of(find_source("sam2.1-tiny")).state is State.ON_DISK


def test_nothing_is_fetched_again(hub, repo):
    folder = download("sam2.1-tiny")
    asked = len(hub.requests)
    assert download("sam2.1-tiny") == folder
    assert download(TINY) == folder
    assert len(hub.requests) == asked


def test_other_programs_find_it_in_the_cache(hub, repo, monkeypatch):
    from huggingface_hub import snapshot_download

    folder = download("sam2.1-tiny")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert snapshot_download(TINY, local_files_only=True, allow_patterns=["*.safetensors"]) == str(
        folder
    )


def test_what_another_program_has_fetched_in_part_is_completed(hub, repo):
    from huggingface_hub import hf_hub_download

    hf_hub_download(TINY, BIG)
    assert state_of(find_source("sam2.1-tiny")).state is State.TO_DOWNLOAD
    before = len(hub.downloads())
    folder = download("sam2.1-tiny")
    assert what_is_missing(folder) is None
    assert len(hub.downloads()) == before


@pytest.mark.parametrize("name", [BIG, "processor_config.json"])
def test_files_of_the_cache_that_are_cut_off_come_anew(hub, repo, name):
    repo.files["processor_config.json"] = b'{"a": 1}'
    folder = download("sam2.1-tiny")
    (folder / "config.json").unlink()  # a cache copied in part: the hub must be asked
    (folder / name).resolve().write_bytes(b"cut")
    assert download("sam2.1-tiny") == folder
    assert (folder / name).read_bytes() == repo.files[name]
    assert what_is_missing(folder) is None


def test_a_blob_without_a_link_that_is_cut_off_comes_anew(hub, repo):
    folder = download("sam2.1-tiny")
    (folder / BIG).resolve().write_bytes(b"cut")
    (folder / BIG).unlink()
    assert (download("sam2.1-tiny") / BIG).read_bytes() == repo.files[BIG]


def test_a_stop_between_two_tries_is_a_stop(hub, repo, monkeypatch):
    stop = threading.Event()
    hub.cuts = [50_000] + [0] * 20
    monkeypatch.setattr(stop, "wait", lambda seconds: stop.set())
    with pytest.raises(DownloadCancelledError):
        download("sam2.1-tiny", cancel=stop)
    assert len(hub.downloads()) == 1


def test_a_cut_connection_is_gone_on_with_at_once(hub, repo):
    hub.cuts = [50_000, 30_000]
    folder = download("sam2.1-tiny")
    assert (folder / BIG).read_bytes() == repo.files[BIG]
    ranges = [request.range for request in hub.downloads()]
    assert ranges[0] is None
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges[1:]]
    assert 0 < starts[0] <= 50_000 < starts[1] <= 80_000


def test_what_broke_off_is_gone_on_with_by_the_next_call(hub, repo):
    hub.cuts = [120_000] + [0] * 20
    with pytest.raises(DownloadError, match=r"broke off at 1\d\d kB of 200 kB.*goes on from there"):
        download("sam2.1-tiny")
    state = state_of(find_source("sam2.1-tiny"))
    assert state.state is State.TO_DOWNLOAD
    assert 100_000 < state.partial_bytes <= 120_000
    assert "are here already" in state.message
    hub.cuts = []
    hub.requests.clear()
    told = []
    folder = download("sam2.1-tiny", lambda here, total: told.append(here))
    assert (folder / BIG).read_bytes() == repo.files[BIG]
    assert [request.range for request in hub.downloads()] == [f"bytes={state.partial_bytes}-"]
    assert told[0] >= state.partial_bytes
    assert state_of(find_source("sam2.1-tiny")).partial_bytes == 0


def test_tries_without_a_byte_are_counted_others_not(hub, repo):
    hub.cuts = [8_000] * 24
    download("sam2.1-tiny")
    hub.repos["a/b"] = Repo(model_files("sam2_video", 30_000), {BIG})
    hub.cuts = [0] * 20
    with pytest.raises(DownloadError, match="broke off"):
        download("a/b")
    assert len(hub.cuts) == 20 - resumable_download.TRIES


def test_a_server_that_knows_no_ranges(hub, repo):
    hub.cuts, hub.ignores_ranges = [50_000], True
    folder = download("sam2.1-tiny")
    assert (folder / BIG).read_bytes() == repo.files[BIG]


def test_a_stop_keeps_what_has_come(hub, repo):
    cancel = threading.Event()

    def stop_half_way(here, total):
        if here > total // 2:
            cancel.set()

    with pytest.raises(DownloadCancelledError, match="was stopped at 1"):
        download("sam2.1-tiny", stop_half_way, cancel)
    kept = state_of(find_source("sam2.1-tiny")).partial_bytes
    assert kept > SIZE // 2
    download("sam2.1-tiny")
    assert hub.downloads()[-1].range == f"bytes={kept}-"


def test_damage_on_the_way_is_noticed(hub, repo):
    part = _part(repo.files[BIG])
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\1" * 1_000)
    with pytest.raises(DownloadError, match="damaged"):
        download("sam2.1-tiny")
    assert not part.exists()
    assert (download("sam2.1-tiny") / BIG).read_bytes() == repo.files[BIG]


def test_a_part_that_is_too_long_is_deleted(hub, repo):
    part = _part(repo.files[BIG])
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(SIZE * 2))
    with pytest.raises(DownloadError, match="deleted"):
        download("sam2.1-tiny")
    assert (download("sam2.1-tiny") / BIG).read_bytes() == repo.files[BIG]


def test_without_symbolic_links_nothing_is_kept_twice(hub, repo, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.file_download.are_symlinks_supported", lambda cache_dir=None: False
    )
    folder = download("sam2.1-tiny")
    assert (folder / BIG).read_bytes() == repo.files[BIG]
    assert not (folder / BIG).is_symlink()
    assert not list((repo_folder(TINY) / "blobs").iterdir())


def test_two_downloads_of_the_same_at_once(hub, repo):
    from filelock import FileLock

    lock = resumable_download.lock_path(TINY, hashlib.sha256(repo.files[BIG]).hexdigest())
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(DownloadError, match="by another process"):
        download("sam2.1-tiny")


def test_a_disk_that_is_too_small_is_noticed_before(hub, repo, monkeypatch):
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr(resumable_download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match=r"200 kB are still to come.*1\.0 kB free.*HF_HOME"):
        download("sam2.1-tiny")
    assert hub.downloads() == []


def test_a_disk_that_is_full_or_closed_is_said(hub, repo, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resumable_download.PartialFile, "_write", fail)
    with pytest.raises(DownloadError, match=r"can't be written: .*No space left"):
        download("sam2.1-tiny")


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hub, repo):
    save_token("hf_good")
    repo.access = "granted"
    download("sam2.1-tiny")
    assert all(request.has_token for request in hub.requests if "/resolve/" in request.path)
    assert not any(request.has_token for request in hub.downloads("/storage/"))


def test_gated_weights_are_refused_before_anything_comes(hub, repo):
    repo.access = "pending"
    with pytest.raises(TokenError):
        download("sam2.1-tiny")
    save_token("hf_good")
    with pytest.raises(AccessPendingError, match="have not answered yet"):
        download("sam2.1-tiny")
    assert hub.downloads("/resolve/") == hub.downloads("/storage/") == []


def test_access_that_is_withdrawn_on_the_way(hub, repo):
    save_token("hf_good")
    repo.access = "granted"
    hub.cuts = [50_000]

    def withdraw(here, total):
        repo.access = "rejected"

    with pytest.raises(DownloadError, match="has been rejected"):
        download("sam2.1-tiny", withdraw)
    assert ask_hub(find_source("sam2.1-tiny")).state is State.REFUSED


def test_a_hub_that_can_not_be_reached(weights_home):
    with pytest.raises(HubOfflineError, match="can't be asked"):
        download("sam2.1-tiny")


def test_another_kind_of_model_is_refused_before_its_weights_come(hub):
    hub.repos["who/bert"] = Repo(model_files("bert", SIZE // 4), {BIG})
    with pytest.raises(ModelUnavailableError, match="model_type 'bert'"):
        download("who/bert")
    assert hub.downloads("/storage/") == []


def test_shards_are_fetched_one_after_the_other(hub):
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    files = model_files("sam2_video")
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    del files[BIG]
    files |= {names[0]: safetensors(5_000), names[1]: safetensors(6_000)}
    hub.repos["who/sharded"] = Repo(files, set(names))
    told = []
    folder = download("who/sharded", lambda here, total: told.append(here))
    assert what_is_missing(folder) is None
    assert told == sorted(told)


def _part(content):
    digest = hashlib.sha256(content).hexdigest()
    return repo_folder(TINY) / "blobs" / f"{digest}.napari-sam3.part"

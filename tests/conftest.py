"""Shared by all tests: a film of two discs that move a known step, and the same as files."""

from __future__ import annotations

import gc
import os

# tiny networks get no faster by several threads, and much slower where others want the cores;
# read when PyTorch is first imported, here and in the processes that tests start
os.environ.setdefault("OMP_NUM_THREADS", "1")
# napari has Numba start its threads, and that sets OpenMP's number anew, PyTorch's with it
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pytest
from PIL import Image

STEP_XY = (3, 2)
RADIUS = 14
N_FRAMES = 12
SIZE = (120, 160)
CENTRES = {1: (34.0, 40.0), 2: (80.0, 76.0)}


def disc_mask(frame_index: int, which: int = 1) -> np.ndarray:
    """(H, W) bool: where a disc is on a frame."""
    x, y = CENTRES[which]
    x, y = x + STEP_XY[0] * frame_index, y + STEP_XY[1] * frame_index
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= RADIUS**2


def make_disc_film(n_frames: int = N_FRAMES) -> np.ndarray:
    """(T, H, W, 3) uint8: two textured discs on a textured ground."""
    noise = np.random.default_rng(0).integers(0, 30, (3, *SIZE), dtype=np.uint8)
    film = np.empty((n_frames, *SIZE, 3), np.uint8)
    film[:] = (40 + noise[0])[..., None]
    for frame_index in range(n_frames):
        shift = (STEP_XY[1] * frame_index, STEP_XY[0] * frame_index)
        for which, colour in ((1, (220, 60, 40)), (2, (60, 200, 80))):
            inside = disc_mask(frame_index, which)
            texture = np.roll(noise[which], shift, (0, 1))[inside]
            film[frame_index][inside] = np.array(colour) - texture[:, None]
    return film


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """What is given more time than others begins first: last, it would leave a core idle."""

    def seconds(item):
        limit = item.get_closest_marker("timeout")
        return limit.args[0] if limit else 0

    items.sort(key=seconds, reverse=True)


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """What is cached or set for the user goes elsewhere while tests run; clips are kept there."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all processes of this run
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TESTS_KEPT_CLIPS", str(base / "clips"))
        for variable in ("HF_TOKEN", "HF_HUB_CACHE", "HF_ENDPOINT", "NAPARI_SAM3_MODEL"):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(scope="module")
def fast_collections():
    """Garbage is looked for among what comes from here on, not in all that was imported before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="package")
def shared_viewer(qapp):
    """The `SharedViewer` of a package's tests."""
    from tests.shared_viewer import SharedViewer

    with SharedViewer() as shared:
        yield shared


@pytest.fixture
def open_viewer(shared_viewer, request):
    """A function that hands out a napari viewer as new; what a test leaves in it is an error."""
    yield shared_viewer.lend
    called = getattr(request.node, "rep_call", None)
    if called is not None and called.passed:
        shared_viewer.clean()
    else:
        shared_viewer.close(is_checked=False)  # held by the traceback


@pytest.fixture
def without_shared_viewer(shared_viewer):
    shared_viewer.close()


@pytest.fixture
def make_napari_viewer(without_shared_viewer, make_napari_viewer):
    """napari's own: viewers that are made and closed for one test, for what closes windows."""
    gc.collect()
    gc.freeze()  # napari looks for garbage with every layer that goes: not among what is there now
    return make_napari_viewer


@pytest.fixture
def weights_home(monkeypatch, tmp_path):
    """An empty hub's cache, no token, nothing remembered; online, but the hub can't be reached."""
    from huggingface_hub import constants

    home = tmp_path / "huggingface"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(constants, "HF_HOME", str(home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(home / "stored_tokens"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    _set_endpoint(monkeypatch, "http://127.0.0.1:9")
    return home


@pytest.fixture
def hub(monkeypatch, weights_home):
    """A `FakeHub` without any repository, which is the hub while the test runs."""
    from tests.hub_server import FakeHub

    server = FakeHub()
    _set_endpoint(monkeypatch, server.url)
    yield server
    server.close()


def _set_endpoint(monkeypatch, url):
    from huggingface_hub import constants, hf_api

    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(hf_api.api, "endpoint", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(scope="session")
def disc_film() -> np.ndarray:
    """(12, 120, 160, 3) uint8; two discs of radius 14 that move (3, 2) px a frame."""
    film = make_disc_film()
    film.flags.writeable = False
    return film


@pytest.fixture(scope="session")
def disc_folder(disc_film, tmp_path_factory):
    """The film as a folder of PNG files whose names sort naturally only."""
    folder = tmp_path_factory.mktemp("discs")
    for index, frame in enumerate(disc_film):
        Image.fromarray(frame).save(folder / f"frame{index}.png")
    return folder

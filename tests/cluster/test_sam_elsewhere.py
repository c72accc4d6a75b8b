"""Tiny random networks of the SAM family on a worker: as here, with a death on the way."""

from __future__ import annotations

import pytest

from napari_sam3 import VideoSession
from napari_sam3.cluster import RemoteSession
from napari_sam3.models.registry import load_model
from tests.cluster.test_remote_session import CLICK, assert_same_runs
from tests.conftest import make_disc_film

N_FRAMES = 10


@pytest.fixture(scope="module")
def folders(module_cluster):
    """Weights that the workers may read."""
    from tests.models.sam import tiny
    from tests.models.sam.concept_kit import make_seeing
    from tests.models.sam.words import save_tokenizer

    root = module_cluster.root
    return {
        "sam2": tiny.save(tiny.make_sam2(), root / "tiny-sam2"),
        "sam3": save_tokenizer(
            tiny.save(make_seeing(make_disc_film(N_FRAMES)), root / "tiny-sam3")
        ),
    }


def pointed_at(session, strike):
    yield session.add_prompt(0, **CLICK)
    yield session.add_prompt(2, boxes=[[70, 62, 102, 96]])
    for result in session.propagate():
        yield result
        if result.frame_index == 5:
            strike()
    yield session.add_prompt(8, points=[[60, 60]], point_labels=[0], obj_id=1)
    yield from session.propagate_from_here(8)
    yield from session.propagate("backward", 6)


def looked_for(session, strike):
    for word in ("dog", "cat", "visual"):  # which mean what chance says
        yield session.add_prompt(2, text=word)
    for result in session.propagate("forward", 0):
        yield result
        if result.frame_index == 5:
            strike()
    yield session.add_prompt(8, boxes=[[20, 20, 60, 60]])
    yield from session.propagate("both", 6)


@pytest.mark.sweep
@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize(("family", "work"), [("sam2", pointed_at), ("sam3", looked_for)])
def test_gives_what_a_session_here_gives(cluster, watcher, folders, family, work, is_killed):
    film, folder = make_disc_film(N_FRAMES), folders[family]
    with (
        VideoSession(film, load_model(folder, "cpu")) as local,
        RemoteSession(film, str(folder), device="cpu", compute=cluster.address) as session,
    ):

        def strike():
            if is_killed:
                cluster.kill(cluster.holder(watcher))

        ours = list(work(local, lambda: None))
        assert sum(len(result.objects) for result in ours) > N_FRAMES
        assert_same_runs(work(session, strike), ours)
        assert session.object_ids == local.object_ids
        assert session.found_objects == local.found_objects

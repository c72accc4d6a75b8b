"""A session whose model runs in another process gives what one here gives."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import VideoSession
from napari_sam3.cluster import RemoteSession
from napari_sam3.errors import (
    PropagationRunningError,
    RequestError,
    UnknownObjectError,
    VideoError,
)
from napari_sam3.video import PlaneChoice
from tests.cluster import slow_models  # noqa: F401 - registers its models here too
from tests.conftest import make_disc_film

pytestmark = pytest.mark.sweep

CLICK = {"points": [[34, 40]]}


@pytest.fixture
def remote(cluster):
    """A function that opens a session on a worker; closed at the end."""
    sessions = []

    def open_session(video=None, model="fake", **options):
        video = make_disc_film(30) if video is None else video
        sessions.append(RemoteSession(video, model, compute=cluster.address, **options))
        return sessions[-1]

    yield open_session
    for session in sessions:
        session.close()


def same(one, other):
    """Whether two results show the same, in every pixel."""
    assert one.frame_index == other.frame_index
    assert list(one.objects) == list(other.objects)
    for obj_id, mask in one.objects.items():
        theirs = other.objects[obj_id]
        assert (mask.bbox, mask.size, mask.score) == (theirs.bbox, theirs.size, theirs.score)
        assert np.array_equal(mask.crop, theirs.crop)
    return True


def assert_same_runs(one, other):
    ours, theirs = list(one), list(other)
    assert len(ours) == len(theirs)
    assert all(same(a, b) for a, b in zip(ours, theirs, strict=True))


def work(session):
    """Prompts of all kinds, a run, a correction, a run back: all results, one by one."""
    yield session.add_prompt(0, **CLICK)
    yield session.add_prompt(3, boxes=[[70, 60, 90, 90]], obj_id=4)
    with session.trial(3) as trial:
        yield trial.add_prompt(3, points=[[60, 60]], obj_id=4)
    yield session.result(3)
    yield session.add_prompt(2, text="dog")
    yield from session.propagate("forward", 0, 12)
    yield session.add_prompt(6, points=[[50, 50]], point_labels=[0], obj_id=1)
    yield from session.propagate_from_here(6, "forward")
    painted = np.zeros((120, 160), bool)
    painted[10:30, 90:140] = True
    yield session.add_prompt(9, mask=painted, obj_id=40)
    session.remove_object(4)
    yield from session.propagate("both", 8, 6)
    yield session.take_back_prompt(9, 40)
    said = session.said()
    yield session.add_prompt(1, points=[[20, 20]])
    session.go_back(said)
    yield from session.propagate("forward", 0, 10)


@pytest.mark.parametrize("model", ["fake", "optical-flow", "newcomers"])
def test_gives_what_a_session_here_gives(remote, model):
    film = make_disc_film(30)
    with VideoSession(film, model) as local:
        steps = work(local) if model != "optical-flow" else work_without_text(local)
        session = remote(film, model)
        theirs = work(session) if model != "optical-flow" else work_without_text(session)
        assert_same_runs(theirs, steps)
        assert session.object_ids == local.object_ids
        assert session.found_objects == local.found_objects


def work_without_text(session):
    yield session.add_prompt(0, **CLICK)
    yield session.add_prompt(2, boxes=[[70, 62, 102, 96]])
    yield from session.propagate("forward")
    yield session.add_prompt(9, points=[[61, 58]], obj_id=1)
    yield from session.propagate_from_here(9, "both")
    yield from session.propagate("backward", 9)


def test_tells_the_model_it_has(remote):
    session = remote()
    assert (session.model.name, session.model.device) == ("fake", "cpu")
    assert session.model.capabilities.text


def test_prompts_amid_a_run_hold_from_the_next_frame_on(remote):
    film = make_disc_film(30)
    results = []
    for session in (VideoSession(film, "newcomers"), remote(film, "newcomers")):
        session.add_prompt(0, **CLICK)
        run = session.propagate()
        shown = [next(run) for _ in range(4)]
        shown.append(session.add_prompt(3, points=[[110, 80]]))
        shown += list(run)
        results.append((shown, session.object_ids))
        session.close()
    assert_same_runs(results[1][0], results[0][0])
    assert results[1][1] == results[0][1]


def test_a_stop_is_heard_before_the_next_frame(remote):
    session = remote(model="slow")
    session.add_prompt(0, **CLICK)
    run = session.propagate()
    assert next(run).frame_index == 0
    with pytest.raises(PropagationRunningError):
        session.propagate()
    session.cancel()
    assert list(run) == []
    assert [r.frame_index for r in session.propagate("forward", 5, 2)] == [5, 6]


def test_errors_are_those_of_a_session_here(remote):
    session = remote()
    with pytest.raises(UnknownObjectError, match="no object 7 to remove"):
        session.remove_object(7)
    with pytest.raises(RequestError, match="frame"):
        session.add_prompt(99, **CLICK)


def test_the_worker_reads_a_file_under_its_root(remote, cluster):
    film = cluster.root / "film.tif"
    import tifffile

    tifffile.imwrite(film, make_disc_film(6), photometric="rgb")
    session = remote(film)
    session.add_prompt(0, **CLICK)
    assert len(list(session.propagate())) == 6
    assert not list(cluster.uploads.glob("*")) or film.name not in {
        f.name for f in cluster.uploads.rglob("*")
    }


def test_a_path_is_mapped(remote, cluster, tmp_path):
    import tifffile

    there = cluster.root / "lab"
    there.mkdir(exist_ok=True)
    for folder in (there, tmp_path):
        tifffile.imwrite(folder / "mapped.tif", make_disc_film(6), photometric="rgb")
    session = remote(tmp_path / "mapped.tif", path_map={str(tmp_path): str(there)})
    session.add_prompt(0, **CLICK)
    assert len(list(session.propagate())) == 6
    assert "mapped.tif" not in {f.name for f in cluster.uploads.rglob("*")}


def test_another_video_in_its_place_is_told(remote, cluster, tmp_path):
    import tifffile

    tifffile.imwrite(cluster.root / "other.tif", make_disc_film(5), photometric="rgb")
    tifffile.imwrite(tmp_path / "other.tif", make_disc_film(6), photometric="rgb")
    session = remote(tmp_path / "other.tif", path_map={str(tmp_path): str(cluster.root)})
    with pytest.raises(VideoError, match="another video: its shape"):
        session.add_prompt(0, **CLICK)


def test_a_link_out_of_the_root_is_not_followed(remote, cluster, tmp_path):
    import tifffile

    outside = tmp_path / "secret.tif"
    tifffile.imwrite(outside, make_disc_film(4), photometric="rgb")
    link = cluster.root / "link.tif"
    link.symlink_to(outside)
    session = remote(link)
    session.add_prompt(0, **CLICK)  # it was sent, as any file from elsewhere
    assert "link.tif" in {f.name for f in cluster.uploads.rglob("*")}


def test_a_folder_of_pictures_is_sent(remote, cluster, tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    film = make_disc_film(5)
    for number, frame in enumerate(film):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")
    session = remote(folder)
    with VideoSession(film, "fake") as local:
        local.add_prompt(0, **CLICK)
        session.add_prompt(0, **CLICK)
        assert_same_runs(session.propagate(), local.propagate())
    assert "pictures" in {f.name for f in cluster.uploads.rglob("*")}


@pytest.mark.parametrize("is_there", [True, False])
def test_the_channel_that_was_chosen_is_read_there_or_sent(remote, cluster, tmp_path, is_there):
    import tifffile

    name = f"channels_{is_there}.tif"
    place = (cluster.root if is_there else tmp_path) / name
    film = make_disc_film(5)[..., 0]
    channels = np.stack([film * 0, film], axis=1)
    tifffile.imwrite(place, channels, imagej=True, metadata={"axes": "TCYX"})
    session = remote(place, model="optical-flow", choice=PlaneChoice(channel=1))
    with VideoSession(film, "optical-flow") as local:
        local.add_prompt(0, **CLICK)
        session.add_prompt(0, **CLICK)
        assert_same_runs(session.propagate(), local.propagate())
    assert name not in {f.name for f in cluster.uploads.rglob("*")}


def test_depth_is_scaled_as_here(remote):
    film = (make_disc_film(6)[..., 0].astype(np.uint16) * 37) + 5
    for limits in (None, (100.0, 6000.0)):
        with VideoSession(film, "optical-flow", contrast_limits=limits) as local:
            session = remote(film, "optical-flow", contrast_limits=limits)
            for one in (local, session):
                one.add_prompt(0, **CLICK)
            assert_same_runs(session.propagate(), local.propagate())
            session.close()


def test_two_sessions_of_a_worker_do_not_wait_for_each_other(remote, cluster):
    slow = [remote(model="very-slow") for _ in range(2)]
    for session in slow:
        session.add_prompt(0, **CLICK)
    runs = [session.propagate() for session in slow]
    for run in runs:
        assert next(run).frame_index == 0
    other = remote()  # shares a worker with a session that computes a frame for seconds
    assert other.add_prompt(0, **CLICK).objects
    for run in runs:
        run.close()


def test_a_client_that_stalls_holds_the_worker(remote, cluster):
    from napari_sam3.cluster.host_run import MOST_AHEAD

    session = remote(make_disc_film(60), "newcomers")
    session.add_prompt(0, **CLICK)
    run = session.propagate()
    next(run)
    # ids are issued for what is taken, not for what is computed ahead
    assert session.object_ids == (1,)
    assert MOST_AHEAD < len(list(run)) == 59
    assert session.object_ids == (1, 2, 3)

"""What a worker says to a task, and what it lets a command have written, without a cluster."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, TaskSettings, do_task
from napari_sam3.batch.task_host import TaskHost, answer_name
from napari_sam3.batch.task_wire import (
    news_from_head,
    row_from_head,
    row_to_head,
    task_from_head,
    task_to_head,
)
from napari_sam3.cluster import worker_limits
from napari_sam3.cluster.wire import decode, encode, raise_error
from napari_sam3.errors import RequestError, Sam3Error, WireError
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects import Project
from napari_sam3.projects.tracking import describe_request
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.values import ObjectMask
from napari_sam3.video.plane_choice import PlaneChoice
from tests.batch.conftest import N_FRAMES, SIZE

CLICK = SavedPrompt(
    0, 1, points_xy=np.array([[30.5, 20.25]]), point_labels=np.array([True]), origin="prompt 1"
)
TOKEN = b"as a command would write it: 32B"
NAME = "0" * 32


def through_json(head):
    return json.loads(json.dumps(head))


# ------------------------------------------------------------------------- messages


def test_a_task_comes_out_as_it_went_in(tmp_path):
    painted = ObjectMask.from_mask(np.eye(8, dtype=bool))
    prompts = PromptList(
        [CLICK, replace(CLICK, frame_index=2, mask=painted, video="a")], removed=[7]
    )
    settings = TaskSettings(
        model="fake",
        device="cpu",
        formats=("csv", "coco"),
        direction="both",
        start_frame_index=3,
        max_frame_num_to_track=9,
        contrast_limits=(0.1, 4000.0),
        overwrite=True,
        recover="quick",
        pack=True,
        choice=PlaneChoice(channel="DAPI", z="max"),
    )
    defaults = vars(TaskSettings())
    assert all(value != defaults[name] for name, value in vars(settings).items())
    task = Task(tmp_path / "films" / "a", prompts, tmp_path / "out" / "a", settings)
    head = through_json(task_to_head(task, {str(tmp_path): "/srv/lab"}))
    there = task_from_head(head)
    assert (str(there.video), str(there.project)) == ("/srv/lab/films/a", "/srv/lab/out/a.sam3")
    assert there.settings == settings
    assert [p.origin for p in there.prompts] == ["prompt 1", "prompt 1"]
    assert there.prompts.removed == {7}
    # so that either of the two goes on with what the other one has begun
    asked = ("both", 3, 9, settings.contrast_limits)
    assert describe_request(there.prompts, *asked) == describe_request(prompts, *asked)


@pytest.mark.parametrize(
    "change",
    [
        {"video": 3},
        {"origins": []},
        {"settings": {}},
        {"settings": {**through_json(TaskSettings().__dict__ | {"choice": None}), "device": 1}},
        {"settings": {**through_json(TaskSettings().__dict__ | {"choice": None}), "recover": "no"}},
        {"prompts": None},
    ],
)
def test_what_is_no_task_is_refused(tmp_path, change):
    head = task_to_head(Task(tmp_path / "a", PromptList([CLICK]), tmp_path / "out" / "a"), {})
    task_from_head(through_json(head))
    with pytest.raises(Sam3Error):
        task_from_head(through_json({**head, **change}))


def test_a_row_names_the_paths_of_the_command(tmp_path):
    task = Task(tmp_path / "b.mp4", PromptList([CLICK]), tmp_path / "out" / "b")
    said = "'/srv/lab/b.mp4' is no video; '/srv/lab/out/b.sam3' stays"
    row = BatchRow("/srv/lab/b.mp4", 3, 1, 0.5, "failed", said)
    here = row_from_head(through_json(row_to_head(row)), task, {str(tmp_path): "/srv/lab"})
    error = f"'{tmp_path}/b.mp4' is no video; '{tmp_path}/out/b.sam3' stays"
    assert here == BatchRow(str(task.video), 3, 1, 0.5, "failed", error)
    for wrong in ({"state": "fine"}, {"frames": -1}, {"error": None}):
        with pytest.raises(WireError):
            row_from_head(row_to_head(row) | wrong, task, {})


# ---------------------------------------------------------------------- the worker's half


@pytest.fixture
def root(films, monkeypatch):
    """The only folder that the worker may read, with films in it."""
    monkeypatch.setenv(worker_limits.ROOTS, str(films[0].parent))
    (films[0].parent / "out").mkdir()
    return films[0].parent


def ask_to_open(probe, token=TOKEN):
    return encode({"probe": str(probe), "hash": hashlib.sha256(token).hexdigest(), "answer": NAME})


def task_in(home, film, **settings):
    made = TaskSettings(model="fake", **settings)
    return Task(film, PromptList([CLICK]), home / film.name, made)


async def ask(host, method, message):
    head, _ = decode(await getattr(host, method)(message))
    raise_error(head, "there")
    return head


async def open_on(host, home):
    probe = home / ".probe"
    probe.write_bytes(TOKEN)
    said = await ask(host, "open", ask_to_open(probe))
    written = probe.with_name(answer_name(probe.name, NAME))
    is_written = written.exists() and written.read_bytes() == TOKEN[::-1]
    probe.unlink()
    written.unlink(missing_ok=True)
    return said["sees"], is_written


async def start(host, task, **more):
    order = {"model": "fake", "device": None, "task": task_to_head(task, {}), **more}
    return not (await ask(host, "start", encode(order))).get("apart")


async def do(host, task, **more):
    return await row_of(host, task) if await start(host, task, **more) else None


async def row_of(host, task):
    n_frames = 0
    while True:
        said = await ask(host, "take", encode({"frames": n_frames}))
        n_frames = said["frames"]
        if "row" in said:
            return row_from_head(said["row"], task, {})


def on_a_host(story):
    """Run a story with a worker's half of a batch."""

    async def run():
        host = TaskHost(encode({"lease": 900}))
        try:
            return await story(host)
        finally:
            await host.close(encode({}))

    return asyncio.run(run())


def test_it_does_a_task_where_it_sees_the_folder(root):
    async def story(host):
        assert await open_on(host, root / "out") == (True, True)
        return await do(host, task_in(root / "out", root / "a", formats=("csv",)))

    row = on_a_host(story)
    assert (row.state, row.frames) == ("done", N_FRAMES)
    assert (root / "out" / "a" / "objects.csv").exists()
    with Project.open(root / "out" / "a.sam3") as project:
        assert project.why_read_only is None  # its lock was given back
        assert len(project.labels.processed_frames()) == N_FRAMES


def test_it_writes_nowhere_else(root, tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    (root / "link").symlink_to(beside)

    async def story(host):
        # not under a root, links followed; another folder of that name; nothing there
        assert await open_on(host, beside) == (False, False)
        assert await open_on(host, root / "link") == (False, False)
        (root / ".p").write_bytes(TOKEN)
        assert await ask(host, "open", ask_to_open(root / ".p", b"else")) == {"sees": False}
        assert await ask(host, "open", ask_to_open(root / "gone")) == {"sees": False}
        for name in ("../x", "", 3):
            message = {"probe": str(root / ".p"), "hash": "", "answer": name}
            with pytest.raises(WireError):
                await ask(host, "open", encode(message))
        with pytest.raises(WireError, match="is to be kept at"):  # before any was shown
            await do(host, task_in(root / "out", root / "a"))
        assert await open_on(host, root / "out") == (True, True)
        with pytest.raises(WireError, match="is to be kept at"):
            await do(host, task_in(root, root / "a"))
        # what the project, or the exports, lead to by a link
        (root / "out" / "a.sam3").symlink_to(beside)
        assert await do(host, task_in(root / "out", root / "a")) is None
        (root / "out" / "c").symlink_to(beside)
        assert await do(host, task_in(root / "out", root / "c")) is None

    on_a_host(story)
    assert not list(beside.iterdir())


def test_where_files_can_not_be_locked_it_writes_nothing(root, monkeypatch):
    class NoLocks:
        def __init__(self, *arguments, **options):
            pass

        def acquire(self, timeout):
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("napari_sam3.projects.lock.FileLock", NoLocks)
    assert on_a_host(lambda host: open_on(host, root / "out")) == (False, False)


def test_another_video_of_that_path_is_not_taken_for_it(root):
    async def story(host):
        await open_on(host, root / "out")
        assert await do(host, task_in(root / "out", root / "a"), samples="f" * 64) is None
        assert await do(host, task_in(root / "out", root / "nowhere")) is None

    on_a_host(story)
    assert not list((root / "out").iterdir())


def test_a_lock_is_waited_for(root):
    """Of a worker that was taken for dead, and is at its last frame."""
    place = root / "out" / "a.sam3"
    project = Project.create(place, None, (N_FRAMES, *SIZE))

    async def story(host):
        await open_on(host, root / "out")
        task = task_in(root / "out", root / "a", overwrite=True)
        asked = asyncio.create_task(do(host, task, again=True))
        for _ in range(3):
            await host.alive(encode({}))
            await asyncio.sleep(0)
        assert not asked.done()
        project.close()
        return await asked

    assert on_a_host(story).state == "done"


def test_it_stops_when_it_is_told(root):
    async def story(host):
        await open_on(host, root / "out")
        task = task_in(root / "out", root / "a")
        held = Project.create(task.project, None, (N_FRAMES, *SIZE))  # it waits for that
        assert await start(host, task, again=True)
        await host.stop(encode({}))
        row = await row_of(host, task)
        held.close()
        return row

    assert "is open for writing" in on_a_host(story).error


def test_one_too_many_is_told_so(root, monkeypatch):
    monkeypatch.setenv(worker_limits.MOST_SESSIONS, "1")

    async def story(host):
        await open_on(host, root / "out")

        async def second(other):
            with pytest.raises(Sam3Error, match="no room for a further session"):
                await open_on(other, root / "out")

        other = TaskHost(encode({}))
        await second(other)
        await other.close(encode({}))

    on_a_host(story)


def test_no_model_is_told_in_the_row(root):
    async def story(host):
        await open_on(host, root / "out")
        return await do(host, task_in(root / "out", root / "a"), model="none of ours")

    row = on_a_host(story)
    assert row.state == "failed"
    assert "none of ours" in row.error


@pytest.mark.parametrize(("model", "lacks"), [("none of ours", True), ("fake", False)])
def test_a_model_that_is_lacking_is_told_for_another_worker_to_be_tried(root, model, lacks):
    async def story(host):
        await open_on(host, root / "out")
        await start(host, task_in(root / "out", root / "a"), model=model)
        said = {}
        while "row" not in said:
            said = await ask(host, "take", encode({"frames": said.get("frames", 0)}))
        return said["lacks"]

    assert on_a_host(story) is lacks


def test_what_is_gone_on_with_all_the_same_is_told(root, monkeypatch):
    task = task_in(root / "out", root / "a")

    def set_to(precision):
        monkeypatch.setattr(FakeModel, "mask_settings", {"precision": precision}, raising=False)

    set_to("float32")
    stop = threading.Event()
    do_task(task, lambda *_: FakeModel(), stop, lambda _: stop.set())
    set_to("bfloat16")

    async def story(host):
        await open_on(host, root / "out")
        await start(host, task)
        said = {}
        while "row" not in said:
            said = await ask(host, "take", encode({"frames": said.get("frames", 0)}))
        return said

    said = on_a_host(story)
    assert said["row"]["state"] == "done"
    (news,) = news_from_head(said["news"], task, {})
    assert "precision float32, now bfloat16" in news


def test_news_name_the_paths_of_the_command(tmp_path):
    task = task_in(tmp_path / "out", tmp_path / "a.mp4")
    said = ["warning: of '/srv/lab/out/a.mp4.sam3'"]
    assert news_from_head(said, task, {str(tmp_path): "/srv/lab"}) == [
        f"warning: of '{tmp_path}/out/a.mp4.sam3'"
    ]
    assert len(news_from_head(["x" * 10_000] * 1000, task, {})) <= 100
    assert news_from_head(None, task, {}) == []
    for wrong in ("text", [1], {"a": "b"}):
        with pytest.raises(WireError):
            news_from_head(wrong, task, {})


def test_formats_that_there_are_not_are_refused(root):
    async def story(host):
        await open_on(host, root / "out")
        with pytest.raises(RequestError, match="nonsense"):
            await do(host, task_in(root / "out", root / "a", formats=("nonsense",)))

    on_a_host(story)

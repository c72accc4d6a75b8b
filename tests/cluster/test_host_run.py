"""A run on a worker is a few frames ahead of who takes them, and asks where it must."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.host_run import MOST_AHEAD, Run
from napari_sam3.cluster.wire import decode
from napari_sam3.models.base import TrackedFrame


def take_apart(messages):
    return [decode(message)[0] for message in messages]


class Frames:
    """A source that says how many frames it was asked for, and what became of it."""

    def __init__(self, n_frames, run=None, asks_before=()):
        self.computed = 0
        self.ids = []
        self.is_closed = False
        self._steps = self._all(n_frames, run, asks_before)

    def _all(self, n_frames, run, asks_before):
        try:
            for i in range(n_frames):
                if i in asks_before:
                    self.ids.append(run.new_id())
                self.computed += 1
                yield TrackedFrame(i, {})
        finally:
            self.is_closed = True

    def __next__(self):
        return next(self._steps)

    def close(self):
        self._steps.close()


@pytest.fixture
def thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


async def settle(thread):
    """Until the run does nothing more by itself."""
    for _ in range(20):
        await asyncio.sleep(0)
        await asyncio.wrap_future(thread.submit(int))


def test_it_waits_for_who_takes_frames(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = source = Frames(100)
        pump = asyncio.create_task(run.pump(thread))
        await settle(thread)
        assert source.computed == MOST_AHEAD
        heads = take_apart(await run.take(5))
        assert [head["frame"] for head in heads] == list(range(MOST_AHEAD))
        await settle(thread)
        assert source.computed == 2 * MOST_AHEAD
        run.stop()
        await pump
        assert source.is_closed
        assert source.computed == 2 * MOST_AHEAD

    asyncio.run(go())


def test_it_waits_when_frames_are_large(thread, monkeypatch):
    monkeypatch.setattr("napari_sam3.cluster.host_run.MOST_BYTES", 1)

    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = source = Frames(100)
        pump = asyncio.create_task(run.pump(thread))
        await settle(thread)
        assert source.computed == 1
        run.stop()
        await pump

    asyncio.run(go())


def test_of_steps_on_the_way_one_is_told_and_none_holds_it_up(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        on_the_way = [TrackedFrame(i, None) for i in range(50)]
        run.source = iter([*on_the_way, TrackedFrame(50, {}), TrackedFrame(51, None)])
        await run.pump(thread)
        heads = take_apart(await run.take(5))
        assert [head.get("frame") for head in heads] == [50, None]
        assert heads[-1] == {"over": True}

    asyncio.run(go())


class Held:
    """A step on the way to a frame, then the frame when it is let go."""

    def __init__(self):
        self.let_go = threading.Event()
        self._steps = iter([TrackedFrame(0, None), TrackedFrame(0, {})])

    def __next__(self):
        tracked = next(self._steps)
        if tracked.objects is not None:
            assert self.let_go.wait(60)
        return tracked


def test_a_step_waits_for_its_frame(thread, monkeypatch):
    monkeypatch.setattr("napari_sam3.cluster.host_run.STEP_WAITS", 60)

    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = Held()
        taken = asyncio.create_task(run.take(60))
        pump = asyncio.create_task(run.pump(thread))
        while not run._ready:
            await asyncio.sleep(0)
        assert not taken.done()
        run.source.let_go.set()
        heads = take_apart(await taken)
        await pump
        assert heads[0]["objects"] == []  # the frame, and nothing before it

    asyncio.run(go())


def test_but_not_for_long(thread, monkeypatch):
    monkeypatch.setattr("napari_sam3.cluster.host_run.STEP_WAITS", 0)

    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = Held()
        pump = asyncio.create_task(run.pump(thread))
        (step,) = take_apart(await run.take(60))
        assert step["objects"] is None
        run.source.let_go.set()
        assert take_apart(await run.take(60))[0]["objects"] == []
        await pump

    asyncio.run(go())


def test_checkpoints_are_taken_before_the_tracker_goes_on(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = iter([TrackedFrame(i, {}) for i in range(60, 67)])
        run.take_checkpoint = lambda frame: Checkpoint(frame)
        await run.pump(thread)
        assert list(run.checkpoints) == [64]

    asyncio.run(go())


def test_who_takes_waits_for_a_frame_and_hears_the_end(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = Frames(2)
        waiting = asyncio.create_task(run.take(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        pump = asyncio.create_task(run.pump(thread))
        heads = take_apart(await waiting)
        await pump
        heads += take_apart(await run.take(0.01))
        assert heads[0]["frame"] == 0
        assert heads[-1] == {"over": True}
        assert run.is_over

    asyncio.run(go())


def test_an_id_is_asked_for_when_all_frames_before_are_taken(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = source = Frames(5, run, asks_before=(2,))
        pump = asyncio.create_task(run.pump(thread))
        await run.asking.wait()
        *frames, asked = take_apart(await run.take(5))
        assert [head["frame"] for head in frames] == [0, 1]
        assert asked["ask"]["kind"] == "id"
        run.give(asked["ask"]["number"] + 1, 99)  # of another question
        assert run.question is not None
        run.give(asked["ask"]["number"], 17)
        heads = take_apart(await run.take(5))
        while "over" not in heads[-1]:
            heads += take_apart(await run.take(5))
        await pump
        assert source.ids == [17]

    asyncio.run(go())


def test_a_run_that_waits_for_an_answer_can_be_stopped(thread):
    async def go():
        run = Run(1, asyncio.get_running_loop())
        run.source = source = Frames(5, run, asks_before=(0,))
        pump = asyncio.create_task(run.pump(thread))
        await run.asking.wait()
        run.stop()
        await pump
        assert source.ids == []
        assert source.is_closed

    asyncio.run(go())

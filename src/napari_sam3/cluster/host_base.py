"""What all that a worker does for somebody elsewhere has in common: what Dask calls an actor.

All methods are coroutines, so that a stop is heard at once while something is computed; the work is
done in a thread of its own. Messages go in and out (`wire`), errors among them. When nobody has
called for the length of the lease, or the client is gone, everything is given back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil

from napari_sam3.cluster.wire import RELEASE, VERSION, Head, decode, encode, encode_error, whole
from napari_sam3.cluster.worker_limits import read_limits
from napari_sam3.cluster.worker_models import get_model, models_here
from napari_sam3.cluster.worker_videos import find_under_roots
from napari_sam3.errors import NoWorkerError, Sam3Error, UnknownModelError, WireError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.mask_settings import mask_settings_of
from napari_sam3.models.registry import list_models
from napari_sam3.values import ObjectMask

logger = logging.getLogger(__name__)

LEASE = 900.0
"""Seconds for which a place stays that nobody calls."""

BEAT = 10.0
"""Seconds after which a call that waits for something comes back without it."""

Work = Callable[[Head, list[ObjectMask]], bytes]

_taken: set[Host] = set()


class Host:
    """Somebody's place on a worker, who is spoken to by messages.

    Parameters
    ----------
    order : bytes
        A message with `lease`, seconds.
    """

    def __init__(self, order: bytes) -> None:
        head, _ = decode(order)
        self._lease = min(LEASE, float(whole(head.get("lease", int(LEASE)), 1)))
        self._limits = read_limits()
        self._thread = ThreadPoolExecutor(1, "session")
        self._called = time.monotonic()
        self._watch: asyncio.Task[None] | None = None
        self._is_held: Callable[[], bool] = lambda: True

    async def hello(self, message: bytes) -> bytes:
        """Say what is here, before anything is asked for."""
        self._hear()
        memory = psutil.virtual_memory()
        return encode(
            {
                "release": RELEASE,
                "wire": VERSION,
                "python": ".".join(map(str, sys.version_info[:3])),
                "process": os.getpid(),
                "sessions": len(_taken),
                "most_sessions": self._limits.most_sessions,
                "roots": len(self._limits.roots),
                "free_memory": int(memory.available),
            }
        )

    async def describe(self, message: bytes) -> bytes:
        """Say which models and devices are here; for a person who asks, since libraries load."""
        self._hear()
        return encode(await asyncio.to_thread(_facts))

    async def models(self, message: bytes) -> bytes:
        """Say which models are known here, and of which the weights are here; no library loads."""
        self._hear()
        return encode({"models": await asyncio.to_thread(models_here)})

    async def load(self, message: bytes) -> bytes:
        """Load a model, if its weights are here; say what it is, takes and is set to."""

        def load(head: Head, masks: list[ObjectMask]) -> bytes:
            model = model_asked(head)
            return encode(
                {
                    "name": model.name,
                    "device": model.device,
                    "capabilities": vars(model.capabilities),
                    "mask_settings": dict(mask_settings_of(model)),
                }
            )

        return await self._answer(message, load)

    # ------------------------------------------------------------- lifetime

    async def alive(self, message: bytes) -> bytes:
        """Say that the client is there still."""
        self._hear()
        return encode({"sessions": len(_taken)})

    async def close(self, message: bytes) -> bytes:
        """Give everything back."""
        await self._close()
        return encode({})

    def _hear(self) -> None:
        """Note that somebody called."""
        self._called = time.monotonic()
        if self._watch is None:
            self._is_held = _holder(self)
            self._watch = asyncio.create_task(self._watch_over())

    def _is_wanted(self) -> bool:
        """Whether somebody has called of late, and Dask has not let this go with its client."""
        return time.monotonic() - self._called < self._lease and self._is_held()

    async def _watch_over(self) -> None:
        while self._is_wanted():
            await asyncio.sleep(min(1.0, self._lease / 4))
        logger.info("a session is closed: its client has not called, or is gone")
        await self._close()

    async def _close(self) -> None:
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        await self._give_back()
        self._thread.shutdown(wait=False)
        self._leave_place()

    async def _give_back(self) -> None:
        """Stop what is under way, and let go of what was opened."""

    def _has_place(self) -> bool:
        """Count this among the sessions of the worker, if there is room for a further one."""
        if len(_taken) < self._limits.most_sessions:
            _taken.add(self)
        return self in _taken

    def _leave_place(self) -> None:
        _taken.discard(self)

    # -------------------------------------------------------------- working

    async def _answer(self, message: bytes, work: Work) -> bytes:
        """Do work in the thread of this place; its errors are answers too."""
        self._hear()
        return await asyncio.wrap_future(self._submit(message, work))

    def _submit(self, message: bytes, work: Work) -> Future[bytes]:
        def do() -> bytes:
            try:
                return work(*decode(message))
            except Exception as exc:  # the process's border: raised again by who asked
                if not isinstance(exc, Sam3Error):
                    logger.exception("unforeseen error in a session")
                return encode_error(exc)

        return self._thread.submit(do)


def no_room() -> bytes:
    """What is answered to one too many."""
    return encode_error(NoWorkerError("this worker has no room for a further session"))


def model_asked(head: Head) -> VideoModel:
    """The model that a message asks for, loaded.

    Raises
    ------
    ModelError
        As of `load_model`.
    """
    name, device, resolution = head.get("model"), head.get("device"), head.get("resolution")
    if not (isinstance(name, str) and isinstance(device, str | None)):
        raise WireError(f"a model that was asked for is called {name!r:.80}, on {device!r:.80}")
    is_place = any(mark in name for mark in "/\\") and Path(name).expanduser().exists()
    if is_place and find_under_roots(name, read_limits().roots) is None:
        raise UnknownModelError(
            f"the model {name!r} lies outside what the worker may read; name one of its list, or "
            "have its folder put under a root of the worker"
        )
    return get_model(name, device, None if resolution is None else whole(resolution))


def _holder(host: Host) -> Callable[[], bool]:
    """What says whether Dask holds an actor still, on a worker that is not about to end."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # there is no Dask round it
        return lambda: True

    def is_held() -> bool:
        is_there = worker.status.name in ("running", "paused")
        return is_there and any(actor is host for actor in list(worker.state.actors.values()))

    return is_held


def _facts() -> Head:
    try:
        from napari_sam3.models.sam.device_facts import device_facts
    except (ImportError, OSError) as exc:  # a library of PyTorch's that can't be loaded
        devices = [f"PyTorch can't be imported: {exc}"]
    else:
        devices = [
            f"{facts.name} ({facts.title}"
            + ("" if facts.free_bytes is None else f", {facts.free_bytes / 2**30:.1f} GB free")
            + ")"
            for facts in device_facts()
        ]
    return {
        "models": [entry.name for entry in list_models() if entry.is_ready],
        "devices": devices,
        "roots": [str(root) for root in read_limits().roots],
    }

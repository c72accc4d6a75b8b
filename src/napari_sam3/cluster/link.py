"""The way to a `Host` on a worker."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from napari_sam3.cluster.addresses import split_address
from napari_sam3.cluster.wire import RELEASE, VERSION, Head, decode, encode, raise_error, whole
from napari_sam3.errors import OtherVersionError, WireError
from napari_sam3.values import ObjectMask

if TYPE_CHECKING:
    from distributed import Client, Future

_LOOK = 2.0
_CONNECT = 0.5
_MOST_BEAT = 10.0
_NOTHING = encode({})


class LinkLost(Exception):  # noqa: N818 - caught by who goes on elsewhere
    """The worker, or the way to it, is gone."""


class Link:
    """A host that was begun on a worker.

    Parameters
    ----------
    client : distributed.Client
    future : distributed.Future
        Of the host; it lives as long as that is held.
    worker : str
        The worker's address.
    host : str
        What was begun there, as "package.module:Name".
    patience : float
        Seconds without an answer after which the worker is taken for dead.
    lease : float
        Seconds after which the host ends if nobody calls.
    goes_direct : bool
        Whether the worker itself is called where it can be reached; else, and where it can't, the
        scheduler stands between.

    Attributes
    ----------
    is_direct : bool
        Whether the worker itself is called.
    """

    def __init__(
        self,
        client: Client,
        future: Future[Any],
        worker: str,
        host: str,
        patience: float,
        lease: float,
        *,
        goes_direct: bool = False,
    ) -> None:
        self.worker = worker
        self._future = future
        self._patience = patience
        self._is_lost = False
        self.is_direct = goes_direct and _is_reached(worker)
        if self.is_direct:
            self._actor: Any = _make_actor(client, worker, host, future.key, is_direct=True)
            self.is_direct = self._is_answered()
        if not self.is_direct:
            self._actor = _make_actor(client, worker, host, future.key, is_direct=False)
        self._ended = threading.Event()
        threading.Thread(
            target=self._keep,
            args=(min(_MOST_BEAT, lease / 3),),
            name="keep session",
            daemon=True,
        ).start()

    def _is_answered(self) -> bool:
        """Whether our host answers: its address here may be another machine's, of another net."""
        try:
            decode(self._actor.alive(_NOTHING).result(timeout=_LOOK))
        except Exception:  # in as many ways as there are others who may answer
            return False
        return True

    def ask(self, method: str, *arguments: bytes) -> bytes:
        """Call a method of the host, and wait as long as the worker lives.

        Raises
        ------
        LinkLost
            If it does not live.
        """
        try:
            answer = getattr(self._actor, method)(*arguments)
            while True:
                try:
                    data = answer.result(timeout=_LOOK)
                except TimeoutError:
                    # it may compute for long; but its loop must answer
                    self._actor.alive(_NOTHING).result(timeout=self._patience)
                else:
                    break
        except Exception as exc:  # whatever Dask says, there is nobody to speak to any more
            raise LinkLost(f"the worker {self.worker} is lost: {exc}") from exc
        if not isinstance(data, bytes | bytearray | memoryview):
            raise WireError(f"the worker {self.worker} answered with a {type(data).__name__}")
        return bytes(data)

    def call(self, method: str, *arguments: bytes) -> tuple[Head, list[ObjectMask]]:
        """Call a method of the host, and raise the errors that it answers with."""
        head, masks = decode(self.ask(method, *arguments))
        raise_error(head, self.worker)
        return head, masks

    def send(self, method: str, message: bytes) -> Any:
        """Call a method of the host and do not wait; what is given says when it is `done`."""
        with suppress(Exception):  # a lost worker is told of by the next call that waits
            return getattr(self._actor, method)(message)
        return None

    def hello(self) -> Head:
        """What the host says of itself.

        Raises
        ------
        OtherVersionError
            If it can't be worked with.
        """
        facts, _ = self.call("hello", _NOTHING)
        ours, theirs = RELEASE.split(".")[:2], str(facts.get("release")).split(".")[:2]
        if facts.get("wire") != VERSION or ours != theirs:
            raise OtherVersionError(
                f"the worker {self.worker} has napari-sam3 {facts.get('release')}, here is "
                f"{RELEASE}; the first two numbers must be the same"
            )
        for name in ("sessions", "most_sessions"):
            whole(facts.get(name))
        return facts

    def let_go(self) -> None:
        """End the host, without waiting for it."""
        self._ended.set()

    def drop(self) -> None:
        """Forget a host that is lost."""
        self._is_lost = True
        self._ended.set()

    def _keep(self, beat: float) -> None:
        """Tell the host that somebody is here; at last, have it and Dask let everything go."""
        while not self._ended.wait(beat):
            self.send("alive", _NOTHING)
        with suppress(Exception):  # it may be gone by now, or the scheduler
            if not self._is_lost:
                self._actor.close(_NOTHING).result(timeout=self._patience)
        # the actor has a claim of its own, and may be held by a call that is over, in a circle
        actor, self._actor = self._actor, None
        claims: tuple[Any, ...] = (self._future, getattr(actor, "_future", None))
        for claim in claims:
            with suppress(Exception):
                claim.release()


def _make_actor(client: Client, worker: str, host: str, key: Any, *, is_direct: bool) -> Any:
    """Dask's stand-in for a host."""
    from distributed.actor import Actor

    class DirectActor(Actor):  # type: ignore[misc, unused-ignore]
        """One that calls its worker, as Dask has it for all of a client's or none."""

        @property
        def _worker_rpc(self) -> Any:
            return client.rpc(worker)

    with client.as_current():  # a person may have clients of their own
        return (DirectActor if is_direct else Actor)(resolve_name(host), worker, key)


def _is_reached(worker: str) -> bool:
    """Whether somebody listens at an address; Dask would try for half a minute."""
    try:
        socket.create_connection(split_address(worker), _CONNECT).close()
    except OSError:
        return False
    return True

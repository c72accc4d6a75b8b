"""A scheduler of Dask's, as a person names it: which workers it has, and a place on one of them."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from napari_sam3.cluster.addresses import check_address, is_safe_to_reach, split_address
from napari_sam3.cluster.errand import errand
from napari_sam3.cluster.link import Link
from napari_sam3.cluster.wire import encode
from napari_sam3.errors import ComputeError, NoWorkerError, SchedulerLostError

if TYPE_CHECKING:
    from distributed import Client

RESOURCE = "SAM3"
"""What a worker must be started with: `--resources SAM3=1`."""

PATIENCE = 30.0
"""Seconds without any answer after which somebody is taken for dead."""

_ANSWER = 10.0
_BUSY = 5.0
_START = 60.0
_AGAIN = 0.5
_SESSION = "napari-sam3-session"

SESSION = "napari_sam3.cluster.host:TrackingHost"
"""What is begun on a worker for a session; others of its kind may be named instead (`Host`)."""


class _WorkerGone(Exception):  # noqa: N818 - another one is looked for
    """A worker was lost before anything began there."""


class Connection:
    """The way to a scheduler; made when it is first needed, and anew when it was lost.

    Parameters
    ----------
    address : str
        As `check_address` takes it.
    insecure : bool
        Whether a person insists on an address that is not encrypted.
    security : distributed.Security, optional
        Certificates; what Dask's configuration says if left out.
    patience : float
        Seconds without an answer after which a worker is taken for dead.
    lease : int
        Seconds after which a worker gives back what belongs to a client that does not call.

    Raises
    ------
    ComputeError, InsecureAddressError
        If it is no address to speak to.
    """

    def __init__(
        self,
        address: str,
        *,
        insecure: bool = False,
        security: Any = None,
        patience: float = PATIENCE,
        lease: int = 900,
    ) -> None:
        self.address = check_address(address, insecure=insecure)
        self.patience, self.lease = patience, lease
        self._insecure = insecure
        self._out_of_reach: set[str] = set()
        self._security = security
        self._client: Client | None = None
        self._lock = threading.RLock()
        self._is_over = False

    @property
    def client(self) -> Client:
        """Dask's client.

        Raises
        ------
        SchedulerLostError
            If the scheduler does not answer.
        """
        with self._lock:
            if self._is_over:
                raise SchedulerLostError(f"work with the scheduler {self.address} was given up")
            if self._client is not None and self._client.status != "running":
                self.close()
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Client:
        from distributed import Client

        security = self._security
        if security is None and self.address.startswith("tls://"):
            security = _configured_security(self.address)
        # where nobody listens Dask tries again and again, and a client of its that was never
        # connected leaves a thread behind
        host, port = split_address(self.address)
        try:
            socket.create_connection((host, port), _ANSWER).close()
        except OSError as exc:
            raise self._lost(exc.strerror or exc) from exc
        try:
            return Client(
                self.address,
                timeout=_ANSWER,
                set_as_default=False,
                direct_to_workers=False,
                security=security,
                name="napari-sam3",
            )
        except (OSError, ValueError) as exc:  # refused, not found, another certificate, too late
            raise self._lost(exc) from exc

    def _lost(self, reason: object = "") -> SchedulerLostError:
        why = f" ({' '.join(str(reason).split())[:200]})" if str(reason) else ""
        return SchedulerLostError(
            f"the scheduler {self.address} does not answer{why}; what came before stays. Is it "
            "running, and is the tunnel to it open? Then try again"
        )

    def workers(self) -> dict[str, Any]:
        """What the scheduler knows of each worker now, by address.

        Raises
        ------
        SchedulerLostError
            If the scheduler does not answer.
        """
        client = self.client
        scheduler: Any = client.scheduler
        try:
            told = client.sync(scheduler.identity, callback_timeout=_ANSWER)
        except Exception as exc:  # whatever Dask says here, the scheduler has not answered
            self.close()
            raise self._lost(exc) from exc
        workers: dict[str, Any] = told["workers"]
        return workers

    def fit_workers(self) -> list[str]:
        """Addresses of the workers that take sessions.

        Raises
        ------
        NoWorkerError
            If there is none.
        SchedulerLostError
            If the scheduler does not answer.
        """
        all_workers = self.workers()
        fit = [a for a, told in all_workers.items() if told.get("resources", {}).get(RESOURCE)]
        if not fit:
            raise NoWorkerError(
                f"the scheduler {self.address} has {_count(len(all_workers))}"
                + (f", none with the resource {RESOURCE}" if all_workers else "")
                + f"; start one by: dask worker {self.address} --nthreads 1 --resources "
                f"{RESOURCE}=1 --no-nanny"
            )
        return fit

    def describe(self) -> str:
        """How things stand, in a word or two: "ready", "busy 2/2", "no worker".

        Raises
        ------
        SchedulerLostError
            If the scheduler does not answer.
        """
        fit = [a for a, told in self.workers().items() if told.get("resources", {}).get(RESOURCE)]
        if not fit:
            return "no worker"
        at_work = self.client.processing(fit).items()
        busy = [a for a, keys in at_work if not all(key.startswith(_SESSION) for key in keys)]
        return f"busy {len(busy)}/{len(fit)}" if len(busy) == len(fit) else "ready"

    def place(self, avoid: Collection[str] = (), host: str = SESSION) -> Link:
        """Find a worker with room, and begin on it.

        Parameters
        ----------
        avoid : collection of str
            Addresses of workers that were lost.
        host : str
            What is begun there: a `Host`, as "package.module:Name".

        Raises
        ------
        NoWorkerError
            If there is none, or none is free; it says how many there are.
        OtherVersionError
            If the worker runs another release.
        SchedulerLostError
            If the scheduler does not answer.
        """
        ends = time.monotonic() + _BUSY
        while True:
            fit = self.fit_workers()
            free = [a for a in fit if a not in avoid]
            while free:
                try:
                    link = self._begin_on(self._least_used(free), len(fit), host)
                except _WorkerGone:
                    break
                facts = link.hello()
                if facts["sessions"] < facts["most_sessions"]:
                    return link
                link.let_go()
                free.remove(link.worker)
            if time.monotonic() > ends:
                break
            time.sleep(_AGAIN)  # one may be closed just now
        n_full = len([a for a in fit if a not in avoid])
        raise NoWorkerError(
            f"the scheduler {self.address} has {_count(len(fit))}, none free: "
            + (f"{n_full} with all the sessions that they may have" if n_full else "all were lost")
            + "; try again when a session is closed, or have more workers started"
        )

    def begin_on(self, worker: str) -> Link:
        """Begin on a worker that is named, however many sessions it has.

        Raises
        ------
        NoWorkerError
            If it is not free.
        """
        try:
            return self._begin_on([worker], 1, SESSION)
        except _WorkerGone as exc:
            raise NoWorkerError(f"the worker {worker} was lost as it began; try again") from exc

    def _least_used(self, workers: list[str]) -> list[str]:
        """Those with the fewest sessions, ours or of others."""
        held = self.client.has_what(workers)
        counts = {
            address: sum(str(key).startswith(_SESSION) for key in held.get(address, ()))
            for address in workers
        }
        return [address for address in workers if counts[address] == min(counts.values())]

    def _begin_on(self, workers: list[str], n_all: int, host: str) -> Link:
        from distributed import wait

        client = self.client
        order = encode({"lease": self.lease})
        future = client.submit(
            errand(host),
            order,
            key=f"{_SESSION}-{uuid.uuid4().hex}",
            actor=True,
            workers=workers,
            allow_other_workers=False,
            resources={RESOURCE: 1},
            pure=False,
        )
        began = time.monotonic()
        while future.status == "pending":
            with suppress(TimeoutError), client.as_current():
                wait(future, timeout=_BUSY)
                break
            if client.status != "running":
                raise self._lost()
            try:
                at_work = client.processing(workers)
            except KeyError as exc:  # the scheduler knows a worker no more
                future.cancel()
                raise _WorkerGone from exc
            busy = [a for a, keys in at_work.items() if set(keys) - {future.key}]
            waited = time.monotonic() - began
            if len(busy) == len(workers) or waited > _START:
                future.cancel()
                raise NoWorkerError(
                    f"the scheduler {self.address} has {_count(n_all)}, none free: {len(busy)} at "
                    f"work, no answer in {waited:.0f} s. Try again later, or have more started"
                )
        if future.status != "finished":
            raise _refusal(future)
        (holders,) = client.who_has([future]).values()
        if not holders:
            raise _WorkerGone
        worker = holders[0]
        is_safe = is_safe_to_reach(worker, insecure=self._insecure)
        goes_direct = is_safe and worker not in self._out_of_reach
        link = Link(
            client, future, worker, host, self.patience, self.lease, goes_direct=goes_direct
        )
        if goes_direct and not link.is_direct:
            self._out_of_reach.add(worker)  # which takes a moment to find out
        return link

    def end(self) -> None:
        """Give it up: what is computed by way of it ends at once, and nothing begins any more."""
        self._is_over = True
        self.close()

    def close(self) -> None:
        """Close it; a later call makes it anew."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it was lost before, and says so in many ways
                client.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection to {self.address}>"


def _count(number: int) -> str:
    return "1 worker" if number == 1 else f"{number or 'no'} workers"


def _refusal(future: Any) -> ComputeError:
    """Why a worker did not begin."""
    error = future.exception() if future.status == "error" else None
    if isinstance(error, ImportError):
        return ComputeError(
            f"napari-sam3 is not installed on the worker ({error}); install the same release there"
        )
    return ComputeError(f"the worker did not begin: {type(error).__name__}: {error}")


def _configured_security(address: str) -> Any:
    """The certificates that Dask's configuration names."""
    from distributed import Security

    security: Any = Security(require_encryption=True)
    if not (security.tls_ca_file and security.tls_client_cert and security.tls_client_key):
        raise ComputeError(
            f"{address} wants certificates, and Dask's configuration names none: set "
            "distributed.comm.tls.ca-file, .client.cert and .client.key, as the guide on "
            "computing elsewhere says"
        )
    return security

"""A cluster of this machine alone: for several videos at once, as long as they take."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from napari_sam3.cluster import worker_limits
from napari_sam3.cluster.connection import RESOURCE, Connection
from napari_sam3.errors import NoWorkerError

_LIBRARIES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_PRELOADS = ("napari_sam3.cluster.worker",)
_START = 120.0
_LOOK = 0.05


class LocalWorkers:
    """Processes of workers, and a scheduler in this one, that end with it.

    Other users of a machine reach its loopback, and who reaches a scheduler runs code. So both
    sides have certificates, which are made for this cluster and are gone with it.

    The workers are processes of their own, begun from nothing: they need nothing of the program
    that begins them, which may be a notebook or a script without a guard.

    Parameters
    ----------
    n_workers : int
        How many; the processor's cores are shared out among them.
    roots : iterable of path
        Folders whose videos may be read there.

    Attributes
    ----------
    connection : Connection
        The way to them.
    """

    def __init__(self, n_workers: int, roots: Iterable[str | os.PathLike[str]]) -> None:
        self.n_workers = n_workers
        threads = str(max(1, (os.cpu_count() or 1) // n_workers))
        self._environment = {
            **os.environ,
            **dict.fromkeys((*_LIBRARIES, worker_limits.THREADS), threads),
            worker_limits.ROOTS: os.pathsep.join(str(Path(root).absolute()) for root in roots),
            worker_limits.MOST_SESSIONS: "1",
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stack = ExitStack()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        from distributed import LocalCluster, Security

        security: Any = Security.temporary()
        # Windows lets go of the files of a process that was killed a little later
        folder = tempfile.TemporaryDirectory(prefix="napari-sam3-", ignore_cleanup_errors=True)
        home = Path(self._stack.enter_context(folder))
        self._tls: list[str] = []
        for option, pem in (
            ("--tls-ca-file", security.tls_ca_file),
            ("--tls-cert", security.tls_worker_cert),
            ("--tls-key", security.tls_worker_key),
        ):
            file = home / f"{option[2:]}.pem"
            file.touch(mode=0o600)
            file.write_text(pem)
            self._tls += [option, str(file)]
        self._home = home
        cluster: Any = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            protocol="tls",
            security=security,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,  # of how it ends it tells a lot
        )
        self._stack.callback(cluster.close, timeout=5)
        self._address = cluster.scheduler_address
        self.connection = Connection(self._address, security=security)
        self._stack.callback(self.connection.close)
        for _ in range(self.n_workers):
            self._begin_process()
        ends = time.monotonic() + _START
        while len(self.connection.workers()) < self.n_workers:
            if time.monotonic() > ends or all(p.poll() is not None for p in self._processes):
                raise NoWorkerError(
                    f"{len(self.connection.workers())} of {self.n_workers} processes have begun; "
                    f"what they say: {self._told()}"
                )
            time.sleep(_LOOK)

    def mend(self) -> None:
        """Begin another process in place of each that was killed."""
        for process in [p for p in self._processes if p.poll() is not None]:
            self._processes.remove(process)
            self._begin_process()

    def close(self) -> None:
        """End them at once, and what they compute."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes.clear()
        self._stack.close()

    def _begin_process(self) -> None:
        with (self._home / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "distributed.cli.dask_worker", self._address),
                    *self._tls,
                    *("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"),
                    *("--memory-limit", "0", "--resources", f"{RESOURCE}=1"),
                    *("--local-directory", str(self._home)),
                    *(part for name in _PRELOADS for part in ("--preload", name)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self._environment,
                # Ctrl-C is for the program that began it, which tells it to stop
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # on Windows
            )
        self._processes.append(process)

    def _told(self) -> str:
        text = (self._home / "said.txt").read_text(errors="replace").strip()
        return text[-300:] or "nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

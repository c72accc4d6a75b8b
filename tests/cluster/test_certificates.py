"""A scheduler with certificates is spoken to by who has them, and by nobody else."""

from __future__ import annotations

import pytest

from napari_sam3.cluster import Connection, RemoteSession
from napari_sam3.errors import ComputeError, SchedulerLostError
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.test_faults import _patiently
from tests.cluster.test_remote_session import CLICK
from tests.conftest import make_disc_film


@pytest.fixture
def encrypted(tmp_path):
    from distributed import Security

    security = Security.temporary()
    files = {}
    for name in ("ca_file", "scheduler_cert", "scheduler_key"):
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(getattr(security, f"tls_{name}"))
    tls = (
        *("--tls-ca-file", str(files["ca_file"])),
        *("--tls-cert", str(files["scheduler_cert"])),
        *("--tls-key", str(files["scheduler_key"])),
    )
    cluster = Cluster(tmp_path, tls=tls)
    yield cluster, security
    cluster.close()


@pytest.mark.sweep
def test_only_who_has_the_certificates_is_let_in(encrypted):
    from distributed import Security

    cluster, security = encrypted
    assert cluster.address.startswith("tls://")
    cluster.start_worker("one")
    with Connection(cluster.address, security=security) as connection:
        wait_until(lambda: len(connection.workers()) == 1)
        with _patiently(
            lambda: RemoteSession(make_disc_film(5), "fake", compute=connection)
        ) as session:
            session.add_prompt(0, **CLICK)
            assert len(list(session.propagate())) == 5
    with pytest.raises(SchedulerLostError):
        Connection(cluster.address, security=Security.temporary()).workers()
    with pytest.raises(SchedulerLostError):
        Connection(cluster.address.replace("tls://", "tcp://")).workers()


def test_certificates_that_nobody_named_are_told():
    with pytest.raises(ComputeError, match="wants certificates, and Dask's configuration names"):
        Connection("tls://127.0.0.1:9").workers()

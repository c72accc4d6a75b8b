"""A scheduler with certificates is spoken to by who has them, and by nobody else."""

from __future__ import annotations

import stat

import dask
import pytest

from napari_sam3.cli import main
from napari_sam3.cluster import Connection, RemoteSession
from napari_sam3.cluster.certificates import make_certificates
from napari_sam3.errors import ComputeError, SchedulerLostError
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.test_faults import _patiently
from tests.cluster.test_remote_session import CLICK
from tests.conftest import make_disc_film


@pytest.fixture
def encrypted(tmp_path):
    from distributed import Security

    assert main(["certificates", str(tmp_path / "keys")]) == 0
    file = str(tmp_path / "keys" / "{}.pem")
    scheduler, client = file.format("scheduler"), file.format("client")
    ca = file.format("ca")
    tls = ("--tls-ca-file", ca, "--tls-cert", scheduler, "--tls-key", scheduler)
    cluster = Cluster(tmp_path, tls=tls)
    security = Security(tls_ca_file=ca, tls_client_cert=client, tls_client_key=client)
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
    make_certificates(cluster.home / "others")  # of another authority
    strange = str(cluster.home / "others" / "client.pem")
    for stranger in (
        Security.temporary(),
        Security(tls_ca_file=security.tls_ca_file, tls_client_cert=strange, tls_client_key=strange),
    ):
        with pytest.raises(SchedulerLostError):
            Connection(cluster.address, security=stranger).workers()
    with pytest.raises(SchedulerLostError):
        Connection(cluster.address.replace("tls://", "tcp://")).workers()


def test_certificates_that_nobody_named_are_told():
    with pytest.raises(ComputeError, match="wants certificates, and Dask's configuration names"):
        Connection("tls://127.0.0.1:9").workers()


def test_keys_are_their_owners_and_dask_will_find_them(tmp_path, capsys):
    from distributed import Security

    folder = tmp_path / "keys"
    assert main(["certificates", str(folder)]) == 0
    said = capsys.readouterr().out
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert str(path) in said
    told = dask.config.collect(paths=[str(folder)], env={})
    with dask.config.set(dask.config.merge(dask.config.config, told)):
        security = Security()
    assert security.require_encryption
    assert security.tls_ca_file == str(folder / "ca.pem")
    for role in ("scheduler", "worker", "client"):
        assert security.get_connection_args(role)["ssl_context"] is not None
    assert main(["certificates", str(folder)]) == 1  # none in use is lost
    assert "holds something" in capsys.readouterr().err

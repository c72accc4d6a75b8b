"""A worker is called itself where it can be reached, and by way of the scheduler where not."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from napari_sam3.cluster import Connection, RemoteSession, connection as connection_module, link
from tests.conftest import make_disc_film


def begin(cluster):
    with Connection(cluster.address) as connection:
        begun = connection.place()
        begun.let_go()
        return begun.is_direct, connection._out_of_reach


def n_done(cluster):
    with RemoteSession(make_disc_film(5), "fake", compute=cluster.address) as session:
        session.add_prompt(0, points=[[34, 40]])
        return sum(1 for result in session.propagate() if result.objects)


def test_a_worker_on_this_machine_is_called_itself(cluster):
    assert begin(cluster) == (True, set())


def test_one_that_is_out_of_reach_is_called_by_way_of_the_scheduler(cluster, monkeypatch):
    monkeypatch.setattr(link, "_is_reached", lambda _worker: False)
    is_direct, out_of_reach = begin(cluster)
    assert not is_direct
    assert out_of_reach
    assert n_done(cluster) == 5


def test_one_whose_address_is_somebody_elses_here(cluster, monkeypatch):
    """As at the end of a tunnel: `127.0.0.1:40001` there is not what is at that place here."""
    make_actor = link._make_actor
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        theirs = f"tcp://127.0.0.1:{other.getsockname()[1]}"

        def hang_up():
            while True:
                try:
                    other.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        monkeypatch.setattr(
            link,
            "_make_actor",
            lambda client, worker, host, key, is_direct: make_actor(
                client, theirs if is_direct else worker, host, key, is_direct=is_direct
            ),
        )
        assert n_done(cluster) == 5
        assert begin(cluster)[0] is False
        other.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("is_safe", [True, False])
def test_nothing_leaves_a_tunnel(cluster, monkeypatch, is_safe):
    """A worker that is named by a scheduler at the end of a tunnel may be anywhere."""
    reached = []
    monkeypatch.setattr(link, "_is_reached", reached.append)
    monkeypatch.setattr(connection_module, "is_safe_to_reach", lambda *_, **__: is_safe)
    assert not begin(cluster)[0]
    assert bool(reached) is is_safe

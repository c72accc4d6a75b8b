"""What `napari-sam3 doctor --scheduler ADDRESS` tells: who computes there, with what."""

from __future__ import annotations

import time
from typing import Any

from napari_sam3 import __version__
from napari_sam3.cluster import Connection
from napari_sam3.cluster.connection import RESOURCE
from napari_sam3.cluster.link import LinkLost
from napari_sam3.cluster.wire import Head, encode
from napari_sam3.errors import Sam3Error

_N_CALLS = 10


def look_at_scheduler(address: str, *, insecure: bool) -> dict[str, Any]:
    """Workers, their releases, models, memory and roots; encryption; the time of a call.

    Nothing is raised: what goes wrong is in the entry "error".
    """
    found: dict[str, Any] = {}
    try:
        with Connection(address, insecure=insecure) as connection:
            _look(connection, found)
    except Sam3Error as exc:
        found["error"] = " ".join(str(exc).split())
    return found


def _look(connection: Connection, found: dict[str, Any]) -> None:
    found["address"] = connection.address
    is_encrypted = connection.address.startswith("tls://")
    found["encrypted"] = "yes" if is_encrypted else "no: by an SSH tunnel, or on this machine only"
    told = connection.workers()
    found["workers"] = len(told)
    found["released here"] = __version__
    fit = connection.fit_workers()
    for address, facts in told.items():
        if address not in fit:
            found[address] = f"without the resource {RESOURCE}: no sessions"
            continue
        try:
            found[address] = _ask(connection, address, facts)
        except (Sam3Error, LinkLost) as exc:
            found[address] = f"NOT USABLE: {exc}"


def _ask(connection: Connection, address: str, told: dict[str, Any]) -> dict[str, Any]:
    link = connection.begin_on(address)
    try:
        facts = link.hello()
        began = time.perf_counter()
        for _ in range(_N_CALLS):
            link.hello()
        call_ms = 1000 * (time.perf_counter() - began) / _N_CALLS
        more, _ = link.call("describe", encode({}))
    finally:
        link.let_go()
    return {
        "name": told.get("name"),
        "napari-sam3": facts["release"],
        "python": facts["python"],
        "models": _listed(more, "models"),
        "devices": _listed(more, "devices"),
        "free memory, bytes": facts["free_memory"],
        "roots": _listed(more, "roots"),
        "sessions": f"{facts['sessions']} of {facts['most_sessions']}",
        "a call, ms": round(call_ms, 1),
    }


def _listed(facts: Head, key: str) -> str:
    """A list that a worker gave, for people; it may be anything."""
    told = facts.get(key)
    return ", ".join(map(str, told)) if isinstance(told, list) and told else "none"

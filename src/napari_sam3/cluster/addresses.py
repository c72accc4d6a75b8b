"""Which schedulers may be spoken to, and where a video of this machine is on a worker."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import PureWindowsPath
from urllib.parse import urlsplit

from napari_sam3.errors import ComputeError, InsecureAddressError


def check_address(address: str, *, insecure: bool = False) -> str:
    """The address of a scheduler, whole.

    Who reaches a scheduler runs code on it, on its workers and on its clients. So an address that
    is not encrypted is refused, unless it is of this machine: an SSH tunnel ends there.

    Parameters
    ----------
    address : str
        As "tls://host:8786", or "tcp://127.0.0.1:8786".
    insecure : bool
        Whether a person insists on this very address.

    Raises
    ------
    ComputeError
        If it is no address.
    InsecureAddressError
        If it is not encrypted, and nobody insists.
    """
    whole = address if "://" in address else f"tcp://{address}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not whole.startswith(("tls://", "tcp://")) or not host or not port:
        raise ComputeError(
            f"{address!r} is no address of a scheduler; write it as tls://host:8786, or "
            "tcp://127.0.0.1:8786 at the end of an SSH tunnel"
        )
    if not is_safe_to_reach(whole, insecure=insecure):
        raise InsecureAddressError(
            f"{whole} is neither encrypted nor on this machine: who reaches it, or stands between, "
            "can run code as you. Use tls:// with certificates, or an SSH tunnel and "
            f"tcp://127.0.0.1:{port}; to take it all the same, insist on this address"
        )
    return whole


def is_safe_to_reach(address: str, *, insecure: bool = False) -> bool:
    """Whether what is sent to an address is encrypted or stays here, or nobody minds.

    A scheduler at the end of a tunnel may name workers that are beyond it.
    """
    return insecure or address.startswith("tls://") or is_this_machine(split_address(address)[0])


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address that `check_address` gave."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or 0


def is_this_machine(host: str) -> bool:
    """Whether a host's name or number is the loopback's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def map_path(path: str, mapping: Mapping[str, str]) -> str:
    """Where a path of this machine is on a worker: the longest prefix that is known is replaced.

    Parameters
    ----------
    path : str
        Absolute; of either kind of separator.
    mapping : mapping of str to str
        Folders here to folders there; without a fitting one the path is taken as it is.
    """
    parts = _parts(path)
    best: tuple[str, ...] = ()
    target = ""
    for here, there in mapping.items():
        prefix = _parts(here)
        if prefix and parts[: len(prefix)] == prefix and len(prefix) > len(best):
            best, target = prefix, there
    if not best:
        return path
    separator = "\\" if "\\" in target and "/" not in target else "/"
    return separator.join([target.rstrip("/\\"), *parts[len(best) :]])


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path; backslashes part it only where it is written as Windows does."""
    is_windows = PureWindowsPath(path).drive != "" or path.startswith("\\")
    text = path.replace("\\", "/") if is_windows else path
    return tuple(part for part in text.split("/") if part not in ("", "."))

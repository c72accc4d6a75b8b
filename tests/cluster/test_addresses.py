"""Which schedulers are spoken to, and where a path is on a worker."""

from __future__ import annotations

import pytest

from napari_sam3.cluster.addresses import check_address, is_safe_to_reach, map_path
from napari_sam3.errors import ComputeError, InsecureAddressError


@pytest.mark.parametrize(
    "address",
    [
        "tls://host.lab:8786",
        "tls://10.0.0.7:8786",
        "tcp://127.0.0.1:8786",
        "tcp://127.3.2.1:8786",
        "tcp://localhost:8786",
        "tcp://[::1]:8786",
    ],
)
def test_what_is_encrypted_or_of_this_machine_is_taken(address):
    assert check_address(address) == address


def test_an_address_without_a_kind_is_not_encrypted():
    assert check_address("127.0.0.1:8786") == "tcp://127.0.0.1:8786"
    with pytest.raises(InsecureAddressError):
        check_address("host.lab:8786")


@pytest.mark.parametrize(
    "address",
    ["tcp://host.lab:8786", "tcp://10.0.0.7:8786", "tcp://localhost.evil.org:1", "tcp://0.0.0.0:1"],
)
def test_anything_else_is_refused_unless_insisted_on(address):
    with pytest.raises(InsecureAddressError, match="insist on this address"):
        check_address(address)
    assert check_address(address, insecure=True) == address
    assert not is_safe_to_reach(address)
    assert is_safe_to_reach(address, insecure=True)


@pytest.mark.parametrize(
    "address",
    ["", "host", "tcp://host", "http://host:80", "ucx://host:1", "tcp://:8786", "tls://h:x"],
)
def test_what_is_no_address_is_told(address):
    with pytest.raises(ComputeError, match="no address of a scheduler"):
        check_address(address, insecure=True)


@pytest.mark.parametrize(
    ("path", "mapped"),
    [
        ("/Volumes/lab/a/b.mp4", "/srv/lab/a/b.mp4"),
        ("/Volumes/lab", "/srv/lab"),
        ("/Volumes/lab/cells/c.tif", "/fast/cells/c.tif"),
        ("/Volumes/labels/x.mp4", "/Volumes/labels/x.mp4"),
        ("D:\\films\\one\\a.mp4", "/srv/films/one/a.mp4"),
        ("D:/films/a.mp4", "/srv/films/a.mp4"),
        ("\\\\nas\\share\\a.mp4", "/mnt/nas/a.mp4"),
        ("/home/me/a\\b.mp4", "E:\\me\\a\\b.mp4"),
        ("/elsewhere/a.mp4", "/elsewhere/a.mp4"),
    ],
)
def test_the_longest_prefix_is_replaced(path, mapped):
    mapping = {
        "/Volumes/lab": "/srv/lab",
        "/Volumes/lab/cells/": "/fast/cells",
        "D:\\films": "/srv/films/",
        "\\\\nas\\share": "/mnt/nas",
        "/home/me": "E:\\me",
    }
    assert map_path(path, mapping) == mapped

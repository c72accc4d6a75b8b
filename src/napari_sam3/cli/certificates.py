"""`napari-sam3 certificates`: who may reach a scheduler."""

from __future__ import annotations

import argparse

from napari_sam3.cluster.certificates import make_certificates


def run(arguments: argparse.Namespace) -> int:
    """Make them. Returns the exit code."""
    for path in make_certificates(arguments.folder):
        print(f"wrote {path}")
    print(
        "Copy ca.pem and scheduler.pem to the scheduler's machine, ca.pem and worker.pem to each "
        "worker's, ca.pem and client.pem to each person's; dask.yaml, with the paths as they are "
        "there, to ~/.config/dask. Who has any of the three may run code on all of them."
    )
    return 0

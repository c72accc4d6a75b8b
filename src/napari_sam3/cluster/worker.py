"""What a worker loads as it starts: `dask worker ADDRESS ... --preload napari_sam3.cluster.worker`.

Options behind it say what may be read there, and which model is loaded before anybody waits for it.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from napari_sam3.cluster import worker_limits

# by name: batches stand on this room
_HOSTS = ("napari_sam3.cluster.host", "napari_sam3.batch.task_host")


@click.command()
@click.option("--root", "roots", multiple=True, help="a folder whose videos may be asked for")
@click.option("--uploads", help="where videos are kept that were sent")
@click.option("--uploads-mb", type=click.IntRange(0), help="how much of them, in MB")
@click.option("--max-sessions", type=click.IntRange(1), help="sessions at once")
@click.option("--model", help="a model to load at once")
@click.option("--device", help="where it runs")
def dask_setup(
    worker: Any,
    roots: tuple[str, ...],
    uploads: str | None,
    uploads_mb: int | None,
    max_sessions: int | None,
    model: str | None,
    device: str | None,
) -> None:
    """Take the options, and load what sessions need."""
    from napari_sam3.cluster.worker_models import get_model

    said = {
        worker_limits.ROOTS: os.pathsep.join(str(Path(root).absolute()) for root in roots),
        worker_limits.UPLOADS: uploads,
        worker_limits.UPLOADS_MB: uploads_mb,
        worker_limits.MOST_SESSIONS: max_sessions,
    }
    os.environ.update({name: str(value) for name, value in said.items() if value})
    worker_limits.bound_threads()
    for module in _HOSTS:  # so that the first session does not wait
        import_module(module)
    if model:
        # aside: the worker's loop must answer meanwhile, and a session that comes waits for it
        threading.Thread(target=get_model, args=(model, device), daemon=True).start()

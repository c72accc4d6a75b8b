"""Where a command computes: here, or on a worker of the scheduler that was named."""

from __future__ import annotations

import argparse
import sys

from napari_sam3.errors import ModelUnavailableError, UnknownModelError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import load_model


def begin_model(arguments: argparse.Namespace, name: str) -> VideoModel:
    """The model of that name, on the device and the machine that were asked for.

    Raises
    ------
    ModelError
        If it can't be loaded.
    ComputeError
        If there is no such scheduler, or no worker that is free.
    """
    if arguments.scheduler is None:
        try:
            return load_model(name, arguments.device)
        except UnknownModelError as exc:
            if name == arguments.model != "auto":
                raise
            # named by a project or the environment: nobody has wrongly asked for it
            raise ModelUnavailableError(str(exc)) from exc
    # not before it is needed: Dask comes with it
    from napari_sam3.cluster import RemoteModel

    return RemoteModel(
        arguments.scheduler,
        name,
        arguments.device,
        insecure=arguments.insecure,
        on_news=lambda news: print(f"\nnapari-sam3: {news}", file=sys.stderr),
        on_progress=_show_progress,
    )


def _show_progress(text: str) -> None:
    """In one line of the terminal, which ends with an empty text."""
    print(f"\r{text}" if text else "", end="" if text else "\n", file=sys.stderr, flush=True)

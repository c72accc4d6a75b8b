"""`napari-sam3 doctor --run MODEL`: the sample video through a model, measured.

Prompts, propagation and results go the way they go everywhere else; only the video hides which
file it is, so that features kept on the disk by an earlier run can't make this one look faster.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import ExitStack
from typing import Any

from napari_sam3.cli.progress import RunReport, follow
from napari_sam3.errors import ModelUnavailableError, Sam3Error
from napari_sam3.models.registry import load_model
from napari_sam3.samples import sample_paths
from napari_sam3.samples.ground_truth import OverlapScore, inner_points
from napari_sam3.session.session import VideoSession
from napari_sam3.video import Video, open_video

logger = logging.getLogger(__name__)

OBJECTS = 3
"""Cells that are followed; more would make a CPU slow, fewer would say little."""
WORDS = "cell"


class _Anonymous:
    """A video as a lazy array that nobody knows: its frames are decoded, nothing else is told."""

    def __init__(self, video: Video) -> None:
        self._video = video
        self.shape, self.dtype, self.ndim = video.shape, video.dtype, len(video.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        return self._video[key]


def try_model(
    name: str, device: str | None, n_frames: int, resolution: int | None
) -> dict[str, Any]:
    """Track the sample, and say how it went.

    Parameters
    ----------
    name, device, resolution
        As `load_model` takes them.
    n_frames : int
        At most so many frames of the sample.

    Returns
    -------
    dict
        What was measured, in the order it happened; seconds, bytes, frames a second, and the
        overlap with the truth (mean IoU, 0..1). What failed stands under "error".
    """
    figures: dict[str, Any] = {}
    try:
        with ExitStack() as stack:
            _measure(figures, stack, name, device, n_frames, resolution)
    except Sam3Error as exc:
        figures["error"] = " ".join(str(exc).split())
    except Exception as exc:  # as a driver's fault, which the report is about
        logger.exception("the run failed")
        figures["error"] = f"{type(exc).__name__}: {exc}"
    except KeyboardInterrupt:
        figures["error"] = "interrupted"
    return figures


def _measure(
    figures: dict[str, Any],
    stack: ExitStack,
    name: str,
    device: str | None,
    n_frames: int,
    resolution: int | None,
) -> None:
    import tifffile

    sample = sample_paths()
    truth = tifffile.imread(sample.truth)
    video = stack.enter_context(open_video(sample.video))
    n_frames = min(n_frames, len(video))
    began = time.perf_counter()
    model = load_model(name, device, resolution=resolution)
    stack.callback(model.close)
    if resolution and not hasattr(model, "resolution"):
        raise ModelUnavailableError(
            f"model {model.name!r} has no working resolution: it works on the frames as they are; "
            f"leave out --resolution {resolution}, or try another model"
        )
    figures["model"], figures["device"] = model.name, model.device
    for told in ("precision", "resolution"):
        if hasattr(model, told):
            figures[told] = getattr(model, told)
    figures["loading, s"] = _since(began)
    device_facts: Any = None  # of an accelerator, whose memory is of interest
    if model.device != "cpu":
        from napari_sam3.models.sam import device_facts

        device_facts.reset_peak(model.device)
    clicks = list(inner_points(truth[0]).items())[:OBJECTS]
    figures["objects, frames"] = f"{len(clicks)}, {n_frames}"
    film: Any = _Anonymous(video)
    session = stack.enter_context(VideoSession(film, model))
    _say("clicks on the first frame")
    for number, (obj_id, point) in enumerate(clicks):
        began = time.perf_counter()
        session.add_prompt(0, points=[point], obj_id=obj_id)
        if number < 2:
            figures[("first mask, s", "a click on the same frame, s")[number]] = _since(began)
    score = OverlapScore(truth, session.object_ids)
    _say("first pass")
    first = follow(session.propagate("forward", 0, n_frames), score.add)
    _tell_pass(figures, "first pass", first)
    figures["overlap with the truth, mean IoU"] = round(score.mean, 4)
    _say("a correction, and the second pass")
    for obj_id, (x, y) in clicks:
        session.add_prompt(0, points=[[x + 1, y + 1]], obj_id=obj_id)
    second = follow(session.propagate("forward", 0, n_frames), lambda result: None)
    _tell_pass(figures, "second pass, after corrections", second)
    if first.frames == second.frames and not second.was_interrupted:
        figures["the second pass is faster, times"] = round(second.fps / first.fps, 2)
    peak = device_facts and device_facts.peak_bytes(model.device)
    sam: Any = model
    if hasattr(sam, "time_encoding"):
        _say("what a step costs")
        from napari_sam3.cli.step_trial import measure_step

        measure_step(figures, sam, session, video, clicks, n_frames)
    session.close()
    if model.capabilities.text:
        _say(f"the word {WORDS!r}")
        with VideoSession(film, model) as words:
            began = time.perf_counter()
            found = words.add_prompt(0, text=WORDS)
            figures[f"objects found by the word {WORDS!r}"] = len(found.objects)
            figures["finding them, s"] = _since(began)
    figures["peak of the process's memory, bytes"] = peak_of_process()
    if device_facts is not None:
        peak = max(peak or 0, device_facts.peak_bytes(model.device) or 0)
        figures["peak of the device's memory, bytes"] = peak
    model.close()
    if device_facts is not None:
        memory = device_facts.Device(model.device).memory()
        figures["device's memory in use after closing, bytes"] = memory and memory.used


def _tell_pass(figures: dict[str, Any], title: str, report: RunReport) -> None:
    figures[f"{title}, s"] = round(report.ended_at - report.began_at, 3)
    figures[f"{title}, frames a second"] = round(report.fps, 3)
    if report.was_interrupted:
        raise KeyboardInterrupt


def peak_of_process() -> int | None:
    """Most memory that this process has had since it began, bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in kB


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 3)


def _say(what: str) -> None:
    print(f"doctor: {what}", file=sys.stderr)

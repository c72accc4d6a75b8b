"""`napari-sam3 demo`: the main job once, on a sample or a video of the user's."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_sam3.cli import DEMO_FOLDER, INTERRUPTED
from napari_sam3.cli.display import why_no_window
from napari_sam3.cli.progress import FilmProgress, follow
from napari_sam3.cli.results import check_free
from napari_sam3.cli.salient import find_salient
from napari_sam3.export import OverlayWriter, draw_overlay
from napari_sam3.export.contact_sheet import pick_frames, write_contact_sheet
from napari_sam3.models.registry import load_model
from napari_sam3.samples import sample_paths
from napari_sam3.samples.ground_truth import OverlapScore, inner_points
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.session import VideoSession
from napari_sam3.values import FrameResult, label_image
from napari_sam3.video import open_video

WHOLE_FILM = 600  # frames; of a longer video the demo takes the beginning


def run(arguments: argparse.Namespace) -> int:
    """Show it in a window, or without one. Returns the exit code."""
    began = time.perf_counter()
    reason = "--headless was given" if arguments.headless else why_no_window()
    out = arguments.output or Path(DEMO_FOLDER)
    names = ["overlay.mp4", "picture.png", *(["window.png"] if reason is None else [])]
    # the default folder is the demo's own
    may_replace = arguments.overwrite or arguments.output is None
    check_free([out / name for name in names], may_replace)
    if arguments.video is None:
        import tifffile

        print("the sample: living cells under a microscope, generated, with their truth")
        sample = sample_paths()
        path, truth, box = sample.video, tifffile.imread(sample.truth), None
        print(f"prompts: one click on each of the {len(inner_points(truth[0]))} cells on frame 0")
    else:
        path, truth, box = arguments.video, None, _choose_box(arguments.video)
    if reason is not None:
        print(f"running headless: {reason}")
        return run_headless(path, truth, box, out, arguments.model, arguments.device, began)
    from napari_sam3.plugin.views.demo import run_demo

    device = arguments.device or "auto"
    return int(
        run_demo(path, truth, out, box_xyxy=box, model=arguments.model, device=device, began=began)
    )


def run_headless(
    path: Path,
    truth: NDArray[Any] | None,
    box_xyxy: tuple[float, float, float, float] | None,
    out: Path,
    model_name: str,
    device: str | None,
    began: float,
) -> int:
    """Track, print how it went, write overlay.mp4 and picture.png.

    Parameters
    ----------
    path : Path
        The video.
    truth : (T, H, W) integer array or None
        True labels: every object of frame 0 gets a click, and the overlap is printed.
    box_xyxy : (x0, y0, x1, y1) or None
        px; where there is no truth, the object to follow.
    out : Path
        Folder for what is written.
    model_name, device : str
        As `load_model` takes them.
    began : float
        `time.perf_counter()` at the start, for the times that are printed.

    Returns
    -------
    int
        Exit code.
    """
    with ExitStack() as stack:
        video = stack.enter_context(open_video(path))
        model = load_model(model_name, device)
        stack.callback(model.close)
        session = stack.enter_context(VideoSession(video, model))
        frames = RgbFrames(video)
        if truth is not None:
            for obj_id, point in inner_points(truth[0]).items():
                session.add_prompt(0, points=[point], obj_id=obj_id)
        elif box_xyxy is not None:
            session.add_prompt(0, boxes=[box_xyxy])
        score = None if truth is None else OverlapScore(truth, session.object_ids)
        overlay = OverlayWriter(
            out / "overlay.mp4",
            frames,
            fps=video.fps,
            timestamps=video.timestamps,
            on_progress=FilmProgress("overlay.mp4"),
        )
        stack.callback(overlay.discard)  # does nothing after `close`
        done: dict[int, FrameResult] = {}
        propagation = session.propagate("forward", 0, WHOLE_FILM)
        chosen = pick_frames(0, len(propagation) - 1)

        def take(result: FrameResult) -> None:
            overlay.write(result)
            if score is not None:
                score.add(result)
            if result.frame_index in chosen:
                done[result.frame_index] = result

        report = follow(propagation, take)
        overlay.close()
        _write_picture(out / "picture.png", frames, done)
        print(f"model: {model.name} on {model.device}; objects: {len(session.object_ids)}")
        print(f"first tracked frame: {report.first_frame_at - began:.1f} s after the start")
        print(f"tracked: {report.frames} of {len(video)} frames, {report.fps:.1f} a second")
        if score is not None:
            print(f"overlap with the truth (mean IoU of frames and objects): {score.mean:.3f}")
        print(f"wrote {out / 'overlay.mp4'} and {out / 'picture.png'}")
    return INTERRUPTED if report.was_interrupted else 0


def _choose_box(path: Path) -> tuple[float, float, float, float]:
    """Look for something to follow in a video that nobody has prompted, and say what."""
    with open_video(path) as video:
        salient = find_salient(RgbFrames(video))
    x0, y0, x1, y1 = (round(n) for n in salient.box_xyxy)
    print(f"prompt: a box ({x0}, {y0}, {x1}, {y1}) on frame 0, round {salient.reason}")
    print("to choose for yourself: napari-sam3 track --help, or the window")
    return salient.box_xyxy


def _write_picture(path: Path, frames: RgbFrames, results: dict[int, FrameResult]) -> None:
    pictures = [
        draw_overlay(frames[index], label_image(result.objects, frames.size))
        for index, result in sorted(results.items())
    ]
    write_contact_sheet(path, pictures, [f"frame {index}" for index in sorted(results)])

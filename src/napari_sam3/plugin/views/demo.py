"""The main job in the window, done by itself: for somebody who sees it for the first time."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import napari
import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtWidgets import QApplication

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.export import draw_overlay, export_overlay
from napari_sam3.export.contact_sheet import pick_frames, write_contact_sheet
from napari_sam3.models.registry import choose_model, list_models
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.transforms import layer_shape, napari_points
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.plugin.scripting.event_loop import wait_until
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from napari_sam3.samples.ground_truth import OverlapScore, inner_points
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import FrameResult, ObjectMask
from napari_sam3.video import open_video

WHOLE_FILM = 600  # frames; of a longer video the demo takes the beginning
WINDOW_SIZE = (1400, 900)


def run_demo(
    video_path: Path,
    truth: NDArray[Any] | None,
    out: Path,
    *,
    box_xyxy: tuple[float, float, float, float] | None = None,
    model: str = "auto",
    device: str = "auto",
    began: float | None = None,
    close: bool = False,
) -> int:
    """Open a video in napari, place prompts, track live; then the window is the person's.

    Parameters
    ----------
    video_path : Path
        What the reader takes.
    truth : (T, H, W) integer array or None
        True labels: each object of frame 0 gets a click, and the overlap is printed.
    out : Path
        Folder for overlay.mp4, picture.png, and window.png, a picture of the window; made if need
        be.
    box_xyxy : (x0, y0, x1, y1), optional
        px; round the object to follow where there is no truth. Default: the middle of the picture.
    model, device : str
        As `load_model` takes them.
    began : float, optional
        `time.perf_counter()` at the start of the program, for the times that are printed.
    close : bool
        Close the window at the end instead of leaving it open.

    Returns
    -------
    int
        Exit code: 0, or 1 if the tracking failed.
    """
    began = time.perf_counter() if began is None else began
    Thread(target=_import_ahead, args=(model,), daemon=True).start()
    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    (layer,) = viewer.open(str(video_path), plugin="napari-sam3")
    dock = SegmentAndTrackWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment and track", area="right")
    dock.models.choose(model, device)
    viewer.dims.set_current_step(0, 0)
    QApplication.processEvents()  # dock and slider take their room before the picture is fitted
    viewer.reset_view()
    dock.new_prompts()
    _place_prompts(dock, layer, truth, box_xyxy)
    dock.state.is_followed = True
    n_frames = dock.state.n_frames
    if n_frames > WHOLE_FILM:
        dock.state.max_frames = WHOLE_FILM
    tracking_began = time.perf_counter()
    dock.propagate()
    wait_until(lambda: not dock.is_running or dock.state.frames_done > 0)
    print(f"first tracked frame: {time.perf_counter() - began:.1f} s after the start", flush=True)
    wait_until(lambda: not dock.is_running)
    seconds = time.perf_counter() - tracking_began
    if dock.is_shut_down:
        print("the window was closed before the end")
        return 0
    results = dock.tracking.results
    if results is not None:
        n_done = len(results.drawn_frames())
        print(f"tracked: {n_done} of {n_frames} frames, {n_done / seconds:.1f} a second")
        if truth is not None:
            overlap = _measure_overlap(results, truth)
            print(f"overlap with the truth (mean IoU of frames and objects): {overlap:.3f}")
        viewer.dims.set_current_step(0, n_done // 2)
    _take_picture(viewer, out / "window.png")
    if results is not None:
        film = Thread(target=_write_film, args=(results, video_path, out), daemon=True)
        film.start()
        wait_until(lambda: not film.is_alive())  # the window can be used meanwhile
    print(f"wrote {', '.join(str(path) for path in sorted(out.iterdir()))}", flush=True)
    failed = dock.state.outcome is Outcome.FAILED
    if close:
        viewer.close()
    else:
        print("the window is yours: click, correct, propagate; close it to end", flush=True)
        napari.run()
    return int(failed)


def _import_ahead(model: str) -> None:
    """Import what a model is made of while napari starts; the worker loads the model itself."""
    entries = {entry.name: entry for entry in list_models()}
    with suppress(ModelUnavailableError, ImportError):  # said when the model is used
        entry = entries.get(model) or choose_model()[0]
        import_module(entry.factory.partition(":")[0])


def _place_prompts(
    dock: SegmentAndTrackWidget,
    layer: Image,
    truth: NDArray[Any] | None,
    box_xyxy: tuple[float, float, float, float] | None,
) -> None:
    """A click on every object of a known truth; else a box."""
    if truth is not None:
        points: Any = dock.state.points
        inner = inner_points(truth[0])
        points.add(_on_first_frame(points, list(inner.values())))  # at once: each event is redrawn
        points.features = points.features.assign(object=list(inner))
        dock.state.object_in_hand = max(inner)
        return
    height, width = layer_shape(layer)[-2:]
    x0, y0, x1, y1 = box_xyxy or (width / 3, height / 3, 2 * width / 3, 2 * height / 3)
    shapes: Any = dock.state.boxes
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    shapes.add_rectangles(_on_first_frame(shapes, corners))


def _on_first_frame(layer: Any, points_xy: Any) -> NDArray[Any]:
    """Data coordinates of a prompt layer: zeros, then row and column."""
    rows_columns = napari_points(points_xy)
    ahead = np.zeros((len(rows_columns), layer.ndim - 2))
    return np.hstack([ahead, rows_columns])


def _measure_overlap(results: ResultsLayer, truth: NDArray[Any]) -> float:
    score = OverlapScore(truth, inner_points(truth[0]))
    for frame_index in results.drawn_frames():
        frame = results.planes[frame_index]
        masks = {int(i): ObjectMask.from_mask(frame == i) for i in np.unique(frame) if i}
        found = {obj_id: mask for obj_id, mask in masks.items() if mask is not None}
        score.add(FrameResult(frame_index, found))
    return score.mean


def _write_film(results: ResultsLayer, video_path: Path, out: Path) -> None:
    """Write overlay.mp4 and picture.png, as the headless demo does."""
    planes = results.planes
    with open_video(video_path) as video:
        frames = RgbFrames(video)
        export_overlay(
            out / "overlay.mp4", planes, frames, fps=video.fps, timestamps=video.timestamps
        )
        done = [int(i) for i in planes.processed_frames()]
        chosen = pick_frames(done[0], done[-1])
        pictures = [draw_overlay(frames[i], np.asarray(planes[i])) for i in chosen]
        write_contact_sheet(out / "picture.png", pictures, [f"frame {i}" for i in chosen])


def _take_picture(viewer: napari.Viewer, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    QApplication.processEvents()  # the last results and the buttons are drawn first
    viewer.screenshot(str(path), canvas_only=False, flash=False)

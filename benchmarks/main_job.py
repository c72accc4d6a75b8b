"""The main job on real input, headless and in the window: how soon, how fast, how well.

    python benchmarks/main_job.py DAVIS_FOLDER [SEQUENCE ...] [--stack IMAGES.tif MASKS.tif]
                                  [--shots FOLDER]

DAVIS_FOLDER holds SEQUENCE/frames/*.jpg and SEQUENCE/masks/*.png; each becomes an MP4 first.
A stack is (T, H, W) of any depth, with instances in its masks; twenty of them are followed. The
prompt is the truth's first mask, painted into a Labels layer in the window. Needs a display.

Columns: seconds from pressing Propagate (headless: from the prompt) to the first frame; frames a
second over the whole run; the longest time that the window did not answer, ms; mean overlap (IoU)
with the truth over frames 1 to n-2 (of a stack: with the instance that each object is on).
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
from PIL import Image
from truth_links import lines_of

from napari_sam3 import VideoSession
from napari_sam3.values import FrameResult
from napari_sam3.video.video_writer import VideoWriter


class Case:
    """An input with its truth: `objects[id][t]` is (H, W) bool, None where it is not known."""

    def __init__(self, name: str, path: Path, objects: dict[int, list[np.ndarray | None]]) -> None:
        self.name, self.path, self.objects = name, path, objects

    def overlap(self, found: dict[int, dict[int, np.ndarray]]) -> float:
        """Mean IoU; `found[t][id]` is (H, W) bool, an absent object has no pixel."""
        scores = []
        for obj_id, truth in self.objects.items():
            for t in range(1, len(truth) - 1):
                expected = truth[t]
                if expected is None:
                    continue
                mask = found.get(t, {}).get(obj_id, np.zeros_like(expected))
                union = np.count_nonzero(mask | expected)
                scores.append(np.count_nonzero(mask & expected) / union if union else 1.0)
        return float(np.mean(scores))


def davis_case(folder: Path, scratch: Path) -> Case:
    """A DAVIS sequence, its frames encoded as H.264."""
    path = scratch / f"{folder.name}.mp4"
    with VideoWriter(path, fps=24) as writer:
        for frame in sorted((folder / "frames").glob("*.jpg")):
            writer.write(np.asarray(Image.open(frame).convert("RGB")))
    masks = [np.asarray(Image.open(m)) > 127 for m in sorted((folder / "masks").glob("*.png"))]
    return Case(folder.name, path, {1: masks})


def stack_case(images: Path, masks: Path) -> Case:
    """A stack whose instances have other ids on each frame: linked by their overlap."""
    truth = tifffile.imread(masks)
    ids = [i for i in np.unique(truth[0]) if i]
    chosen = [int(ids[k]) for k in np.linspace(0, len(ids) - 1, min(20, len(ids))).astype(int)]
    lines = lines_of(truth, chosen).values()
    return Case(images.stem, images, {number: line[0] for number, line in enumerate(lines, 1)})


def run_headless(case: Case) -> tuple[float, float, float]:
    """Seconds to the first frame, frames a second, overlap."""
    with VideoSession(case.path) as session:
        began = time.perf_counter()
        for obj_id, truth in case.objects.items():
            session.add_prompt(0, mask=truth[0], obj_id=obj_id)
        found, first = {}, 0.0
        for result in session.propagate():
            first = first or time.perf_counter() - began
            found[result.frame_index] = {i: o.mask for i, o in result.objects.items()}
        pace = len(found) / (time.perf_counter() - began)
    return first, pace, case.overlap(found)


def run_in_window(case: Case, shots: Path | None) -> tuple[float, float, float, float]:
    """Seconds to the first frame, frames a second, longest pause in ms, overlap."""
    import napari
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1400, 900)
    (layer,) = viewer.open(str(case.path), plugin=_plugin_for(case.path))
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam3")
    painted = np.zeros(layer.data.shape[:3], np.uint16)
    for obj_id, truth in case.objects.items():
        painted[0][truth[0]] = obj_id
    masks = viewer.add_labels(painted, name="painted", scale=layer.scale, units=layer.units)
    viewer.dims.set_current_step(0, 0)
    widget.prompt_panel.masks.value = masks
    masks.visible = False
    ticks: list[float] = []
    first_frame: list[float] = []
    clock, loop, tracking = QTimer(), QEventLoop(), widget.tracking

    def note_first_frame(result: FrameResult) -> None:
        if result.frame_index > 0 and not first_frame:
            first_frame.append(time.perf_counter() - began)

    clock.timeout.connect(lambda: ticks.append(time.perf_counter()))
    tracking.ended.connect(loop.quit)
    tracking.tracked.connect(note_first_frame)
    QApplication.processEvents()
    clock.start(5)
    began = time.perf_counter()
    widget.propagate()
    loop.exec()
    lasted = time.perf_counter() - began
    clock.stop()
    results = next(one for one in viewer.layers if one.name.endswith("objects"))
    found = {t: dict(_objects(np.asarray(results.data[t]))) for t in range(len(results.data))}
    if shots is not None:
        for t in (0, len(found) // 2, len(found) - 1):
            viewer.dims.set_current_step(0, t)
            QApplication.processEvents()
            picture = viewer.screenshot(canvas_only=False, flash=False)
            Image.fromarray(picture).save(shots / f"{case.name}-{t:03d}.png")
    viewer.close()
    pause = float(np.diff(ticks).max()) * 1000
    return first_frame[0], len(found) / lasted, pause, case.overlap(found)


def _plugin_for(path: Path) -> str:
    return "napari" if path.suffix in (".tif", ".tiff") else "napari-sam3"


def _objects(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for obj_id in np.unique(labels):
        if obj_id:
            yield int(obj_id), labels == obj_id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("davis", type=Path)
    parser.add_argument("sequences", nargs="*")
    parser.add_argument("--stack", nargs=2, type=Path, action="append", default=[])
    parser.add_argument("--shots", type=Path)
    args = parser.parse_args()
    if args.shots:
        args.shots.mkdir(parents=True, exist_ok=True)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    print("| input | objects | frames | where | first frame s | frames/s | pause ms | overlap |")
    print("|---|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as scratch:
        names = args.sequences or sorted(p.name for p in args.davis.iterdir() if p.is_dir())
        cases = [davis_case(args.davis / name, Path(scratch)) for name in names]
        cases += [stack_case(*pair) for pair in args.stack]
        for case in cases:
            n_frames = len(next(iter(case.objects.values())))
            head = f"| {case.name} | {len(case.objects)} | {n_frames} |"
            first, pace, overlap = run_headless(case)
            print(f"{head} headless | {first:.2f} | {pace:.1f} | | {overlap:.3f} |", flush=True)
            first, pace, pause, overlap = run_in_window(case, args.shots)
            print(f"{head} window | {first:.2f} | {pace:.1f} | {pause:.0f} | {overlap:.3f} |")


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text above as they are."""


if __name__ == "__main__":
    main()

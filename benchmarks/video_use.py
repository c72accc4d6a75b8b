"""How our reader does in use: backwards, with two readers at once, playing in napari's window.

    python benchmarks/video_use.py [--keep FOLDER] [--no-window]

With the files of `video_access.py`; every frame's number is read back in the second part.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, get_ident

import numpy as np
from open_video import machine
from video_access import SECONDS, result_of, start
from video_clips import CLIPS, crop_bars, make_clip, read_number

ROUNDS = 3


# ---------------------------------------------------------------------- in a process of their own


def measure_ways(folder: Path, name: str) -> None:
    """A whole file forwards, then backwards; prints ms a frame."""
    from napari_sam3.video import open_video

    took = {}
    with open_video(folder / name) as video:
        for way, step in (("forwards", 1), ("backwards", -1)):
            begin = time.perf_counter()
            for _ in video.frames(step=step):
                pass
            took[way] = 1000 * (time.perf_counter() - begin) / len(video)
    print(json.dumps(took))


class TimedLock:
    """A lock that notes how long each thread has waited for it, s."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.waited: defaultdict[int, float] = defaultdict(float)

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            begin = time.perf_counter()
            self._lock.acquire()
            self.waited[get_ident()] += time.perf_counter() - begin

    def __exit__(self, *exc: object) -> None:
        self._lock.release()


def measure_share(folder: Path, role: str) -> None:
    """Viewer and tracker: alone, or both at once on one video; prints frames a second of each.

    The tracker reads forwards, the viewer loops over ten frames it has seen. `role` is "viewer",
    "tracker", "shared" (one Video, two threads) or "apart" (a handle each, two threads). Prints
    also which share of its time each has waited for a lock of ours.
    """
    from napari_sam3.video import open_video
    from napari_sam3.video.frame_cache import SHARED_CACHE

    viewer = open_video(folder / CLIPS[1].name)
    tracker = viewer if role == "shared" else viewer.reopen()
    locks = [TimedLock() for _ in range(3)]
    for owner, lock in zip((SHARED_CACHE, viewer, tracker), locks, strict=True):
        owner._lock = lock
    n, wrong = len(viewer), 0
    for number in range(10):
        viewer[number]
    end = time.perf_counter() + SECONDS

    def run(name: str) -> tuple[float, float]:
        nonlocal wrong
        begin, count = time.perf_counter(), 0
        while time.perf_counter() < end:
            number = count % 10 if name == "viewer" else 20 + count % (n - 20)
            video = viewer if name == "viewer" else tracker
            wrong += read_number(crop_bars(video[number])) != number
            count += 1
        seconds = time.perf_counter() - begin
        waited = sum(lock.waited[get_ident()] for lock in locks)
        return count / seconds, waited / seconds

    names = ("viewer", "tracker") if role in ("shared", "apart") else (role,)
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(names, pool.map(run, names), strict=True))
    rates = {name: rate for name, (rate, _) in found.items()}
    waits = {f"{name} waited": waited for name, (_, waited) in found.items()}
    print(json.dumps({**rates, **waits, "wrong": wrong}))


def measure_playing(folder: Path, kind: str) -> None:
    """Play 1080p in a napari window; prints frames shown a second."""
    import napari
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
    from qtpy.QtWidgets import QApplication

    from napari_sam3.plugin.layers.video_layer import video_layer
    from napari_sam3.video import as_video, open_video

    frames = 120
    video = open_video(folder / CLIPS[0].name)
    if kind == "array":
        video = as_video(np.asarray(video[:frames]))
    viewer = napari.Viewer(show=True)
    data, arguments, _ = video_layer(video)
    viewer.add_image(data, **arguments)
    application = QApplication.instance()
    assert application is not None
    shown = 0

    def note() -> None:
        nonlocal shown
        shown += 1

    canvases = [w for w in application.allWidgets() if isinstance(w, QOpenGLWidget)]
    for canvas in canvases:
        canvas.frameSwapped.connect(note)
    application.processEvents()
    shown = 0
    begin = time.perf_counter()
    for number in range(1, frames):
        viewer.dims.set_current_step(0, number)
        before = shown
        while shown == before:
            application.processEvents()
    print(json.dumps({"rate": shown / (time.perf_counter() - begin)}))
    viewer.close()


# ------------------------------------------------------------------------------------- tables


def print_ways(folder: Path) -> None:
    """All frames of a file, one after another, in both directions."""
    print("\n### Forwards and backwards (`frames`, ms a frame)\n")
    print("| | forwards | backwards | |\n|---|---|---|---|")
    for clip in CLIPS:
        runs = [ask("--ways", clip.name, folder) for _ in range(ROUNDS)]
        ahead, back = (
            float(np.median([run[way] for run in runs])) for way in ("forwards", "backwards")
        )
        print(f"| {clip.what} | {ahead:.2f} | {back:.2f} | {back / ahead:.2f}x |", flush=True)


def ask(option: str, what: str, folder: Path) -> dict[str, float]:
    """What a process of its own has measured."""
    found = result_of(start(option, what, "--keep", str(folder), script=__file__))
    if isinstance(found, str):
        raise SystemExit(f"{option} {what}: {found}")
    return found


def print_sharing(folder: Path) -> None:
    """Viewer and tracker at once, in threads and, where no lock can be between them, processes."""

    def share(*roles: str) -> dict[str, float]:
        rates: dict[str, float] = {"wrong": 0}
        for process in [
            start("--share", role, "--keep", str(folder), script=__file__) for role in roles
        ]:
            found = result_of(process)
            if isinstance(found, str):
                raise SystemExit(f"viewer and tracker: {found}")
            rates |= found | {"wrong": rates["wrong"] + found["wrong"]}
        return rates

    ways = {
        "two processes": ("viewer", "tracker"),
        "two threads, a handle each": ("apart",),
        "two threads, one handle": ("shared",),
    }
    # in turns, so that what else the machine does meets them alike
    runs = [{what: share(*roles) for what, roles in ways.items()} for _ in range(ROUNDS)]
    rows = {"each alone": share("viewer") | share("tracker")}
    for what in ways:
        rows[what] = {
            kind: float(np.median([run[what][kind] for run in runs]))
            for kind in ("viewer", "tracker", "viewer waited", "tracker waited")
        } | {"wrong": sum(run[what]["wrong"] for run in runs)}
    apart = rows["two processes"]
    print("\n### Viewer and tracker at once (480p H.264, frames a second)\n")
    print(
        "| | viewer, ten frames in a loop | tracker, forwards | waited for a lock | wrong frames |"
    )
    print("|---|---|---|---|---|")
    for what, rates in rows.items():
        cells = [
            f"{rates[kind]:.0f} ({rates[kind] / apart[kind]:.2f}x)"
            for kind in ("viewer", "tracker")
        ]
        waits = " / ".join(
            f"{100 * rates[f'{kind} waited']:.1f} %" for kind in ("viewer", "tracker")
        )
        print(f"| {what} | {' | '.join(cells)} | {waits} | {rates['wrong']:.0f} |")
    sys.stdout.flush()


def print_playing(folder: Path) -> None:
    """Frames that napari shows a second."""
    print("\n### Playing 1080p in napari (frames shown a second)\n")
    for kind, what in (("array", "a numpy array"), ("video", "the file")):
        found = result_of(start("--play", kind, "--keep", str(folder), script=__file__))
        print(f"- {what}: " + (found if isinstance(found, str) else f"{found['rate']:.1f}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep the files made")
    parser.add_argument("--no-window", action="store_true", help="leave out playing in napari")
    for hidden in ("--ways", "--share", "--play"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ways:
        return measure_ways(given.keep, given.ways)
    if given.share:
        return measure_share(given.keep, given.share)
    if given.play:
        return measure_playing(given.keep, given.play)
    print(f"{machine()}; load when begun {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for clip in CLIPS:
            make_clip(clip, folder)
        print_ways(folder)
        print_sharing(folder)
        if not given.no_window:
            print_playing(folder)
    print(f"\nload in the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

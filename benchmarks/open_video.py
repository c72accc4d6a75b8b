"""How long does it take to open an hour of 1080p, and to get at its frames?

    python benchmarks/open_video.py [VIDEO] [--keep FOLDER]

Without VIDEO it makes one: 1 h of 1080p at 25 frames a second, H.264 with B-frames, a keyframe
every 250 frames, 2 GB. Ten seconds are encoded; their packets are written 360 times, with shifted
time stamps.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

GOP = 250
ROUNDS = 360
SIZE = (1080, 1920)
NOISE = 12


def make_hour(path: Path) -> None:
    """Write the hour: a GOP encoded once, its packets repeated."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    ground = rng.integers(60, 180, (height // 8, width // 8 + GOP), np.uint8)
    ground = np.kron(ground, np.ones((8, 8), np.uint8))
    # a camera's noise is most of what a real video's bytes are spent on
    grain = rng.integers(0, NOISE, (2, *SIZE), np.uint8)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264",
            rate=25,
            options={"preset": "ultrafast", "bf": "2", "x264-params": "scenecut=0:open-gop=0"},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = GOP
        packets = []
        for number in range(GOP):
            grey = ground[:, 4 * number : 4 * number + width] + grain[number % 2]
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode(None)
        coded = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe, p.time_base) for p in packets]
        for turn in range(ROUNDS):
            for data, pts, dts, duration, is_key, time_base in coded:
                packet = av.Packet(data)
                packet.stream = stream
                packet.time_base = time_base
                shift = round(turn * GOP / 25 / time_base)
                packet.pts, packet.dts, packet.duration = pts + shift, dts + shift, duration
                packet.is_keyframe = is_key
                container.mux(packet)


def memory_mb() -> float:
    """Resident memory of this process, MB (Linux); nan elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def timed(action: Callable[[], object]) -> float:
    """Run it and say how long it took, ms."""
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def drop_from_page_cache(path: Path) -> None:
    """Ask the system to forget the file, so that reading it is cold."""
    if hasattr(os, "posix_fadvise"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def measure(path: Path) -> None:
    """What one process sees: prints rows of a table."""
    from napari_sam3.video import open_video

    before = memory_mb()
    start = time.perf_counter()
    video = open_video(path)
    opened = 1000 * (time.perf_counter() - start)
    after = memory_mb()
    row("open", [opened])
    print(f"| memory taken by opening | {after - before:.0f} MB | | | |")
    row("first frame", [timed(lambda: video[0])])
    rng = np.random.default_rng(1)
    row("random frame", [timed(lambda n=n: video[n]) for n in rng.integers(0, len(video), 12)])
    end_of_gop = len(video) // 2 // GOP * GOP + GOP - 1
    video[end_of_gop]
    steps = range(end_of_gop + 1, end_of_gop + GOP)
    row("one frame forward", [timed(lambda n=n: video[n]) for n in steps])
    # from the end of a group of pictures not seen before, back through all of it
    video[end_of_gop + 10 * GOP]
    steps = range(end_of_gop + 10 * GOP - 1, end_of_gop + 9 * GOP, -1)
    row("one frame back", [timed(lambda n=n: video[n]) for n in steps])
    row("another handle (reopen)", [timed(video.reopen)])
    print(f"| memory in the end | {memory_mb() - before:.0f} MB | | | |")


def row(what: str, times: list[float]) -> None:
    figures = np.median(times), np.percentile(times, 95), np.mean(times), np.max(times)
    print(f"| {what} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |", flush=True)


def machine() -> str:
    """The processor and its number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":")[1] for line in info.read_text().splitlines() if "model name" in line
        ]
        name = models[0].strip() if models else name
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--keep", type=Path, help="folder in which to keep the video made")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.video)
        return
    with tempfile.TemporaryDirectory() as temporary:
        path = given.video
        if path is None:
            path = (given.keep or Path(temporary)) / "hour_1080p.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                print(f"writing {path} took {timed(lambda: make_hour(path)) / 1000:.0f} s")
        print(
            f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; PyAV {av.__version__}; {machine()}"
        )
        for state in ("cold", "warm"):
            if state == "cold":
                drop_from_page_cache(path)
            print(
                f"\n| fresh process, file {state} | median ms | 95th percentile ms "
                "| mean ms | worst ms |\n| --- | --- | --- | --- | --- |",
                flush=True,
            )
            subprocess.run([sys.executable, __file__, str(path), "--measure"], check=True)


if __name__ == "__main__":
    main()

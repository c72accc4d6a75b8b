"""A session on a worker beside the same session here, and a batch on two workers beside one.

    python benchmarks/remote.py [--model optical-flow] [--frames 15] [--objects 5] [--rounds 3]
                                [--videos 8] [--only sessions|batch] [--a-core-each]

A scheduler and a worker are started as processes of this machine (one thread, no nanny, the worker
idle otherwise). The generated time-lapse, coloured, 480p, is a file that both read; each object is
a click. Here and there take turns, so that load of other work is shared; what is printed are
medians of the rounds, and the quotient of each round's two.

- start: from the address to a session that takes prompts, the model loaded there before and not;
- preview: from a click on a frame looked at before to its mask;
- frames a second: of a propagation, from the call to the last frame. The masks are compared;
- batch: seconds for copies of the film, one object each, on one worker of one thread and on
  two, which see the folder of results; what a frame costs the command in processor time; the
  processor seconds of command, scheduler and all workers in that time, which say whether a worse
  ratio is more work or waiting; the processes of `--jobs 2` are timed from nothing to their answer.
  A worker alone also uses what is free beside its one thread, to decode and to write labels; with
  --a-core-each it has one core (Linux), as where workers are as many as cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import psutil

from napari_sam3 import VideoSession, run_batch
from napari_sam3.cluster import Connection, LocalWorkers, RemoteModel, RemoteSession
from napari_sam3.samples.cells import make_cells
from napari_sam3.samples.ground_truth import inner_points
from napari_sam3.video.video_writer import VideoWriter

SIZE = (854, 480)


def make_film(path: Path, n_frames: int, n_objects: int) -> list[tuple[float, float]]:
    """Write the film; (x, y) of a place inside some cells of frame 0, px."""
    movie = make_cells(frames=n_frames)
    with VideoWriter(path, fps=10) as writer:
        for frame in movie.frames:
            grey = cv2.resize(frame, SIZE, interpolation=cv2.INTER_CUBIC)
            writer.write(np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)))
    down, across = SIZE[1] / movie.frames.shape[1], SIZE[0] / movie.frames.shape[2]
    places = list(inner_points(movie.labels[0]).values())[:n_objects]
    return [(x * across, y * down) for y, x in places]


def start_cluster(
    folder: Path, stack: ExitStack, n_workers: int = 1, model: str | None = None
) -> tuple[str, list[psutil.Process]]:
    """A scheduler and workers, which load a model at once; its address, and the processes."""
    folder.mkdir(exist_ok=True)
    facts, log = folder / "scheduler.json", (folder / "log.txt").open("wb")

    processes = []

    def run(module: str, *arguments: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", "--host", "127.0.0.1", *arguments],
            stdout=log,
            stderr=log,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        processes.append(psutil.Process(process.pid))

    run("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(facts))
    while not facts.exists() or not facts.read_text().strip().endswith("}"):
        time.sleep(0.05)
    address = str(json.loads(facts.read_text())["address"])
    os.environ["NAPARI_SAM3_ROOTS"] = tempfile.gettempdir()
    for _ in range(n_workers):
        run(
            "dask_worker",
            *(address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"),
            *("--resources", "SAM3=1", "--preload", "napari_sam3.cluster.worker"),
            *("--local-directory", str(folder)),
            *(() if model is None else ("--model", model)),
        )
    return address, processes


def pin(process: psutil.Process, core: int) -> None:
    """Keep a process, with the threads that it has and will have, on one core."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})


def processor_seconds(processes: list[psutil.Process]) -> np.ndarray:
    """What this process, the scheduler and all workers have used of processors by now, s."""
    used = []
    for process in (psutil.Process(), *processes):
        times = process.cpu_times()
        used.append(times.user + times.system)
    return np.array([used[0], used[1], sum(used[2:])])


def work(
    session: VideoSession, clicks: list[tuple[float, float]]
) -> tuple[float, float, list[dict[int, bytes]]]:
    """Milliseconds of a preview, frames a second, and the masks."""
    previews = []
    for x, y in clicks:
        began = time.perf_counter()
        with session.trial(0) as trial:
            trial.add_prompt(0, points=[[x, y]])
        previews.append(1000 * (time.perf_counter() - began))
        session.add_prompt(0, points=[[x, y]])
    began = time.perf_counter()
    results = list(session.propagate())
    rate = len(results) / (time.perf_counter() - began)
    masks = [{i: m.mask.tobytes() for i, m in r.objects.items()} for r in results]
    # the first click pays for what is prepared once
    return statistics.median(previews[1:] or previews), rate, masks


def compare_sessions(folder: Path, told: argparse.Namespace, stack: ExitStack) -> None:
    """Print what a session takes here and there."""
    film = folder / "film.mp4"
    clicks = make_film(film, told.frames, told.objects)
    address, _ = start_cluster(folder / "one", stack)
    connection = stack.enter_context(Connection(address))
    while not connection.workers():
        time.sleep(0.05)
    starts = []
    for _ in range(2):
        began = time.perf_counter()
        with RemoteSession(film, told.model, compute=address) as session:
            session.add_prompt(0, points=[list(clicks[0])])
        starts.append(time.perf_counter() - began)
    print(f"start to the first mask: {starts[0]:.2f} s, with the model there {starts[1]:.2f} s")
    rows = []
    for number in range(told.rounds):
        figures = {}
        for where in ("here", "there") if number % 2 == 0 else ("there", "here"):
            session = (
                VideoSession(film, told.model)
                if where == "here"
                else RemoteSession(film, told.model, compute=connection)
            )
            with session:
                figures[where] = work(session, clicks)
        here, there = figures["here"], figures["there"]
        rows.append((here[0], there[0], here[1], there[1], there[1] / here[1]))
        same = sum(a == b for a, b in zip(here[2], there[2], strict=True))
        print(
            f"round {number + 1}: preview {here[0]:.0f} ms here, {there[0]:.0f} ms there; "
            f"{here[1]:.2f} and {there[1]:.2f} frames/s ({rows[-1][4]:.2f}); "
            f"{same} of {len(here[2])} frames equal"
        )
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    print(
        f"medians: preview {middle[0]:.0f} ms here, {middle[1]:.0f} ms there; {middle[2]:.2f} "
        f"and {middle[3]:.2f} frames/s ({middle[4]:.2f})"
    )


def compare_batches(folder: Path, told: argparse.Namespace, stack: ExitStack) -> None:
    """Print what many videos take on one worker and on two, each with a thread."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "NAPARI_SAM3_THREADS"), "1"))
    film = folder / "film.mp4"
    ((x, y),) = make_film(film, told.frames, 1)
    films = []
    for number in range(told.videos):
        films.append(folder / "films" / f"{number}.mp4")
        films[-1].parent.mkdir(exist_ok=True)
        shutil.copyfile(film, films[-1])
    began = time.perf_counter()
    with LocalWorkers(2, [folder]) as workers:
        with RemoteModel(workers.connection, "fake"):
            pass
        print(f"two processes of --jobs 2 answer after {time.perf_counter() - began:.2f} s")
    parts = "command {:.2f}, scheduler {:.2f}, workers {:.1f}"
    shown = (
        "one worker {:.1f} s, two {:.1f} s: x {:.2f}; the command {:.1f} ms a frame\n"
        f"  processor seconds with one worker: {parts}; with two: {parts}"
    )
    rows = []
    cores = sorted(os.sched_getaffinity(0)) if told.a_core_each else []
    for number in range(told.rounds):
        seconds, used = {}, {}
        for n_workers in (1, 2) if number % 2 == 0 else (2, 1):
            out = folder / f"out {number} {n_workers}"
            with ExitStack() as of_round:  # processes that wait for work take a part of it
                address, processes = start_cluster(
                    folder / f"{number} {n_workers}", of_round, n_workers, told.model
                )
                with Connection(address) as connection:
                    while len(connection.workers()) < n_workers:
                        time.sleep(0.05)
                if told.a_core_each:
                    for core, worker in zip(cores, processes[1:], strict=False):
                        pin(worker, core)
                began, used_before = time.perf_counter(), processor_seconds(processes)
                report = run_batch(
                    films,
                    [{"frame": 0, "points": [[x, y]]}],
                    out,
                    model=told.model,
                    scheduler=address,
                )
                seconds[n_workers] = time.perf_counter() - began
                used[n_workers] = processor_seconds(processes) - used_before
            assert all(row.frames == told.frames for row in report.rows), str(report)
        own_ms = 1000 * used[2][0] / (told.videos * told.frames)
        rows.append((seconds[1], seconds[2], seconds[1] / seconds[2], own_ms, *used[1], *used[2]))
        print(
            f"round {number + 1}: {told.videos} videos of {told.frames} frames, "
            + shown.format(*rows[-1])
        )
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    print("medians: " + shown.format(*middle))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="optical-flow")
    parser.add_argument("--frames", type=int, default=15)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--only", choices=("sessions", "batch"))
    parser.add_argument("--a-core-each", action="store_true")
    told = parser.parse_args()
    for name, compare in (("sessions", compare_sessions), ("batch", compare_batches)):
        if told.only in (None, name):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                compare(folder, told, stack)


if __name__ == "__main__":
    main()

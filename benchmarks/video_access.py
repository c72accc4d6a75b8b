"""How fast, and how right, is one frame after another in any order: our reader and its peers.

    python benchmarks/video_access.py [--keep FOLDER] [--only WORD ...] [--clips WORD ...]

Makes its files (see `video_clips.py`); every frame carries its number as a barcode, which is read
back. Peers that are not installed are left out, with a word. Each reader has a process for each
file, and opens the file anew for each kind of access: nothing is left over from the one before.

Columns: frames that were right, of those read; opening a file up to its first frame in hand; going
back one and ten frames at a time; ten frames in a loop; random; sequential. All in ms, median /
95th percentile; sequential is the mean, which is what throughput means. "x" is the time against
that of the best peer that got every frame of the file right. Memory is the most that was
taken beyond what imports take. An access stops after some seconds, or the slow would take hours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from open_video import machine
from video_clips import CLIPS, Clip, crop_bars, make_clip, read_number
from video_peers import OURS, PROXY, READERS, find_missing

Figures = dict[str, list[float]]

SECONDS = 2.0
"""An access of one kind goes on for so long at most, in all rounds, or for some frames."""
ROUNDS = 2
"""Each file is gone through so often, the second time from the last reader to the first: what else
the machine does meets them alike."""
FEWEST = {"random": 8}
"""Frames that are read even when the time is over: the same places for all, for where a keyframe is
far away each place costs something else. Of the other kinds of access three."""
TIMEOUT = 120.0
OPENINGS = 3
ACCESSES = ("open", "back 1", "back 10", "loop 10", "random", "sequential")


# ------------------------------------------------------------------ in a process for each reader


def measure(name: str, clip: Clip, folder: Path) -> None:
    """One reader on one file; prints JSON."""
    read, seconds = READERS[name][1], SECONDS / ROUNDS
    path = folder / clip.name
    # imports are not what is measured
    read(folder / CLIPS[1].name)[0]
    before = memory_mb("VmRSS")
    times: Figures = {access: [] for access in ACCESSES}
    seen = right = 0
    if name == PROXY:
        # making it is no part of opening
        read(path).close()
    for _ in range(OPENINGS):
        if name != PROXY:
            forget_index()
        start = time.perf_counter()
        reader = read(path)
        reader[0]
        times["open"].append(1000 * (time.perf_counter() - start))
        if sum(times["open"]) > 1000 * seconds:
            break
        reader.close()
    is_slow = len(times["open"]) < OPENINGS
    for access, numbers in make_walks(clip).items():
        if not is_slow:
            reader = read(path)
        first, *rest = numbers
        with suppress(Exception):  # as below
            reader[first]
        bars: list[np.ndarray | None] = []
        begin = start = time.perf_counter()
        for number in rest:
            try:
                # read afterwards, or who decodes ahead would have time to do so
                bars.append(crop_bars(reader[number]))
            except Exception:  # whatever a peer raises, the frame was not had
                bars.append(None)
            end = time.perf_counter()
            times[access].append(1000 * (end - start))
            start = end
            if end - begin > seconds and len(bars) >= FEWEST.get(access, 3):
                break
        if not is_slow:
            reader.close()
        seen += len(bars)
        right += sum(
            bar is not None and read_number(bar) == number
            for bar, number in zip(bars, rest, strict=False)
        )
    memory = memory_mb("VmHWM") - before
    print(json.dumps({"times": times, "seen": seen, "right": right, "memory": memory}))


def make_walks(clip: Clip) -> dict[str, list[int]]:
    """Frames to read, in order; the first one is not timed, it only brings the reader there."""
    n, rng = clip.n_frames, np.random.default_rng(1)
    end = min(n, 250) - 1
    return {
        "back 1": [end - k for k in range(121)],
        "back 10": [n - 1 - 10 * k for k in range(min(n // 10, 40))],
        "loop 10": [n // 2 + k % 10 for k in range(60)],
        "random": [0, *rng.integers(0, n, 40).tolist()],
        # opening may have decoded the first ones already
        "sequential": list(range(30, min(n, 330))),
    }


def forget_index() -> None:
    """Empty the folder in which our reader keeps what it knows of files (see `start`)."""
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def memory_mb(which: str) -> float:
    """Memory of this process, MB (Linux); nan elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


# ------------------------------------------------------------------------------------- tables


def start(*arguments: str, script: str = __file__) -> subprocess.Popen[str]:
    """Run a script in a process with a cache folder of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": tempfile.mkdtemp(prefix="video-access-")}
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def result_of(process: subprocess.Popen[str], timeout: float = TIMEOUT) -> dict | str:
    """What it printed; in words why it did not."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"not done after {timeout:.0f} s"
    if process.returncode:
        lines = err.strip().splitlines()
        return lines[-1] if lines else f"ended with {process.returncode}"
    return json.loads(out.splitlines()[-1])


def measure_all(names: list[str], clip: Clip, folder: Path) -> dict[str, dict | str]:
    """All readers on one file, as many rounds as it takes."""
    results: dict[str, dict | str] = dict.fromkeys(names, "")
    for turn in range(ROUNDS):
        for name in names if turn % 2 == 0 else names[::-1]:
            before = results[name]
            if turn and isinstance(before, str):
                continue
            arguments = ("--clip", clip.name, "--keep", str(folder))
            found = result_of(start("--measure", name, *arguments))
            if turn and isinstance(found, dict):
                found["times"] = {
                    kind: before["times"][kind] + found["times"][kind] for kind in ACCESSES
                }
                found["seen"] += before["seen"]
                found["right"] += before["right"]
                found["memory"] = max(before["memory"], found["memory"])
            results[name] = found
    return results


def central(access: str, times: list[float]) -> float:
    return float(np.mean(times) if access == "sequential" else np.median(times))


def say(ms: float) -> str:
    return f"{ms:.3g}" if ms < 1000 else f"{ms:.0f}"


def say_ratio(ratio: float) -> str:
    return "<0.01x" if ratio < 0.01 else f"{ratio:.2g}x" if ratio < 100 else f"{ratio:.0f}x"


def print_table(clip: Clip, results: dict[str, dict | str]) -> None:
    """One file's table: a row a reader, the best peer's time in each column as the measure."""
    print(f"\n### {clip.what} ({clip.n_frames} frames)\n")
    print("| reader | right | " + " | ".join(ACCESSES) + " | memory MB |")
    print("|---" * (len(ACCESSES) + 3) + "|")
    figures = {name: found for name, found in results.items() if isinstance(found, dict)}
    peers = {
        name: found
        for name, found in figures.items()
        if name not in (OURS, PROXY) and found["right"] == found["seen"]
    }
    best = {
        access: min(central(access, found["times"][access]) for found in peers.values())
        for access in ACCESSES
        if peers
    }
    for name, found in results.items():
        if isinstance(found, str):
            print(f"| {name} | {found} |" + " |" * (len(ACCESSES) + 1))
            continue
        cells = []
        for access in ACCESSES:
            times = found["times"][access]
            middle = central(access, times)
            ratio = f" ({say_ratio(middle / best[access])})" if access in best else ""
            high = "" if access == "sequential" else f" / {say(float(np.percentile(times, 95)))}"
            cells.append(f"{say(middle)}{high}{ratio}")
        share = f"{found['right']} of {found['seen']}"
        print(f"| {name} | {share} | " + " | ".join(cells) + f" | {found['memory']:.0f} |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to keep the files made")
    parser.add_argument("--only", nargs="+", default=[""], help="readers with these in their name")
    parser.add_argument("--clips", nargs="+", default=[""], help="files with these in their name")
    for hidden in ("--measure", "--clip"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        clip = next(clip for clip in CLIPS if clip.name == given.clip)
        return measure(given.measure, clip, given.keep)
    missing = find_missing()
    if missing:
        print("left out, for they are not installed:", ", ".join(missing))
    print(f"{machine()}; load when begun {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for clip in CLIPS:
            make_clip(clip, folder)
        for clip in CLIPS:
            if not any(word in clip.name for word in given.clips):
                continue
            names = [
                name
                for name in READERS
                # a proxy is for long groups of pictures
                if name not in missing and (name != PROXY or clip.gop >= 250)
                if any(word in name for word in given.only)
            ]
            print_table(clip, measure_all(names, clip, folder))
    print(f"\nload in the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

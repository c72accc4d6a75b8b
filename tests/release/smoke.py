"""Install a wheel bare and with each of its extras, in clean environments, and try it there.

python tests/release/smoke.py WHEEL --uv UV [--python 3.12 ...] [--extra NAME ...]

Run by `make smoke`. An environment is deleted before the next one is made; uv's cache makes the
second cheap. Says in a line each how it went; the exit code is 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZipFile

BARE = "bare"
MOST_SECONDS = 1800
"""For one command; the first installation downloads."""
KEPT_LINES = 15


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--uv", required=True, help="the program that makes the environments")
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="as uv takes them")
    parser.add_argument("--extra", nargs="+", help=f"{BARE!r} or extras; all if left out")
    parser.add_argument("--constraint", type=Path, help="the releases to install, as of the lock")
    told = parser.parse_args(argv)
    failed = 0
    for python in told.python:
        for extra in told.extra or [BARE, *extras_of(told.wheel)]:
            began = time.monotonic()
            problem = try_out(told, python, extra)
            seconds = time.monotonic() - began
            print(f"{python} {extra}: {problem or 'works'} ({seconds:.0f} s)", flush=True)
            failed += problem is not None
    return int(failed > 0)


def extras_of(wheel: Path) -> list[str]:
    """The extras that a wheel's own description names."""
    return [value for name, value in _description(wheel) if name == "Provides-Extra"]


def version_of(wheel: Path) -> str:
    """The version that a wheel's own description says."""
    return next(value for name, value in _description(wheel) if name == "Version")


def try_out(told: argparse.Namespace, python: str, extra: str) -> str | None:
    """What goes wrong with a wheel in an environment of its own; None: nothing does."""
    wheel = told.wheel.resolve()
    wanted = f"napari-sam3{'' if extra == BARE else f'[{extra}]'} @ {wheel.as_uri()}"
    only = [] if told.constraint is None else ["--constraint", str(told.constraint.resolve())]
    with tempfile.TemporaryDirectory(prefix="smoke-") as home:
        folder = Path(home)
        env = folder / "env"
        scripts = env / ("Scripts" if os.name == "nt" else "bin")
        inside = ["--python", str(env), "--quiet"]
        steps: list[list[str]] = [
            [told.uv, "venv", "--quiet", "--python", python, str(env)],
            [told.uv, "pip", "install", *inside, *only, wanted],
            [told.uv, "pip", "check", *inside],
            [str(scripts / "napari-sam3"), "--version"],
            [str(scripts / "napari-sam3"), "--help"],
            [str(scripts / "npe2"), "validate", "napari-sam3"],
            [str(scripts / "napari-sam3"), "demo", "--headless", "--output", "out"],
        ]
        for step in steps:
            code, said = _run(step, folder)
            if code:
                return f"{_shown(step)} ended with {code}:\n{said}"
            if "--version" in step and version_of(wheel) not in said:
                return f"--version says {said!r}, the wheel is {version_of(wheel)}"
        missing = [n for n in ("overlay.mp4", "picture.png") if not (folder / "out" / n).is_file()]
        return f"the demo wrote no {' and no '.join(missing)}" if missing else None


def _description(wheel: Path) -> Iterator[tuple[str, str]]:
    with ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        head = archive.read(name).decode("utf-8").partition("\n\n")[0]
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        yield key, value


def _run(command: list[str], folder: Path) -> tuple[int, str]:
    """Exit code and last lines of a command; nothing of the checkout is on its way."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    # caches of its own, so that the sample is made anew by what was installed
    env |= {"XDG_CACHE_HOME": str(folder / "cache"), "LOCALAPPDATA": str(folder / "cache")}
    if Path(command[0]).stem == "uv":
        env = dict(os.environ)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no end after {MOST_SECONDS} s"
    except OSError as exc:
        return 1, str(exc)
    return done.returncode, "\n".join(done.stdout.splitlines()[-KEPT_LINES:])


def _shown(command: list[str]) -> str:
    return " ".join([Path(command[0]).stem, *command[1:]])


if __name__ == "__main__":
    sys.exit(main())

"""Open files one after another in a process of its own: what becomes of them, at what cost.

Run with a list of files. Ends with 1, and says where it stood, if a file takes too long or
something else than `VideoError` comes out; prints how much memory all of them took at most.
"""

from __future__ import annotations

import faulthandler
import sys
import warnings
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video

MOST_SECONDS = 30


def read_about(path: Path) -> bool:
    """Open a file and read here and there in it; whether it opened."""
    try:
        with open_video(path) as video:
            last = len(video) - 1
            for number in (0, last, last // 2, last, max(0, last - 1), last // 3, 0):
                assert video[number].shape == video.shape[1:]
            for _ in video.frames(0, 8):
                pass
            for _ in video.frames(8, None, -1):
                pass
    except VideoError:
        return False
    return True


def peak_megabytes() -> float | None:
    """The most memory this process had at a time; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(paths: list[str]) -> None:
    warnings.simplefilter("ignore", UserWarning)
    before = peak_megabytes()
    n_opened = 0
    for name in paths:
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
        try:
            n_opened += read_about(Path(name))
        except BaseException:
            print(f"it was {name}", file=sys.stderr)
            raise
        print(f"done {name}", file=sys.stderr, flush=True)
    after = peak_megabytes()
    grown = "unknown" if after is None or before is None else f"{after - before:.0f}"
    print(n_opened, grown)


if __name__ == "__main__":
    main(sys.argv[1:])

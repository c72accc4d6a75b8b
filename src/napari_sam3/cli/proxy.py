"""`napari-sam3 proxy`: make a video quick to scrub through in napari."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from napari_sam3.video import open_video
from napari_sam3.video.proxy import proxy_path, remove_proxy, write_proxy


def run(arguments: argparse.Namespace) -> int:
    """Make the proxy, or delete it. Returns the exit code."""
    with open_video(arguments.video) as video:
        path = proxy_path(video)
        if arguments.remove:
            was_there = remove_proxy(video)
            arguments.facts |= {"proxy": None, "deleted": was_there}
            print("deleted" if was_there else "there was none")
            return 0
        arguments.facts["proxy"] = str(path)
        if path.exists():
            print(f"it is there already: {path}")
            return 0
        bar = tqdm(write_proxy(video), "proxy", len(video), unit="frame", disable=None)
        for _ in bar:
            pass
    print(f"wrote {path} ({path.stat().st_size / 1e6:.0f} MB)")
    print("napari shows it from now on when the video is opened; tracking reads the original")
    return 0

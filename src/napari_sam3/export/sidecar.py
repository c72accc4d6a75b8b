"""Facts of the video beside its results: in a file that lies next to each, or one for a folder."""

from __future__ import annotations

from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.plain_files import read_text
from napari_sam3.video.video_facts import KIND, VideoFacts
from napari_sam3.whole_files import written_whole

SHARED = "video.json"
"""Name of the facts of the video that all results in a folder are of."""


def sidecar_path(path: Path) -> Path:
    """Where a video's facts lie: labels.tif.video.json beside labels.tif; alike for a folder."""
    return path.with_name(f"{path.name}.video.json")


def write_sidecar(place: Path, facts: VideoFacts) -> None:
    """Write facts of a video to a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(place) as part:
        part.write_text(facts.to_json(), encoding="utf-8")


def read_sidecar(path: Path) -> VideoFacts | None:
    """The facts of the video that lie beside a file or folder, or tell of all in its folder.

    Returns
    -------
    VideoFacts or None
        None if there are none.

    Raises
    ------
    VideoError
        If they can't be read.
    """
    for place in (sidecar_path(path), path.with_name(SHARED)):
        try:
            text = read_text(place)
            if place.name != SHARED or KIND in text:  # others use the name too
                return VideoFacts.from_json(text)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as exc:
            raise VideoError(
                f"{str(place)!r} can't be read ({exc}); delete it to go on without it"
            ) from exc
    return None

"""Facts of the video beside its results: in a file that lies next to each, or one for a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.labels.frame_ranges import read_frames, say_frames
from napari_sam3.plain_files import read_text
from napari_sam3.video.video_facts import KIND, VideoFacts
from napari_sam3.whole_files import written_whole

SHARED = "video.json"
"""Name of the facts of the video that all results in a folder are of."""

OWN = "napari-sam3"
"""Under this, files that can be added to have what is ours."""

PROCESSED = "processed_frames"
"""Under this, files tell which frames were processed, as `say_frames` does."""


def sidecar_path(path: Path) -> Path:
    """Where a video's facts lie: labels.tif.video.json beside labels.tif; alike for a folder."""
    return path.with_name(f"{path.name}.video.json")


def write_sidecar(place: Path, facts: VideoFacts) -> None:
    """Write facts of a video to a file."""
    with sidecar_ready(place, facts):
        pass


@contextmanager
def sidecar_ready(
    place: Path, facts: VideoFacts, processed: Iterable[int] | None = None
) -> Iterator[None]:
    """Have facts of a video in their file when the block ends without an error.

    They are on the disk before it begins: what is written in it is never without them.

    Parameters
    ----------
    place : Path
        The file; its folder is made if need be.
    facts : VideoFacts
        Of the video.
    processed : iterable of int, optional
        Frames that were processed, where some were not.
    """
    said = json.loads(facts.to_json())
    if processed is not None:
        said[PROCESSED] = say_frames(processed)
    place.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(place) as part:
        part.write_text(json.dumps(said, indent=1), encoding="utf-8")
        yield


def remove_sidecar(path: Path) -> None:
    """Remove what lies beside a result that was replaced, if it is ours."""
    with suppress(OSError, ValueError):
        place = sidecar_path(path)
        VideoFacts.from_json(read_text(place))
        place.unlink()


def read_processed(path: Path, length: int) -> list[int] | None:
    """The frames of a result that were processed, as the file beside it tells.

    Parameters
    ----------
    path : Path
        The result.
    length : int
        Frames of the video.

    Returns
    -------
    list of int or None
        Rising; None where nothing is told.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    place = sidecar_path(path)
    try:
        said = json.loads(read_text(place)).get(PROCESSED)
        return None if said is None else read_frames(said, length)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as exc:
        raise _unreadable(place, exc) from exc


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
            raise _unreadable(place, exc) from exc
    return None


def _unreadable(place: Path, exc: Exception) -> VideoError:
    return VideoError(f"{str(place)!r} can't be read ({exc}); delete it to go on without it")

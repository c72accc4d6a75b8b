"""The sample as files: made when first asked for, kept in the user's cache folder."""

from __future__ import annotations

import csv
import os
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from napari_sam3.cache_folder import cache_folder
from napari_sam3.errors import VideoError
from napari_sam3.samples.cells import GENERATOR_VERSION, CellMovie, make_cells
from napari_sam3.samples.motion import Track

SAMPLE_FPS = 12.0


@dataclass(frozen=True)
class SamplePaths:
    """Where the sample is.

    Attributes
    ----------
    video : Path
        H.264 MP4, 640 x 480, 60 frames at 12 a second.
    truth : Path
        Label TIFF (T, H, W) uint16: 0 is background, every cell keeps its id.
    lineage : Path
        CSV of cell_id, parent (0: none), first and last frame (0-based, inclusive).
    """

    video: Path
    truth: Path
    lineage: Path

    @classmethod
    def within(cls, folder: Path) -> SamplePaths:
        """The names of the files in a folder."""
        return cls(folder / "cells.mp4", folder / "cells_truth.tif", folder / "cells_lineage.csv")

    @property
    def are_there(self) -> bool:
        """Whether all of them exist."""
        return all(path.is_file() for path in (self.video, self.truth, self.lineage))


def sample_paths(folder: str | os.PathLike[str] | None = None) -> SamplePaths:
    """Paths of the sample's files; makes them if they are not there (some seconds).

    Parameters
    ----------
    folder : path-like, optional
        Where to keep them; by default the user's cache folder for napari-sam3. They go into a
        folder of their own in it, named by the generator's version.

    Raises
    ------
    VideoError
        If they can't be written.
    """
    if folder is None:
        folder = cache_folder("samples")
    home = Path(folder) / f"cells-v{GENERATOR_VERSION}"
    paths = SamplePaths.within(home)
    if paths.are_there:
        return paths
    try:
        _make(home)
    except OSError as exc:
        raise VideoError(
            f"the sample can't be written to {str(home)!r} ({exc}); make room there, or give "
            "another folder to sample_paths"
        ) from exc
    return paths


def _make(home: Path) -> None:
    """Write the files beside their place, then move them there all at once."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as workshop:
        made = Path(workshop) / home.name
        made.mkdir()
        _write(make_cells(), SamplePaths.within(made))
        if home.exists() and not SamplePaths.within(home).are_there:
            shutil.rmtree(home)  # somebody deleted a part of it
        try:
            made.rename(home)
        except OSError:
            # another process was quicker: its files are as good
            if not SamplePaths.within(home).are_there:
                raise


def _write(movie: CellMovie, paths: SamplePaths) -> None:
    import tifffile

    from napari_sam3.video.video_writer import VideoWriter

    # somebody is waiting for it
    with VideoWriter(paths.video, SAMPLE_FPS, preset="veryfast") as writer:
        for frame in movie.frames:
            writer.write(frame)
    tifffile.imwrite(
        paths.truth,
        movie.labels,
        compression="zlib",
        metadata={"axes": "TYX"},
        photometric="minisblack",
    )
    with paths.lineage.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Track)])
        table.writeheader()
        table.writerows(asdict(track) for track in movie.lineage)


def read_lineage(path: str | os.PathLike[str]) -> tuple[Track, ...]:
    """Read the sample's lineage table back."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return tuple(
            Track(**{name: int(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        )

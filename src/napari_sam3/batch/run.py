"""Many videos, one after the other or several at once; one bad video does not stop the rest."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from napari_sam3.batch.elsewhere import do_on_workers
from napari_sam3.batch.interrupts import noting_interrupts
from napari_sam3.batch.plan import plan_batch
from napari_sam3.batch.summary import BatchRow, format_summary, write_summary
from napari_sam3.batch.task import Task, TaskSettings, do_task
from napari_sam3.batch.tracking import Prompts
from napari_sam3.cluster import Connection, LocalWorkers
from napari_sam3.cluster.addresses import check_address
from napari_sam3.errors import RequestError, VideoError
from napari_sam3.export.registry import expand_formats
from napari_sam3.models.registry import LoadedModel, find_model
from napari_sam3.models.weights import state_of
from napari_sam3.session.recovery import Recover, check_recover
from napari_sam3.session.validation import (
    check_contrast_limits,
    check_flag,
    check_int,
    check_range,
)
from napari_sam3.values import Direction
from napari_sam3.video.plane_choice import PlaneChoice
from napari_sam3.whole_files import explain_refusal

SUMMARY = "summary.csv"

Rows = Generator[tuple[int, BatchRow]]
OnRow = Callable[[BatchRow], object]
OnFrame = Callable[[str, int], object]


@dataclass(frozen=True)
class BatchReport:
    """How a batch went.

    Attributes
    ----------
    rows : tuple of BatchRow
        One a video, in the order of the videos; those not begun before a stop are left out.
    summary_path : Path
        The same as CSV.
    was_interrupted : bool
        By Ctrl-C; run again, it goes on.
    """

    rows: tuple[BatchRow, ...]
    summary_path: Path
    was_interrupted: bool = False

    @property
    def failed(self) -> tuple[BatchRow, ...]:
        """The videos that went wrong."""
        return tuple(row for row in self.rows if row.state == "failed")

    def __str__(self) -> str:
        """A table."""
        return format_summary(self.rows)


def run_batch(
    videos: Iterable[str | os.PathLike[str]],
    prompts: Prompts | None = None,
    out: str | os.PathLike[str] = "results",
    *,
    text: str | None = None,
    beside: bool = False,
    model: str | Path = "auto",
    device: str | None = None,
    formats: Iterable[str] = (),
    direction: Direction = "forward",
    start_frame_index: int | None = None,
    max_frame_num_to_track: int | None = None,
    contrast_limits: tuple[float, float] | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    insecure: bool = False,
    overwrite: bool = False,
    recover: Recover = "exact",
    pack: bool = False,
    channel: int | str | None = None,
    z: int | str | None = None,
    scene: int | str | None = None,
    on_row: OnRow | None = None,
    on_frame: OnFrame | None = None,
    progress: bool = False,
) -> BatchReport:
    """Track in many videos, each kept in a project of its own.

    Run again with the same arguments it goes on where it was stopped or killed: videos that are
    done are skipped, the one that was under way is gone on with. The first Ctrl-C stops it after
    the frames under way, a second one at once.

    Parameters
    ----------
    videos : iterable of path-like
        Video files, folders of frames, patterns of frames (`frames/cam1_*.png`), folders of video
        files. Empty: those that the file of prompts names, beside it.
    prompts : list of dict, or path
        As `track_video` takes them, for all videos; or a file in which they name their video (JSON
        `videos` or `video`, column `video` of CSV).
    out : path-like
        For each video a project `<name>.sam3` and, with `formats`, a folder `<name>`.
    text : str, optional
        In place of prompts: all objects that it names on the first frame.
    beside : bool
        In place of prompts: those in `<video>.prompts.json` beside each video.
    model, device : str or path, str
        As `load_model` takes them; loaded once a process.
    formats : iterable of str
        Names of `napari_sam3.export.registry.FORMATS` to export, or "all".
    direction, start_frame_index, max_frame_num_to_track, contrast_limits
        As `track_video`.
    jobs : int, optional
        How many videos at once. Left out it is 1, or with a `scheduler` the number of its workers.
        From 2 on each has its model in a process of its own; the processor's cores are shared out
        among them.
    scheduler : str, optional
        Address of a Dask scheduler whose workers compute, as "tls://host:8786". Those that see
        `out` as their own write projects and exports there; for others they are written here.
    insecure : bool
        Whether to take that address though it is neither encrypted nor of this machine.
    overwrite : bool
        Begin all videos anew; what is kept of them in `out` is lost.
    recover : "exact" or "quick"
        How a video that was stopped or killed, or whose worker was, is gone on with, as of
        `track_video`.
    pack : bool
        Keep each project in few files when its video is done (`pack_project`).
    channel, z, scene : int or str, optional
        Which of several are meant in all videos, as `open_video` takes them.
    on_row : callable, optional
        Called with the `BatchRow` of each video as it ends.
    on_frame : callable, optional
        Called with the video's path and the number of frames done in this run, as it goes.
    progress : bool
        Whether to show bars in the terminal.

    Returns
    -------
    BatchReport
        A row for each video; `str` of it is a table. It is also in `out`/summary.csv, at any time.

    Raises
    ------
    RequestError
        If the arguments can't be. What is wrong with one video is in its row instead.
    ModelError
        If the model can't be had.
    ComputeError
        If there is no such scheduler, or no worker that is free.
    VideoError
        If `out` can't be written.
    """
    if isinstance(videos, str | os.PathLike):
        videos = [videos]
    if not isinstance(videos, Iterable):
        raise RequestError(f"videos must be a list of paths, not {videos!r}")
    n_at_once = None if jobs is None else check_int(jobs, "jobs")
    check_flag(beside, "beside")
    start, limit = check_range(2**31, direction, start_frame_index, max_frame_num_to_track)
    settings = TaskSettings(
        str(model),
        device,
        _check_formats(formats),
        direction,
        start,
        limit,
        check_contrast_limits(contrast_limits),
        check_flag(overwrite, "overwrite"),
        check_recover(recover),
        PlaneChoice(channel, z, scene),
        check_flag(pack, "pack"),
    )
    if n_at_once is not None and n_at_once < 1:
        raise RequestError(f"jobs is {jobs}; give a number of videos at once from 1")
    planned = plan_batch(videos, prompts, text=text, beside=beside)
    if scheduler is None:
        _check_model(settings.model)
    else:
        check_address(scheduler, insecure=check_flag(insecure, "insecure"))
    home = _make_folder(Path(out).expanduser())
    summary = home / SUMMARY
    rows: dict[int, BatchRow] = {}
    tasks: dict[int, Task] = {}

    def add_row(number: int, row: BatchRow) -> None:
        rows[number] = row
        write_summary(summary, [rows[n] for n in sorted(rows)])
        if on_row is not None:
            on_row(row)

    def announce_stop() -> None:
        bar.write("stopping after this frame; Ctrl-C again to give up", file=sys.stderr)

    for number, one in enumerate(planned):
        if one.prompts is None:
            add_row(number, BatchRow(str(one.path), state="failed", error=one.problem))
        else:
            tasks[number] = Task(one.path, one.prompts, home / one.name, settings)
    with (
        tqdm(total=len(tasks), desc="videos", unit="video", disable=not progress) as bar,
        noting_interrupts(announce_stop) as stop,
    ):

        def show(number: int, n_frames: int) -> None:
            bar.set_postfix_str(f"{tasks[number].video.name}: {n_frames} frames", refresh=True)
            if on_frame is not None:
                on_frame(str(tasks[number].video), n_frames)

        def tell(news: str) -> None:
            bar.write(news, file=sys.stderr)

        if scheduler is not None:
            way = Connection(scheduler, insecure=insecure)
            do = _do_there(tasks, way, n_at_once, stop, show, tell)
        elif n_at_once is not None and n_at_once > 1:
            do = _do_in_processes(tasks, n_at_once, stop, show, tell)
        else:
            do = do_here(tasks, stop, show, tell)
        with closing(do):  # ends what is under way at once, whatever goes wrong here
            for number, row in do:
                add_row(number, row)
                bar.update()
    return BatchReport(tuple(rows[n] for n in sorted(rows)), summary, stop.is_set())


def do_here(
    tasks: dict[int, Task],
    stop: threading.Event,
    show: Callable[[int, int], object],
    tell: Callable[[str], object],
) -> Rows:
    """Do tasks in this process, one after the other."""
    models = LoadedModel()
    try:
        for number, task in tasks.items():
            if stop.is_set():
                return
            yield number, do_task(task, models.get, stop, partial(show, number), tell)
    finally:
        models.close()


def _do_in_processes(
    tasks: dict[int, Task],
    n_at_once: int,
    stop: threading.Event,
    show: Callable[[int, int], object],
    tell: Callable[[str], object],
) -> Rows:
    """Do tasks with models in processes of this machine."""
    places = (place for task in tasks.values() for place in (task.video, task.results))
    roots = {place.absolute().anchor for place in places}
    n_workers = min(n_at_once, len(tasks))
    if not n_workers:
        return
    with LocalWorkers(n_workers, roots) as workers:
        yield from do_on_workers(
            tasks, workers.connection, n_workers, stop, show, tell, workers.mend
        )


def _do_there(
    tasks: dict[int, Task],
    connection: Connection,
    n_at_once: int | None,
    stop: threading.Event,
    show: Callable[[int, int], object],
    tell: Callable[[str], object],
) -> Rows:
    """Do tasks on the workers of a scheduler."""
    with connection:
        n_workers = n_at_once or len(connection.fit_workers())
        yield from do_on_workers(tasks, connection, n_workers, stop, show, tell)


def _check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    if isinstance(formats, str):
        raise RequestError(f"formats must be a list of names, as [{formats!r}], not {formats!r}")
    names = tuple(dict.fromkeys(formats))
    expand_formats(names)  # refuses what there is not
    return names


def _check_model(model: str) -> None:
    """Refuse what would fail for every video, before the first one."""
    entry = find_model(model)
    if entry.weights is not None:
        state = state_of(entry.weights)
        if state.folder is None:
            raise state.error()


def _make_folder(place: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise VideoError(
            f"{str(place)!r} can't be made a folder for results ({explain_refusal(place, exc)}); "
            "name another one"
        ) from exc
    return place

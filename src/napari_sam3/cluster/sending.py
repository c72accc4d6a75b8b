"""The video of a session on a worker: found there by its path, or sent."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import tifffile

from napari_sam3.cluster.addresses import map_path
from napari_sam3.cluster.link import Link
from napari_sam3.cluster.wire import Head, encode, items, whole
from napari_sam3.cluster.worker_videos import MOST_PIECE, Upload
from napari_sam3.errors import VideoError, WireError
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import Frames
from napari_sam3.video import Video
from napari_sam3.video.content_hash import hash_content, hash_samples
from napari_sam3.video.folder_contents import files_at, is_pattern, is_zarr

MOST_IN_MEMORY = 2**31
"""Bytes of an array that is sent; a longer one must be in a file."""


class SentVideo:
    """A session's video, for workers.

    Parameters
    ----------
    frames : Frames
        Of the session.
    path_map : mapping of str to str
        As `map_path` takes it.
    on_progress : callable
        Told in a few words how much has been sent; nothing when it is done.
    """

    def __init__(
        self, frames: Frames, path_map: Mapping[str, str], on_progress: Callable[[str], object]
    ) -> None:
        if not isinstance(frames, RgbFrames):
            raise VideoError(f"a {type(frames).__name__} can't be sent to a worker; give a video")
        self._video: Video = frames.video.original
        self._limits = frames.contrast_limits
        self._path_map = dict(path_map)
        self._on_progress = on_progress
        self._closed = threading.Event()
        self._upload: Upload | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open_on(self, link: Link, model: Head) -> Head:
        """Have a worker open it, and get ready with a model.

        Returns
        -------
        dict
            What the worker says of the model.

        Raises
        ------
        VideoError
            If the worker can't read it, or has another one in its place.
        """
        video = self._video
        said: Head = {"shape": list(video.shape), "dtype": video.dtype.str}
        order: Head = {**model, "contrast_limits": self._limits and list(self._limits)}
        if self._upload is None and video.path is not None:
            path = str(video.path.absolute())
            place: Head = {
                "path": map_path(path, self._path_map),
                "samples": hash_samples(video.path),
                "choice": video.choice.to_json() or None,
            }
            answer, _ = link.call("open", encode({**order, "video": {**said, **place}}))
            if not answer.get("wanted"):
                return answer
        if self._upload is None:
            self._upload = self._describe()
        order = {**order, "video": said, "upload": self._upload.to_head()}
        answer, _ = link.call("open", encode(order))
        if answer.get("wanted"):
            self._send(link, self._upload)
            answer, _ = link.call("open", encode(order))
            if answer.get("wanted"):
                raise VideoError(f"the worker {link.worker} has not kept what was sent to it")
        return answer

    def _describe(self) -> Upload:
        path = self._source()
        is_folder = path.is_dir()
        members = sorted(files_at(path)) if is_folder or is_pattern(path) else [path]
        files = tuple((file.name, file.stat().st_size) for file in members)
        return Upload(hash_content(path), path.name, files, is_folder)

    def _source(self) -> Path:
        """The file, folder or pattern to send.

        An array is written into a file, and so are the frames that were chosen of a larger file,
        and those of a folder with folders in it.
        """
        video = self._video
        if video.path is not None and not video.choice and not is_zarr(video.path):
            return video.path.absolute()
        if self._folder is None:
            n_bytes = video.dtype.itemsize
            for side in video.shape:
                n_bytes *= side
            if n_bytes > MOST_IN_MEMORY:
                raise VideoError(
                    f"the frames have {n_bytes:,} bytes, and at most {MOST_IN_MEMORY:,} are sent "
                    "to a worker; have them in a file that the worker can read, and open that"
                )
            folder = tempfile.TemporaryDirectory(prefix="napari-sam3-")
            self._folder = folder
            kind = "rgb" if len(video.shape) == 4 else "minisblack"
            tifffile.imwrite(
                Path(folder.name) / "array.tif",
                (video.frame(i) for i in range(len(video))),
                shape=video.shape,
                dtype=video.dtype,
                photometric=kind,
                bigtiff=True,
                metadata={"axes": "TYXS" if kind == "rgb" else "TYX"},
            )
        return Path(self._folder.name) / "array.tif"

    def _send(self, link: Link, upload: Upload) -> None:
        answer, _ = link.call("begin_upload", encode({"upload": upload.to_head()}))
        here = [whole(size) for size in items(answer.get("here"))]
        if len(here) != len(upload.files):
            raise WireError(f"a worker tells of {len(here)} files, of {len(upload.files)}")
        path = self._source()
        folder = path if upload.is_folder else path.parent
        n_sent = sum(here)
        for number, (name, size) in enumerate(upload.files):
            with (folder / name).open("rb") as file:
                place = here[number]
                while place < size:
                    if self._closed.is_set():
                        raise VideoError("the session was closed while its video was sent")
                    file.seek(place)
                    piece = file.read(min(MOST_PIECE, size - place))
                    order = encode({"file": number, "place": place})
                    now = whole(link.call("add_piece", order, piece)[0].get("here"))
                    if now <= place:
                        raise VideoError(
                            f"{name!r} has changed while it was sent; try again when it is whole"
                        )
                    n_sent += now - place
                    place = now
                    self._on_progress(f"sending the video: {100 * n_sent // upload.n_bytes} %")
        link.call("finish_upload", encode({}))
        self._on_progress("")

    def close(self) -> None:
        """Stop sending, and delete what was written to be sent."""
        self._closed.set()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

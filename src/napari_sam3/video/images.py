"""Pictures as video: folders of frames, single images, multi-page TIFFs, animations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.cache import SHARED_CACHE, FrameCache
from napari_sam3.video.decoder import FFMPEG_ERRORS, open_container
from napari_sam3.video.file import VideoFile
from napari_sam3.video.numbering import find_gaps, natural_key, warn_of_gaps

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
_TIFF = frozenset({".tif", ".tiff"})
# the colour types of PNG (ISO/IEC 15948, 11.2.1): colour, grey with alpha, colour with alpha
_DEEP_PNG = {2: "rgb48le", 4: "gray16le", 6: "rgb48le"}
# what tifffile gives as it is to be shown; palettes, CMYK and the like are left to Pillow
_PLAIN_TIFF = ("MINISBLACK", "RGB")


def open_picture(path: Path) -> Video:
    """Open one file of pictures: a single picture, a stack of them, or an animation.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    if path.suffix.lower() in _TIFF:
        try:
            with tifffile.TiffFile(path) as tiff:
                many = bool(tiff.series) and len(tiff.series[0].shape) > len(
                    tiff.series[0].axes.strip("S")[:2]
                ) + tiff.series[0].axes.endswith("S")
        except (tifffile.TiffFileError, OSError, ValueError) as exc:
            raise _unreadable(path, exc) from exc
        return TiffStack(path) if many else ImageFolder(path, (path,))
    try:
        with Image.open(path) as image:
            n_frames, kind = getattr(image, "n_frames", 1), image.format
    except (OSError, ValueError, SyntaxError) as exc:
        raise _unreadable(path, exc) from exc
    if n_frames > 1 and kind == "WEBP":
        return Animation(path)
    if n_frames > 1 and kind == "PNG":
        return VideoFile.open(path)
    return ImageFolder(path, (path,))


def _unreadable(path: Path, exc: Exception) -> VideoError:
    return VideoError(
        f"{str(path)!r} can't be read as a picture ({exc}); the file is damaged or of another kind "
        "than its name says: repair or remove it"
    )


def read_image(path: Path) -> Frame:
    """Read one picture as (H, W) or (H, W, 3), grey at its own depth; turned as its EXIF says.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
        if path.suffix.lower() in _TIFF:
            array = _read_tiff(path)
            if array is not None:
                return _plain(array, path)
        if path.suffix.lower() == ".png":
            array = _read_deep_png(path)
            if array is not None:
                return array
        with Image.open(path) as image:
            return _from_pillow(ImageOps.exif_transpose(image))
    except VideoError:
        raise
    except (*FFMPEG_ERRORS, ValueError, SyntaxError, tifffile.TiffFileError) as exc:
        raise _unreadable(path, exc) from exc


def _read_tiff(path: Path) -> Frame | None:
    """Read the first page; None where Pillow should try."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if tifffile.PHOTOMETRIC(page.photometric).name not in _PLAIN_TIFF:
            return None
        try:
            array: Frame = page.asarray()
        except ValueError:
            # a compression that needs the package imagecodecs; Pillow knows the usual ones
            return None
        # channels may be stored as pictures of their own
        return np.moveaxis(array, 0, -1) if page.axes == "SYX" else array


def _read_deep_png(path: Path) -> Frame | None:
    """Read a PNG of 16-bit colour, which Pillow would cut to 8 bits; None if it is another one."""
    with path.open("rb") as file:
        head = file.read(26)
    format_name = _DEEP_PNG.get(head[25]) if len(head) == 26 and head[24] == 16 else None
    if format_name is None:
        return None
    with open_container(path) as container:
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("it ends before its picture does")
        array: Frame = frame.to_ndarray(format=format_name)
    return array.copy()


def _from_pillow(image: Image.Image) -> Frame:
    """Convert a Pillow image; whatever is not grey becomes RGB."""
    if image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    elif image.mode not in ("L", "F", "I") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    array = np.array(image)
    # 16-bit PNGs are opened as 32-bit integers by older Pillows
    if array.dtype == np.int32 and array.size and array.min() >= 0 and array.max() < 2**16:
        array = array.astype(np.uint16)
    return array


def _plain(array: Frame, path: Path) -> Frame:
    """Bring a picture to (H, W) or (H, W, 3): alpha dropped, byte order the machine's own."""
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[..., 0]
    elif array.ndim == 3 and array.shape[2] == 4:
        array = array[..., :3]
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
        return np.ascontiguousarray(array)
    raise VideoError(
        f"{str(path)!r} holds a picture of shape {array.shape}, but a frame is (H, W) or "
        "(H, W, 3); choose one channel and save it again"
    )


def _check_sizes(files: Sequence[Path]) -> None:
    """Look at the heads of all files: frames of one video have one size."""
    first = None
    for file in files:
        try:
            with Image.open(file) as image:
                size = image.size
        except (OSError, ValueError, SyntaxError) as exc:
            if file.suffix.lower() in _TIFF:
                # one of the many kinds that Pillow does not know; reading it will tell
                continue
            raise _unreadable(file, exc) from exc
        if first is None:
            first = file, size
        elif size != first[1]:
            raise VideoError(
                f"the pictures of a folder must have one size: {first[0].name!r} is "
                f"{first[1][0]} x {first[1][1]} px, {file.name!r} is {size[0]} x {size[1]} px; "
                "put one kind of them elsewhere"
            )


class ImageFolder(Video):
    """A folder of frames, one picture a frame, in natural order of their names."""

    def __init__(self, path: Path, files: tuple[Path, ...]) -> None:
        self._files = files
        first = read_image(files[0])
        metadata: dict[str, Any] = {
            "container": "folder",
            "codec": files[0].suffix.lower().lstrip("."),
        }
        if gaps := find_gaps(files):
            metadata["gaps"] = gaps
        super().__init__((len(files), *first.shape), first.dtype, path=path, metadata=metadata)

    @classmethod
    def open(cls, path: Path) -> ImageFolder:
        """Open a folder."""
        files = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not files:
            kinds = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
            raise VideoError(
                f"the folder {str(path)!r} holds no pictures; frames are looked for by the endings "
                f"{kinds}"
            )
        files.sort(key=natural_key)
        _check_sizes(files)
        folder = cls(path, tuple(files))
        if "gaps" in folder.metadata:
            warn_of_gaps(path, folder.metadata["gaps"])
        return folder

    def reopen(self) -> ImageFolder:
        """Open the same pictures once more."""
        assert self.path is not None
        return ImageFolder(self.path, self._files)

    def _read(self, frame_index: int) -> Frame:
        frame = read_image(self._files[frame_index])
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise VideoError(
                f"frames of a folder must be alike: {self._files[0].name!r} is {self.shape[1:]} "
                f"{self.dtype}, {self._files[frame_index].name!r} is {frame.shape} {frame.dtype}; "
                "put one of them elsewhere"
            )
        return frame

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageFolder, (self.path, self._files)


class TiffStack(Video):
    """A multi-page TIFF, one page a frame, read when asked for."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._tiff = tifffile.TiffFile(path)
        series = self._tiff.series[0]
        shape = tuple(series.shape)
        colour = series.axes.endswith("S") and shape[-1] in (3, 4)
        frame_ndim = 3 if colour else 2
        if len(shape) != frame_ndim + 1:
            self._tiff.close()
            raise VideoError(
                f"{path.name!r} is a stack of shape {shape} with axes {series.axes}, but a video "
                "is (T, H, W) or (T, H, W, 3); open it in napari and choose the axes there, or "
                "pass the array that you mean"
            )
        self._colour = colour
        self._whole = series.asarray(out="memmap") if series.dataoffset is not None else None
        self._pages = series.pages
        step, scale = _read_calibration(self._tiff)
        super().__init__(
            (*shape[:3], 3) if colour else shape,
            np.dtype(series.dtype).newbyteorder("="),
            path=path,
            fps=1 / step if step else None,
            timestamps=np.arange(shape[0], dtype=np.float64) * step if step else None,
            metadata={"container": "tiff", "axes": series.axes, **scale},
        )

    def reopen(self) -> TiffStack:
        """Open the same file once more."""
        assert self.path is not None
        return TiffStack(self.path)

    def _read(self, frame_index: int) -> Frame:
        assert self.path is not None
        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            if self._whole is not None:
                frame = self._whole[frame_index]
            else:
                page = self._pages[frame_index]
                # a page may be left out of a file where it would be empty
                frame = np.zeros(self.shape[1:]) if page is None else page.asarray()
        return np.array(_plain(frame, self.path), self.dtype)

    def _release(self) -> None:
        with self._lock:
            self._whole = None
            self._tiff.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffStack, (self.path,)


def _read_calibration(tiff: tifffile.TiffFile) -> tuple[float | None, dict[str, Any]]:
    """Seconds between frames and the size of a pixel, where ImageJ wrote them."""
    described: dict[str, Any] = tiff.imagej_metadata or {}
    step = described.get("finterval")
    step = float(step) if isinstance(step, int | float) and 0 < step < np.inf else None
    scale: dict[str, Any] = {}
    if described.get("unit"):
        tags = tiff.pages.first.tags
        try:
            y, x = (tags[name].value for name in ("YResolution", "XResolution"))
            scale["pixel_size"] = (y[1] / y[0], x[1] / x[0])
        except (KeyError, ZeroDivisionError):
            return step, {}
        scale["pixel_unit"] = str(described["unit"])
    return step, scale


class Animation(Video):
    """An animated WebP, through Pillow: FFmpeg does not read them."""

    def __init__(self, path: Path, *, cache: FrameCache = SHARED_CACHE) -> None:
        self._lock = Lock()
        self._cache = cache
        self._owner = object()
        self._image = Image.open(path)
        times = [0.0]
        # a frame's duration is known when it has been decoded
        for frame_index in range(getattr(self._image, "n_frames", 1)):
            first = self._decode_next(frame_index)
            times.append(times[-1] + self._image.info.get("duration", 0) / 1000)
        steps = np.diff(times)
        fps = len(steps) / times[-1] if times[-1] > 0 else None
        super().__init__(
            (len(steps), *first.shape),
            first.dtype,
            path=path,
            fps=fps,
            timestamps=np.array(times[:-1]) if fps else None,
            metadata={
                "container": "webp",
                "codec": "webp",
                "duration": times[-1] or None,
                "constant_frame_rate": bool(np.ptp(steps) < 2e-3),
            },
        )

    def reopen(self) -> Animation:
        """Open the same file once more."""
        assert self.path is not None
        return Animation(self.path, cache=self._cache)

    def _decode_next(self, frame_index: int) -> Frame:
        self._image.seek(frame_index)
        frame = np.array(self._image.convert("RGB"))
        self._cache.put(self._owner, frame_index, frame, frame.nbytes)
        return frame

    def _read(self, frame_index: int) -> Frame:
        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            frame: Frame | None = self._cache.get(self._owner, frame_index)
            if frame is None:
                # each frame is drawn over the one before it: keep what is passed on the way
                here = self._image.tell()
                for number in range(here + 1 if here < frame_index else 0, frame_index + 1):
                    frame = self._decode_next(number)
            assert frame is not None
        return frame.copy()

    def _release(self) -> None:
        with self._lock:
            self._image.close()
        self._cache.drop(self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return Animation, (self.path,)

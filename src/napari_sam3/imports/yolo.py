"""YOLO's text files, one a picture: outlines as labels, boxes as prompts.

A line is a class and numbers between 0 and 1, parts of the picture's width and height: corners
x, y of an outline, or middle, width and height of a box. A tracker adds a confidence, an id, or
both.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import read_sidecar
from napari_sam3.imports.annotated import AnnotatedLabels, number_objects
from napari_sam3.imports.beside_pictures import FramesOfFiles, find_pictures, number_files
from napari_sam3.imports.found_prompts import FoundPrompt, FoundPrompts
from napari_sam3.imports.label_file import check_pixels, explain_read_errors
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plain_files import is_plain, read_text
from napari_sam3.values import BoolArray
from napari_sam3.video.image_file import read_head

_NO_LABELS = frozenset({"classes", "obj", "train", "val", "test", "readme", "license", "notes"})
_DESCRIPTIONS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
_MOST_DESCRIPTION = 2**20
_MOST_LINES = 1_000_000
_BOX = 4  # numbers of a box
_NEAR = 1e-3  # px; so far a number of few digits may lie from what was meant


class YoloFiles(NamedTuple):
    """Files of a series of pictures, and where all that belongs to them lies.

    Attributes
    ----------
    path : Path
        What was named: a file, the folder of files, or one with the folder `labels` in it.
    files : tuple of Path
        A file a picture; a picture with nothing on it may have none.
    pictures : tuple of Path
        In their order, as far as they are found.
    description : Path or None
        Of the data set.
    """

    path: Path
    files: tuple[Path, ...]
    pictures: tuple[Path, ...]
    description: Path | None


class _Line(NamedTuple):
    frame_index: int
    class_index: int
    numbers: tuple[float, ...]
    score: float | None
    track: int | None
    is_box: bool


class _Outline(NamedTuple):
    corners: NDArray[np.float64]


def find_yolo(path: Path) -> YoloFiles | None:
    """The files of YOLO in a folder, or a single one; None where there are none.

    Pictures lie among them, or in the folder `images` where the files lie in `labels`, as YOLO's
    own tools look for them.
    """
    if path.is_file():
        pictures = _pictures_of(path.parent)
        one = tuple(picture for picture in pictures if picture.stem == path.stem)
        return YoloFiles(path, (path,), one, _describe(path.parent)) if _is_yolo(path) else None
    folder = path
    if (path / "labels").is_dir():
        folder = path / "labels"
    files = _texts(folder)
    is_of_parts = not files and folder.name == "labels"
    parts = [f for f in _folders(folder) if _texts(f)] if is_of_parts else []
    if len(parts) > 1:
        names = ", ".join(repr(str(part)) for part in parts)
        raise VideoError(f"{str(path)!r} has labels of several sets of pictures; name one: {names}")
    if parts:
        (folder,) = parts
        files = _texts(folder)
    if not files:
        return None
    pictures = _pictures_of(folder)
    if pictures:
        files = [f for f in files if f.stem in {picture.stem for picture in pictures}]
    if not files or not all(_is_yolo(f) for f in files) or not any(f.stat().st_size for f in files):
        return None
    return YoloFiles(path, tuple(files), pictures, _describe(folder))


class YoloLabels(AnnotatedLabels):
    """The outlines of YOLO's files.

    They are drawn as YOLO's own tools draw them: corners are cut to whole numbers, and what the
    outline touches belongs to it.

    Parameters
    ----------
    found : YoloFiles
        As `find_yolo` finds them.
    first_number : int, optional
        The number that frame 0 has in the names of the files.
    size : (height, width), optional
        Of the video, where there are no pictures.
    """

    def __init__(
        self,
        found: YoloFiles,
        *,
        first_number: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        numbers, lines, shown = _read_files(found, first_number, size)
        areas = [line for line in lines if not line.is_box]
        if lines and not areas:
            raise VideoError(
                f"{str(found.path)!r} has boxes alone, which are no labels; give it as prompts"
            )
        with explain_read_errors(found.path):
            ids, objects, told = _number(found, numbers, areas, "outlines")
        self._found = defaultdict(list)
        for obj_id, line in zip(ids, areas, strict=True):
            outline = _Outline(np.array(line.numbers).reshape(-1, 2))
            self._found[line.frame_index].append((obj_id, line.score, outline))
        if len(areas) < len(lines):
            told.append(
                f"boxes are prompts, and left out of the labels ({len(lines) - len(areas)})"
            )
        super().__init__(
            found.path,
            (numbers.reach, *shown),
            greatest=max(ids, default=0),
            known=range(numbers.length) if numbers.length else numbers.known,
            may_go_on=not numbers.length,
            objects=objects,
            told=told,
        )

    def _decode(self, annotation: _Outline) -> BoolArray:
        import cv2

        height, width = self.shape[1:]
        # a number of six digits may lie just below the whole pixel that was meant
        corners = np.floor(annotation.corners * (width, height) + _NEAR).astype(np.int32)
        drawn = np.zeros((height, width), np.uint8)
        return np.asarray(cv2.fillPoly(drawn, [corners], 1), bool)


def read_yolo_boxes(found: YoloFiles, *, size: tuple[int, int] | None = None) -> FoundPrompts:
    """The boxes of YOLO's files; those without an id are each an object.

    Raises
    ------
    VideoError
        If there is none, or the size of the pictures is nowhere told.
    """
    numbers, lines, (height, width) = _read_files(found, None, size)
    boxes = [line for line in lines if line.is_box]
    if not boxes:
        raise VideoError(
            f"{str(found.path)!r} has no boxes; its outlines are labels: give it as a mask"
        )
    with explain_read_errors(found.path):
        ids, objects, told = _number(found, numbers, boxes, "boxes")
        places = Counter((i, line.frame_index) for i, line in zip(ids, boxes, strict=True))
        ((obj_id, frame_index), times) = places.most_common(1)[0]
        if times > 1:
            raise ValueError(f"object {obj_id} has {times} boxes on frame {frame_index}")
    prompts = []
    for obj_id, line in zip(ids, boxes, strict=True):
        x, y, w, h = line.numbers
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        prompts.append(FoundPrompt(line.frame_index, obj_id, box))
    if len(boxes) < len(lines):
        told.append(f"outlines are labels, and no prompts ({len(lines) - len(boxes)})")
    return FoundPrompts(found.path, sorted(prompts, key=lambda p: p[:2]), objects, told)


def _read_files(
    found: YoloFiles, first_number: int | None, size: tuple[int, int] | None
) -> tuple[FramesOfFiles, list[_Line], tuple[int, int]]:
    """Frames of the files, all lines, and the size of the pictures."""
    facts = read_sidecar(found.path)
    if found.pictures:
        size = read_head(found.pictures[0]).size
    elif size is None and facts is not None:
        size = facts.height, facts.width
    if size is None:
        raise VideoError(
            f"{str(found.path)!r} does not tell the size of its pictures, and none lie beside it; "
            "lay them into the same folder, or into images/ beside labels/, or name the video"
        )
    check_pixels(found.path, *size)
    stems = [file.stem for file in found.files]
    numbers = number_files(found.path, stems, found.pictures, first_number, facts)
    rows: list[tuple[int, list[str]]] = []
    for frame_index, file in sorted(zip(numbers.frames, found.files, strict=True)):
        with explain_read_errors(file):
            text = read_text(file.resolve(), encoding="utf-8-sig")
            rows += [(frame_index, line.split()) for line in text.split("\n") if line.strip()]
        if len(rows) > _MOST_LINES:
            raise VideoError(f"{str(found.path)!r} has more than {_MOST_LINES:,} lines; part it")
    # a confidence and an id make as many numbers as another corner does: it is one of a tracker
    # where the last number is whole on every such line, and not always 0 or 1
    odd = [cells for _, cells in rows if len(cells) % 2 and len(cells) > _BOX + 1]
    has_both = all(cells[-1].isdecimal() for cells in odd) and any(int(c[-1]) > 1 for c in odd)
    with explain_read_errors(found.path):
        return numbers, [_read_line(n, cells, has_both) for n, cells in rows], size


def _read_line(frame_index: int, cells: Sequence[str], has_both: bool) -> _Line:
    n_numbers = len(cells) - 1
    score, track = None, None
    if n_numbers % 2:
        n_numbers -= 1
        if cells[-1].isdecimal():
            track = int(cells[-1])
        else:
            score = float(cells[-1])
    elif has_both and n_numbers > _BOX:
        n_numbers -= 2
        score, track = float(cells[-2]), int(cells[-1])
    numbers = tuple(float(cell) for cell in cells[1 : 1 + n_numbers])
    class_index = float(cells[0])
    if n_numbers < _BOX or not class_index.is_integer():
        raise ValueError(f"the line {' '.join(cells)[:60]!r} is no class with a box or an outline")
    if not all(-0.01 <= n <= 1.01 for n in numbers) or not math.isfinite(score or 0):
        raise ValueError(
            f"the line {' '.join(cells)[:60]!r} has numbers that are no parts of a picture (0 to 1)"
        )
    return _Line(frame_index, int(class_index), numbers, score, track, n_numbers == _BOX)


def _number(
    found: YoloFiles, numbers: FramesOfFiles, lines: Sequence[_Line], what: str
) -> tuple[list[int], ObjectTable, list[str]]:
    """Ids of the objects of lines, what is known of these, and what is to be told."""
    names = _class_names(found)
    ids = number_objects([line.track for line in lines], what, "track's id")
    classes = (names.get(line.class_index) for line in lines)
    objects, problems = read_objects(zip(ids.ids, ({} for _ in lines), classes, strict=True))
    doubts = ids.told if len(found.files) > 1 else ()
    return ids.ids, objects, [*numbers.told, *doubts, *problems]


def _class_names(found: YoloFiles) -> dict[int, str]:
    """Names of classes, where the description of the data set, or classes.txt, tells them."""
    if found.description is None:
        return {}
    with explain_read_errors(found.description):
        text = read_text(found.description, most_bytes=_MOST_DESCRIPTION)
        if found.description.suffix == ".txt":
            return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
        import yaml

        try:
            said = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise ValueError(f"it is no YAML: {exc}") from exc
        names = said.get("names") if isinstance(said, dict) else None
        if isinstance(names, list):
            return {n: str(name) for n, name in enumerate(names)}
        return {int(n): str(name) for n, name in names.items()} if isinstance(names, dict) else {}


def _describe(folder: Path) -> Path | None:
    above = list(folder.parents)[:2] if "labels" in (folder.name, folder.parent.name) else []
    for place in (folder, *above):
        for name in (*_DESCRIPTIONS, "classes.txt"):
            if is_plain(place / name):
                return place / name
    return None


def _pictures_of(folder: Path) -> tuple[Path, ...]:
    """Pictures among the files, or where `images` stands for the last `labels` of the path."""
    if pictures := find_pictures(folder):
        return pictures
    parts = list(folder.absolute().parts)
    for n in range(len(parts) - 1, -1, -1):
        if parts[n] == "labels":
            return find_pictures(Path(*parts[:n], "images", *parts[n + 1 :]))
    return ()


def _texts(folder: Path) -> list[Path]:
    return sorted(
        f
        for f in folder.iterdir()
        if f.suffix.lower() == ".txt"
        and not f.name.startswith(".")
        and f.stem.lower() not in _NO_LABELS
        and is_plain(f)
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.is_symlink())


def _is_yolo(file: Path) -> bool:
    """Whether the first line is a class with numbers; a file may hold none, which is one too."""
    try:
        text = read_text(file.resolve(), encoding="utf-8-sig")
        cells = next((line.split() for line in text.split("\n") if line.strip()), None)
        if cells is None:
            return True
        numbers = [float(cell) for cell in cells]
    except (OSError, ValueError):
        return False
    return len(numbers) > _BOX and numbers[0].is_integer() and numbers[0] >= 0

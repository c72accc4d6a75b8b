"""Prompts in a file: what to track, as JSON or CSV, for batches, scripts and projects."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam3.errors import PromptFileError, RequestError
from napari_sam3.session.json_text import to_text
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt

if TYPE_CHECKING:
    from napari_sam3.session.session import VideoSession

__all__ = [
    "PromptList",
    "SavedPrompt",
    "apply_prompts",
    "prompts_from_json",
    "prompts_to_json",
    "read_prompts",
    "session_prompts",
    "write_prompts",
]

FORMAT, VERSION = "napari-sam3 prompts", 1
COLUMNS = ("video", "frame", "object", "kind", "x", "y", "x1", "y1", "label", "text")


def read_prompts(path: str | os.PathLike[str]) -> PromptList:
    """Read a file of prompts: JSON or CSV, told by its ending; or those of a project, its folder.

    Raises
    ------
    PromptFileError
        If it can't be read, or something in it can't be a prompt; says which entry and field.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        place = place / "prompts.json"
    try:
        text = place.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise PromptFileError(f"the prompts {str(place)!r} can't be read ({reason})") from exc
    if place.suffix.lower() == ".csv":
        return _from_csv(text, place.name)
    if place.suffix.lower() != ".json":
        raise PromptFileError(f"{str(place)!r} is no file of prompts; they are .json or .csv")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PromptFileError(f"{str(place)!r} is no JSON ({exc})") from exc
    return prompts_from_json(said, place.name)


def write_prompts(path: str | os.PathLike[str], prompts: Iterable[SavedPrompt]) -> None:
    """Write prompts to a file of JSON, to be used on this video or others.

    What a model answered is left out: it is of one video.

    Raises
    ------
    PromptFileError
        If it can't be written.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() != ".json":
        raise PromptFileError(f"prompts are written as .json, not as {place.name!r}")
    text = to_text(prompts_to_json(prompts, with_answers=False))
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise PromptFileError(f"{str(place)!r} can't be written ({exc.strerror or exc})") from exc


def prompts_to_json(prompts: Iterable[SavedPrompt], *, with_answers: bool = True) -> dict[str, Any]:
    """Prompts as JSON can say them."""
    said: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if isinstance(prompts, PromptList) and with_answers:
        said["model"] = prompts.model
        said["next_id"] = prompts.next_id
        said["found"] = sorted(prompts.found)
        said["twins"] = sorted(map(list, prompts.twins))
    if isinstance(prompts, PromptList):
        said["removed"] = sorted(prompts.removed)
    said["prompts"] = [
        p.to_json(with_answers=with_answers) for p in prompts if with_answers or not p.is_found
    ]
    return said


def prompts_from_json(
    said: Any, name: str = "prompts", problems: list[str] | None = None
) -> PromptList:
    """Read what `prompts_to_json` made.

    Parameters
    ----------
    said : object
        As JSON was read.
    name : str
        Of the file, for messages.
    problems : list of str, optional
        Gets a sentence for each prompt that can't be used, and is left out; without it that is an
        error.

    Raises
    ------
    PromptFileError
        If it is something else.
    """
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise PromptFileError(
            f'{name} holds no prompts: it must begin with {{"format": "{FORMAT}", "version": 1'
        )
    if said.get("version") != VERSION:
        raise PromptFileError(
            f"{name} is of version {said.get('version')!r}, known here is {VERSION}; update "
            "napari-sam3"
        )
    prompts = []
    for origin, entry in _entries(said, name):
        try:
            prompts.append(SavedPrompt.from_json(entry, origin))
        except PromptFileError as exc:
            if problems is None:
                raise
            problems.append(f"a prompt is lost: {exc}")
    model = said.get("model")
    return PromptList(
        prompts,
        model=model if isinstance(model, str) else None,
        next_id=_ids([said.get("next_id")], name, "next_id", problems, 1)[0],
        removed=_ids(said.get("removed", []), name, "removed", problems),
        found=_ids(said.get("found", []), name, "found", problems),
        twins=_pairs(said.get("twins", []), name, "twins", problems),
    )


def _entries(said: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    """Each prompt, and where it stands; those of "videos" are told whose they are."""
    videos = said.get("videos", {})
    if not isinstance(videos, dict):
        raise PromptFileError(f"{name}: 'videos' must be a table such as {{\"film.mp4\": [...]}}")
    lists = {"": said.get("prompts", [] if videos else None), **videos}
    found = []
    for video, entries in lists.items():
        where = f"{name}, video {video!r}" if video else name
        if not isinstance(entries, list):
            raise PromptFileError(f"{where}: prompts must be a list, not {entries!r:.80}")
        for number, entry in enumerate(entries, 1):
            is_of_video = video and isinstance(entry, dict)
            told = {**entry, "video": video} if is_of_video else entry
            found.append((f"{where}, prompt {number}", told))
    return found


def apply_prompts(session: VideoSession, prompts: Iterable[SavedPrompt]) -> list[int]:
    """Say prompts to a session, as a person would; the model answers each.

    Objects that were pointed at come first, so that their ids are theirs whatever a text finds.

    Parameters
    ----------
    session : VideoSession
        To be prompted.
    prompts : iterable of SavedPrompt
        Answers in them are not used; see `napari_sam3.session.restoring.restore_prompts`.

    Returns
    -------
    list of int
        The frames prompted, rising.

    Raises
    ------
    PromptFileError
        If one does not fit the video or the model; those before it hold.
    """
    told = list(prompts)
    texts = {p.frame_index for p in told if p.is_concept}
    frames = set()
    for prompt in sorted(told, key=lambda p: p.is_concept):
        if prompt.is_found and prompt.frame_index in texts:
            continue  # the concept is looked for anew
        frames.add(prompt.frame_index)
        try:
            session.add_prompt(prompt.frame_index, **_arguments(prompt, session.frame_size))
        except RequestError as exc:
            origin = f"{prompt.origin}: " if prompt.origin else ""
            raise PromptFileError(f"{origin}{exc}") from exc
    removed = prompts.removed if isinstance(prompts, PromptList) else frozenset()
    for obj_id in removed.intersection(session.object_ids):
        session.remove_object(obj_id)
    return sorted(frames)


def session_prompts(session: VideoSession) -> PromptList:
    """All that was said to a session, with the model's answers, as it can be kept."""
    from napari_sam3.session.restoring import list_prompts

    return list_prompts(session)


def _arguments(prompt: SavedPrompt, size: tuple[int, int]) -> dict[str, Any]:
    """What `add_prompt` is told."""
    mask = prompt.mask
    if prompt.is_mere_correction:
        # there is nothing else to go by but what was shown
        mask = prompt.answer if prompt.is_found else prompt.prior
    if mask is not None and mask.size != size:
        raise PromptFileError(f"a mask is of size {mask.size}, the video's frames of {size}")
    said: dict[str, Any] = {"obj_id": prompt.obj_id, "text": prompt.text}
    if prompt.is_concept and len(prompt.boxes_xyxy):
        said |= {"boxes": prompt.boxes_xyxy, "box_labels": prompt.box_labels, "exemplar": True}
    elif prompt.box_xyxy is not None:
        said["boxes"] = [prompt.box_xyxy]
    if len(prompt.points_xy):
        said |= {"points": prompt.points_xy, "point_labels": prompt.point_labels}
    if mask is not None:
        said["mask"] = mask.mask
    return said


def _ids(
    values: Any, name: str, key: str, problems: list[str] | None, instead: int | None = None
) -> list[int]:
    """Whole numbers from 1; None where there may be none is `instead`."""
    found: list[int] = []
    for value in values if isinstance(values, list) else [values]:
        if value is None and instead is not None:
            found.append(instead)
        elif isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31:
            found.append(value)
        elif problems is None:
            raise PromptFileError(f"{name}: {key!r} must hold ids from 1, not {value!r:.80}")
        else:
            problems.append(f"{name}: {key!r} held {value!r:.80}, which is no id")
            found += [] if instead is None else [instead]
    return found


def _pairs(values: Any, name: str, key: str, problems: list[str] | None) -> list[tuple[int, int]]:
    pairs = []
    for value in values if isinstance(values, list) else [values]:
        is_pair = isinstance(value, list) and len(value) == 2
        pair = _ids(value if is_pair else [[value]], name, key, problems)
        if is_pair and len(pair) == 2:
            pairs.append((pair[0], pair[1]))
    return pairs


def _from_csv(text: str, name: str) -> PromptList:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    columns = [c.strip().lower() for c in reader.fieldnames or ()]
    missing = [c for c in ("frame", "kind") if c not in columns]
    unknown = [c for c in columns if c not in COLUMNS]
    if missing or unknown:
        wrong = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        raise PromptFileError(f"{name} {wrong}; the columns: {', '.join(COLUMNS)}")
    reader.fieldnames = columns
    entries: dict[Any, tuple[str, dict[str, Any]]] = {}
    try:
        for row in reader:
            _add_row(entries, row, f"{name}, line {reader.line_num}")
    except csv.Error as exc:
        raise PromptFileError(f"{name}, line {reader.line_num}: {exc}") from exc
    return PromptList(SavedPrompt.from_json(said, origin) for origin, said in entries.values())


def _add_row(
    entries: dict[Any, tuple[str, dict[str, Any]]], row: dict[str, str | None], origin: str
) -> None:
    """Add a row to its object's entry on its frame; without an object it is an entry of its own."""
    told = {key: (row.get(key) or "").strip() for key in COLUMNS}
    kind = told["kind"].lower()
    if kind not in ("point", "box", "text"):
        raise PromptFileError(f"{origin}: kind is {told['kind']!r}; it must be point, box or text")
    place: dict[str, Any] = {"frame": _number(told, "frame", origin, whole=True)}
    if told["object"]:
        place["object"] = _number(told, "object", origin, whole=True)
    if told["video"]:
        place["video"] = told["video"]
    key = (*place.items(), kind == "text") if told["object"] and kind != "text" else origin
    _, said = entries.setdefault(key, (origin, dict(place)))
    if kind == "text":
        said["text"] = told["text"]
    elif kind == "box":
        if "box" in said:
            raise PromptFileError(f"{origin}: a second box of object {told['object']} on its frame")
        said["box"] = [_number(told, c, origin) for c in ("x", "y", "x1", "y1")]
    else:
        if told["label"] not in ("", "0", "1"):
            raise PromptFileError(
                f"{origin}: label is {told['label']!r}; it must be 1 (on the object) or 0 (off it)"
            )
        said.setdefault("points", []).append([_number(told, c, origin) for c in ("x", "y")])
        said.setdefault("point_labels", []).append(int(told["label"] or 1))


def _number(told: dict[str, str], column: str, origin: str, *, whole: bool = False) -> float:
    try:
        return int(told[column]) if whole else float(told[column])
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise PromptFileError(
            f"{origin}: {column} is {told[column]!r}; it must be {kind}"
        ) from None

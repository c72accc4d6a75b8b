"""The values that rooms hand to each other: prompts going in, masks coming out.

All coordinates here are the API's pixels: x to the right, y down, the centre of the top left
pixel at (0.5, 0.5), the picture spanning 0..width and 0..height.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3.checkpoint import Checkpoint

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Direction = Literal["forward", "backward", "both"]
Box = tuple[int, int, int, int]

MAX_OBJECT_ID = 2**31 - 1
"""Ids of objects, which are labels as well, count from 1 to this."""

LABEL_DTYPE = np.uint32
"""Of labels that may be of any object."""

MOST_FRAMES, MOST_PIXELS = 10**7, 2**28
"""Of a video, and of a frame, that a file may tell of; more is damage, or meant to do some."""


def label_dtype(highest_id: int) -> np.dtype[Any]:
    """The type for labels up to an id: 16 bits where they do, which napari draws twice as fast."""
    return np.dtype(np.uint16 if highest_id <= np.iinfo(np.uint16).max else LABEL_DTYPE)


def no_points() -> FloatArray:
    """An empty list of points, (0, 2) float64."""
    return np.zeros((0, 2))


def no_labels() -> BoolArray:
    """An empty list of labels, (0,) bool."""
    return np.zeros(0, bool)


class Frames(Protocol):
    """What a model sees of a video: frames as 8-bit RGB, one at a time, from any thread."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame, px."""
        ...

    @property
    def identity(self) -> str | None:
        """What tells these frames from all others, on another day too; None where nothing does."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, frame_index: int) -> NDArray[np.uint8]:
        """Frame `frame_index` (0-based) as (H, W, 3) uint8."""
        ...


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """One object on one frame. Immutable; holds the tight crop of the mask, never the whole frame.

    Attributes
    ----------
    crop : (h, w) bool ndarray
        The mask inside `bbox`; read-only.
    bbox : (x0, y0, x1, y1)
        Tight box in px, x1 and y1 exclusive.
    size : (height, width)
        Of the frame, px.
    score : float
        Confidence in 0..1.
    """

    crop: BoolArray
    bbox: Box
    size: tuple[int, int]
    score: float

    @classmethod
    def from_mask(cls, mask: NDArray[Any], score: float = 1.0) -> ObjectMask | None:
        """Make one from a whole-frame (H, W) mask; None when no pixel is set."""
        mask = np.asarray(mask, bool)
        height, width = mask.shape
        rows: BoolArray = np.any(mask, axis=1)
        if not rows.any():
            return None
        y0, y1 = int(rows.argmax()), height - int(rows[::-1].argmax())
        columns: BoolArray = np.any(mask[y0:y1], axis=0)
        x0, x1 = int(columns.argmax()), width - int(columns[::-1].argmax())
        crop = mask[y0:y1, x0:x1].copy()
        crop.flags.writeable = False
        return cls(crop, (x0, y0, x1, y1), (height, width), min(max(float(score), 0.0), 1.0))

    @classmethod
    def from_crop(
        cls, crop: NDArray[Any], x0: int, y0: int, size: tuple[int, int], score: float = 1.0
    ) -> ObjectMask | None:
        """Make one from a loose crop whose top left pixel is (x0, y0); it must lie in the frame."""
        tight = cls.from_mask(crop, score)
        if tight is None:
            return None
        left, top, right, bottom = tight.bbox
        bbox = (x0 + left, y0 + top, x0 + right, y0 + bottom)
        return cls(tight.crop, bbox, size, tight.score)

    @property
    def mask(self) -> BoolArray:
        """The mask of the whole frame, a new (H, W) bool ndarray."""
        whole = np.zeros(self.size, bool)
        whole[self.slices] = self.crop
        return whole

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) of `crop` in the frame."""
        x0, y0, x1, y1 = self.bbox
        return slice(y0, y1), slice(x0, x1)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))

    def holds(self, x: float, y: float) -> bool:
        """Whether the pixel under the point (x, y) belongs to the object."""
        x0, y0, x1, y1 = self.bbox
        column, row = int(np.floor(x)), int(np.floor(y))
        return x0 <= column < x1 and y0 <= row < y1 and bool(self.crop[row - y0, column - x0])

    def overlap(self, other: ObjectMask) -> float:
        """Intersection over union with another object of the same frame, 0..1."""
        ax0, ay0, ax1, ay1 = self.bbox
        bx0, by0, bx1, by1 = other.bbox
        x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1), min(ay1, by1)
        if x0 >= x1 or y0 >= y1:
            return 0.0
        mine = self.crop[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0]
        theirs = other.crop[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
        common = int(np.count_nonzero(mine & theirs))
        return common / (self.area + other.area - common)


@dataclass(frozen=True, eq=False)
class PackedMask:
    """An `ObjectMask` squeezed for keeping: bits, deflated (about 1 kB for a 200 x 200 object)."""

    bits: bytes
    bbox: Box
    size: tuple[int, int]
    score: float

    @classmethod
    def pack(cls, mask: ObjectMask) -> PackedMask:
        """Squeeze a mask; `unpack` gives back an equal one."""
        return cls(
            zlib.compress(np.packbits(mask.crop).tobytes(), 1), mask.bbox, mask.size, mask.score
        )

    def unpack(self) -> ObjectMask:
        """The mask as it was."""
        x0, y0, x1, y1 = self.bbox
        height, width = y1 - y0, x1 - x0
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        crop = np.unpackbits(bits, count=height * width).view(bool).reshape(height, width)
        crop.flags.writeable = False
        return ObjectMask(crop, self.bbox, self.size, self.score)


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What is known of one frame: the visible objects, by id; their masks do not overlap."""

    frame_index: int
    objects: Mapping[int, ObjectMask] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ObjectPrompt:
    """All that a person has said of one object on one frame.

    Attributes
    ----------
    points_xy : (N, 2) float64
        Clicks, px.
    point_labels : (N,) bool
        True where the click is on the object, False where it is on what is not.
    box_xyxy : (4,) float64 or None
        x0, y0, x1, y1, px.
    mask : (H, W) bool or None
        A painted or imported mask: to be taken as it is, then refined by the points.
    prior : ObjectMask or None
        What was shown of the object on this frame when the person began to correct it.
    """

    points_xy: FloatArray = field(default_factory=no_points)
    point_labels: BoolArray = field(default_factory=no_labels)
    box_xyxy: FloatArray | None = None
    mask: BoolArray | None = None
    prior: ObjectMask | None = None

    @property
    def is_manual(self) -> bool:
        """Whether a person pointed at the object, as against a concept having found it."""
        return len(self.points_xy) > 0 or self.box_xyxy is not None or self.mask is not None

    def says_as(self, other: ObjectPrompt) -> bool:
        """Whether another one says the same."""
        return (
            np.array_equal(self.points_xy, other.points_xy)
            and np.array_equal(self.point_labels, other.point_labels)
            and _are_equal(self.box_xyxy, other.box_xyxy)
            and _are_equal(self.mask, other.mask)
            and _are_same_masks(self.prior, other.prior)
        )


def _are_equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _are_same_masks(one: ObjectMask | None, other: ObjectMask | None) -> bool:
    if one is None or other is None:
        return one is other
    facts = (one.bbox, one.size, one.score), (other.bbox, other.size, other.score)
    return facts[0] == facts[1] and np.array_equal(one.crop, other.crop)


@dataclass(frozen=True, eq=False)
class Concept:
    """A thing to look for: text, exemplar boxes, or both.

    Attributes
    ----------
    text : str or None
        A short noun phrase.
    boxes_xyxy : (N, 4) float64
        Exemplars as x0, y0, x1, y1, px.
    box_labels : (N,) bool
        True where the exemplar shows the concept, False where it shows what is not meant.
    """

    text: str | None = None
    boxes_xyxy: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    box_labels: BoolArray = field(default_factory=no_labels)


@dataclass(frozen=True, eq=False)
class Keyframe:
    """An object on a prompted frame: what was said, and the mask that the model made of it.

    `mask` is None where the model found, or the person said, that the object is not there.
    A later prompt on the same frame makes a new `Keyframe`, so identity (`is`) tells whether
    anything changed.
    """

    prompt: ObjectPrompt
    mask: ObjectMask | None


@dataclass(frozen=True, eq=False)
class Journal:
    """All prompts of a session, as a model gets them for a propagation. Immutable.

    Attributes
    ----------
    objects : mapping of object id to mapping of frame index to Keyframe
        Every object has at least one keyframe.
    concepts : tuple of (frame index, Concept)
        What was asked for by text or exemplars, in the order asked.
    hold_back : bool
        Whether what a concept finds is only shown once the frames after it have confirmed it,
        so that frames come late.
    known : mapping of frame index to mapping of object id to ObjectMask
        What an earlier process had shown on the newest frames before it stopped: neighbours, a
        handful, computed in the direction that is asked for now and with the prompts that lie
        before them as they are now. A tracker may begin there instead of computing the way from
        the first keyframe again. An object that is not there on a known frame was hidden on it.
    found : frozenset of int
        Objects that a concept found before anybody pointed at them, if anybody did.
    recall : callable, optional
        Gives what an earlier process had shown on a frame, by object id, however prompts have
        changed since; None where nothing. What a concept finds again there keeps its id.
    only : frozenset of int, optional
        Objects whose masks are wanted. A tracker need not give the others, but what it gives of
        these is what it would give with all.
    checkpoint : Checkpoint, optional
        What a tracker of the same kind gave (`VideoTracker.checkpoint`) after a frame on the way to
        those asked for, in the direction asked for and with the same prompts up to there. A
        tracker begins there where that saves frames, and gives what it would give without.
    begun : int, optional
        Where the run began of which the frames asked for are the rest; None: with them. What is
        shown of objects that are named ahead only is decided there, once for the run.
    shows_ahead : bool
        Whether the frames before were shown with what is named ahead of them only.
    note_nearly : callable, optional
        Given where a tracker that loses its state on the way, as with a worker that dies, may go on
        at once from the frames that it has given, as from `known`, instead of computing the way
        again; called with the first frame that is only near what it would be.
    """

    objects: Mapping[int, Mapping[int, Keyframe]]
    concepts: tuple[tuple[int, Concept], ...] = ()
    hold_back: bool = False
    known: Mapping[int, Mapping[int, ObjectMask]] = field(default_factory=dict)
    found: frozenset[int] = frozenset()
    recall: Callable[[int], Mapping[int, ObjectMask] | None] | None = None
    only: frozenset[int] | None = None
    checkpoint: Checkpoint | None = None
    begun: int | None = None
    shows_ahead: bool = False
    note_nearly: Callable[[int], object] | None = None


def without_overlap(masks: Mapping[int, ObjectMask]) -> dict[int, ObjectMask]:
    """Give every pixel to one object: the higher score keeps it, of equals the lower id.

    Parameters
    ----------
    masks : mapping of object id to ObjectMask
        Objects of one frame; they may overlap.

    Returns
    -------
    dict of object id to ObjectMask
        In rising order of id; an object left without a pixel is absent.
    """
    if not masks:
        return {}
    first = next(iter(masks.values()))
    taken = np.zeros(first.size, bool)
    kept: dict[int, ObjectMask] = {}
    for obj_id in sorted(masks, key=lambda i: (-masks[i].score, i)):
        mask = masks[obj_id]
        place = taken[mask.slices]
        if (place & mask.crop).any():
            x0, y0, _, _ = mask.bbox
            rest = ObjectMask.from_crop(mask.crop & ~place, x0, y0, mask.size, mask.score)
        else:
            rest = mask
        taken[mask.slices] |= mask.crop
        if rest is not None:
            kept[obj_id] = rest
    return {obj_id: kept[obj_id] for obj_id in sorted(kept)}


def label_image(
    masks: Mapping[int, ObjectMask] | Iterable[tuple[int, ObjectMask]],
    size: tuple[int, int],
    dtype: Any = None,
) -> NDArray[Any]:
    """Draw the objects of one frame as a label image.

    Parameters
    ----------
    masks : mapping of object id to ObjectMask
        Not overlapping.
    size : (height, width)
        Of the frame, px.
    dtype : integer dtype, optional
        Must hold the highest id; uint16 if left out, or `LABEL_DTYPE` where an id needs it.

    Returns
    -------
    (H, W) ndarray of `dtype`
        0 is background, every other value an object's id.

    Raises
    ------
    ValueError
        If an id does not fit into `dtype`.
    """
    items = list(masks.items() if isinstance(masks, Mapping) else masks)
    if dtype is None:
        is_small = max((i for i, _ in items), default=0) <= np.iinfo(np.uint16).max
        dtype = np.uint16 if is_small else LABEL_DTYPE
    labels = np.zeros(size, dtype)
    largest = np.iinfo(labels.dtype).max
    for obj_id, mask in items:
        if obj_id > largest:
            raise ValueError(
                f"object id {obj_id} does not fit into {labels.dtype} labels (at most {largest}); "
                "ask for a wider dtype"
            )
        labels[mask.slices][mask.crop] = obj_id
    return labels

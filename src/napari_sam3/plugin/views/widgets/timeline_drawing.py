"""What a timeline draws round and over its lanes: heads, ruler, stretch, and the small signs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from qtpy.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QPainter, QPen, QPolygon, QPolygonF

from napari_sam3.plugin.views.widgets.time_axis import TimeAxis

RADIUS = 4.0
"""Of a mark, px."""

NAMES = {
    "click": "clicks",
    "box": "a box or another shape",
    "painted": "painted by hand",
    "division": "divides",
}
"""What each kind of mark stands for, in words."""


def draw_mark(
    painter: QPainter, kind: str, x: float, y: float, ink: QColor, paper: QColor, *, filled: bool
) -> None:
    """Draw a mark: a disc, a square, a diamond or a fork; hollow where it shows what is not meant.

    Parameters
    ----------
    painter : QPainter
    kind : str
        One of `NAMES`.
    x, y : float
        Its middle, px.
    ink, paper : QColor
        The colours of what is drawn, and of what is behind it.
    filled : bool
    """
    r = RADIUS
    painter.setPen(QPen(paper if filled else ink, 1.4))
    painter.setBrush(ink if filled else paper)
    if kind == "box":
        painter.drawRect(QRectF(x - r + 0.5, y - r + 0.5, 2 * r - 1, 2 * r - 1))
    elif kind == "painted":
        corners = [QPointF(x, y - r), QPointF(x + r, y), QPointF(x, y + r), QPointF(x - r, y)]
        painter.drawPolygon(QPolygonF(corners))
    elif kind == "division":
        for pen in (QPen(paper, 4.0), QPen(ink, 1.6)):
            painter.setPen(pen)
            painter.drawLine(QPointF(x - r, y), QPointF(x, y))
            painter.drawLine(QPointF(x, y), QPointF(x + r, y - r))
            painter.drawLine(QPointF(x, y), QPointF(x + r, y + r))
    else:
        painter.drawEllipse(QPointF(x, y), r - 0.5, r - 0.5)


@dataclass(frozen=True)
class Head:
    """What the head of a lane says."""

    text: str
    colour: QColor
    is_in_hand: bool = False
    is_locked: bool = False


def draw_head(
    painter: QPainter,
    head: Head,
    place: QRect,
    width: int,
    ink: QColor,
    paper: QColor,
    accent: QColor,
) -> None:
    """Draw the head of a lane; one in hand has an arrow, bold type, and a frame round the lane.

    Parameters
    ----------
    painter : QPainter
    head : Head
    place : QRect
        Where it belongs.
    width : int
        Of the whole lane, px.
    ink, paper, accent : QColor
        The colours of the theme.
    """
    left, top, height = place.left(), place.top(), place.height()
    middle, clear = top + height / 2, QColor(0, 0, 0, 0)
    painter.fillRect(place, paper)
    if head.is_in_hand:
        back = QColor(accent)
        back.setAlpha(110)
        painter.fillRect(place, back)
        painter.setPen(QPen(ink, 1))
        painter.setBrush(clear)
        painter.drawRect(QRectF(left + 0.5, top + 0.5, width - 1.5, height - 1))
        painter.setBrush(ink)
        tip = QPointF(left + 8, middle)
        back_ends = [QPointF(left + 3, middle - 4), QPointF(left + 3, middle + 4)]
        painter.drawPolygon(QPolygonF([*back_ends, tip]))
    painter.setPen(QPen(ink, 1))
    painter.setBrush(head.colour)
    painter.drawRect(QRectF(left + 11.5, top + 2.5, 9, 9))
    room = place.width() - 28
    if head.is_locked:
        _draw_padlock(painter, place.right() - 8, middle, ink)
        room -= 14
    painter.setFont(small_font(painter.font(), is_bold=head.is_in_hand))
    painter.setPen(ink)
    text = painter.fontMetrics().elidedText(head.text, Qt.TextElideMode.ElideRight, room)
    painter.drawText(QRect(left + 26, top, room, height), Qt.AlignmentFlag.AlignVCenter, text)


def draw_band(
    painter: QPainter, axis: TimeAxis, band: tuple[int, int], place: QRect, accent: QColor
) -> None:
    """Draw the stretch that is chosen over the lanes, which lie at a place."""
    left, right = (place.left() + axis.x_of(f) for f in (band[0], band[1] + 1))
    fill = QColor(accent)
    fill.setAlpha(60)
    painter.setClipRect(place)
    painter.fillRect(QRectF(left, place.top(), max(1, right - left), place.height()), fill)
    painter.setPen(QPen(accent, 2))
    for x in (round(left), round(right)):
        painter.drawLine(x, place.top(), x, place.bottom())


def draw_ruler(
    painter: QPainter,
    axis: TimeAxis,
    place: QRect,
    frame_index: int,
    band: tuple[int, int] | None,
    ink: QColor,
    accent: QColor,
    height: int,
) -> None:
    """Draw frame numbers, the stretch that is chosen, and a line through the frame on screen.

    Parameters
    ----------
    painter : QPainter
    axis : TimeAxis
    place : QRect
        Of the ruler.
    frame_index : int
        The frame on screen.
    band : (int, int) or None
    ink, accent : QColor
        The colours of the theme.
    height : int
        Of all that the line goes through, px.
    """
    left = place.left()
    painter.setClipRect(left, 0, place.width(), height)
    step = _nice_step(70 / axis.px_per_frame)
    first = axis.frame_at(0) // step * step
    painter.setPen(ink)
    for number in range(first, axis.frame_at(axis.width) + 1, step):
        x = round(left + axis.x_of(number + 0.5))
        painter.drawLine(x, place.bottom() - 4, x, place.bottom())
        painter.drawText(x + 3, place.bottom() - 5, str(number))
    if band is not None:
        begin, end = (left + axis.x_of(f) for f in (band[0], band[1] + 1))
        painter.fillRect(QRectF(begin, 0, max(2, end - begin), place.height()), accent)
        painter.setPen(QColor("white" if accent.lightness() < 160 else "black"))
        shown = max(begin, left), min(end, left + place.width())
        room = round(shown[1] - shown[0]) - 8
        texts = (f"propagate {band[0]} to {band[1]}", f"{band[0]} to {band[1]}")
        fitting = (t for t in texts if painter.fontMetrics().horizontalAdvance(t) <= room)
        said = QRect(round(shown[0]) + 4, 0, max(0, room), place.height())
        painter.drawText(said, Qt.AlignmentFlag.AlignVCenter, next(fitting, ""))
    x = round(left + axis.x_of(frame_index + 0.5))
    painter.setPen(QPen(ink, 1))
    painter.drawLine(x, 0, x, height)
    painter.setBrush(ink)
    painter.drawPolygon(QPolygon([QPoint(x - 4, 0), QPoint(x + 4, 0), QPoint(x, 6)]))
    painter.setClipping(False)


def small_font(font: QFont, *, is_bold: bool = False) -> QFont:
    """A font that fits a lane."""
    small = QFont(font)
    small.setPixelSize(11)
    small.setBold(is_bold)
    return small


def _draw_padlock(painter: QPainter, x: float, y: float, ink: QColor) -> None:
    """A padlock, 7 px wide, whose middle is at x, y."""
    painter.setPen(QPen(ink, 1.2))
    painter.setBrush(QColor(0, 0, 0, 0))
    painter.drawArc(QRectF(x - 2.5, y - 5, 5, 6), 0, 180 * 16)
    painter.fillRect(QRectF(x - 3.5, y - 1.5, 7, 5.5), ink)


def _nice_step(least: float) -> int:
    """The first of 1, 2, 5, 10, 20 and so on that is no less."""
    steps = (digit * 10**power for power in count() for digit in (1, 2, 5))
    return next(step for step in steps if step >= least)

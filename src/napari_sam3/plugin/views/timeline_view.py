"""The timeline under the canvas: a lane for each object, over all frames."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from napari.layers import Labels
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QHelpEvent, QImage, QPainter, QPen
from qtpy.QtWidgets import QAbstractScrollArea, QFrame, QMenu, QToolTip

from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.show_errors import show_errors
from napari_sam3.plugin.controllers.timeline_controller import Mark, TimelineController
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_look import own_colors
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.views.dock_lifetime import Lifetime
from napari_sam3.plugin.views.widgets.canvas_focus import focus_canvas
from napari_sam3.plugin.views.widgets.lane_picture import LANE, Look, draw_lanes
from napari_sam3.plugin.views.widgets.time_axis import TimeAxis
from napari_sam3.plugin.views.widgets.timeline_drawing import (
    NAMES,
    RADIUS,
    Head,
    draw_band,
    draw_head,
    draw_mark,
    draw_ruler,
    small_font,
)

TITLE = "Timeline"
HEAD, RULER = 120, 20
"""Width of the heads of lanes, and height of the ruler above them, px."""

HEIGHT = 130
"""What the dock asks for, px."""

UPDATE_MS, CATCH_UP_MS = 50, 15
"""From one look at what has changed to the next; while there is more to take over."""

_STILL = 3  # px that a press may move and still be a click
_REACH = RADIUS + 2  # px round the middle of a mark
_NOTCH = 120  # of a wheel, as Qt counts

_RULER_TIP = (
    "Click to go to a frame. Drag here, or with Shift anywhere, to choose a stretch: Propagate "
    "works on it alone, both ways. A click here or Escape lets go of it."
)
_MARK_TIP = "Drag it to another frame; Delete takes it back"


class TimelineView(QAbstractScrollArea):
    """Where each object of the chosen video is, over all frames; live while a job runs.

    Click or drag to go to a frame; the wheel zooms about the cursor, with Shift it moves through
    time, over the heads from lane to lane. A click on a head takes the object in hand.

    Parameters
    ----------
    tracking : TrackingController
        Whose work is shown.

    Attributes
    ----------
    tracking : TrackingController
    controller : TimelineController
        Does what is done here; for scripts too.
    axis : TimeAxis
        Which frame is where, right of the heads.
    selected : Mark or None
        The mark clicked last.
    surface : QWidget
        What all is drawn on.
    """

    def __init__(self, tracking: TrackingController) -> None:
        super().__init__()
        self.tracking, self._viewer = tracking, tracking.viewer
        self.controller = TimelineController(tracking)
        self.axis = TimeAxis()
        self.selected: Mark | None = None
        self.surface = cast(Any, self.viewport())
        self._across = cast(Any, self.horizontalScrollBar())
        self._down = cast(Any, self.verticalScrollBar())
        self.is_shut_down = False
        self._is_setting_bars = False
        self._ids: tuple[int, ...] = ()
        self._picture: tuple[Any, QImage | None] = (None, None)
        self._colormap: Any = None
        self._known_colours: dict[int, Any] = {}
        self._version = 0
        self._frame = 0
        self._marks_of: dict[int, list[Mark]] = {}
        self._drag: Callable[[QPoint], None] | None = None
        self._drop: Callable[[QPoint], None] | None = None
        self._pressed = QPoint()
        self._carried: tuple[Mark, int] | None = None  # a mark under way, and where it is now
        self._wanted: int | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(RULER + 2 * LANE)
        self.setAccessibleName(TITLE)
        self.setAccessibleDescription("Where each object is, over all frames")
        self.surface.setMouseTracking(True)
        self._clock = QTimer(self)
        self._clock.setInterval(UPDATE_MS)
        self._clock.timeout.connect(self.refresh)
        # once Qt has dealt with all moves of the mouse
        self._seeking = single_shot(self, self._seek_now)
        self._heard = Connections()
        self._heard.hear(self._on_step, self._viewer.dims.events.current_step)
        self._heard.hear(self._on_changed, self.controller.changed, self._viewer.events.theme)
        self._across.valueChanged.connect(self._on_scrolled)
        self._down.valueChanged.connect(self._on_scrolled)
        Lifetime(self, self.shut_down)
        self.refresh()

    def shut_down(self) -> None:
        """Let go of the viewer and the work; it is not used afterwards."""
        if self.is_shut_down:
            return
        self.is_shut_down = True
        self._clock.stop()
        self._seeking.stop()
        self._heard.let_go()
        self.controller.close()

    # ------------------------------------------------------------------ in line

    def refresh(self) -> None:
        """Take over what has changed; done many times a second while it can be seen."""
        is_done = self.controller.update()
        self._clock.setInterval(UPDATE_MS if is_done else CATCH_UP_MS)

    def _on_changed(self, _event: Any = None) -> None:
        self._version += 1
        timeline = self.controller.timeline
        self._ids = self.controller.ids
        self._marks_of = {}
        for mark in self.controller.marks:
            self._marks_of.setdefault(mark.obj_id, []).append(mark)
        if self.selected is not None and self.selected not in self.controller.marks:
            self.selected = None
        self.axis.resize(1 if timeline is None else timeline.n_frames, self._width)
        self._frame = self.controller.frame
        self._set_bars()
        self.surface.update()

    def _on_step(self, _event: Any = None) -> None:
        frame_index = self.controller.frame
        if frame_index != self._frame:
            self._frame = frame_index
            if self._drag is None and self.axis.reveal(frame_index):
                self._set_bars()
            self.surface.update()

    @property
    def _width(self) -> int:
        return max(1, self.surface.width() - HEAD)

    def _set_bars(self) -> None:
        if self._is_setting_bars:
            return  # a bar that appears takes room, which is told in here
        self._is_setting_bars = True
        for _ in range(2):
            across, room = self.axis.width, max(0, self.surface.height() - RULER)
            for bar, most, page, step in (
                (self._across, self.axis.most_offset, across, max(1, across // 10)),
                (self._down, max(0, len(self._ids) * LANE - room), room, LANE),
            ):
                bar.setRange(0, most)
                bar.setPageStep(page)
                bar.setSingleStep(step)
        self._across.setValue(self.axis.offset)
        self._is_setting_bars = False

    def _on_scrolled(self, _value: int) -> None:
        if not self._is_setting_bars:
            self.axis.offset = self._across.value()
        self.surface.update()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Show the same frames in another width."""
        super().resizeEvent(event)
        self.axis.resize(self.axis.n_frames, self._width)
        self._set_bars()

    def showEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Follow the work from now on."""
        super().showEvent(event)
        if not self.is_shut_down:
            self.refresh()
            self._clock.start()

    def hideEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Take no time while nobody looks."""
        super().hideEvent(event)
        self._clock.stop()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As high as some lanes."""
        return QSize(600, HEIGHT)

    # ------------------------------------------------------------- where things are

    def lane_at(self, y: float) -> int | None:
        """The object whose lane is at y of the viewport."""
        lane = (y - RULER + self._down.value()) // LANE
        return self._ids[int(lane)] if y >= RULER and 0 <= lane < len(self._ids) else None

    def place_of(self, obj_id: int, frame_index: int) -> QPoint:
        """The middle of a frame in an object's lane, in the viewport; perhaps out of sight."""
        top = RULER + self._ids.index(obj_id) * LANE - self._down.value()
        return QPoint(round(HEAD + self.axis.x_of(frame_index + 0.5)), top + LANE // 2)

    def mark_at(self, place: QPoint) -> Mark | None:
        """The mark at a place of the viewport."""
        obj_id = self.lane_at(place.y())
        if obj_id is None or place.x() < HEAD:
            return None
        near = [
            (abs(HEAD + self.axis.x_of(m.frame_index + 0.5) - place.x()), n, m)
            for n, m in enumerate(self._marks_in_sight(obj_id))
        ]
        distance, _, mark = min(near, default=(_REACH + 1, 0, None), key=lambda one: one[:2])
        return mark if distance <= _REACH else None

    def _marks_in_sight(self, obj_id: int) -> list[Mark]:
        """The marks of a lane that are drawn; of painted frames in a row, the first."""
        first, last = self.axis.frame_at(-RADIUS), self.axis.frame_at(self.axis.width + RADIUS)
        marks = self._marks_of.get(obj_id, [])
        begin = bisect_left(marks, first, key=lambda m: m.frame_index)
        end = bisect_left(marks, last + 1, key=lambda m: m.frame_index)
        found, painted = [], -2
        for mark in marks[begin:end]:
            if mark.kind == "painted":
                is_next, painted = mark.frame_index == painted + 1, mark.frame_index
                if is_next:
                    continue
            found.append(mark)
        return found

    # ------------------------------------------------------------------- the mouse

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Begin to seek, to choose a stretch or to carry a mark; or take an object in hand."""
        place = event.position().toPoint()
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._pressed = place
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if place.x() < HEAD:
            obj_id = self.lane_at(place.y())
            if obj_id is not None:
                self.controller.choose(obj_id)
            return
        mark = None if is_shifted else self.mark_at(place)
        if self.selected is not mark:
            self.selected = mark
            self.surface.update()
        if is_shifted or place.y() < RULER:
            self._drag, self._drop = self._stretch_band, self._end_band
        elif mark is not None:
            self._drag = lambda to, mark=mark: self._carry(mark, to)
            self._drop = lambda to, mark=mark: self._put_down(mark, to)
        else:
            self._drag, self._drop = self._seek_to, self._seek_to
            self._seek_to(place)

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Go on with what was begun; or say what lies under the cursor."""
        place = event.position().toPoint()
        if self._drag is not None:
            self._drag(place)
            return
        is_mark = place.x() >= HEAD and self.mark_at(place) is not None
        shape = Qt.CursorShape.SizeHorCursor if is_mark else Qt.CursorShape.ArrowCursor
        self.surface.setCursor(shape)

    def mouseReleaseEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """End it."""
        drop, self._drag, self._drop = self._drop, None, None
        if drop is not None and event.button() == Qt.MouseButton.LeftButton:
            drop(event.position().toPoint())

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Zoom about the cursor; with Shift, or sideways, move through time."""
        place, turn = event.position().toPoint(), event.angleDelta()
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if place.x() < HEAD and turn.y():
            self._down.setValue(round(self._down.value() - 3 * LANE * turn.y() / _NOTCH))
        elif is_shifted or abs(turn.x()) > abs(turn.y()):
            self.axis.pan(-(turn.x() or turn.y()) / _NOTCH * self.axis.width / 8)
        else:
            self.axis.zoom(turn.y() / _NOTCH, place.x() - HEAD)
        self._set_bars()
        self.surface.update()
        event.accept()

    def contextMenuEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """What can be done with a mark."""
        mark = self.mark_at(event.pos())
        if mark is None:
            return
        self.selected = mark
        self.surface.update()
        menu: Any = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        go_to = menu.addAction(f"Go to frame {mark.frame_index}")
        go_to.triggered.connect(lambda: self.controller.seek(mark.frame_index))
        move = menu.addAction(f"Move to the frame on screen, {self._frame}")
        move.triggered.connect(lambda: show_errors(lambda: self._move(mark, self._frame)))
        delete = menu.addAction("Delete")
        delete.triggered.connect(lambda: show_errors(lambda: self.controller.delete(mark)))
        menu.popup(event.globalPos())

    def _frame_at(self, place: QPoint) -> int:
        return self.axis.frame_at(place.x() - HEAD)

    def _seek_to(self, place: QPoint) -> None:
        self._wanted = self._frame = self._frame_at(place)
        self.surface.update()
        self._seeking.start(0)

    def _seek_now(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self.controller.seek(wanted)

    def _is_still(self, place: QPoint) -> bool:
        return abs(place.x() - self._pressed.x()) <= _STILL

    def _stretch_band(self, place: QPoint) -> None:
        if not self._is_still(place):
            ends = self._frame_at(self._pressed), self._frame_at(place)
            show_errors(lambda: self.controller.set_band(*ends))

    def _end_band(self, place: QPoint) -> None:
        if self._is_still(place):
            self.controller.clear_band()
            self._seek_to(place)
        else:
            self._stretch_band(place)

    def _carry(self, mark: Mark, place: QPoint) -> None:
        if self._carried is not None or not self._is_still(place):
            self._carried = (mark, self._frame_at(place))
            self.surface.update()

    def _put_down(self, mark: Mark, _place: QPoint) -> None:
        carried, self._carried = self._carried, None
        if carried is None:
            self.controller.seek(mark.frame_index)
        elif carried[1] != mark.frame_index:
            show_errors(lambda: self._move(mark, carried[1]))
        self.surface.update()

    def _move(self, mark: Mark, frame_index: int) -> None:
        self.controller.move(mark, frame_index)
        self.refresh()
        moved = self._marks_of.get(mark.obj_id, [])
        is_it = (m for m in moved if (m.kind, m.frame_index) == (mark.kind, frame_index))
        self.selected = next(is_it, None)

    # ------------------------------------------------------------------ the keyboard

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Step, jump, choose lanes, delete; other keys go to the viewer."""
        key, modifiers = event.key(), event.modifiers()
        is_shifted = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        is_control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        keys, timeline = Qt.Key, self.controller.timeline
        last = 0 if timeline is None else timeline.n_frames - 1
        page = max(1, round(0.9 * self.axis.width / self.axis.px_per_frame))
        steps = {keys.Key_Left: -1, keys.Key_Right: 1}
        jumps = {
            keys.Key_Home: 0,
            keys.Key_End: last,
            keys.Key_PageUp: self._frame - min(page, max(1, last // 10)),
            keys.Key_PageDown: self._frame + min(page, max(1, last // 10)),
        }
        if key in steps and is_control:
            self.selected = self.controller.seek_mark(steps[key]) or self.selected
        elif key in steps:
            self.controller.seek(self._frame + steps[key] * (10 if is_shifted else 1))
        elif key in jumps:
            self.controller.seek(jumps[key])
        elif key in (keys.Key_Up, keys.Key_Down) and self._ids:
            self._choose_next(-1 if key == keys.Key_Up else 1)
        elif key in (keys.Key_Delete, keys.Key_Backspace) and self.selected is not None:
            mark = self.selected
            show_errors(lambda: self.controller.delete(mark))
            self.refresh()
        elif key == keys.Key_Escape and self._carried is not None:
            self._carried = self._drag = self._drop = None
        elif key == keys.Key_Escape and self.tracking.state.band is not None:
            self.controller.clear_band()
        elif key == keys.Key_Escape:
            focus_canvas(self)
        else:
            event.ignore()
            return
        self.surface.update()

    def _choose_next(self, step: int) -> None:
        in_hand = self.tracking.state.object_in_hand
        place = self._ids.index(in_hand) + step if in_hand in self._ids else 0
        place = min(max(place, 0), len(self._ids) - 1)
        self.controller.choose(self._ids[place])
        least = (place + 1) * LANE - (self.surface.height() - RULER)
        self._down.setValue(min(max(self._down.value(), least), place * LANE))

    # -------------------------------------------------------------------- in words

    def viewportEvent(self, event: Any) -> bool:  # noqa: N802 (Qt's name)
        """Say what lies under the cursor, where it rests."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.describe(event.pos()), self.surface)
            return True
        return bool(super().viewportEvent(event))

    def describe(self, place: QPoint) -> str:
        """What lies at a place of the viewport, in words."""
        timeline, obj_id = self.controller.timeline, self.lane_at(place.y())
        if timeline is None:
            return "No video is open."
        if place.x() >= HEAD and place.y() < RULER:
            return _RULER_TIP
        if obj_id is None:
            return "Wheel: zoom. Shift and wheel: move through time. Arrows: step."
        if place.x() < HEAD:
            where = f"on {timeline.n_present(obj_id)} frames"
            return f"{self.controller.name_of(obj_id)}: {where}. Click to take it in hand."
        frame_index, mark = self._frame_at(place), self.mark_at(place)
        if mark is not None:
            sign = "" if mark.shows else ", of what it is not"
            what = f"{NAMES[mark.kind]}{sign} on frame {mark.frame_index}"
            return f"{self.controller.name_of(obj_id)}: {what}. {_MARK_TIP}."
        return self.controller.describe(obj_id, frame_index)

    # ----------------------------------------------------------------------- drawing

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 (Qt's name)
        """Draw lanes as one picture, and over it what moves."""
        painter = QPainter(self.surface)
        look, theme = self._look()
        paper, ink = QColor(*look.background), QColor(*look.ink)
        accent = QColor(str(theme.current))
        width, height = self.surface.width(), self.surface.height()
        painter.fillRect(0, 0, width, height, paper)
        begin = self._down.value() // LANE
        end = min(len(self._ids), begin + -(-height // LANE) + 1)
        ids = self._ids[begin:end]
        top = RULER + begin * LANE - self._down.value()
        painter.setClipRect(0, RULER, width, height - RULER)
        layer = self.controller.results
        colours = self._colours(ids, layer)
        picture = self._draw_lanes(ids, colours, look)
        if picture is not None:
            painter.drawImage(HEAD, top, picture)
        band = self.tracking.state.band
        if band is not None:
            draw_band(painter, self.axis, band, QRect(HEAD, RULER, self._width, height), accent)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(HEAD, RULER, width - HEAD, height - RULER)
        for n, obj_id in enumerate(ids):
            self._draw_marks(painter, obj_id, top + n * LANE + LANE // 2, ink, paper, accent)
        painter.setClipRect(0, RULER, width, height - RULER)
        table = ObjectTable() if layer is None else table_of(layer)
        for n, (obj_id, colour) in enumerate(zip(ids, colours.tolist(), strict=True)):
            place = QRect(0, top + n * LANE, HEAD - 2, LANE)
            head = self._head_of(table[obj_id], QColor(*colour))
            draw_head(painter, head, place, width, ink, paper, accent)
        painter.setClipping(False)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.fillRect(0, 0, width, RULER, QColor(*look.ground))
        said = "no video" if self.controller.timeline is None else f"frame {self._frame}"
        painter.setFont(small_font(self.font()))
        painter.setPen(ink)
        painter.drawText(QRect(4, 0, HEAD - 8, RULER), Qt.AlignmentFlag.AlignVCenter, said)
        if self.controller.timeline is not None:
            place = QRect(HEAD, 0, self._width, RULER)
            draw_ruler(painter, self.axis, place, self._frame, band, ink, accent, height)
        painter.end()

    def _look(self) -> tuple[Look, Any]:
        theme = get_theme(self._viewer.theme)
        background, ground, ink = (
            QColor(str(colour)).getRgb()[:3]
            for colour in (theme.background, theme.primary, theme.text)
        )
        return Look(background, ground, ink), theme

    def _colours(
        self, ids: tuple[int, ...], layer: Labels | None
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Those of the labels, (N, 3)."""
        colormap = None if layer is None else layer.colormap
        if colormap is not self._colormap:
            self._colormap, self._known_colours = colormap, {}
        for obj_id in ids:
            if obj_id not in self._known_colours:
                colour = None if layer is None else layer.get_color(obj_id)
                if colour is None or not colour[3]:  # an object that is hidden has none
                    chosen = {} if layer is None else table_of(layer).colors
                    colour = own_colors(np.array([obj_id]), chosen)[0]
                said = colour[:3]
                self._known_colours[obj_id] = np.rint(255 * np.asarray(said)).astype(np.uint8)
        return np.array([self._known_colours[i] for i in ids], np.uint8).reshape(-1, 3)

    def _draw_lanes(
        self, ids: tuple[int, ...], colours: np.ndarray[Any, np.dtype[np.uint8]], look: Look
    ) -> QImage | None:
        timeline = self.controller.timeline
        if timeline is None or not ids:
            return None
        axis = self.axis
        view = (axis.offset, axis.px_per_frame, axis.width)
        key = (self._version, ids, view, look, colours.tobytes())
        if self._picture[0] != key:
            frames, stop = axis.columns()
            flags, shades = timeline.columns(ids, frames, stop)
            pixels = draw_lanes(flags, shades, colours, look, axis.offset)
            height, width = pixels.shape[:2]
            image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGB32)
            self._picture = (key, image.copy())  # which owns its pixels
        return self._picture[1]

    def _draw_marks(
        self, painter: QPainter, obj_id: int, y: int, ink: QColor, paper: QColor, accent: QColor
    ) -> None:
        taken: set[tuple[str, int]] = set()
        for mark in self._marks_in_sight(obj_id):
            frame_index = mark.frame_index
            if self._carried is not None and self._carried[0] == mark:
                frame_index = self._carried[1]
            x = HEAD + self.axis.x_of(frame_index + 0.5)
            place = (mark.kind, round(x / 2))
            if place in taken and mark != self.selected:
                continue  # one on the other, far out
            taken.add(place)
            if mark == self.selected:
                painter.setPen(QPen(accent, 2.5))
                painter.setBrush(QColor(0, 0, 0, 0))
                painter.drawEllipse(QRectF(x - 6.5, y - 6.5, 13, 13))
            draw_mark(painter, mark.kind, x, y, ink, paper, filled=mark.shows)

    def _head_of(self, info: ObjectInfo, colour: QColor) -> Head:
        return Head(
            f"{info.obj_id}  {info.name}" if info.name else str(info.obj_id),
            colour,
            is_in_hand=info.obj_id == self.tracking.state.object_in_hand,
            is_locked=info.is_locked,
        )

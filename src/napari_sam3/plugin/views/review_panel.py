"""The queue of doubtful places in the dock: how far it is, why one is in it, on and back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sam3.plugin.controllers.review_controller import ReviewController
from napari_sam3.plugin.controllers.show_errors import show_errors
from napari_sam3.plugin.views.widgets.groups import tight

PREVIOUS_KEY, RIGHT_KEY, NEXT_KEY = ",", "Y", "."


class ReviewPanel(QWidget):
    """A row of buttons with a bar of what is checked, and a line that says why.

    Parameters
    ----------
    review : ReviewController
        Goes to the places.
    """

    def __init__(self, review: ReviewController) -> None:
        super().__init__()
        self._review = review
        self.previous = _button(
            "◀", f"Back to the place before, in the queue of what is doubtful (key {PREVIOUS_KEY})."
        )
        self.right = _button(
            "✓ Right",
            "What is drawn of this object on this frame is right: check it off and go on "
            f"(key {RIGHT_KEY}). Where it is wrong, correct it by clicks or paint, then propagate.",
        )
        self.next = _button(
            "Next ▶",
            "Go to the next place worth a look: where an object may be lost, another one, in parts "
            f"or badly outlined (key {NEXT_KEY}).",
        )
        self.bar = QProgressBar()
        self.bar.setToolTip("Places that were found right or put right, of all that are doubtful.")
        self.bar.setTextVisible(True)
        self.bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.why = QElidingLabel()
        self.why.setElideMode(Qt.TextElideMode.ElideRight)
        self.why.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        row = tight(QHBoxLayout(), 6)
        for widget in (self.previous, self.right, self.next):
            row.addWidget(widget)
        row.addWidget(self.bar, 1)
        column = tight(QVBoxLayout(self), 2)
        column.addLayout(row)
        column.addWidget(self.why)
        self.keys: tuple[tuple[str, str, Callable[[], object]], ...] = (
            (NEXT_KEY, "next doubtful place", self.go_on),
            (PREVIOUS_KEY, "doubtful place before", self.go_back),
            (RIGHT_KEY, "this place is right: check it off", self.check_off),
        )
        self.next.clicked.connect(lambda _checked=False: self.go_on())
        self.previous.clicked.connect(lambda _checked=False: self.go_back())
        self.right.clicked.connect(lambda _checked=False: self.check_off())
        review.changed.connect(self._show)
        self._show()

    def go_on(self) -> None:
        """Go to the next place."""
        show_errors(self._review.next)

    def go_back(self) -> None:
        """Go to the place before."""
        show_errors(self._review.previous)

    def check_off(self) -> None:
        """Check the place in hand off."""
        show_errors(self._review.right)

    def close_panel(self) -> None:
        """Show nothing any more."""
        self._review.changed.disconnect(self._show)

    def _show(self) -> None:
        review = self._review
        left, done = len(review.places), review.n_checked
        self.next.setEnabled(left > 0)
        self.previous.setEnabled(left > 0)
        self.right.setEnabled(review.current is not None)
        self.bar.setMaximum(max(left + done, 1))
        self.bar.setValue(done)
        self.bar.setFormat(f"{done} of {left + done} checked" if left + done else "")
        text, place = self._text(), review.current
        self.why.setText(text)
        tip = "" if place is None else f"\nFrames {place.first} to {place.last} hang on it."
        self.why.setToolTip(text + tip)

    def _text(self) -> str:
        review = self._review
        place, left = review.current, len(review.places)
        if place is not None:
            return f"Object {place.obj_id}, frame {place.frame_index}: {place}"
        if left:
            return f"{left} place{'s' * (left != 1)} worth a look: press {NEXT_KEY} for the next"
        if not review.has_results:
            return "To check: nothing yet, propagate first"
        if review.is_looking:
            return "Looking through the results …"
        return "Nothing doubtful" + (" is left" if review.n_checked else "")


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button

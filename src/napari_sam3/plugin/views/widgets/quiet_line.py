"""A line at the foot of the dock."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel, QSizePolicy


class QuietLine(QLabel):
    """A line that never moves anything and never widens the dock."""

    def __init__(self) -> None:
        super().__init__()
        self.setStyleSheet("color: gray; padding-left: 4px;")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.fontMetrics().lineSpacing() + 2)
        self._texts: dict[str, str] = {}

    def show_text(self, topic: str, text: str) -> None:
        """Show a text; of several topics all that is not empty."""
        self._texts[topic] = text
        self.setText("; ".join(filter(None, self._texts.values())))

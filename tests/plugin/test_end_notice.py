"""Who has turned to other things hears when long work is done; who looks on is left alone."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QWidget

from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase
from napari_sam3.plugin.views import end_notice
from napari_sam3.plugin.views.end_notice import EndNotice


class Window(QWidget):
    is_in_front = True

    def isActiveWindow(self):
        return self.is_in_front


@pytest.fixture
def window(qtbot):
    window = Window()
    qtbot.addWidget(window)
    return window


@pytest.fixture
def work(window, monkeypatch):
    """A function that goes through a job of a kind, so long, with this end."""
    state, clock = AppState(), [100.0]
    monkeypatch.setattr(end_notice, "perf_counter", lambda: clock[0])
    window.notice = EndNotice(state, window)

    def work(seconds, outcome=Outcome.TRACKED, phase=Phase.TRACKING, turns_away=False):
        state.update(phase=Phase.LOADING, job_phase=phase)
        window.is_in_front = window.is_in_front and not turns_away
        state.phase = phase
        clock[0] += seconds
        state.update(phase=Phase.IDLE, outcome=outcome, frames_done=60)

    return work


def test_long_work_says_that_it_is_done(work, notes):
    work(30)
    assert [text for _, text in notes] == ["Tracking is done: 60 frames."]


def test_short_work_in_front_says_nothing(work, notes):
    work(3)
    assert notes == []


def test_short_work_says_so_to_who_has_turned_away(work, notes):
    work(3, Outcome.STOPPED, turns_away=True)
    assert [text for _, text in notes] == ["Tracking was stopped: 60 frames are done and stay."]


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [(Outcome.FAILED, Phase.TRACKING), (Outcome.SEGMENTED, Phase.SEGMENTING)],
)
def test_what_others_say_or_nobody_waits_for_is_left_out(work, notes, outcome, phase):
    work(30, outcome, phase, turns_away=True)
    assert notes == []


def test_nobody_waits_in_a_window_that_was_never_in_front(work, window, notes):
    window.is_in_front = False
    work(30)
    assert notes == []

"""Work in a thread, as the window hears of it."""

import threading

from qtpy.QtCore import QCoreApplication, QTimer

from napari_sam3.plugin.controllers import worker
from napari_sam3.plugin.controllers.worker import Run


def test_the_window_lives_between_items_that_come_all_at_once(qtbot, monkeypatch):
    monkeypatch.setattr(worker, "TURN", 0.0)
    is_done, heard = threading.Event(), []

    def steps():
        yield from range(3)
        is_done.set()

    run = Run(steps())

    def on_gave(item):
        heard.append(item)
        QTimer.singleShot(0, lambda: heard.append("the window"))
        if item == 0:
            QCoreApplication.processEvents()  # as napari does where it makes a bar

    run.gave.connect(on_gave)
    run.ended.connect(lambda: heard.append("the end"))
    run.start()
    assert is_done.wait(timeout=60)
    with qtbot.waitSignal(run.ended, timeout=60_000):
        pass
    qtbot.waitUntil(lambda: heard.count("the window") == 3)
    numbers = [what for what in heard if what != "the window"]
    assert numbers == [0, 1, 2, "the end"]
    between = [heard[n + 1] for n, what in enumerate(heard) if what in (0, 1)]
    assert between == ["the window", "the window"]

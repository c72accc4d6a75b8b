"""Who waits for a session gets it when it is their turn."""

from __future__ import annotations

import threading

import pytest

from napari_sam3.session.turn_lock import TurnLock


def test_who_takes_it_again_comes_after_who_waits():
    lock, order, waits = TurnLock(), [], threading.Event()

    def other():
        waits.set()
        with lock:
            order.append("other")

    thread = threading.Thread(target=other)
    with lock:
        thread.start()
        assert waits.wait(60)
        while lock.acquire(blocking=False):  # not refused before the other one stands in line
            lock.release()
            if lock._waiting:
                break
    with lock:
        order.append("again")
    thread.join(60)
    assert order == ["other", "again"]


def test_it_can_be_taken_by_its_holder_again_and_by_nobody_else():
    lock, got = TurnLock(), []

    def try_it():
        got.append(lock.acquire(blocking=False))
        if got[-1]:
            lock.release()

    def from_another_thread():
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join(60)

    with lock:
        with lock:
            from_another_thread()
        from_another_thread()
    from_another_thread()
    assert got == [False, False, True]
    with pytest.raises(RuntimeError, match="not held"):
        lock.release()

"""Work done while nobody waits for anything, and dropped as soon as somebody does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from napari_sam3.errors import Sam3Error
from napari_sam3.models.sam.device import Device

logger = logging.getLogger(__name__)


class _Interrupted(Exception):  # noqa: N818  (not an error)
    """Real work has come."""


class _Run:
    """One walk over frames."""

    def __init__(self) -> None:
        self.is_over = False
        self.doing: int | None = None
        self.is_spared = False
        self.thread: threading.Thread | None = None


class IdleWork:
    """A thread that makes frames, one after another, until it is told to stop.

    A network can't be stopped from outside, but it asks leave before each of its layers: a frame
    that nobody waits for is given up between two layers, so that on a CPU, where a frame may take
    a minute, real work begins after a second or less. Any thread that wants the device is real
    work, of other sessions too.

    Parameters
    ----------
    device : Device
        Held while a frame is made: who needs it too waits for that frame, or for its end.
    make : callable
        Makes one frame.
    """

    def __init__(self, device: Device, make: Callable[[int], None]) -> None:
        self._device = device
        self._make = make
        self._lock = threading.Lock()
        self._run = _Run()
        self._is_closed = False

    def start(self, frame_indices: Iterable[int]) -> None:
        """Make these frames instead of what was being made; the frame under way is finished."""
        with self._lock:
            if self._is_closed:
                return
            before, self._run = self._run, _Run()
            before.is_spared = before.is_over = True
            self._run.thread = threading.Thread(
                target=self._work,
                args=(self._run, before.thread, frame_indices),
                name="encode idly",
                daemon=True,
            )
            self._run.thread.start()

    def interrupt(self, unless: int | None = None) -> None:
        """Stop. The frame being made is given up, unless it is that one; then it is finished.

        Returns at once: who wants the frame, or the device, waits for the device.
        """
        with self._lock:
            run = self._run
            run.is_spared = run.doing is not None and run.doing == unless
            run.is_over = True

    @property
    def doing(self) -> int | None:
        """The frame being made; None if there is none."""
        run = self._run
        is_at_work = run.thread is not None and run.thread.is_alive()
        return run.doing if is_at_work else None

    def wait(self) -> None:
        """Return when all frames are made, or the work was interrupted."""
        thread = self._run.thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Stop for good, and wait for that."""
        with self._lock:
            self._is_closed = True
        self.interrupt()
        self.wait()

    def _work(
        self, run: _Run, before: threading.Thread | None, frame_indices: Iterable[int]
    ) -> None:
        if before is not None:
            before.join()
        me = threading.get_ident()

        def ask_leave(module: nn.Module, inputs: object) -> None:
            if threading.get_ident() != me or run.is_spared:
                return
            if run.is_over or self._device.is_waited_for:
                raise _Interrupted

        handle = register_module_forward_pre_hook(ask_leave)
        try:
            for frame_index in frame_indices:
                with self._device.computing():
                    with self._lock:
                        if run.is_over:
                            return
                        run.doing = frame_index
                    self._make(frame_index)
                    run.doing = None
                if self._device.is_waited_for:
                    return
        except _Interrupted:
            pass
        except Sam3Error as exc:
            # who really needs that frame will be told
            logger.debug("gave up encoding idly: %s", exc)
        finally:
            handle.remove()

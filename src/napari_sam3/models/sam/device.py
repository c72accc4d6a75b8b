"""Where a model computes: device, precision, memory, and what to say when that is used up."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch

from napari_sam3.errors import ModelUnavailableError, OutOfDeviceMemoryError
from napari_sam3.models.sam.smooth_resize import SmoothResizing

# how PyTorch words it where it raises a plain RuntimeError (MPS; the CPU's allocator)
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class _Line:
    """Threads that take turns; one that has its turn may take it again."""

    def __init__(self) -> None:
        self.waiting = 0
        self._count = threading.Lock()
        self._lock = threading.RLock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            with self._count:
                self.waiting += 1
            try:
                self._lock.acquire()
            finally:
                with self._count:
                    self.waiting -= 1
        try:
            yield
        finally:
            self._lock.release()


_lines: dict[str, _Line] = {}
_lines_guard = threading.Lock()


class DeviceMemory(NamedTuple):
    """Bytes on an accelerator: what this process uses, what is free, and all there is."""

    used: int
    free: int
    total: int


class Device:
    """A place to compute.

    Attributes
    ----------
    name : str
        'cpu', 'cuda', 'cuda:1', 'mps'.
    torch : torch.device
    precision : str
        'float32'; or 'bfloat16' or 'float16': what autocast computes in.
    resizes_smoothly : bool
        Whether PyTorch can resize with antialiasing there; else products do it while `computing`.

    Parameters
    ----------
    name : str or None
        None or "auto" takes the best there is: CUDA, then MPS, then the CPU.
    precision : str
        One of `settings.PRECISIONS`, a wish: half precisions are for CUDA cards. "auto" is
        bfloat16 on cards that compute in it, as the models' makers have it.

    Raises
    ------
    ModelUnavailableError
        If this machine has no such device.
    """

    def __init__(self, name: str | None = None, precision: str = "auto") -> None:
        there = available_devices()
        self.name = there[0] if name in (None, "auto") else str(name)
        if self.name not in there:
            raise ModelUnavailableError(
                f"there is no device {self.name!r} here; choose one of: {', '.join(there)}"
            )
        self.torch = torch.device(self.name)
        self.precision = _possible_precision(self.torch, precision)
        self.resizes_smoothly = self.torch.type != "mps"
        with _lines_guard:
            self._line = _lines.setdefault(str(self.torch), _Line())

    @property
    def half(self) -> torch.dtype | None:
        """The half precision that is computed in; None: none is."""
        return _HALVES.get(self.precision)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute here: no gradients, in the device's precision, one thread at a time.

        Everything that runs a network runs inside; never leave it open across a `yield` of a
        generator. Threads take turns: two at once would need twice the memory and be no faster.

        Raises
        ------
        OutOfDeviceMemoryError
            In place of what PyTorch raises when the device's memory is used up.
        """
        half = self.half
        autocast = nullcontext() if half is None else torch.autocast(self.torch.type, half)
        resizing = nullcontext() if self.resizes_smoothly else SmoothResizing(self.torch.type)
        with (
            self._line.turn(),
            self.telling_of_memory(),
            torch.inference_mode(),
            autocast,
            resizing,
        ):
            yield

    @property
    def is_waited_for(self) -> bool:
        """Whether a thread wants to compute here and can't yet."""
        return self._line.waiting > 0

    @contextmanager
    def telling_of_memory(self) -> Iterator[None]:
        """Turn "out of memory" into an error that names the remedies."""
        try:
            yield
        except RuntimeError as exc:
            if not is_out_of_memory(exc):
                raise
            failure = exc
        else:
            return
        # outside the handler: what the failed computation holds can be given back now
        reason = str(failure).strip().partition("\n")[0]
        failure.__traceback__ = None
        self.give_back_memory()
        raise OutOfDeviceMemoryError(
            f"the memory of device {self.name!r} is used up ({reason}). What was done so far is "
            "kept. Use a lower working resolution, follow fewer objects, take a smaller model, or "
            "close other programs and sessions that use the device"
        ) from failure

    def memory(self) -> DeviceMemory | None:
        """Memory of the accelerator; None on the CPU."""
        if self.torch.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.torch)
            return DeviceMemory(torch.cuda.memory_allocated(self.torch), free, total)
        if self.torch.type == "mps":
            used = torch.mps.current_allocated_memory()
            total = torch.mps.recommended_max_memory()
            return DeviceMemory(used, max(0, total - torch.mps.driver_allocated_memory()), total)
        return None

    def room(self) -> int | None:
        """Bytes of the accelerator that this process can still take; None on the CPU."""
        memory = self.memory()
        if memory is None:
            return None
        if self.torch.type == "cuda":
            # what PyTorch holds in store is no longer free, and ours
            return memory.free + torch.cuda.memory_reserved(self.torch) - memory.used
        return memory.free

    def give_back_memory(self) -> None:
        """Give the accelerator's memory that nothing uses any more back to the system."""
        if self.torch.type == "cpu":
            return  # what is freed there is the system's at once
        gc.collect()
        if self.torch.type == "cuda":
            with torch.cuda.device(self.torch):
                torch.cuda.empty_cache()
        elif self.torch.type == "mps":
            torch.mps.empty_cache()

    def __repr__(self) -> str:
        return f"<Device {self.name}, {self.precision}>"


def available_devices() -> tuple[str, ...]:
    """Names of the devices of this machine, the best first; "cuda" is the first card."""
    names: list[str] = []
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def _possible_precision(device: torch.device, wish: str) -> str:
    if device.type != "cuda" or wish == "float32":
        return "float32"
    if wish == "float16":
        return wish  # all cards compute in it; those before bfloat16, as Turing's, in no other half
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_bfloat16 else "float32"


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether PyTorch says with this error that a device's memory is used up."""
    if isinstance(exc, torch.OutOfMemoryError):
        return True
    text = str(exc).lower()
    return isinstance(exc, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)

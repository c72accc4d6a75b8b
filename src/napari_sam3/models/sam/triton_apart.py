"""Keeps PyTorch's triton and the graphics driver's LLVM apart, in a process that has a window."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_MAPS = Path("/proc/self/maps")


def load_triton_apart() -> None:
    """Load triton with symbols of its own; to be called before transformers is imported.

    Mesa's drivers bring a shared LLVM into a process that has an OpenGL window, and triton, which
    transformers imports by way of `torch._dynamo`, brings another one that exports the same names.
    Bound to the wrong one, triton crashes the process while it is imported
    (tensorflow/tensorflow#124205 has the same clash). Loaded first, or with RTLD_DEEPBIND, it
    keeps to its own. Where no LLVM is in the process, or triton is there already, nothing is done.
    """
    if "triton" in sys.modules or not _has_other_llvm():
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        with suppress(ImportError):  # CPU builds of PyTorch come without it
            import_module("triton")
    finally:
        sys.setdlopenflags(flags)


def _has_other_llvm() -> bool:
    if not hasattr(os, "RTLD_DEEPBIND"):
        return False
    with suppress(OSError):
        return "libLLVM" in _MAPS.read_text(encoding="utf-8", errors="replace")
    return False

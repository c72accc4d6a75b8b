"""Results out: one file a format; each as a writer for a stream of results, and as a function.

The names are loaded when they are first used: each format brings a library of its own.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

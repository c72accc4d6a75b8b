"""Which places of a video's labels are worth a person's look, the most valuable first, and why.

The names are loaded when they are first used.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

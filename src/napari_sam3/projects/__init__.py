"""Work that lasts: a folder that holds a session with all that was said, made and seen.

The names are loaded when they are first used.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

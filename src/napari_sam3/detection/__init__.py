"""Objects found on a frame without a prompt: proposals, for a person to take or leave.

The names are loaded when they are first used.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

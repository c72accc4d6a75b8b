"""Weights: where they are, what they may be used for, and how to get them.

Nothing here imports torch, and nothing asks the net but `ask_hub`, `download`, `who_am_i`,
`save_token`, and `use_folder` for a hub id. The names are loaded when they are first used.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

"""Arguments of the command line, read by argparse; what is wrong is said in one line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from napari_sam3.errors import RequestError


class Parser(argparse.ArgumentParser):
    """Raises `RequestError` where argparse would print its usage and end the process.

    What is read has the attribute `parser`: that of the command, or of its action.
    """

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where it is told how it is done."""
        raise RequestError(f"{message} ({self.prog} --help shows how)")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Say that nobody knows these words, and what may be meant by the first."""
        # imported here, for it costs the start
        from difflib import get_close_matches

        name = words[0].partition("=")[0]
        near = get_close_matches(name, self._option_string_actions, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        self.error(f"nobody knows what {' '.join(words)!r} means{hint}")

"""JSON that people can read, too: lists of numbers stay on one line."""

from __future__ import annotations

import json
from typing import Any

_WIDTH = 96


def to_text(said: Any) -> str:
    """JSON as it is written here, the same for the same; ends with a line feed.

    Raises
    ------
    ValueError
        If something in it can't be said in JSON, NaN included.
    """
    return _lay_out(said, "") + "\n"


def _lay_out(said: Any, indent: str) -> str:
    line = json.dumps(said, ensure_ascii=False, allow_nan=False)
    inside = said.values() if isinstance(said, dict) else said
    if not isinstance(said, dict | list) or not said:
        return line
    is_flat = isinstance(said, list) and not any(isinstance(v, dict | list) for v in inside)
    if is_flat or len(indent) + len(line) <= _WIDTH:
        return line
    deeper = indent + " "
    if isinstance(said, dict):
        parts = [
            f"{deeper}{json.dumps(str(key), ensure_ascii=False)}: {_lay_out(value, deeper)}"
            for key, value in said.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + indent + "}"
    return "[\n" + ",\n".join(deeper + _lay_out(v, deeper) for v in said) + "\n" + indent + "]"

"""JSON that people can read, too: lists of numbers stay on one line."""

from __future__ import annotations

import json
import re
from typing import Any

_WIDTH = 96
_HALVES = re.compile("[\ud800-\udfff]")


def to_text(data: Any) -> str:
    """JSON as it is written here, the same for the same; ends with a line feed.

    Raises
    ------
    ValueError
        If something in it can't be said in JSON, NaN included.
    """
    # a name that is no UTF-8 holds halves of characters, which no file of text can
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", _lay_out(data, "")) + "\n"


def _lay_out(data: Any, indent: str) -> str:
    line = json.dumps(data, ensure_ascii=False, allow_nan=False)
    inside = data.values() if isinstance(data, dict) else data
    if not isinstance(data, dict | list) or not data:
        return line
    is_flat = isinstance(data, list) and not any(isinstance(v, dict | list) for v in inside)
    if is_flat or len(indent) + len(line) <= _WIDTH:
        return line
    deeper = indent + " "
    if isinstance(data, dict):
        parts = [
            f"{deeper}{json.dumps(str(key), ensure_ascii=False)}: {_lay_out(value, deeper)}"
            for key, value in data.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + indent + "}"
    return "[\n" + ",\n".join(deeper + _lay_out(v, deeper) for v in data) + "\n" + indent + "]"

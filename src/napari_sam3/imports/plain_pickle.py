"""Pickled data that may be a stranger's, read without running it.

A pickle is a program, and Python's own reader runs whatever it names. Here its operations are gone
through one by one, and only those are known that build lists, tables, text, numbers and NumPy's
arrays of numbers; of functions none is ever called, not even NumPy's: arrays are made here of the
bytes that are there. Everything else is refused by the name of what it asked for.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

_MOST_OPERATIONS = 4_000_000
_KINDS = frozenset("biufSU")  # of NumPy's types; text only where it is the type of one value

# what NumPy's arrays, single numbers and types ask for, by the names of its releases
_ARRAY, _FILLED, _SCALAR, _DTYPE, _NDARRAY = "array", "filled", "scalar", "dtype", "ndarray"
_BYTES, _PATH = "bytes", "path"
_KNOWN = {
    **{f"numpy.{core}.multiarray._reconstruct": _ARRAY for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _SCALAR for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _FILLED for core in ("core", "_core")},
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _DTYPE,
    # places of files, which come as text
    **{
        f"{module}.{system}Path": _PATH
        for module in ("pathlib", "pathlib._local")
        for system in ("Posix", "Windows", "PurePosix", "PureWindows")
    },
    # bytes in old pickles
    "_codecs.encode": _BYTES,
    "__builtin__.bytes": _BYTES,
}


class _Name:
    """What a pickle named, and we know."""

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning


class _Type:
    """A NumPy type of numbers, in the making."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "|"

    def take(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("the type of an array is told in a way that is not known here")
        self.order = state[1]

    def make(self) -> np.dtype[Any]:
        if not self.code or self.code[0] not in _KINDS or not self.code[1:].isdecimal():
            raise ValueError(f"an array is of the type {self.code!r}; only numbers are read")
        return np.dtype(("" if self.order == "|" else self.order) + self.code)


class _Array:
    """A NumPy array in the making: `content` is an array, or the list of an array of objects."""

    content: Any = None

    def take(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Type):
            raise ValueError("an array is told in a way that is not known here")
        _, shape, kind, is_fortran, data = state
        if kind.code == "O8":
            if not isinstance(data, list):
                raise ValueError("an array of objects has no list of them")
            self.content = data
        else:
            self.content = _fill(data, kind.make(), shape, "F" if is_fortran else "C")


def read_pickle(data: bytes) -> Any:
    """The data that a pickle of lists, tables and NumPy's arrays of numbers holds.

    Arrays of objects come as lists. A list may hold itself: whoever goes through all of the result
    must not trust it to end.

    Raises
    ------
    ValueError
        If it holds anything else; names what it asked for.
    """
    machine = _Machine()
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
            if number > _MOST_OPERATIONS:
                raise ValueError(f"it has more than {_MOST_OPERATIONS:,} steps")
            machine.do(operation.name, argument)
    except (IndexError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"it is no whole pickle ({type(exc).__name__}: {exc})") from exc
    if machine.result is _NOTHING:
        raise ValueError("it is no whole pickle: it does not end")
    return machine.result


_NOTHING = object()
_MARK = object()
_VALUES = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE"}
    | {"SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PASSED_OVER = frozenset({"PROTO", "FRAME"})


class _Machine:
    """The stack of a pickle, and what it remembers by number."""

    def __init__(self) -> None:
        self.result: Any = _NOTHING
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Do one operation."""
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            n = _TUPLES[name]
            stack[-n:] = [tuple(map(_finish, stack[-n:]))]
        elif name == "TUPLE":
            stack.append(tuple(map(_finish, self._since_mark())))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "STOP":
            self.result = _finish(stack.pop())
        elif name not in _PASSED_OVER:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name == "APPEND":
            item = stack.pop()
            _list(stack[-1]).append(_finish(item))
        elif name == "APPENDS":
            items = self._since_mark()
            _list(stack[-1]).extend(map(_finish, items))
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _put(stack[-1], key, value)
        elif name == "SETITEMS":
            items = self._since_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                _put(stack[-1], key, value)
        elif name == "GLOBAL":
            stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(module, attribute))
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(_make(called, arguments))
        elif name == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Array | _Type):
                raise ValueError(f"it sets the inside of a {type(stack[-1]).__name__}")
            stack[-1].take(state)
        else:
            raise ValueError(f"it asks for the operation {name}, which plain data has no need of")

    def _since_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("it is no whole pickle: a mark is missing")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items


def _known(module: Any, name: Any) -> _Name:
    asked = f"{module}.{name}"
    if not isinstance(module, str) or not isinstance(name, str) or asked not in _KNOWN:
        raise ValueError(f"it asks for {asked[:80]!r}, which plain data has no need of")
    return _Name(_KNOWN[asked])


def _make(called: Any, arguments: Any) -> Any:
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise ValueError(f"it calls a {type(called).__name__}")
    if called.meaning == _DTYPE:
        return _Type(str(arguments[0]))
    if called.meaning == _ARRAY:
        return _Array()
    if called.meaning == _PATH:
        return "/".join(map(str, arguments))
    if called.meaning == _BYTES:
        text, encoding = arguments or ("", "latin1")
        if encoding != "latin1":
            raise ValueError(f"it asks for bytes in {encoding!r}")
        return text.encode("latin1")
    if called.meaning == _FILLED:
        data, kind, shape, order = arguments
        found = _Array()
        found.content = _fill(data, kind.make(), shape, order)
        return found
    if called.meaning == _SCALAR:
        kind, data = arguments
        return _fill(data, kind.make(), (), "C")[()]
    raise ValueError(f"it calls numpy.{called.meaning}")


def _fill(data: Any, kind: np.dtype[Any], shape: Any, order: str) -> Any:
    """An array of bytes that are there: no array is larger than the file."""
    sides = shape if isinstance(shape, tuple) else (shape,)
    if len(sides) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in sides):
        raise ValueError(f"an array has the shape {shape!r:.60}")
    if not isinstance(data, bytes | bytearray) or order not in ("C", "F"):
        raise ValueError("an array has no bytes")
    count = 1
    for n in sides:
        count *= n
    if count * kind.itemsize != len(data) or not kind.itemsize:
        raise ValueError(f"an array of shape {shape} and {kind} has {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(sides, order=order)  # type: ignore[call-overload]


def _finish(value: Any) -> Any:
    return value.content if isinstance(value, _Array) else value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"it adds to a {type(value).__name__}")
    return value


def _put(table: Any, key: Any, value: Any) -> None:
    # tuples in tuples would be gone through without end to tell one key from another
    if not isinstance(table, dict) or not isinstance(key, str | int | float):
        raise ValueError(f"it has a {type(key).__name__} as the key of a {type(table).__name__}")
    table[key] = _finish(value)

"""XML that may be a stranger's, read as it comes: no entities, no tree, and no end of depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from napari_sam3.plain_files import open_plain

MOST_XML = 2**30
"""Bytes of a file. It is read piece by piece, so that this bounds the time, not the memory."""

_MOST_DEEP = 64  # elements in each other
_MOST_WORDS = 2**26  # characters of one element
_PIECE = 2**20
_HEAD = 2**16  # bytes within which the first element must begin

StartHandler = Callable[[str, dict[str, str]], None]
EndHandler = Callable[[str, str], None]


def read_xml(path: Path, start: StartHandler, end: EndHandler | None = None) -> None:
    """Read a file of XML from its beginning to its end.

    Parameters
    ----------
    path : Path
        A plain file.
    start : callable
        Called with name and attributes where an element begins.
    end : callable, optional
        Called with name and words where an element ends; of the words of elements in each other
        those after the last of them count.

    Raises
    ------
    ValueError
        If it is no XML, or declares a document type: entities in it may fill the memory, or name
        other files.
    OSError
        If it can't be read; see `open_plain`.
    """
    parser = _make_parser(start, end)
    with open_plain(path.resolve(), most_bytes=MOST_XML) as file:
        try:
            while piece := file.read(_PIECE):
                parser.Parse(piece, False)
            parser.Parse(b"", True)
        except expat.ExpatError as exc:
            raise ValueError(f"it is no whole XML: {exc}") from exc


def first_element(path: Path) -> str:
    """The name of the element that holds all others; raises as `read_xml`."""
    found: list[str] = []
    parser = _make_parser(lambda name, _: found.append(name), None)
    with open_plain(path.resolve()) as file:
        head = file.read(_HEAD)
    try:
        parser.Parse(head, False)
    except expat.ExpatError as exc:
        if not found:
            raise ValueError(f"it is no XML: {exc}") from exc
    if not found:
        raise ValueError("it is no XML: no element begins in it")
    return found[0]


def _make_parser(start: StartHandler, end: EndHandler | None) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    words: list[str] = []
    depth = n_characters = 0

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type (DOCTYPE), which labels have no need of")

    def on_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, n_characters
        depth += 1
        if depth > _MOST_DEEP:
            raise ValueError(f"its elements are nested more than {_MOST_DEEP} deep")
        words.clear()
        n_characters = 0
        start(name, attributes)

    def on_words(text: str) -> None:
        nonlocal n_characters
        n_characters += len(text)
        if n_characters > _MOST_WORDS:
            raise ValueError(f"an element of it holds more than {_MOST_WORDS} characters")
        words.append(text)

    def on_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(name, "".join(words))
        words.clear()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = on_start
    parser.EndElementHandler = on_end
    parser.CharacterDataHandler = on_words
    parser.buffer_text = True
    return parser

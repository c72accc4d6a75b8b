"""What the docs site has that the pages in the repository have not; mkdocs calls this.

The reference of the command line is what `--help` says; pages from beside this folder are brought
in; links that lead out of the site go to the repository; and Markdown is read as code hosts do.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any

PROGRAM = "napari-sam3"
COMMAND_LINE = "<!-- the command line -->"
BROUGHT_IN = "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md"
"""Pages that lie beside the folder of the docs in the repository."""
WIDTH = 84
"""Of what `--help` prints, in characters."""

_HANDED_ON = re.compile(r"<!-- all of (?P<package>[\w.]+) -->")
_FENCE = re.compile(r" *```")
_ITEM = re.compile(r" {0,3}([-*]|\d+\.) ")
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
_VERB = re.compile(r"^    (?P<verb>[a-z][a-z-]*)(?: {2,}|$)", re.MULTILINE)
_VERBS = re.compile(r"^  (?:COMMAND|ACTION)\b.*\n(?P<verbs>(?:    .*\n)+)", re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Bring in the pages from beside the docs."""
    from mkdocs.structure.files import File

    root = os.path.dirname(config.config_file_path)  # noqa: PTH120
    for name in BROUGHT_IN:
        files.append(File.generated(config, name, abs_src_path=os.path.join(root, name)))  # noqa: PTH118
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Make a page's text what the site needs."""
    if COMMAND_LINE in markdown:
        markdown = markdown.replace(COMMAND_LINE, command_line())
    markdown = _HANDED_ON.sub(lambda found: handed_on(found["package"]), markdown)
    markdown = lists_begin(markdown)
    name = page.file.src_uri
    place = name if name in BROUGHT_IN else f"docs/{name}"
    return links_lead_on(markdown, place, f"{config.repo_url}/blob/main")


def command_line() -> str:
    """All that `--help` says of all commands, as Markdown."""
    return "\n".join(
        f"{'#' * (2 + (len(words) > 1))} {' '.join([PROGRAM, *words])}\n\n```text\n{said}```\n"
        for words, said in _helps(())
    )


def _helps(words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    said = help_of(words)
    yield words, said
    listed = _VERBS.search(said)
    if listed is not None:
        for found in _VERB.finditer(listed["verbs"]):
            yield from _helps((*words, found["verb"]))


def help_of(words: tuple[str, ...]) -> str:
    """What `--help` behind some words says."""
    from napari_sam3.cli import main

    os.environ.update(COLUMNS=str(WIDTH), NO_COLOR="1")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main([*words, "--help"])
    if code != 0:
        raise RuntimeError(
            f"'{PROGRAM} {' '.join(words)} --help' ended with {code}; run it to see why"
        )
    return said.getvalue()


def handed_on(package: str) -> str:
    """What a package hands on, as mkdocstrings is asked for it."""
    names = importlib.import_module(package).__all__
    return "\n\n".join(f"::: {package}.{name}" for name in names)


def lists_begin(markdown: str) -> str:
    """An empty line before each list: code hosts need none there, Python-Markdown does."""
    lines: list[str] = []
    in_code = in_list = False
    for line in markdown.splitlines():
        in_code ^= _FENCE.match(line) is not None
        is_item = not in_code and _ITEM.match(line) is not None
        if is_item and not in_list and lines and lines[-1].strip():
            lines.append("")
        # what is indented, or follows without an empty line, belongs to the item
        in_list = is_item or (in_list and (bool(line.strip()) or in_code))
        lines.append(line)
    return "\n".join(lines) + "\n"


def links_lead_on(markdown: str, place: str, repository: str) -> str:
    """Lead links that leave the docs' folder to the repository, or to a page that is brought in.

    Parameters
    ----------
    markdown : str
        A page.
    place : str
        Where the page lies in the repository, as `docs/guide/window.md`.
    repository : str
        The address under which the repository's files are.
    """
    folder = posixpath.dirname(place)
    page_folder = folder.removeprefix("docs").removeprefix("/")

    def lead_on(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[0]))
        if target in BROUGHT_IN:
            return posixpath.relpath(target, page_folder or ".")
        if target.startswith("docs/"):
            return posixpath.relpath(target.removeprefix("docs/"), page_folder or ".")
        return f"{repository}/{target}"

    return "".join(
        part if part.startswith("```") else _LINK.sub(lead_on, part)
        for part in re.split(r"(```.*?```)", markdown, flags=re.DOTALL)
    )

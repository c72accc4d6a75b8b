"""See that the changelog speaks of what is here.

python tests/release/changelog.py [--base REVISION] [--tag TAG]

Run by `make changelog-check`. Without a word: its newest section is that of the package's version,
and CITATION.cff names that version. With a base: what was changed of the package since is told
there, or a commit says "Changelog: none". With a tag: the tag is the version's, and its section
has a date.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

HOME = Path(__file__).parents[2]
SECTION = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>\S+)$", re.MULTILINE)
CITED = re.compile(r"^version: (\S+)$", re.MULTILINE)
UNTOLD = "Changelog: none"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", help="a revision; what was changed since is asked about")
    parser.add_argument("--tag", help="as v0.1.0: what is about to be released")
    told = parser.parse_args(argv)
    changelog = (HOME / "CHANGELOG.md").read_text(encoding="utf-8")
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (HOME / "CITATION.cff").read_text(encoding="utf-8")
    problems = problems_of_version(changelog, project["version"], citation)
    if told.tag:
        problems += problems_of_tag(changelog, project["version"], told.tag)
    if told.base:
        since = f"{told.base}...HEAD"
        changed = _git("diff", "--name-only", since).splitlines()
        messages = _git("log", "--format=%B", f"{told.base}..HEAD")
        problems += problems_of_change(changed, messages)
    for problem in problems:
        print(f"changelog: {problem}", file=sys.stderr)
    return int(bool(problems))


def problems_of_version(changelog: str, version: str, citation: str) -> list[str]:
    """What is wrong where a version is named."""
    problems = []
    newest = SECTION.search(changelog)
    if newest is None or newest["version"] != version:
        found = "none" if newest is None else newest["version"]
        problems.append(
            f"the newest section is {found}, the package is {version}; begin one: "
            f"## [{version}] - unreleased"
        )
    cited = CITED.search(citation)
    if cited is None or cited[1] != version:
        problems.append(f"CITATION.cff does not say version: {version}")
    return problems


def problems_of_tag(changelog: str, version: str, tag: str) -> list[str]:
    """What is wrong with a release under a tag."""
    problems = []
    if tag != f"v{version}":
        problems.append(f"the tag {tag} is not v{version}, the package's version")
    section = SECTION.search(changelog)
    if section is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", section["date"]):
        problems.append(f"the section of {version} has no date; write the day of the release")
    return problems


def problems_of_change(changed: Sequence[str], messages: str) -> list[str]:
    """What is wrong with a change of these files, with these messages."""
    touches_package = any(name.startswith("src/") for name in changed)
    is_told = "CHANGELOG.md" in changed or UNTOLD in messages.splitlines()
    if touches_package and not is_told:
        return [
            "src/ was changed, CHANGELOG.md was not: say there what users see of it, or write the "
            f"line {UNTOLD!r} in a commit's message where they see nothing"
        ]
    return []


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=HOME, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

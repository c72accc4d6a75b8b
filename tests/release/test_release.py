"""What a release is made by: the changelog's check, the wheel's own description, the workflows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.release import changelog, smoke

HOME = Path(__file__).parents[2]
MAKEFILE = (HOME / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = sorted((HOME / ".github" / "workflows").glob("*.yml"))
CITATION = "title: napari-sam3\nversion: 1.2.0\n"
UNRELEASED = "# Changelog\n\n## [1.2.0] - unreleased\n\n- a thing\n\n## [1.1.0] - 2026-01-31\n"
RELEASED = UNRELEASED.replace("unreleased", "2026-02-28")


def test_what_is_here_passes():
    assert changelog.main([]) == 0


def test_the_newest_section_and_the_citation_are_the_versions():
    assert changelog.problems_of_version(UNRELEASED, "1.2.0", CITATION) == []
    section, cited = changelog.problems_of_version(UNRELEASED, "1.3.0", CITATION)
    assert "1.2.0" in section
    assert "## [1.3.0] - unreleased" in section
    assert "version: 1.3.0" in cited
    (missing,) = changelog.problems_of_version("# Changelog\n", "1.2.0", CITATION)
    assert "## [1.2.0] - unreleased" in missing


def test_a_tag_is_the_version_and_its_section_has_a_date():
    assert changelog.problems_of_tag(RELEASED, "1.2.0", "v1.2.0") == []
    (no_date,) = changelog.problems_of_tag(UNRELEASED, "1.2.0", "v1.2.0")
    assert "date" in no_date
    (other,) = changelog.problems_of_tag(RELEASED, "1.2.0", "v1.2.1")
    assert "v1.2.1" in other


@pytest.mark.parametrize(
    ("changed", "message", "is_right"),
    [
        (["src/napari_sam3/values.py"], "Mend it", False),
        (["src/napari_sam3/values.py", "CHANGELOG.md"], "Mend it", True),
        (["src/napari_sam3/values.py"], "Rename it\n\nChangelog: none\n", True),
        (["tests/test_values.py", "docs/api.md"], "Test it", True),
    ],
)
def test_a_change_of_the_package_is_told(changed, message, is_right):
    assert (changelog.problems_of_change(changed, message) == []) is is_right


def test_the_wheel_says_what_is_tried(tmp_path):
    wheel = tmp_path / "a-1.2.0-py3-none-any.whl"
    head = "Metadata-Version: 2.4\nVersion: 1.2.0\nProvides-Extra: all\nProvides-Extra: geff\n\n"
    with ZipFile(wheel, "w") as archive:
        archive.writestr("a-1.2.0.dist-info/METADATA", f"{head}Version: of the long text\n")
    assert smoke.extras_of(wheel) == ["all", "geff"]
    assert smoke.version_of(wheel) == "1.2.0"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_of_make_alone(workflow):
    text = workflow.read_text(encoding="utf-8")
    commands = re.findall(r"^ +(?:- )?run: (.+)$", text, re.MULTILINE)
    targets = set(re.findall(r"^ +- target: (\S+)$", text, re.MULTILINE))
    for command in commands:
        made = re.match(r"(?:sudo )?make (\S+)", command)
        if made is None:  # how make comes to a system that has none
            assert "install make" in command, command
        elif "{" not in made[1]:
            targets.add(made[1])
    assert targets
    for target in targets:
        assert re.search(rf"^[\w -]*\b{target}\b[\w -]*:(?!=)", MAKEFILE, re.MULTILINE), target


def test_the_matrix_has_every_python_that_is_promised():
    project = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {
        line.rpartition(" ")[2]
        for line in project["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", line)
    }
    matrix = (HOME / ".github/workflows/test.yml").read_text(encoding="utf-8")
    (tested,) = re.findall(r"^ +python: \[(.+)\]$", matrix, re.MULTILINE)
    assert promised <= {version.strip('" ') for version in tested.split(",")}

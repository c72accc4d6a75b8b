"""What is imported is declared, what is declared is used, and the lock holds what is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement

HOME = Path(__file__).parents[1]
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# formats that not everybody needs
OPTIONAL = [line for extra in ("geff", "hdf5") for line in EXTRAS[extra]]

OWN_OR_STANDARD = {"tests", *sys.stdlib_module_names}
# the packages of distributions that are named otherwise
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "ctc_metrics": "py-ctcmetrics",
    "skimage": "scikit-image",
}
# declared, though no file of ours imports it
NOT_IMPORTED = {
    "timm": "transformers builds EdgeTAM's image encoder with it",
    "mypy": "make lint",
    "ruff": "make lint",
    "pytest-qt": "qtbot, which the window's tests take",
    "pytest-timeout": "the limit of a test, in pyproject.toml",
    "pytest-xdist": "make test -n",
}


def test_what_is_imported_is_declared():
    ours = {"napari-sam3"}
    runtime = ours | declared(PROJECT["dependencies"])
    optional = declared(OPTIONAL)
    assert undeclared("src", runtime | optional) == {}
    assert undeclared("examples", runtime) == {}
    tests = declared(EXTRAS["test"]) | declared(tools_of_others())
    assert undeclared("tests", runtime | optional | tests) == {}


def test_what_is_declared_is_used():
    runtime = declared([*PROJECT["dependencies"], *OPTIONAL])
    assert not set(NOT_IMPORTED) & (set(imported("src")) | set(imported("tests")))
    used = set(imported("src")) | set(NOT_IMPORTED)
    assert runtime - used == set()
    used |= set(imported("tests"))
    # labelme2yolo is a program
    assert declared([*EXTRAS["test"], *tools_of_others()]) - used == {"labelme2yolo"}


def test_lock_holds_a_release_of_all_that_is_declared():
    lines = (HOME / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    asked = [Requirement(line) for line in PROJECT["dependencies"]]
    asked += [Requirement(line) for extra in ("all", "test") for line in EXTRAS[extra]]
    asked += [Requirement(line) for line in OPTIONAL]
    for requirement in asked:
        name = normalized(requirement.name)
        if name == "napari-sam3":
            continue
        versions = [v for pin in pins if pin.name == name for v in pin.specifier]
        assert versions, f"{name} is not in requirements.lock: make lock"
        for version in versions:
            assert version.operator == "==", version
            assert requirement.specifier.contains(version.version), f"{requirement}: make lock"


def tools_of_others():
    """What `make test-formats` installs."""
    lines = (HOME / "tests/formats/requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def declared(lines):
    return {normalized(Requirement(line).name) for line in lines}


def undeclared(folder, names):
    """What a folder's files import and `names` lacks, with the files that do."""
    return {name: files for name, files in imported(folder).items() if name not in names}


@cache
def imported(folder):
    """The distributions that a folder's files import, late imports and those for types too."""
    found = {}
    for file in sorted((HOME / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for package in {name.partition(".")[0] for name in names} - OWN_OR_STANDARD:
                name = DISTRIBUTIONS.get(package, normalized(package))
                found.setdefault(name, set()).add(str(file.relative_to(HOME)))
    return found


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()

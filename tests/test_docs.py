"""What the docs say to type works: the commands and scripts of each page, in order."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
import tifffile
from PIL import Image

from napari_sam3.cli import main
from napari_sam3.samples import sample_paths
from napari_sam3.video import open_video
from napari_sam3.video.video_writer import VideoWriter
from tests.stand_ins import stand_in_for_sam3

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"^(?P<skip> *<!-- not run: [^>]+ -->\n)?"
    r"(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)(?:#[^)]*)?\)")
N_FRAMES = 10
ALL_PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BESIDE = sorted({*ROOT.glob("*.md")} - {*ALL_PAGES})
"""Pages whose commands are not run here; their links are looked at."""
OF_THEIR_OWN = {DOCS / "projects.md"}
"""Tested beside what they tell of (tests/projects/test_docs.py)."""
WHOLE_SAMPLE = {DOCS / "formats.md", DOCS / "tutorials" / "dividing-cells.md"}
"""Pages that speak of frames beyond the first ten."""
BROKEN_FILM = "films/b.mp4"
MOST_OF_A_PICTURE, MOST_OF_ALL = 150_000, 3_000_000  # bytes


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def blocks_of(page):
    return [
        (found["kind"], found["body"])
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if not found["skip"] and found["kind"] != "text"
    ]


PAGES = [page for page in ALL_PAGES if page not in OF_THEIR_OWN and blocks_of(page)]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """The first frames of the sample."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with open_video(sample_paths().video) as video, VideoWriter(path, video.fps) as writer:
        for frame_index in range(N_FRAMES):
            writer.write(video[frame_index])
    return path


@pytest.fixture
def place(tmp_path, film, monkeypatch):
    """A folder, and a function that puts what a page speaks of there."""
    monkeypatch.chdir(tmp_path)

    def prepare(page):
        text = page.read_text(encoding="utf-8")
        (tmp_path / "films").mkdir()
        for name in ("film.mp4", "my_video.mp4", "films/a.mp4"):
            shutil.copy(sample_paths().video if page in WHOLE_SAMPLE else film, tmp_path / name)
        if BROKEN_FILM in text:
            (tmp_path / BROKEN_FILM).write_bytes(b"")
        if "forest.mp4" in text:
            runpy.run_path(str(ROOT / "examples" / "hidden_animal.py"))
        if "drawn.tif" in text:
            shutil.copy(sample_paths().truth, tmp_path / "drawn.tif")
        if "masks/m001.png" in text:
            (tmp_path / "masks").mkdir()
            for frame_index, labels in enumerate(tifffile.imread(sample_paths().truth)):
                path = tmp_path / "masks" / f"m{frame_index + 1:03}.png"
                Image.fromarray(labels.astype("uint8")).save(path)

    return prepare


def make_viewers(request, monkeypatch):
    """Have scripts make viewers that the test closes, and not wait for a person."""
    import napari  # noqa: TID251

    monkeypatch.setattr(napari, "Viewer", request.getfixturevalue("make_napari_viewer"))
    monkeypatch.setattr(napari, "run", lambda: None)


@pytest.mark.sweep
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page(page, place, request, monkeypatch):
    blocks = blocks_of(page)
    place(page)
    stand_in_for_sam3(monkeypatch)
    if any("napari.Viewer" in body for _, body in blocks):
        make_viewers(request, monkeypatch)
    has_broken_film = Path(BROKEN_FILM).exists()
    names: dict[str, object] = {}
    for kind, body in blocks:
        if kind == "python":
            exec(compile(body, str(page), "exec"), names)
        elif kind == "sh":
            for line in body.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "napari-sam3", line
                # the broken film fails where all are tracked
                n_failed = int(arguments[0] == "batch" and has_broken_film)
                assert main(arguments) == n_failed, line
        elif kind in ("json", "csv"):
            Path(f"prompts.{kind}").write_text(body, encoding="utf-8")


@pytest.mark.parametrize("page", [*ALL_PAGES, *BESIDE], ids=name_of)
def test_links(page):
    for target in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        assert (page.parent / target).exists(), target


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (DOCS / "images").iterdir()}
    assert {name for name, size in sizes.items() if size > MOST_OF_A_PICTURE} == set()
    assert sum(sizes.values()) < MOST_OF_ALL


def test_every_picture_is_shown():
    shown = {
        Path(target).name
        for page in ALL_PAGES
        for target in LINK.findall(page.read_text(encoding="utf-8"))
    }
    assert {path.name for path in (DOCS / "images").iterdir()} <= shown


# ------------------------------------------------------------- what the site adds


@pytest.fixture(scope="module")
def hooks():
    """The module that mkdocs calls; it says how `--help` is printed."""
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "site_hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("COLUMNS", "NO_COLOR"):
            patch.setenv(variable, "")  # given back afterwards
        yield module


def test_reference_of_the_command_line_has_every_command(hooks):
    said = hooks.command_line()
    for heading in ("## napari-sam3 track", "### napari-sam3 models get"):
        assert f"{heading}\n" in said
    for words in ("--prompts-beside", "what to call it"):  # of batch, and of models folder
        assert words in said


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_commands_that_are_not_run_have_their_options(page, hooks):
    lines = [
        line.strip()
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
        for line in found["body"].splitlines()
        if found["skip"] and line.strip().startswith("napari-sam3 ")
    ]
    for line in lines:
        _, *arguments = shlex.split(line, comments=True)
        said = hooks.help_of(tuple(arguments[: 1 + (arguments[0] == "models")]))
        assert all(word in said for word in arguments if word.startswith("--")), line


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_every_block_tells_its_kind(page):
    fences = re.findall(r"^ *```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(fences[::2])


def test_what_a_package_hands_on_is_asked_for(hooks):
    assert "::: napari_sam3.imports.open_labels" in hooks.handed_on("napari_sam3.imports")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("said:\n- one\n- two\n", "said:\n\n- one\n- two\n"),
        ("- one\n  goes on\n- two\n", "- one\n  goes on\n- two\n"),
        ("said:\n1. one\n", "said:\n\n1. one\n"),
        ("```\nsaid:\n- code\n```\n", "```\nsaid:\n- code\n```\n"),
    ],
)
def test_lists_begin_as_on_code_hosts(hooks, written, read):
    assert hooks.lists_begin(written) == read


@pytest.mark.parametrize(
    ("place", "target", "leads_to"),
    [
        ("docs/start.md", "install.md", "install.md"),
        ("docs/guide/window.md", "../models.md#auto", "../models.md#auto"),
        ("docs/guide/window.md", "#tools", "#tools"),
        ("docs/guide/window.md", "../../examples/by_text.py", "HOST/examples/by_text.py"),
        ("docs/start.md", "../examples", "HOST/examples"),
        ("docs/guide/window.md", "../../CHANGELOG.md", "../CHANGELOG.md"),
        ("CHANGELOG.md", "docs/video.md", "video.md"),
        ("docs/start.md", "https://napari.org", "https://napari.org"),
    ],
)
def test_links_lead_on(hooks, place, target, leads_to):
    assert hooks.links_lead_on(f"[x]({target})", place, "HOST") == f"[x]({leads_to})"

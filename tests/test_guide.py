"""What the user guide says to type works: the commands and scripts of each page, in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from napari_sam3.cli import main
from napari_sam3.samples import sample_paths
from napari_sam3.video import open_video
from napari_sam3.video.video_writer import VideoWriter

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted((DOCS / "guide").glob("*.md"))
BLOCK = re.compile(
    r"^(?P<skip> *<!-- not run: [^>]+ -->\n)?"
    r"(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
N_FRAMES = 10


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
    """A folder with what the pages speak of."""
    (tmp_path / "films").mkdir()
    for name in ("film.mp4", "films/a.mp4"):
        (tmp_path / name).write_bytes(film.read_bytes())
    (tmp_path / "films" / "b.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks_of(page):
    return [
        (found["kind"], found["body"])
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if not found["skip"]
    ]


@pytest.mark.sweep
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page, place, request, monkeypatch):
    blocks = blocks_of(page)
    if any("napari.Viewer" in body for _, body in blocks):
        import napari  # noqa: TID251

        monkeypatch.setattr(napari, "Viewer", request.getfixturevalue("make_napari_viewer"))
    names: dict[str, object] = {}
    for kind, body in blocks:
        if kind == "python":
            exec(compile(body, str(page), "exec"), names)
        elif kind == "sh":
            for line in body.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "napari-sam3", line
                # the empty film fails where all are tracked
                n_failed = int(arguments[0] == "batch")
                assert main(arguments) == n_failed, line
        elif kind in ("json", "csv"):
            (place / f"prompts.{kind}").write_text(body, encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, DOCS / "scripting.md"], ids=lambda page: page.stem)
def test_links(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target

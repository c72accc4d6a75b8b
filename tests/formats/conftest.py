"""Results read by the tools of others, which `make test-formats` installs."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.writer import write_all
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import open_video
from napari_sam3.video.video_facts import describe_video
from tests.formats.film import make_objects, make_stack, save_frames

collect_ignore_glob = [] if find_spec("datumaro") else ["test_*.py"]


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """A folder of frames, of which one is missing before the first."""
    folder = save_frames(tmp_path_factory.mktemp("video"))
    with open_video(folder) as video:
        yield video


@pytest.fixture
def export(tmp_path, video):
    """Write the film's results in a format, as `napari-sam3 export --video`; returns where."""

    def export(name: str, *, highest: int = 70_000, images: str | None = None):
        scene = Scene(
            shape=video.shape[:3],
            facts=describe_video(video),
            video=video,
            frames=RgbFrames(video),
            objects=make_objects(highest),
            images=images,
        )
        path = tmp_path / "out" / FORMATS[name].target.rstrip("/")
        write_all(open_writer(name, path, scene), make_stack(highest))
        return path

    return export

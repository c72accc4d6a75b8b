import subprocess
import sys
from pathlib import Path

import npe2
import numpy as np
import pytest
import tifffile
from npe2 import PluginManifest

import napari_sam3
from napari_sam3.plugin.io.video_reader import MICROSCOPE_SUFFIXES, VIDEO_SUFFIXES
from napari_sam3.video import Video
from tests.video.clips import encode

PLUGIN = "napari-sam3"
SHIPPED = Path(napari_sam3.__file__).with_name("napari.yaml")
AT_THE_TOP = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture
def manager(npe2pm):
    """npe2 with this plugin alone."""
    with npe2pm.tmp_plugin(manifest=str(SHIPPED)):
        yield npe2pm


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("clips") / "clip.mp4", n_frames=5)


def test_manifest_at_the_top_is_the_one_that_ships():
    if (AT_THE_TOP.parent / "PKG-INFO").exists():
        assert not AT_THE_TOP.exists()  # what is packed has no link in it
        return
    assert AT_THE_TOP.is_symlink()
    assert AT_THE_TOP.resolve() == SHIPPED.resolve()


def test_manifest_is_valid_and_found_by_its_entry_point():
    found = PluginManifest.from_distribution(PLUGIN)
    assert found.name == PLUGIN
    found.validate_imports()


def test_every_command_can_be_resolved(manager):
    commands = manager.get_manifest(PLUGIN).contributions.commands
    assert {c.id for c in commands} >= {f"{PLUGIN}.segment_and_track", f"{PLUGIN}.get_reader"}
    for command in commands:
        assert callable(manager.commands.get(command.id))


def test_widget_is_in_the_layers_menus(manager):
    (widget,) = manager.iter_widgets()
    assert widget.display_name == "Segment and track"
    for menu in ("napari/layers/segment", "napari/layers/track"):
        assert [item.command for item in manager.iter_menu(menu)] == [widget.command]


def test_patterns_are_the_suffixes_that_the_reader_takes(manager):
    readers = manager.get_manifest(PLUGIN).contributions.readers
    (reader,) = (r for r in readers if r.command == f"{PLUGIN}.get_reader")
    suffixes = VIDEO_SUFFIXES | MICROSCOPE_SUFFIXES
    assert set(reader.filename_patterns) == {f"*{suffix}" for suffix in suffixes}
    assert reader.accepts_directories


def test_video_and_folder_are_read_through_npe2(manager, clip, disc_folder):
    for path, n_frames in ((clip, 5), (disc_folder, 12)):
        ((video, arguments, kind),) = npe2.read([str(path)], stack=False)
        assert isinstance(video, Video)
        assert len(video) == n_frames
        assert (kind, arguments["axis_labels"]) == ("image", ("t", "y", "x"))


def test_upper_case_endings_are_read(manager, clip, tmp_path):
    path = tmp_path / "CLIP.MP4"
    path.write_bytes(clip.read_bytes())
    assert len(npe2.read([str(path)], stack=False)) == 1


@pytest.mark.parametrize("name", ["notes.txt", "stack.tif", "table.csv", "image.png", "plain"])
def test_other_files_are_left_to_other_plugins(manager, tmp_path, name):
    path = tmp_path / name
    path.write_text("")
    assert list(manager.iter_compatible_readers([str(path)])) == []


def test_folder_without_pictures_is_left_to_other_plugins(manager, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="No readers returned data"):
        npe2.read([str(tmp_path)], stack=False)


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".TIF", ".csv"])
def test_labels_are_written_through_npe2(manager, tmp_path, ending):
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[1, 5:9, 6:12] = 4
    path = tmp_path / f"out{ending}"
    layer = (labels, {"name": "labels", "scale": (1, 1, 1)}, "labels")
    assert npe2.write(str(path), [layer]) == [str(path)]
    if ending == ".csv":
        header, *lines = path.read_text().splitlines()
        assert header.startswith("frame,")
        assert len(lines) == 1
    else:
        assert np.array_equal(tifffile.imread(path), labels)


def test_importing_the_plugin_loads_neither_torch_nor_qt_nor_napari():
    code = (
        "import sys\n"
        "from npe2 import PluginManifest\n"
        f"manifest = PluginManifest.from_distribution({PLUGIN!r})\n"
        "import napari_sam3.plugin.io.video_reader, napari_sam3.plugin.io.writers\n"
        "import napari_sam3.plugin.io.sample_data\n"
        "heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'magicgui', 'av'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reader_dialog_offers_this_reader_first(manager, clip, make_napari_viewer):
    from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog

    display_name = manager.get_manifest(PLUGIN).display_name
    readers = {"napari": "napari builtins", PLUGIN: display_name}
    dialog = QtReaderDialog(pth=str(clip), readers=readers)
    assert dialog._get_plugin_choice() == display_name
    dialog.deleteLater()

"""Settings: what the environment says wins over the file, the file over the defaults."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_sam3.settings import (
    VARIABLES,
    Settings,
    projects_path,
    read_settings,
    save_settings,
    settings_from_environment,
    settings_path,
    settings_said,
)


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.settings.user_config_path", lambda _name: tmp_path / "new")
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def test_what_was_saved_is_read_again_and_nothing_else_changes():
    assert read_settings() == Settings()
    save_settings(device="cpu", features_mb=100)
    save_settings(resolution=512)
    assert read_settings() == Settings(device="cpu", features_mb=100, resolution=512)
    assert [path.name for path in settings_path().parent.iterdir()] == ["settings.json"]


def test_environment_wins_over_the_file(monkeypatch):
    save_settings(device="cpu", features_mb=100)
    monkeypatch.setenv("NAPARI_SAM3_DEVICE", "cuda:1")
    monkeypatch.setenv("NAPARI_SAM3_FEATURES_MB", " 7 ")
    assert read_settings() == Settings(device="cuda:1", features_mb=7)
    assert settings_from_environment() == {"device", "features_mb"}


def test_what_is_said_for_a_piece_of_work_wins_and_ends_with_it(monkeypatch):
    save_settings(memory_selection="off")
    monkeypatch.setenv("NAPARI_SAM3_PROMPTED_FRAMES", "3")
    said = {"memory_selection": "on", "prompted_frames": 4, "distractor_memory": True}
    with settings_said(**said):
        assert read_settings() == Settings(**said)
    assert read_settings() == Settings(memory_selection="off", prompted_frames=3)


def test_environment_is_not_saved(monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_DEVICE", "cuda:1")
    save_settings(resolution=512)
    monkeypatch.delenv("NAPARI_SAM3_DEVICE")
    assert read_settings() == Settings(resolution=512)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[1, 2]",
        '{"device": 3, "resolution": -1, "features_mb": true, "other": 1}',
    ],
)
def test_damaged_file_leaves_the_defaults(text, caplog):
    save_settings(device="cpu")
    settings_path().write_text(text)
    assert read_settings() == Settings()
    assert "settings.json" in caplog.text
    save_settings(features_mb=5)
    assert read_settings() == Settings(features_mb=5)


def test_wrong_variable_is_left_out_and_said(monkeypatch, caplog):
    monkeypatch.setenv("NAPARI_SAM3_RESOLUTION", "large")
    assert read_settings().resolution == 0
    assert "NAPARI_SAM3_RESOLUTION='large'" in caplog.text
    assert settings_from_environment() == frozenset()


def test_a_word_that_is_no_choice_is_left_out_and_said(monkeypatch, caplog):
    monkeypatch.setenv("NAPARI_SAM3_MEMORY_SELECTION", "sometimes")
    assert read_settings().memory_selection == "auto"
    assert "no word of auto, on, off" in caplog.text


def test_projects_are_kept_where_it_is_said(monkeypatch):
    assert projects_path().parts[-2:] == ("napari-sam3", "projects")
    save_settings(projects_folder="~/work", keep_results=False)
    assert projects_path() == Path.home() / "work"
    assert not read_settings().keep_results
    monkeypatch.setenv("NAPARI_SAM3_KEEP_RESULTS", "yes")
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", "/data/kept")
    assert read_settings().keep_results
    assert projects_path() == Path("/data/kept")
    monkeypatch.setenv("NAPARI_SAM3_KEEP_RESULTS", "perhaps")
    assert not read_settings().keep_results


def test_a_file_that_is_no_plain_one_stops_nothing(tmp_path, caplog):
    settings_path().parent.mkdir()
    os.mkfifo(settings_path())
    assert read_settings() == Settings()
    settings_path().unlink()
    with settings_path().open("wb") as file:
        file.truncate(8 * 2**30)
    assert read_settings() == Settings()
    assert "MB" in caplog.text


def test_folders_of_workers_come_as_a_table_or_as_a_path_of_pairs(monkeypatch, caplog):
    pairs = (("/Volumes/lab", "/srv/lab"), ("D:\\films", "/srv/films"))
    save_settings(path_map=pairs, scheduler="tls://gpu:8786")
    assert read_settings().path_map == pairs
    assert json.loads(settings_path().read_text())["path_map"] == dict(pairs)
    save_settings(scheduler="")
    assert read_settings().scheduler == ""
    monkeypatch.setenv("NAPARI_SAM3_PATH_MAP", os.pathsep.join(["/a=/b", "/c=/d=e"]))
    assert read_settings().path_map == (("/a", "/b"), ("/c", "/d=e"))
    assert not caplog.records
    monkeypatch.setenv("NAPARI_SAM3_PATH_MAP", "/a")
    assert read_settings().path_map == pairs
    assert "HERE=THERE" in caplog.text

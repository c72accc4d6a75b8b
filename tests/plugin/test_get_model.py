"""The dialog that gets a model, against a server that answers as the hub does."""

from __future__ import annotations

from threading import Event

import pytest
from qtpy.QtWidgets import QFileDialog, QLineEdit

from napari_sam3.errors import (
    DownloadCancelledError,
    DownloadError,
    HubOfflineError,
    PropagationError,
    TokenError,
    WeightsMissingError,
)
from napari_sam3.models.weights import (
    TOKEN_PAGE,
    Account,
    State,
    WeightsState,
    find_source,
    find_weights,
    resumable_download,
    save_token,
)
from napari_sam3.models.weights.availability import describe
from napari_sam3.plugin.views.model_dialog import access as access_part, download as download_part
from napari_sam3.plugin.views.model_dialog.text import link, say_error, say_place
from tests.hub_server import Repo
from tests.models.weights.folders import model_files, write_model

TINY, SAM3, BIG = "facebook/sam2.1-hiera-tiny", "facebook/sam3", "model.safetensors"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    """Files of some kB count as large, and no time is lost between tries."""
    monkeypatch.setattr(resumable_download, "LARGE", 10_000)
    monkeypatch.setattr(resumable_download, "CHUNK", 4_000)
    monkeypatch.setattr(resumable_download, "PAUSE", 0.0)
    monkeypatch.setattr(resumable_download, "TRIES", 1)


@pytest.fixture
def server(hub):
    """A hub with SAM 2.1 tiny, open to all, and SAM 3, gated."""
    files = model_files("sam2_video", 50_000)
    hub.repos[TINY] = Repo(files, {BIG})
    hub.repos[SAM3] = Repo(model_files("sam3_video", 50_000), {BIG}, access="none")
    return hub


@pytest.fixture
def open_dialog(server, open_dock, qtbot):
    """A function that opens the dialog of a model in a dock, and waits until it has looked."""

    def open_dialog(name: str):
        dock = open_dock()
        dock.models.choose(name)
        qtbot.waitUntil(lambda: not dock.models.survey.is_running)
        dock.model_panel.get.native.click()
        dialog = dock.model_panel.dialog
        qtbot.waitUntil(lambda: not dialog.look.is_running)
        return dock, dialog

    return open_dialog


def test_opening_it_asks_the_net_for_nothing_and_says_what_the_licence_says(server, open_dialog):
    _, dialog = open_dialog("sam3")
    said = dialog.licence_name.text()
    licence = find_source("sam3").licence
    assert licence.summary in said
    assert str(licence.url) in said
    assert "https://huggingface.co/facebook/sam3" in said
    assert dialog.access.token.echoMode() == QLineEdit.EchoMode.Password
    assert not dialog.download.get.isEnabled()
    assert "3.4 GB to download, once access is granted" in dialog.download.where.text()
    assert server.requests == []


@pytest.mark.parametrize(
    ("access", "told", "is_open"),
    [
        ("none", "Access was not requested. Accept the licence on", False),
        ("pending", "the authors have not answered yet", False),
        ("rejected", "The authors have refused this account access", False),
        ("granted", "Access was granted.", True),
    ],
)
def test_the_token_is_checked_and_access_is_told(server, open_dialog, qtbot, access, told, is_open):
    server.repos[SAM3].access = access
    dock, dialog = open_dialog("sam3")
    dialog.access.token.setText(" hf_good ")
    with qtbot.waitSignal(dialog.access.told):
        dialog.access.check.click()
        assert not dialog.access.check.isEnabled()
    answer = dialog.access.answer.text()
    assert "The token of somebody is accepted." in answer
    assert told in answer
    assert dialog.access.token.text() == ""
    assert dialog.download.get.isEnabled() is is_open
    assert server.downloads() == []
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    brief = dock.model_panel.model.native.currentText()
    assert is_open or "gated: " in brief


def test_a_wrong_token_is_told_and_not_kept(server, open_dialog, qtbot, weights_home):
    _, dialog = open_dialog("sam3")
    dialog.access.token.setText("hf_wrong")
    with qtbot.waitSignal(dialog.access.failed):
        dialog.access.token.returnPressed.emit()
    assert "The hub does not accept the token" in dialog.access.answer.text()
    assert "settings/tokens" in dialog.access.answer.text()
    assert dialog.access.check.isEnabled()
    assert not (weights_home / "token").exists()


def test_a_hub_that_can_not_be_reached_is_told(server, open_dialog, qtbot):
    save_token("hf_good")
    server.fault = 503
    _, dialog = open_dialog("sam3")
    with qtbot.waitSignal(dialog.access.failed):
        dialog.access.check.click()
    assert "the hub can't be asked: " in dialog.access.answer.text()
    assert "the hub is ill" in dialog.access.answer.text()


def test_an_answer_about_access_comes_too_late_for_a_folder_named_meanwhile(
    open_dialog, qtbot, monkeypatch, tmp_path
):
    answer_now, answered = Event(), []

    def slow() -> Account:
        assert answer_now.wait(60)
        answered.append(True)
        return Account("somebody", "read")

    monkeypatch.setattr(access_part, "who_am_i", slow)
    folder = write_model(tmp_path / "copied", "sam3_video")
    _, dialog = open_dialog("sam3")
    dialog.access.check.click()
    run = dialog.access.errand._run
    with qtbot.waitSignal(dialog.folder.named):
        dialog.folder.use(str(folder))
    answer_now.set()
    qtbot.waitUntil(lambda: not run.is_running and not dialog.look.is_running)
    assert answered == [True]
    assert "On this machine" in dialog.download.where.text()
    assert not dialog.access.isVisibleTo(dialog)
    assert dialog.access.check.isEnabled()


def test_a_check_that_fails_is_told_to_the_dock(server, open_dialog, qtbot):
    save_token("hf_good")
    server.fault = 503
    _, dialog = open_dialog("sam3")
    with qtbot.waitSignal(dialog.changed):
        dialog.access.check.click()
    assert "the hub is ill" in dialog.access.answer.text()


@pytest.mark.parametrize(
    "error",
    [
        DownloadError("What came is damaged; it was deleted, ask again"),
        TokenError("The token can't be saved: no room; set HF_HOME to another folder"),
        HubOfflineError("The hub can't be asked (it answers 429: try again later); go online"),
        WeightsMissingError("'cells' can't be loaded: its folder is gone"),
    ],
)
def test_errors_are_told_in_their_own_words(error):
    told = PropagationError("in a thread")
    told.__cause__ = error
    assert say_error(told) == f"{error}."


def test_the_page_for_tokens_can_be_opened_from_an_error():
    assert f'<a href="{TOKEN_PAGE}"' in say_error(TokenError(f"no token; make one at {TOKEN_PAGE}"))


def test_why_the_hub_is_out_of_reach_is_told_with_the_place():
    now = describe(find_source("sam3"), State.OFFLINE, "it answers 429: try again later")
    assert "it answers 429: try again later" in say_place(now).html()


def test_what_others_have_written_is_shown_and_not_taken_for_markup(tmp_path):
    evil = '<a href="https://evil.example">click</a>'
    weights = find_source("sam2.1-tiny")
    ready = WeightsState(weights, State.ON_DISK, "", tmp_path / "<img>")
    for said in (
        say_error(HubOfflineError(evil)),
        say_place(ready).html(),
        say_place(WeightsState(weights, State.DAMAGED, evil)).html(),
        say_place(describe(weights, State.OFFLINE, evil)).html(),
    ):
        assert "&lt;" in said
        assert "<a " not in said
        assert "<img" not in said
    assert link('https://x.example/"><img>', "<b>") == (
        '<a href="https://x.example/&quot;&gt;&lt;img&gt;" style="color: #5b8cf5">&lt;b&gt;</a>'
    )


def test_the_name_of_an_account_is_shown_as_it_is(server, open_dialog, qtbot):
    server.tokens["hf_good"] = "<b>me</b>"
    _, dialog = open_dialog("sam3")
    dialog.access.token.setText("hf_good")
    with qtbot.waitSignal(dialog.access.told):
        dialog.access.check.click()
    assert "The token of &lt;b&gt;me&lt;/b&gt; is accepted." in dialog.access.answer.text()


def test_a_download_that_breaks_off_is_gone_on_with(server, open_dialog, qtbot):
    server.cuts = [80_000, 0]
    dock, dialog = open_dialog("sam2.1-tiny")
    assert dialog.access.isHidden()
    assert dialog.download.get.text() == "Download 156 MB"
    with qtbot.waitSignal(dialog.download.failed):
        dialog.download.get.click()
    assert "The download broke off at" in dialog.trouble.text()
    assert "it goes on from there" in dialog.trouble.text()
    qtbot.waitUntil(lambda: dialog.download.get.text().startswith("Resume"))
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert dock.model_panel.model.native.currentText() == "sam2.1-tiny  ·  ↓ 156 MB, begun"
    with qtbot.waitSignal(dialog.arrived):
        dialog.download.get.click()
    assert server.downloads()[-1].range is not None
    assert not dialog.trouble.isVisibleTo(dialog)
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert dock.model_panel.model.native.currentText() == "sam2.1-tiny  ·  ✓ on disk"
    assert dock.state.is_model_ready
    assert dock.model_panel.get.text == "About …"
    qtbot.waitUntil(lambda: not dialog.look.is_running)
    assert "On this machine" in dialog.download.where.text()
    assert not dialog.download.get.isVisibleTo(dialog)


def test_progress_is_told_in_megabytes_and_cancel_stops(open_dialog, qtbot, monkeypatch):
    def slow(_weights, progress, cancel):
        progress(12_300_000, 156_000_000)
        assert cancel.wait(60)
        raise DownloadCancelledError("stopped")

    monkeypatch.setattr(download_part, "download", slow)
    dock, dialog = open_dialog("sam2.1-tiny")
    dialog.download.get.click()
    qtbot.waitUntil(lambda: dialog.download.amount.text() == "12 of 156 MB")
    assert dialog.download.bar.value() == 78  # of 1000
    dialog.hide()  # it goes on, and the dock says so
    assert "downloading sam2.1-tiny: 12 of 156 MB" in dock.quiet_line.text()
    dock.model_panel.get.native.click()
    assert dialog.download.is_running
    with qtbot.waitSignal(dialog.download.failed):
        dialog.download.cancel.click()
    assert dialog.trouble.text().startswith("Stopped. What has come is kept")
    assert dialog.download.get.isVisibleTo(dialog)
    assert dock.quiet_line.text() == ""


def test_closing_the_dock_ends_a_download(open_dialog, qtbot, monkeypatch):
    begins, ends = [], []

    def slow(_weights, _progress, cancel):
        begins.append(True)
        ends.append(cancel.wait(60))
        raise DownloadCancelledError("stopped")

    monkeypatch.setattr(download_part, "download", slow)
    dock, dialog = open_dialog("sam2.1-tiny")
    dialog.download.get.click()
    qtbot.waitUntil(lambda: begins == [True])
    dock.shut_down()
    qtbot.waitUntil(lambda: ends == [True])


def test_a_folder_stands_in_for_a_model(open_dialog, qtbot, monkeypatch, tmp_path, server):
    folder = write_model(tmp_path / "copied")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_args: str(folder))
    dock, dialog = open_dialog("sam2.1-tiny")
    with qtbot.waitSignal(dialog.arrived):
        dialog.folder.browse.click()
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert dock.state.is_model_ready
    assert find_weights(find_source("sam2.1-tiny")) == folder
    assert server.requests == []


def test_a_folder_that_is_none_is_told_with_the_remedy(open_dialog, qtbot, tmp_path):
    _, dialog = open_dialog("sam2.1-tiny")
    with qtbot.waitSignal(dialog.folder.failed):
        dialog.folder.use(str(tmp_path))
    assert "holds no model" in dialog.trouble.text()
    assert dialog.folder.isEnabled()


def test_a_model_of_ones_own_gets_the_name_of_its_folder(open_dock, qtbot, tmp_path):
    folder = write_model(tmp_path / "my cells (2026)")
    dock = open_dock()
    dock.model_panel.model.value = "other"
    assert dock.model_panel.model.value == "auto"
    dialog = dock.model_panel.dialog
    assert not dialog.download.isVisibleTo(dialog)
    with qtbot.waitSignal(dialog.arrived):
        dialog.folder.use(str(folder))
    assert dock.state.model == "my-cells-2026"
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert dock.model_panel.model.native.currentText() == "my-cells-2026  ·  ✓ on disk"


def test_a_hub_id_is_added_without_its_weights(server, open_dock, qtbot):
    server.repos["lab/cells"] = Repo(model_files("edgetam_video", 50_000), {BIG})
    dock = open_dock()
    dock.model_panel.model.value = "other"
    dialog = dock.model_panel.dialog
    dialog.folder.hub_id.setText("lab/cells")
    with qtbot.waitSignal(dialog.folder.named):
        dialog.folder.add.click()
    assert dialog.weights.name == "cells"
    qtbot.waitUntil(lambda: not dialog.look.is_running)
    assert dialog.download.get.isEnabled()
    assert dialog.download._now.state is State.TO_DOWNLOAD
    assert server.downloads() == []

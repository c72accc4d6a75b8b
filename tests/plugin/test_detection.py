"""Objects found by themselves in the window: proposed, accepted, rejected; by script too."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import attach
from napari_sam3.errors import RequestError, UnknownObjectError
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.preview_layer import is_preview
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.plugin.model.object_rows import ObjectState
from napari_sam3.video.video_writer import VideoWriter
from tests.plugin.hands import Hands

T, H, W = 6, 80, 120
AT = {1: (20, 30), 2: (50, 90)}  # centres of what is there, y and x


def spot(y, x, radius=9):
    rows, columns = np.ogrid[:H, :W]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


@pytest.fixture
def film():
    """Two bright discs that stay."""
    frames = np.full((T, H, W), 30, np.uint8)
    for y, x in AT.values():
        frames[:, spot(y, x)] = 200
    return frames


@pytest.fixture
def dock(open_dock, film, qtbot):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    dock.tracking.preview.is_on = False
    return dock


@pytest.fixture
def find(dock, qtbot):
    """Have a detector look, and wait for what it finds."""

    def find(**said):
        detection = dock.tracking.detection
        if said:
            detection.detect(**said)
        else:
            dock.find_objects()
        qtbot.waitUntil(lambda: not detection.is_working)
        dock.objects_panel.table.refresh()
        return detection.proposals

    return find


@pytest.fixture
def wait(dock, qtbot):
    """Wait for the job under way, and show the table as it is then."""

    def wait():
        qtbot.waitUntil(lambda: dock.tracking.job is None)
        dock.objects_panel.table.refresh()

    return wait


def states(dock):
    return {i: row.state for i, row in dock.objects_panel.list.rows.items()}


def shown(dock):
    """The layers of proposals."""
    return [one for one in dock.viewer.layers if is_preview(one)]


def masks(dock, frame_index=0):
    """What results show on a frame."""
    labels = dock.tracking.results.planes[frame_index]
    return {int(i): labels == i for i in np.unique(labels[labels > 0])}


def at(frame, obj_id):
    """What a label picture has where an object is."""
    return frame[AT[obj_id]]


def test_finds_by_a_press_and_proposes_hatched_in_picture_and_table(dock, qtbot):
    panel = dock.detect_panel
    dock.viewer.window._qt_window.show()
    hands = Hands(dock.viewer)
    hands.press(panel.group.toggleButton())
    qtbot.waitUntil(lambda: panel.find.native.isVisible())
    hands.press(panel.find)
    qtbot.waitUntil(lambda: dock.state.detection.n_proposals == 2 and panel.find.enabled)
    dock.objects_panel.table.refresh()
    assert states(dock) == dict.fromkeys((1, 2), ObjectState.TO_CHECK)
    (layer,) = shown(dock)
    assert layer.visible
    assert layer.name == "film proposals"
    assert np.asarray(layer.data[0])[..., 3].any()
    assert not np.asarray(layer.data[1])[..., 3].any()
    assert panel.said.text() == "blobs: 2 objects on frame 0"
    assert "2 objects proposed on frame 0" in dock.guidance.text()
    assert dock.tracking.results is None  # nothing was taken


def test_what_is_accepted_in_the_table_is_a_mask_prompt_and_the_rest_stays_proposed(
    dock, find, wait
):
    proposals = find()
    one = proposals[1].mask.mask
    table = dock.objects_panel.table
    table.select([1])
    assert table.buttons["Accept"].isEnabled()
    assert not table.buttons["Split"].isEnabled()
    table.accept()
    wait()
    np.testing.assert_array_equal(masks(dock)[1], one)
    assert list(masks(dock)) == [1]
    assert states(dock) == {1: ObjectState.PREVIEWED, 2: ObjectState.TO_CHECK}
    assert dock.objects_panel.list.rows[1].n_prompts == 1
    assert list(proposals) == [2]


def test_accepted_objects_are_followed_and_rejected_ones_are_not(dock, find, wait):
    find()
    dock.objects_panel.table.select([2])
    dock.objects_panel.table.reject()
    assert list(dock.tracking.detection.proposals) == [1]
    dock.accept_proposals()
    wait()
    assert shown(dock) == []
    dock.propagate()
    wait()
    assert dock.state.outcome is Outcome.TRACKED
    assert all(list(masks(dock, t)) == [1] for t in range(T))
    assert states(dock) == {1: ObjectState.TRACKED}


def test_it_is_one_thing_to_undo_and_to_do_again(dock, find, wait):
    proposals = find()
    dock.accept_proposals()
    wait()
    before = masks(dock)
    assert dock.tracking.undo() == "accept objects 1 and 2"
    assert list(proposals) == [1, 2]
    assert len(shown(dock)) == 1
    assert masks(dock) == {}
    assert dock.tracking.redo() == "accept objects 1 and 2"
    assert list(proposals) == []
    np.testing.assert_equal(masks(dock), before)
    dock.propagate()
    wait()
    assert list(masks(dock, T - 1)) == [1, 2]


@pytest.mark.sweep
def test_rejecting_can_be_undone(dock, find):
    proposals = find()
    dock.reject_proposals()
    assert list(proposals) == []
    assert shown(dock) == []
    assert dock.tracking.undo() == "reject objects 1 and 2"
    assert list(proposals) == [1, 2]


def test_what_is_prompted_or_followed_is_not_proposed_again(dock, find, wait):
    find()
    dock.tracking.detection.accept([1])
    wait()
    assert dock.detect_panel.find.text == "Find new objects"
    proposals = find()
    assert list(proposals) == [2]  # as it was proposed before: that is replaced
    assert proposals[2].mask.mask[AT[2]]
    dock.accept_proposals()
    wait()
    assert list(find()) == []
    assert dock.detect_panel.said.text() == "blobs: nothing new on frame 0"


@pytest.mark.sweep
def test_what_was_clicked_but_not_asked_for_is_known_too(dock, find):
    y, x = AT[1]
    dock.new_prompts()
    dock.state.points.feature_defaults["object"] = 7
    dock.state.points.add([(0, y, x)])
    assert [p.mask.mask[AT[2]] for p in find().values()] == [True]
    assert list(dock.tracking.detection.proposals) == [8]


def test_an_id_that_was_taken_meanwhile_is_exchanged(dock, find, wait):
    find()
    y, x = AT[2]
    dock.state.object_in_hand = 1
    dock.new_prompts()
    dock.state.points.add([(0, y, x)])
    dock.tracking.detection.accept([1])
    wait()
    found = masks(dock)
    assert found[1][AT[2]]
    (other,) = set(found) - {1}
    assert other > 2
    assert found[other][AT[1]]


def test_a_frame_that_is_not_on_screen_can_be_looked_at(dock, find, wait):
    proposals = find(frame_index=4, detector="blobs:bright")
    assert proposals.frames == (4,)
    dock.accept_proposals()
    wait()
    assert list(masks(dock, 4)) == [1, 2]
    assert masks(dock, 0) == {}


@pytest.mark.sweep
def test_nothing_is_accepted_on_a_locked_frame(dock, find, wait, notes):
    find()
    dock.tracking.detection.accept([1])
    wait()
    dock.tracking.results.planes.lock(0)
    dock.accept_proposals()
    assert "locked" in notes[-1][1]
    assert list(dock.tracking.detection.proposals) == [2]


def test_if_the_model_fails_they_are_proposals_still(dock, find, wait, monkeypatch):
    from napari_sam3.errors import ModelError
    from napari_sam3.models.fake import FakeTracker

    def fail(self, frame_index, prompt):
        raise ModelError("no such luck")

    find()
    monkeypatch.setattr(FakeTracker, "segment", fail)
    dock.accept_proposals()
    wait()
    assert dock.state.outcome is Outcome.FAILED
    assert list(dock.tracking.detection.proposals) == [1, 2]


@pytest.mark.sweep
def test_a_detector_that_can_not_be_had_is_told(dock, find, notes):
    find(detector="nobody")
    assert "no detector 'nobody'" in notes[-1][1]
    assert dock.detect_panel.find.enabled


def test_who_deletes_the_layer_or_resets_wants_none(dock, find):
    find()
    dock.viewer.layers.remove(shown(dock)[0])
    assert list(dock.tracking.detection.proposals) == []
    find()
    dock.reset()
    assert shown(dock) == []
    find()
    dock.viewer.layers.remove("film")
    assert shown(dock) == []


def test_a_model_is_told_a_word_and_the_choice_is_kept(dock, find, open_dock):
    panel = dock.detect_panel
    dock.state.detector = "blobs:dark"
    assert panel.detector.value == "blobs:dark"
    panel.detector.value = "sam3:"
    panel.words.value = "cell"
    panel.words.native.editingFinished.emit()
    assert dock.state.detector == "sam3:cell"
    assert open_dock(dock.viewer).state.detector == "sam3:cell"
    assert len(find(detector="fake:person")) == 2


@pytest.mark.sweep
def test_a_click_takes_a_proposal_in_hand(dock, find, qtbot):
    dock.viewer.window._qt_window.show()
    find()
    hands = Hands(dock.viewer)
    dock.viewer.layers.selection.active = dock.viewer.layers["film"]
    hands.click(*AT[2])
    assert dock.state.object_in_hand == 2


@pytest.mark.sweep
def test_names_of_accepted_objects_are_kept_beside_them(dock, find, wait):
    find()
    dock.tracking.detection.accept([1])
    wait()
    dock.tracking.objects.rename(dock.tracking.results.layer, 2, "late")
    dock.objects_panel.table.refresh()
    assert dock.objects_panel.list.rows[2].name == "late"
    dock.accept_proposals()
    wait()
    assert table_of(dock.tracking.results.layer)[2].name == "late"


def test_a_project_keeps_what_was_accepted_as_prompts(
    open_dock, film, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "kept"))
    path = tmp_path / "film.mp4"
    with VideoWriter(path, 10) as writer:
        for frame in film:
            writer.write(np.repeat(frame[..., None], 3, axis=2))
    dock = open_dock()
    dock.viewer.open(str(path), plugin="napari-sam3")
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    detection = dock.tracking.detection
    detection.detect(frame_index=3)
    qtbot.waitUntil(lambda: not detection.is_working)
    proposed = {i: proposal.mask.mask for i, proposal in detection.proposals.items()}
    dock.accept_proposals()
    qtbot.waitUntil(lambda: dock.tracking.job is None)
    project = dock.projects.project
    kept = {p.obj_id: p.mask.mask for p in project.prompts if p.frame_index == 3}
    np.testing.assert_equal(kept, proposed)
    assert {note.source for note in project.labels.notes(3).values()} == {"painted"}
    dock.propagate()  # tells the model nothing new
    qtbot.waitUntil(lambda: dock.tracking.job is None)
    np.testing.assert_equal(masks(dock, 3), proposed)
    assert len(project.prompts) == 2


# ------------------------------------------------------------------------ by script


@pytest.fixture
def session(open_viewer, film):
    viewer = open_viewer()
    viewer.add_image(film, name="film")
    with attach(viewer, "film", model="fake") as session:
        yield session


def test_a_script_proposes_accepts_and_rejects(session):
    proposed = session.detect(2)
    assert list(proposed.objects) == list(session.proposed_ids) == [1, 2]
    session.accept([2])
    session.reject()
    assert session.proposed_ids == ()
    assert list(session.result(2).objects) == [2]
    np.testing.assert_array_equal(session.array[2] == 2, proposed.objects[2].mask)
    session.propagate("both")
    assert session.object_ids == (2,)


def test_masks_that_a_script_has_said_before_hold(session):
    mask = spot(60, 20)
    session.add_prompt(0, mask=mask)
    session.detect(3)
    assert 1 not in session.proposed_ids
    session.accept()
    assert set(session.object_ids) >= {1, 2}
    np.testing.assert_array_equal(session.result(0).objects[1].mask, mask)


def test_what_a_script_asks_wrongly_is_raised(session):
    with pytest.raises(RequestError, match="no detector"):
        session.detect(0, "nobody")
    with pytest.raises(RequestError, match="99"):
        session.detect(99)
    session.detect(0)
    with pytest.raises(UnknownObjectError, match="not proposed"):
        session.accept([5])

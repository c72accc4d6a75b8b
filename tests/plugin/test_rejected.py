"""What a person rejects of what a text has found stays rejected, whatever comes after it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.plugin.model.object_rows import ObjectState
from napari_sam3.projects import list_projects

from .test_project import begin, clip, open_again, own_projects

pytestmark = pytest.mark.sweep

__all__ = ["begin", "clip", "open_again", "own_projects"]


def to_check(dock):
    while not dock.objects_panel.list.refresh():
        pass  # it counts some frames at a time
    rows = dock.objects_panel.list.rows.values()
    return [row.obj_id for row in rows if row.state is ObjectState.TO_CHECK]


def drawn(dock):
    return set(np.unique(np.asarray(dock.tracking.results.planes)).tolist())


@pytest.fixture
def search(work):
    """A function that looks for things, and gives what was found and what of it was rejected."""

    def search(dock):
        dock.prompt_panel.text.value = "dog, person"
        work(dock, dock.segment_frame)
        found = to_check(dock)
        assert len(found) >= 2
        gone = found[0]
        work(dock, lambda: dock.remove_object(gone))
        assert to_check(dock) == found[1:]
        return found, gone

    return search


@pytest.mark.parametrize("is_kept", [True, False])
def test_in_a_new_session_of_the_same_window(begin, search, work, is_kept):
    dock = begin()
    dock.settings_panel.keep.value = is_kept
    found, gone = search(dock)
    for _ in range(2):
        dock.tracking.sessions.close()  # as where another model or resolution is chosen
        work(dock, dock.segment_frame)
        assert to_check(dock) == found[1:]
        assert gone not in drawn(dock)
    work(dock, dock.propagate)
    assert to_check(dock) == found[1:]
    assert gone not in drawn(dock)


def test_after_a_reset_it_is_found_again(begin, search, work):
    dock = begin()
    dock.settings_panel.keep.value = False
    found, _ = search(dock)
    dock.tracking.sessions.close()
    dock.reset()
    dock.prompt_panel.text.value = "dog, person"
    work(dock, dock.segment_frame)
    assert len(to_check(dock)) == len(found)


def test_in_a_project_that_is_opened_again(begin, open_again, search, own_projects, work, close):
    dock = begin()
    found, gone = search(dock)
    (folder,) = list_projects(own_projects)
    close(dock)
    again = open_again(folder)
    work(again, again.segment_frame)
    work(again, again.propagate)
    assert to_check(again) == found[1:]
    assert gone not in drawn(again)

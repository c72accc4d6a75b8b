"""The models that the window offers where they run on workers: those that the workers have."""

from __future__ import annotations

import threading

import pytest

from napari_sam3.cluster import ModelThere
from napari_sam3.errors import NoWorkerError, SchedulerLostError, WeightsMissingError
from napari_sam3.models.base import Capabilities
from napari_sam3.plugin.controllers import compute_controller
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.model_catalog import survey_workers
from napari_sam3.plugin.model.tools import Tool

ADDRESS = "tcp://127.0.0.1:8786"
ONE, TWO = "tcp://127.0.0.1:1001", "tcp://127.0.0.1:1002"


def there(name, is_ready=True, capabilities=None):
    return ModelThere(name, "what it does", "slow", capabilities or Capabilities(), is_ready)


# ----------------------------------------------------------------------- what is offered


def test_what_workers_have_is_offered_in_the_order_of_this_computer():
    told = {ONE: [there("optical-flow"), there("their-own"), there("edgetam"), there("sam3")]}
    catalog = survey_workers(ADDRESS, told)
    assert list(catalog.entries) == ["sam3", "edgetam", "optical-flow", "their-own"]
    assert catalog.entries["sam3"].weights is not None  # with the licence that is known here
    assert {catalog.format_state(name) for name in catalog.entries} == {"✓ there"}


def test_a_model_is_ready_if_one_worker_has_it():
    told = {
        ONE: [there("sam3", False), there("edgetam"), there("optical-flow")],
        TWO: [there("sam3", False), there("edgetam", False), there("optical-flow")],
    }
    catalog = survey_workers(ADDRESS, told)
    told_of = {name: catalog.format_state(name) for name in catalog.entries}
    assert told_of == {"sam3": "not there", "edgetam": "✓ on 1 of 2", "optical-flow": "✓ there"}
    assert [catalog.is_ready(name) for name in catalog.entries] == [False, True, True]
    assert "no worker has the model sam3" in catalog.how_to_get("sam3")
    assert "napari-sam3 models get edgetam" in catalog.how_to_get("edgetam")
    assert catalog.how_to_get("optical-flow") == ""


def test_before_workers_are_asked_nothing_is_held_against_a_model():
    catalog = survey_workers(ADDRESS, {})
    assert "sam3" in catalog.entries
    assert catalog.is_ready("sam3")
    assert catalog.format_state("sam3") == catalog.how_to_get("sam3") == ""


def test_what_no_ready_model_takes_can_not_be_said_to_the_one_that_is_chosen_there():
    words = Capabilities(text=True)
    state = AppState(model="auto", compute=ADDRESS)
    state.catalog = survey_workers(ADDRESS, {ONE: [there("sam3", False, words), there("edgetam")]})
    assert "No model that the workers have takes text" in state.why_not_taken("text")
    assert not state.takes_text
    state.catalog = survey_workers(ADDRESS, {ONE: [there("sam3", True, words), there("edgetam")]})
    assert state.takes_text  # it may be the one


# ------------------------------------------------------------------------- in the window


class Scheduler:
    """What stands behind the address, in place of Dask's."""

    def __init__(self):
        self.models = {ONE: (there("sam3", False), there("optical-flow"), there("theirs"))}
        self.asked = []
        self.is_there = True
        self.may_tell = threading.Event()
        self.may_tell.set()


class FakeConnection:
    """The way to it."""

    def __init__(self, scheduler, address):
        self.scheduler, self.address = scheduler, address

    def describe(self):
        if not self.scheduler.is_there:
            raise SchedulerLostError("the scheduler does not answer")
        return "ready" if self.scheduler.models else "no worker"

    def fit_workers(self):
        if not self.scheduler.models:
            raise NoWorkerError("there is none")
        return list(self.scheduler.models)

    def end(self):
        pass


@pytest.fixture
def scheduler(monkeypatch):
    made = Scheduler()

    def models_on(_connection, worker):
        made.may_tell.wait(60)
        made.asked.append(worker)
        return made.models[worker]

    monkeypatch.setattr(
        compute_controller, "Connection", lambda address, insecure: FakeConnection(made, address)
    )
    monkeypatch.setattr(compute_controller, "models_on", models_on)
    yield made
    made.may_tell.set()


@pytest.fixture
def dock(open_dock, scheduler):
    return open_dock()


def offered(dock):
    return [text for text, _ in dock.model_panel._offered]


def test_the_list_is_the_workers_and_here_again_this_computers(dock, scheduler, qtbot):
    here = offered(dock)
    scheduler.may_tell.clear()
    dock.tracking.compute.choose(ADDRESS)
    qtbot.waitUntil(lambda: dock.state.compute_state == "ready")  # nothing waits for the models
    assert "sam3" in offered(dock)
    scheduler.may_tell.set()
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 1)
    assert offered(dock) == [
        "auto",
        "sam3  ·  not there",
        "optical-flow  ·  ✓ there",
        "theirs  ·  ✓ there",
    ]
    assert not dock.model_panel.get.enabled
    dock.models.refresh()  # of this computer, as after each job
    qtbot.waitUntil(lambda: not dock.models.survey.is_running)
    assert dock.state.catalog.place == ADDRESS
    dock.tracking.compute.choose("")
    assert offered(dock) == here
    assert dock.model_panel.get.enabled


def test_what_is_missing_there_is_said_with_the_remedy_for_there(
    dock, scheduler, film, qtbot, notes
):
    dock.viewer.add_image(film, name="film")
    dock.tracking.compute.choose(ADDRESS)
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 1)
    dock.models.choose("sam3")
    remedy = "napari-sam3 models get sam3"
    assert remedy in dock.guidance.text()
    assert remedy in dock.model_panel.model.tooltip
    dock.take_tool(Tool.INCLUDE)
    dock.state.points.add([[0, 30, 40]])
    dock.segment_frame()
    assert remedy in notes[-1][1]
    with pytest.raises(WeightsMissingError, match="does not have the model sam3"):
        dock.tracking.segment_frame()
    # got there meanwhile
    scheduler.models[ONE] = (there("sam3"),)
    dock.compute_panel.reconnect.native.click()
    qtbot.waitUntil(lambda: dock.state.is_model_ready)
    assert "sam3  ·  ✓ there" in offered(dock)


def test_a_model_that_is_missing_here_may_be_there(dock, scheduler, qtbot):
    scheduler.models[ONE] = (there("sam3"),)
    dock.models.choose("sam3")
    qtbot.waitUntil(lambda: not dock.state.is_model_ready)
    dock.tracking.compute.choose(ADDRESS)
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 1)
    assert dock.state.is_model_ready
    dock.tracking.compute.choose("")
    assert not dock.state.is_model_ready


def test_workers_are_asked_once_and_new_ones_when_they_have_come(dock, scheduler, qtbot):
    compute = dock.tracking.compute
    compute.choose(ADDRESS)
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 1)
    scheduler.models[TWO] = (there("sam3"),)
    compute.look()
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 2)
    assert scheduler.asked == [ONE, TWO]
    assert "sam3  ·  ✓ on 1 of 2" in offered(dock)


def test_a_scheduler_that_is_lost_leaves_the_list(dock, scheduler, qtbot):
    compute = dock.tracking.compute
    compute.choose(ADDRESS)
    qtbot.waitUntil(lambda: dock.state.catalog.n_workers == 1)
    before = offered(dock)
    scheduler.is_there = False
    compute.look()
    qtbot.waitUntil(lambda: dock.state.compute_state == "lost")
    assert offered(dock) == before

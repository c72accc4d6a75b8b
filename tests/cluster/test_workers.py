"""Workers that lack the model are avoided, and say what is set for it, without a cluster."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.cluster import RemoteModel
from napari_sam3.cluster.link import LinkLost
from napari_sam3.cluster.wire import encode
from napari_sam3.cluster.workers import LACKING, Workers
from napari_sam3.errors import (
    ModelUnavailableError,
    NoWorkerError,
    RequestError,
    UnknownModelError,
    WeightsMissingError,
    WireError,
)
from napari_sam3.models.base import Capabilities
from napari_sam3.models.fake import FakeModel
from napari_sam3.models.mask_settings import mask_settings_of
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.session.saved_prompts import SavedPrompt
from tests.conftest import make_disc_film


class Place:
    """A place on a worker, as a `Link` is."""

    def __init__(self, lab, worker):
        self.lab, self.worker = lab, worker

    def call(self, method, message):
        said = self.lab.workers[self.worker]
        if isinstance(said, Exception):
            raise said
        about = {"name": "large", "device": "cpu", "capabilities": vars(Capabilities())}
        return {**about, "mask_settings": self.lab.told}, []

    def let_go(self):
        self.lab.held.remove(self.worker)

    def drop(self):
        self.let_go()
        del self.lab.workers[self.worker]  # the scheduler knows it no more


class Lab:
    """A scheduler: what each worker says when the model is loaded, None if it has it.

    Those that are full have no place for anybody. On all of them the model is set as `told`.
    """

    address, patience = "tcp://127.0.0.1:8786", 0.0

    def __init__(self, full=(), **workers):
        self.workers, self.full = workers, full
        self.told = {"precision": "float32", "motion_prior": True}
        self.asked, self.held = [], []

    def fit_workers(self):
        return list(self.workers)

    def place(self, avoid=(), host=""):
        for worker in self.workers:
            if worker not in avoid and worker not in self.full:
                self.asked.append(worker)
                self.held.append(worker)
                return Place(self, worker)
        raise NoWorkerError("the scheduler has workers, none free")


LACKS = WeightsMissingError("large is not on this machine; get it there")


def workers_of(lab, on_news=None):
    return Workers(lab, {"model": "large", "device": None, "resolution": None}, {}, on_news)


def place_and_open(workers):
    """A place, looked for as a tracker does that finds out when it opens the video."""
    while True:
        link = workers.begin()
        try:
            link.call("open", encode({}))
        except LACKING as exc:
            workers.leave(link, exc)
        else:
            return link.worker


@pytest.mark.parametrize("lacks", [LACKS, UnknownModelError("no model is called 'large'")])
def test_the_model_is_loaded_on_the_one_that_has_it(lacks):
    lab = Lab(one=lacks, two=lacks, three=None)
    workers = workers_of(lab)
    assert workers.load()["name"] == "large"
    assert lab.asked == ["one", "two", "three"]
    assert lab.held == ["three"]
    workers.begin()  # the place that is kept
    assert place_and_open(workers) == "three"
    assert lab.asked == ["one", "two", "three", "three"]


@pytest.mark.parametrize("begin", [lambda workers: workers.load(), place_and_open])
def test_where_none_has_it_their_number_is_told_and_they_are_asked_anew(begin):
    lab = Lab(one=LACKS, two=LACKS)
    workers = workers_of(lab)
    with pytest.raises(WeightsMissingError, match=r"get it there \(looked for on 2 workers\)"):
        begin(workers)
    assert not lab.held
    lab.workers["two"] = None  # somebody has got it
    begin(workers)
    assert lab.held == ["two"]


def test_a_single_worker_is_told_as_one():
    with pytest.raises(WeightsMissingError, match=r"\(looked for on 1 worker\)"):
        workers_of(Lab(one=LACKS)).load()


def test_who_is_full_is_not_taken_for_one_that_lacks_it():
    workers = workers_of(Lab(one=LACKS, two=None, full=("two",)))
    with pytest.raises(NoWorkerError, match="the model 'large' is missing on 1 of them"):
        workers.load()


def test_what_would_be_wrong_everywhere_is_not_tried_everywhere():
    lab = Lab(one=ModelUnavailableError("its files are damaged"), two=None)
    with pytest.raises(ModelUnavailableError, match="damaged"):
        workers_of(lab).load()
    assert lab.asked == ["one"]
    assert not lab.held


def test_a_lost_one_is_replaced_by_one_that_has_it():
    lab = Lab(one=None, two=LACKS, three=None)
    workers = workers_of(lab)
    link = workers.begin_elsewhere({"one"})
    workers.leave(link, LACKS)
    assert workers.begin_elsewhere({"one"}).worker == "three"


def test_deaths_are_counted_beside_those_that_lack_it():
    news = []
    lab = Lab(one=LACKS, two=LinkLost("two is lost"), three=None)
    workers_of(lab, news.append).load()
    assert lab.held == ["three"]
    assert news == ["two is lost"]


# --------------------------------------------------------------------------- settings


def test_a_model_there_says_what_is_set_for_it():
    lab = Lab(one=None)
    assert mask_settings_of(RemoteModel(lab, "large")) == lab.told
    lab.told = None  # a model need not say
    assert mask_settings_of(RemoteModel(lab, "large")) == {}


@pytest.mark.parametrize(
    "said",
    [
        "float32",
        {"precision": 1.5},
        {"precision": ["x"]},
        {"x" * 101: 1},
        {"x": "y" * 101},
        {str(n): n for n in range(101)},
    ],
)
def test_what_can_not_be_set_is_refused(said):
    lab = Lab(one=None)
    lab.told = said
    with pytest.raises(WireError, match="a model is set to"):
        RemoteModel(lab, "large")
    assert not lab.held


def test_a_project_made_there_is_not_gone_on_with_otherwise(tmp_path):
    lab = Lab(one=None)
    film = make_disc_film(6)
    click = SavedPrompt(0, 1, points_xy=np.array([[34.0, 40.0]]), point_labels=np.array([True]))
    model = FakeModel()
    model.name, model.mask_settings = "large", lab.told
    with Project.create(tmp_path / "new.sam3", None, film.shape[:3]) as project:
        with ProjectRun(project, model, [click], video=film) as run:
            next(iter(run))
        lab.told = {**lab.told, "motion_prior": False}
        with pytest.raises(RequestError, match=r"other settings \(motion_prior on, now off"):
            ProjectRun(project, RemoteModel(lab, "large"), video=film)


def test_a_worker_that_is_set_otherwise_than_the_one_before_is_told():
    news = []
    lab = Lab(one=None)
    workers = workers_of(lab, news.append)
    workers.load()
    workers.note_settings("one", {"mask_settings": lab.told})
    assert not news
    workers.note_settings("two", {"mask_settings": {**lab.told, "precision": "bfloat16"}})
    assert len(news) == 1
    assert "the worker two" in news[0]
    assert "precision float32, now bfloat16" in news[0]
    assert workers.mask_settings["precision"] == "bfloat16"

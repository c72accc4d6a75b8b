"""Workers that lack the model are avoided, without a cluster."""

from __future__ import annotations

import pytest

from napari_sam3.cluster.link import LinkLost
from napari_sam3.cluster.wire import encode
from napari_sam3.cluster.workers import LACKING, Workers
from napari_sam3.errors import (
    ModelUnavailableError,
    NoWorkerError,
    UnknownModelError,
    WeightsMissingError,
)


class Place:
    """A place on a worker, as a `Link` is."""

    def __init__(self, lab, worker):
        self.lab, self.worker = lab, worker

    def call(self, method, message):
        said = self.lab.workers[self.worker]
        if isinstance(said, Exception):
            raise said
        return {"name": "large"}, []

    def let_go(self):
        self.lab.held.remove(self.worker)

    def drop(self):
        self.let_go()
        del self.lab.workers[self.worker]  # the scheduler knows it no more


class Lab:
    """A scheduler: what each worker says when the model is loaded, None if it has it.

    Those that are full have no place for anybody.
    """

    address, patience = "tcp://127.0.0.1:8786", 0.0

    def __init__(self, full=(), **workers):
        self.workers, self.full = workers, full
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
    assert workers.load() == {"name": "large"}
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

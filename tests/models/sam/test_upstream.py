"""What we use of transformers beside its public ways is looked for when a model is loaded."""

from __future__ import annotations

import ast
from itertools import chain
from pathlib import Path

import pytest
import transformers

from napari_sam3.errors import ModelError
from napari_sam3.models import sam
from napari_sam3.models.sam import upstream
from napari_sam3.models.sam.folder import load_network
from tests.models.sam import tiny

ROOM = Path(sam.__file__).parent


@pytest.fixture(scope="module")
def models():
    return {family: make() for family, make in tiny.MAKERS.items()}


def told_names():
    """All names of upstream's in the module, the parts of paths too."""
    tables = [
        value for name, value in vars(upstream).items() if name.endswith(("_CALLS", "_FIELDS"))
    ]
    return {part for path in chain.from_iterable(tables) for part in path.split(".")}


def attributes_of(names):
    """Every `name.attribute` in the room, `self.name.attribute` too; module and attribute."""
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Attribute):
                continue
            owner = node.value
            owner_name = getattr(owner, "id", None) or getattr(owner, "attr", None)
            if owner_name in names:
                yield path.name, node.attr


@pytest.mark.parametrize("family", tiny.MAKERS)
def test_what_is_installed_has_all(models, family):
    upstream.check_upstream(models[family])


def test_what_is_installed_was_run():
    assert transformers.__version__.rpartition(".")[0] in upstream.VERSIONS_RUN


def test_every_private_method_and_session_field_is_told():
    used = {
        (module, name)
        for module, name in attributes_of({"model", "_model"})
        if name.startswith(("_", "run_"))
    }
    used |= {pair for pair in attributes_of({"session", "_session"}) if pair[1] != "cache"}
    assert len(used) > 30
    assert {pair for pair in used if pair[1] not in told_names()} == set()


def assert_refused(model, name):
    with pytest.raises(ModelError) as refused:
        upstream.check_upstream(model)
    text = str(refused.value)
    assert name in text
    assert transformers.__version__ in text
    assert all(version in text for version in upstream.VERSIONS_RUN)


def without(name):
    def missing(self):
        raise AttributeError(name)

    return property(missing)


@pytest.mark.parametrize("family", ["sam2", "edgetam", "sam3_tracker"])
@pytest.mark.parametrize("name", [n for n in upstream.TRACKER_CALLS if n.startswith("_")])
def test_a_method_of_a_tracker_that_is_missing_is_told(models, monkeypatch, family, name):
    monkeypatch.setattr(type(models[family]), name, without(name))
    assert_refused(models[family], name)


@pytest.mark.parametrize("name", [n for n in upstream.CONCEPT_CALLS if n.startswith("run_")])
def test_a_step_of_concepts_that_is_missing_is_told(models, monkeypatch, name):
    monkeypatch.setattr(type(models["sam3"]), name, without(name))
    assert_refused(models["sam3"], name)


@pytest.mark.parametrize("name", upstream.CONCEPT_SESSION_FIELDS)
def test_a_session_field_that_is_missing_is_told(models, monkeypatch, name):
    class Session(transformers.Sam3VideoInferenceSession):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            delattr(self, name)

    # transformers puts another module in its place when some models are first imported
    monkeypatch.setattr(upstream.transformers, "Sam3VideoInferenceSession", Session)
    assert_refused(models["sam3"], name)


@pytest.mark.parametrize(
    "changed",
    [
        lambda self, is_first, point_inputs: None,  # another name
        lambda self, point_inputs, is_init_cond_frame: None,  # another order
        lambda self, is_init_cond_frame: None,  # one less
        lambda self, is_init_cond_frame, point_inputs, more: None,  # one more that must be given
    ],
)
def test_a_changed_signature_is_told(models, monkeypatch, changed):
    monkeypatch.setattr(type(models["sam2"]), "_use_multimask", changed)
    assert_refused(models["sam2"], "_use_multimask(is_init_cond_frame, point_inputs)")


def test_one_more_parameter_that_may_be_left_out_does_no_harm(models, monkeypatch):
    monkeypatch.setattr(
        type(models["sam2"]), "_use_multimask", lambda s, is_init_cond_frame, point_inputs, a=1: 0
    )
    upstream.check_upstream(models["sam2"])


def test_is_told_when_a_model_is_loaded(models, monkeypatch, tmp_path):
    tiny.save(models["sam2"], tmp_path)
    load_network(tmp_path, "cpu")
    monkeypatch.setattr(type(models["sam2"]), "_use_multimask", without("_use_multimask"))
    with pytest.raises(ModelError, match="_use_multimask"):
        load_network(tmp_path, "cpu")

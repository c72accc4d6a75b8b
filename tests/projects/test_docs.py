"""docs/projects.md says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from napari_sam3.projects import Project, ProjectState
from napari_sam3.session.prompt_files import read_prompts
from napari_sam3.session.saved_prompts import prompts_from_json

TEXT = (Path(__file__).parents[2] / "docs" / "projects.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_a_project_is_read_without_us(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    found = {}
    exec(blocks("python")[0], found)
    assert np.unique(found["labels"][:]).tolist() == [0, 1, 2]
    assert found["prompts"][0]["points"] == [[20, 20]]
    assert found["scores"][4, "2"] == 0.9


def test_going_on_goes_on(folder, model, monkeypatch):
    monkeypatch.chdir(folder.parent)
    code = blocks("python")[1].replace("open_session(project)", "open_session(project, model)")
    exec(code, {"model": model})
    with Project.open(folder) as project:
        assert project.run.is_over


def test_examples_of_prompts_are_prompts(tmp_path):
    prompts = prompts_from_json(json.loads(blocks("json")[0]))
    assert len(prompts) == 5
    (tmp_path / "p.csv").write_text(blocks("csv")[0])
    assert len(read_prompts(tmp_path / "p.csv")) == 3


def test_every_field_is_told(folder):
    said = json.loads((folder / "project.json").read_text())
    names = {*said, *said["run"], *ProjectState().to_json()}
    names |= {f"video.{name}" for name in said.pop("video")}
    for prompt in json.loads((folder / "prompts.json").read_text())["prompts"]:
        names |= prompt.keys()
    for line in (folder / "frames.jsonl").read_text().splitlines()[1:]:
        names |= json.loads(line).keys()
    assert {name for name in names - {"video"} if f"`{name}`" not in TEXT} == set()

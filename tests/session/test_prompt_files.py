"""Prompts in files: what is written is read again, and what is wrong is said with its place."""

from __future__ import annotations

import json
import os
import unicodedata

import numpy as np
import pytest

from napari_sam3.errors import PromptFileError, RequestError
from napari_sam3.models.fake import FakeModel
from napari_sam3.session.json_text import to_text
from napari_sam3.session.prompt_files import read_prompts, write_prompts
from napari_sam3.session.saved_prompts import (
    PromptList,
    SavedPrompt,
    find_meant,
    is_meant,
    prompts_from_json,
    prompts_to_json,
)
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import apply_prompts, restore_prompts

FILM = np.zeros((8, 60, 90), np.uint8)


@pytest.fixture
def session():
    with VideoSession(FILM, FakeModel()) as session:
        yield session


def told(session):
    mask = np.zeros((60, 90), bool)
    mask[40:50, 3:9] = True
    session.add_prompt(1, points=[[20.5, 20], [30, 22]], point_labels=[1, 0])
    session.add_prompt(2, boxes=[[40, 10, 60, 30.25]])
    session.add_prompt(2, mask=mask, obj_id=5)
    session.add_prompt(0, text="person")
    session.add_prompt(0, boxes=[[60, 20, 80, 40], [1, 1, 5, 5]], box_labels=[1, 0], exemplar=True)
    list(session.propagate("forward", 1, 4))
    session.add_prompt(4, points=[[33, 27]], point_labels=[0], obj_id=1)
    session.remove_object(2)
    return session.list_prompts()


def shown(session):
    return {
        t: {i: m.mask.tobytes() for i, m in session.result(t).objects.items()} for t in range(8)
    }


def test_a_session_is_restored_as_it_was_without_asking_the_model(session, monkeypatch):
    prompts = told(session)
    whole = [
        {i: (m.mask.tobytes(), m.score) for i, m in r.objects.items()}
        for r in session.propagate("both", 3)
    ]
    again = prompts_from_json(json.loads(to_text(prompts_to_json(prompts))))
    with VideoSession(FILM, FakeModel()) as other:
        with monkeypatch.context() as patched:
            patched.delattr("napari_sam3.models.fake.FakeTracker.segment")
            patched.delattr("napari_sam3.models.fake.FakeTracker.detect")
            assert restore_prompts(other, again) == []
        assert other.object_ids == session.object_ids
        assert prompts_to_json(other.list_prompts()) == prompts_to_json(prompts)
        assert [
            {i: (m.mask.tobytes(), m.score) for i, m in r.objects.items()}
            for r in other.propagate("both", 3)
        ] == whole
        with pytest.raises(RequestError, match="new session"):
            restore_prompts(other, again)


def test_prompts_of_a_file_are_said_as_a_person_would(session, tmp_path):
    write_prompts(tmp_path / "prompts.json", told(session))
    assert "answer" not in (tmp_path / "prompts.json").read_text()
    with VideoSession(FILM, FakeModel()) as other:
        assert apply_prompts(other, read_prompts(tmp_path / "prompts.json")) == [0, 1, 2, 4]
        assert {1, 5} <= set(other.object_ids)
        assert 2 not in other.object_ids
        for t in (1, 4):
            ours, theirs = session.result(t).objects[1], other.result(t).objects[1]
            assert ours.overlap(theirs) == 1
        assert other.result(2).objects[5].area == 60


def test_each_is_kept_to_the_last_digit(session):
    for prompt in told(session):
        again = SavedPrompt.from_json(json.loads(to_text(prompt.to_json())), "x")
        assert again.to_json() == prompt.to_json()


def test_compressed_runs_are_read_too(session):
    pycocotools = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((60, 90), bool)
    mask[4:9, 7:30] = True
    squeezed = pycocotools.encode(np.asfortranarray(mask, np.uint8))
    entry = {"size": squeezed["size"], "counts": squeezed["counts"].decode()}
    prompt = SavedPrompt.from_json({"frame": 0, "mask": entry}, "x")
    assert (prompt.mask.mask == mask).all()


CSV = """\
video,frame,object,kind,x,y,x1,y1,label,text
a.mp4,0,3,point,20,20,,,1,
a.mp4,0,3,point,26,20,,,0,
a.mp4,0,,box,40,10,60,30,,
b.mp4,1,,point,5,6,,,,
,2,,text,,,,,,dog
"""


def test_a_table_gathers_what_belongs_to_one_object(session, tmp_path):
    (tmp_path / "p.csv").write_text(CSV, encoding="utf-8-sig")
    prompts = read_prompts(tmp_path / "p.csv")
    assert len(prompts) == 4
    mine = prompts.for_video("a.mp4")
    assert [p.to_json() for p in mine] == [
        {
            "video": "a.mp4",
            "frame": 0,
            "object": 3,
            "points": [[20, 20], [26, 20]],
            "point_labels": [1, 0],
        },
        {"video": "a.mp4", "frame": 0, "box": [40, 10, 60, 30]},
        {"frame": 2, "text": "dog"},
    ]
    assert apply_prompts(session, mine) == [0, 2]
    assert session.object_ids == (3, 4, 5)


def test_a_file_for_many_videos_tells_whose_each_is(tmp_path):
    here, there = {"frame": 0, "text": "dog"}, {"frame": 1, "text": "person"}
    said = {
        **{"format": "napari-sam3 prompts", "version": 1, "prompts": [here]},
        "videos": {"films/a.mp4": [there], "b.mp4": [there, there]},
    }
    (tmp_path / "p.json").write_text(json.dumps(said))
    prompts = read_prompts(tmp_path / "p.json")
    found = {v: len(prompts.for_video(v)) for v in ("films/a.mp4", "x/a.mp4", "x/b.mp4")}
    assert found == {"films/a.mp4": 2, "x/a.mp4": 1, "x/b.mp4": 3}
    said["videos"]["b.mp4"].append({"frame": -1})
    (tmp_path / "p.json").write_text(json.dumps(said))
    with pytest.raises(PromptFileError, match=r"video 'b.mp4', prompt 3: 'frame'"):
        read_prompts(tmp_path / "p.json")


WRONG_ROWS = {
    "0,,spot,1,2,,,,": ("line 2", "kind", "point, box or text"),
    "x,,point,1,2,,,,": ("line 2", "frame", "whole number"),
    "0,1.5,point,1,2,,,,": ("line 2", "object", "whole number"),
    "0,,point,a,2,,,,": ("line 2", "x", "'a'"),
    "0,,box,1,2,,5,,": ("line 2", "x1", "''"),
    "0,,point,1,2,,,yes,": ("line 2", "label", "'yes'"),
    "0,,text,,,,,,": ("line 2", "text", "words"),
    "0,0,point,1,2,,,,": ("line 2", "object", "from 1"),
    "0,,point,nan,2,,,,": ("line 2", "points", "finite"),
    "0,1,box,1,2,3,4,,\n0,1,box,1,2,3,4,,": ("line 3", "second box", "object 1"),
}


@pytest.mark.parametrize("row", WRONG_ROWS)
def test_a_wrong_row_is_named(tmp_path, row):
    (tmp_path / "p.csv").write_text(f"frame,object,kind,x,y,x1,y1,label,text\n{row}\n")
    with pytest.raises(PromptFileError) as caught:
        read_prompts(tmp_path / "p.csv")
    assert all(word in str(caught.value) for word in WRONG_ROWS[row])


PLAIN = "frame,object,kind,x,y,x1,y1,label,text\n0,1,point,20.5,30,,,1,\n0,1,point,7,8,,,0,\n"
ROWS = [(0, 1, [[20.5, 30.0], [7.0, 8.0]], [True, False])]
TABLES = {
    "plain": PLAIN,
    "semicolons": PLAIN.replace(",", ";"),
    "decimal commas": PLAIN.replace(",", ";").replace("20.5", "20,5"),
    "tabs": PLAIN.replace(",", "\t"),
    "tabs and decimal commas": PLAIN.replace(",", "\t").replace("20.5", "20,5"),
    "quoted decimal commas": PLAIN.replace("20.5", '"20,5"'),
    "all quoted": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.split("\n")
    ),
    "pandas": PLAIN.replace("0,1,point", "0.0,1.0,point").replace(",1,\n", ",1.0,\n"),
    "pandas with its index": ",frame,object,kind,x,y,label\n"
    "0,0,1,point,20.5,30,1\n1,0,1,point,7,8,0\n",
    "pandas' index of some rows": "Unnamed: 0,frame,object,kind,x,y,label\n"
    "3,0,1,point,20.5,30,1\n8,0,1,point,7,8,0\n",
    "whole numbers with a decimal comma": PLAIN.replace(",", ";").replace("0;1;p", "0,0;1,0;p"),
    "empty last rows": PLAIN + ",,,,,,,,\n\n , ,,,,,,,\n",
    "empty first rows": ",,,,,,,,\n\n" + PLAIN,
    "empty last columns": PLAIN.replace("\n", ",,\n"),
    "short rows": "frame,object,kind,x,y,label,text\n0,1,point,20.5,30\n0,1,point,7,8,0\n",
    "Windows": PLAIN.replace("\n", "\r\n"),
    "an old Mac": PLAIN.replace("\n", "\r"),
    "spaces": PLAIN.replace(",", " , "),
    "a hint for Excel": "sep=;\n" + PLAIN.replace(",", ";"),
    "capitals": PLAIN.replace("frame,object,kind", "Frame,Object,KIND").replace("point", "Point"),
    "no last line end": PLAIN.rstrip("\n"),
}


def read_rows(path):
    return [
        (p.frame_index, p.obj_id, p.points_xy.tolist(), p.point_labels.tolist())
        for p in read_prompts(path)
    ]


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_as_other_programs_write_it(tmp_path, text, encoding):
    (tmp_path / "p.csv").write_bytes(text.encode(encoding))
    assert read_rows(tmp_path / "p.csv") == ROWS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("suffix", [".txt", ".tsv"])
def test_a_text_with_tabs(tmp_path, suffix, encoding):
    mark = "" if encoding == "utf-8" else "\ufeff"
    data = (mark + PLAIN.replace(",", "\t")).encode(encoding)
    (tmp_path / f"p{suffix}").write_bytes(data)
    assert read_rows(tmp_path / f"p{suffix}") == ROWS


HEAD = "frame,object,kind,x,y,x1,y1,label,text\n"
WRONG_TABLES = {
    "a decimal comma that is not quoted": (
        HEAD + "0,1,point,20,5,30,2,,,\n0,1,box,1,5,2,5,3,5,4,5\n",
        ("line 3", "11 cells for 9", "quoted"),
    ),
    "thousands": (
        HEAD.replace(",", "\t") + "0\t1\tpoint\t1,234\t5\n",
        ("line 2", "x is '1,234'", "decimal"),
    ),
    "thousands and decimals": (HEAD + '0,1,point,"1.234,5",5\n', ("line 2", "x is '1.234,5'")),
    "underscores": (HEAD + "0,1,point,1_0,5\n", ("line 2", "x is '1_0'")),
    "half an object": (HEAD + "0,1.5,point,1,5\n", ("line 2", "object is '1.5'", "whole")),
    "an empty frame": (HEAD + "\n,1,point,1,5\n", ("line 3", "frame is ''", "whole")),
    "an endless frame": (HEAD + "inf,1,point,1,5\n", ("line 2", "frame is 'inf'", "whole")),
    "a box from right to left": (HEAD + "0,1,box,9,2,3,4\n", ("line 2", "box", "x0 < x1")),
    "another sign between": (HEAD.replace(",", "|"), ("'frame'", "commas, semicolons or tabs")),
    "a negative box": (HEAD + "0,1,box,1,2,3,4,0,\n", ("line 2", "label is '0'", "points")),
    "a column twice": ("frame,kind,x,x\n0,point,1,2\n", ("column 'x' twice",)),
    "a column without a name": (",frame,kind,x,y\na,0,point,1,2\n", ("without a name", "'a'")),
    "another one": ("frame,kind,,x,y\n0,point,a,1,2\n", ("a column ''",)),
    "an unknown column": ("frame;kind;colour\n0;point;red\n", ("column 'colour'",)),
}


@pytest.mark.parametrize(("text", "words"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_what_is_wrong_in_a_table_is_one_error_with_its_place(tmp_path, text, words):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(PromptFileError) as caught:
        read_prompts(tmp_path / "p.csv")
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_table_of_another_code_page_is_refused(tmp_path):
    (tmp_path / "p.csv").write_bytes(f"{HEAD}0,,text,,,,,,vidéo\n".encode("cp1252"))
    with pytest.raises(PromptFileError, match=r"line 2 is no utf-8 text.*UTF-8"):
        read_prompts(tmp_path / "p.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_as_other_programs_write_it(tmp_path, encoding):
    entry = {"frame": 3.0, "object": 2.0, "points": [[1, 2.0]], "point_labels": [1.0]}
    said = {"format": "napari-sam3 prompts", "version": 1.0, "next_id": 9.0, "prompts": [entry]}
    (tmp_path / "p.json").write_bytes(json.dumps(said).encode(encoding))
    prompts = read_prompts(tmp_path / "p.json")
    assert read_rows(tmp_path / "p.json") == [(3, 2, [[1.0, 2.0]], [True])]
    assert type(prompts[0].frame_index) is type(prompts[0].obj_id) is type(prompts.next_id) is int
    for field, value in (("frame", 3.5), ("object", 1e300), ("frame", float("inf"))):
        wrong = {**said, "prompts": [{**entry, field: value}]}
        with pytest.raises(PromptFileError, match=f"'{field}' must be a whole number"):
            prompts_from_json(wrong)


@pytest.mark.parametrize("size", [[60.5, 90], [60, True], ["60", 90], [60]])
def test_a_mask_of_half_a_pixel_is_refused(size):
    mask = {"size": size, "counts": [0, 5400]}
    with pytest.raises(PromptFileError, match="'mask' must be"):
        SavedPrompt.from_json({"frame": 0, "mask": mask}, "here")


MEANT = {
    "as it is": ("films/vidéo.mp4", True),
    "the other accents": ("films/vide\u0301o.mp4", True),
    "backslashes": ("films\\vidéo.mp4", True),
    "backslashes, the other accents": (".\\films\\vide\u0301o.mp4", True),
    "the name alone": ("vidéo.mp4", True),
    "another folder": ("other\\vidéo.mp4", False),
    "no accent": ("video.mp4", False),
    "another computer's root": ("C:\\films\\vidéo.mp4", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("name", "is_it"), MEANT.values(), ids=MEANT)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_which_video_a_name_means(tmp_path, name, is_it, form):
    place = tmp_path / "films" / unicodedata.normalize(form, "vidéo.mp4")
    assert is_meant(name, place) == is_it
    place.parent.mkdir()
    place.touch()
    assert (find_meant(tmp_path, name) == place) == (is_it and "films" in name)


def test_a_name_of_another_case_means_a_video_where_the_disk_takes_them_for_one(tmp_path):
    place, other = tmp_path / "film.mp4", tmp_path / "FILM.mp4"
    place.touch()
    if not other.exists():  # a disk that knows them apart
        assert not is_meant("FILM.mp4", place)
        other.hardlink_to(place)
    assert is_meant("FILM.mp4", place)
    assert not is_meant("FILM2.mp4", place)


def test_a_pattern_in_another_folder_is_found(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "cam1_0.png").touch()
    for name in ("frames/cam1_*.png", "frames\\cam1_*.png"):
        assert find_meant(tmp_path, name) == tmp_path / "frames" / "cam1_*.png"
        assert is_meant(name, tmp_path / "frames" / "cam1_*.png")


@pytest.mark.skipif(os.name == "nt", reason="a backslash parts folders there")
def test_a_backslash_in_a_name_is_part_of_it_where_a_file_is_called_so(tmp_path):
    place = tmp_path / "a\\b.mp4"
    place.touch()
    assert is_meant("a\\b.mp4", place)
    assert find_meant(tmp_path, "a\\b.mp4") == place


SIZE = [60, 90]
WRONG = [
    (5, "a table such as"),
    ({}, "nothing to go by|'frame'"),
    ({"frame": 0}, "nothing to go by"),
    ({"frame": -1, "text": "dog"}, "'frame'"),
    ({"frame": True, "text": "dog"}, "'frame'"),
    ({"frame": "0", "text": "dog"}, "'frame'"),
    ({"frame": 0, "text": " "}, "'text'"),
    ({"frame": 0, "text": 5}, "'text'"),
    ({"frame": 0, "object": 2**31, "text": "dog"}, "'object'"),
    ({"frame": 0, "points": [1, 2]}, "'points'"),
    ({"frame": 0, "points": {"x": 1}}, "'points'"),
    ({"frame": 0, "points": [[1, 10**400]]}, "'points'"),
    ({"frame": 0, "points": [[1, 2]], "point_labels": [2]}, "'point_labels'"),
    ({"frame": 0, "points": [[1, 2]], "point_labels": [1, 1]}, "'point_labels'"),
    ({"frame": 0, "box": [1, 2, 3]}, "'box'"),
    ({"frame": 0, "box": [5, 2, 3, 4]}, "x0 < x1"),
    ({"frame": 0, "box": [1, 2, 3, 2]}, "y0 < y1"),
    ({"frame": 0, "boxes": [[1, 2, 3, 4]]}, "exemplar"),
    ({"frame": 0, "boxes": [[1, 2, 3, 4]], "exemplar": 1}, "'exemplar'"),
    ({"frame": 0, "mask": [1, 2]}, "'mask'"),
    ({"frame": 0, "mask": {"size": SIZE, "counts": "zzz~~"}}, "'mask'"),
    ({"frame": 0, "mask": {"size": SIZE, "counts": [-1, 5401]}}, "'mask'"),
    ({"frame": 0, "mask": {"size": SIZE, "counts": [5400]}}, "no pixel"),
    ({"frame": 0, "mask": {"size": [10**6, 10**6], "counts": [0, 10**12]}}, "'mask'"),
    ({"frame": 0, "mask": {"size": SIZE, "counts": [0, 5400], "score": 2}}, "score"),
    ({"frame": 0, "point": [[1, 2]]}, "no field 'point'"),
    ({"frame": 0, "video": 3, "text": "dog"}, "'video'"),
]


@pytest.mark.parametrize(("entry", "word"), WRONG)
def test_a_wrong_entry_is_named(tmp_path, entry, word):
    good = {"frame": 0, "text": "dog"}
    said = {"format": "napari-sam3 prompts", "version": 1, "prompts": [good, entry]}
    (tmp_path / "p.json").write_text(json.dumps(said))
    with pytest.raises(PromptFileError, match=word) as caught:
        read_prompts(tmp_path / "p.json")
    assert "p.json, prompt 2" in str(caught.value)
    problems = []
    assert len(prompts_from_json(said, "p.json", problems)) == 1
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("p.json", "{", "no JSON"),
        ("p.json", "[" * 10**5, "no JSON"),
        ("p.json", "[]", "holds no prompts"),
        ("p.json", '{"format": "napari-sam3 prompts", "version": 2}', "update"),
        ("p.json", '{"format": "napari-sam3 prompts", "version": 1, "prompts": 3}', "a list"),
        ("p.csv", "", "no column 'frame'"),
        ("p.csv", "frame,kind,colour\n", "'colour'"),
        ("p.txt", "0", ".json or .csv"),
        ("p.json", None, "can't be read"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, name, text, word):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(PromptFileError, match=word):
        read_prompts(tmp_path / name)


def test_a_prompt_that_does_not_fit_the_video_names_its_place(session, tmp_path):
    said = PromptList([SavedPrompt(0, text="dog"), SavedPrompt(99, text="dog", origin="line 7")])
    with pytest.raises(PromptFileError, match=r"line 7: .*99"):
        apply_prompts(session, said)


def test_a_file_that_can_not_be_written_is_said(session, tmp_path):
    with pytest.raises(PromptFileError, match="can't be written"):
        write_prompts(tmp_path / "no" / "p.json", told(session))
    with pytest.raises(PromptFileError, match="json"):
        write_prompts(tmp_path / "p.csv", [])


def test_twins_that_are_no_pairs_of_ids_are_told_and_left_out():
    said = {"format": "napari-sam3 prompts", "version": 1, "prompts": []}
    told = {**said, "twins": [[1, 2], [3], 5, [1, "x"], [1, 2, 3]]}
    problems = []
    assert prompts_from_json(told, problems=problems).twins == {(1, 2)}
    assert len(problems) == 4


@pytest.mark.parametrize("name", ["a.json", "a.csv", "folder"])
@pytest.mark.parametrize("kind", ["pipe", "large", "link in a folder"])
def test_what_is_no_plain_file_of_prompts_is_refused_at_once(tmp_path, name, kind):
    place = tmp_path / name
    if name == "folder":
        place.mkdir()
    file = place / "prompts.json" if name == "folder" else place
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "large":
        with file.open("wb") as made:
            made.truncate(8 * 2**30)
    else:
        write_prompts(tmp_path / "mine.json", [SavedPrompt(0, 1, np.array([[1.0, 2]]))])
        file.symlink_to(tmp_path / "mine.json")
        if name == "a.json":  # one that the person names is the person's
            assert len(read_prompts(place)) == 1
            return
    with pytest.raises(PromptFileError):
        read_prompts(place)

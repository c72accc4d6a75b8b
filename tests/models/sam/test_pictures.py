"""Frames become the same values as in the family's own processor."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.sam.pictures import Pictures
from tests.models.sam.tiny import MAKERS, make_processor


@pytest.mark.parametrize("size", [(120, 160), (64, 48), (37, 301)])
@pytest.mark.parametrize("family", ["sam2", "sam3_tracker"])
def test_equal_to_the_processor_of_transformers(family, size, tmp_path):
    model = MAKERS[family]()
    processor = make_processor(model)
    processor.save_pretrained(tmp_path)
    rgb = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    rgb.flags.writeable = False
    theirs = processor.video_processor(videos=[rgb[None]], return_tensors="pt")
    pictures = Pictures.of_folder(tmp_path, model.config.model_type, model.config.image_size)
    ours = pictures.preprocess(rgb)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, theirs["pixel_values_videos"][0])


@pytest.mark.parametrize(
    "said",
    [
        {"do_normalize": False},
        {"do_rescale": False},
        {"do_rescale": False, "do_normalize": False},
        {"rescale_factor": 1 / 127.5},
        {"rescale_factor": 1 / 65535, "do_normalize": False},
        {"image_mean": 0.3, "image_std": 0.2},
        {"resample": 3},
        {"resample": 0},
    ],
    ids=str,
)
def test_a_fine_tunes_own_way_is_that_of_transformers(said, tmp_path):
    model = MAKERS["sam2"]()
    processor = make_processor(model)
    processor.save_pretrained(tmp_path)
    (path,) = tmp_path.glob("*processor*.json")
    told = json.loads(path.read_text())
    told.get("video_processor", told).update(said)
    path.write_text(json.dumps(told))
    theirs = type(processor.video_processor).from_pretrained(tmp_path)
    rgb = np.random.default_rng(1).integers(0, 255, (90, 130, 3), dtype=np.uint8)
    side = model.config.image_size
    ours = Pictures.of_folder(tmp_path, "sam2_video", side, side).preprocess(rgb)
    values = theirs(videos=[rgb[None]], return_tensors="pt")["pixel_values_videos"][0]
    assert torch.equal(ours, values.to(torch.float32))


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"do_center_crop": True}, "do_center_crop: true"),
        ({"do_pad": True}, "do_pad: true"),
        ({"do_resize": False}, "do_resize: false"),
        ({"resample": 1}, "resample: 1"),
        ({"size": {"shortest_edge": 64}}, "shortest_edge"),
        ({"size": {"height": 64, "width": 32}}, "'width': 32"),
        ({"size": {"height": 128, "width": 128}}, "64 x 64 px can be had"),
    ],
)
def test_what_is_not_done_here_is_refused(said, named, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(ModelUnavailableError) as caught:
        Pictures.of_folder(tmp_path, "sam2_video", 64, 64)
    assert named in str(caught.value)


def test_a_folder_without_processor_gets_what_the_family_uses(tmp_path):
    assert Pictures.of_folder(tmp_path, "sam3_video", 1008).mean == (0.5, 0.5, 0.5)
    assert Pictures.of_folder(tmp_path, "sam2_video", 1024).mean[0] == 0.485


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("preprocessor_config.json", lambda told: told),
        ("processor_config.json", lambda told: {"video_processor": told}),
        ("processor_config.json", lambda told: {"image_processor": told}),
    ],
)
def test_values_of_the_files_go_before_the_family(tmp_path, name, wrap):
    told = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 3}
    (tmp_path / name).write_text(json.dumps(wrap(told)))
    pictures = Pictures.of_folder(tmp_path, "sam2_video", 64)
    assert (pictures.mean, pictures.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert pictures.resampling.value == "bicubic"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"processor_class": "Sam3VideoProcessor"}'])
def test_a_broken_processor_file_counts_as_none(tmp_path, text):
    (tmp_path / "preprocessor_config.json").write_text(text)
    assert Pictures.of_folder(tmp_path, "sam2_video", 64).mean == (0.485, 0.456, 0.406)

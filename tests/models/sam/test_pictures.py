"""Frames become the same values as in the family's own processor."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("text", ["", "[]", "{", '{"image_mean": 3}'])
def test_a_broken_processor_file_counts_as_none(tmp_path, text):
    (tmp_path / "preprocessor_config.json").write_text(text)
    assert Pictures.of_folder(tmp_path, "sam2_video", 64).mean == (0.485, 0.456, 0.406)

"""SAM 3 as a detector: a tiny one, which finds on a frame by itself what it finds in a session."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import VideoSession
from napari_sam3.detection import detect_objects
from tests.models.sam.concept_kit import make_film, make_seeing
from tests.models.sam.tiny import save
from tests.models.sam.words import save_tokenizer


@pytest.mark.sweep
@pytest.mark.parametrize("said", ["dog", "cat", "20,15,60,50"])
def test_finds_on_a_frame_what_a_session_finds_there(said, tmp_path):
    film = make_film(4)
    folder = save(make_seeing(film), save_tokenizer(tmp_path))
    found = detect_objects(film[2], f"{folder}:{said}")
    with VideoSession(film, str(folder)) as session:
        if said.isalpha():
            result = session.add_prompt(2, text=said)
        else:
            box = [float(part) for part in said.split(",")]
            result = session.add_prompt(2, boxes=[box], exemplar=True)
    assert found
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    for mask in result.objects.values():  # there overlaps are settled
        assert any((mask.mask <= other.mask).all() for other in found)
    assert len(result.objects) <= len(found)
    np.testing.assert_array_equal(
        np.any([m.mask for m in found], axis=0),
        np.any([m.mask for m in result.objects.values()], axis=0),
    )

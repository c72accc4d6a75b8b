"""What is kept, what goes, and that a broken file does no harm."""

from __future__ import annotations

import os

import pytest
import torch

from napari_sam3.models.sam import feature_cache, feature_files
from napari_sam3.models.sam.feature_cache import FeatureCache, set_features_budget
from napari_sam3.models.sam.feature_files import FeatureFiles, FeatureKey

NBYTES = 4000
SLOW = 1.0  # seconds that a frame is said to have taken


@pytest.fixture(autouse=True)
def any_disk_will_do(monkeypatch):
    monkeypatch.setattr(feature_files, "LEAST_FREE", 0)


def key(frame_index: int, video: str = "film", *, is_lasting: bool = True) -> FeatureKey:
    return FeatureKey(video, "encoder", frame_index, is_lasting)


def encoded(value: float) -> dict[str, torch.Tensor]:
    return {"a": torch.full((500,), float(value)), "b": torch.full((1, 500), float(value))}


def is_frame(found, value: float) -> bool:
    return found is not None and all(bool((t == value).all()) for t in found.values())


def make(tmp_path, memory: int, disk: int = 0) -> FeatureCache:
    return FeatureCache(memory * NBYTES, disk * (NBYTES + 400), lambda: tmp_path / "features")


def kept(cache: FeatureCache, n: int = 20) -> set[int]:
    return {i for i in range(n) if cache.holds(key(i))}


def test_memory_keeps_to_its_budget_and_what_was_used_last(tmp_path):
    cache = make(tmp_path, 3)
    for i in range(3):
        cache.put(key(i), encoded(i), SLOW)
    assert is_frame(cache.get(key(0)), 0)
    cache.put(key(3), encoded(3), SLOW)
    assert kept(cache) == {0, 2, 3}
    assert cache.memory_used == 3 * NBYTES
    cache.put(key(3), encoded(3), SLOW)
    assert cache.memory_used == 3 * NBYTES


def test_going_through_a_long_video_twice_finds_as_many_as_there_is_room_for(tmp_path):
    cache = make(tmp_path, 5)

    def go_through():
        found = 0
        for i in range(12):
            cache.expect(key(0), range(i + 1, 12))
            if cache.get(key(i)) is None:
                cache.put(key(i), encoded(i), SLOW)
            else:
                found += 1
        cache.expect(key(0), range(0))
        return found

    assert go_through() == 0
    assert go_through() >= 4


def test_a_frame_larger_than_the_budget_is_not_kept(tmp_path):
    cache = make(tmp_path, 1)
    cache.put(key(0), {"a": torch.zeros(2000)}, SLOW)
    assert kept(cache) == set()


def test_what_left_memory_is_read_from_disk(tmp_path):
    cache = make(tmp_path, 2, 20)
    for i in range(8):
        cache.put(key(i), encoded(i), SLOW)
    cache.wait_for_disk()
    assert not cache.has_in_memory(key(0))
    assert is_frame(cache.get(key(0)), 0)
    assert cache.has_in_memory(key(0))
    assert is_frame(make(tmp_path, 0, 20).get(key(7)), 7)


def test_what_is_made_faster_than_a_disk_reads_is_not_written(tmp_path):
    cache = make(tmp_path, 20, 20)
    cache.put(key(0), encoded(0), NBYTES / 10e9)
    cache.wait_for_disk()
    assert cache.disk_used == 0


def test_disk_keeps_to_its_budget_and_what_was_used_last(tmp_path):
    files = FeatureFiles(4 * (NBYTES + 400), lambda: tmp_path)
    for i in range(4):
        files.write(key(i), encoded(i), lambda group, frame: False)
        os.utime(tmp_path / feature_files.group_name("film", "encoder") / f"{i}.features", (i, i))
    files.read(key(0))
    files.write(key(4), encoded(4), lambda group, frame: frame == 1)
    assert [i for i in range(5) if files.holds(key(i))] == [0, 1, 3, 4]
    assert files.used <= files.budget


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_damaged_files_are_removed_and_count_as_none(tmp_path, damage):
    files = FeatureFiles(2**20, lambda: tmp_path)
    files.write(key(0), encoded(0), lambda group, frame: False)
    (place,) = tmp_path.glob("*/*.features")
    content = place.read_bytes()
    broken = {
        "cut": content[: len(content) // 2],
        "changed": content[:-9] + b"x" + content[-8:],
        "empty": b"",
        "text": b"these are no features at all",
    }
    place.write_bytes(broken[damage])
    assert files.read(key(0)) is None
    assert not place.exists()
    files.write(key(0), encoded(0), lambda group, frame: False)
    assert is_frame(files.read(key(0)), 0)


def test_deleting_the_folder_at_any_time_is_safe(tmp_path):
    cache = make(tmp_path, 0, 20)
    for i in range(3):
        cache.put(key(i), encoded(i), SLOW)
        cache.wait_for_disk()
        FeatureFiles(0, lambda: tmp_path / "features").clear()
    assert cache.get(key(0)) is None
    cache.put(key(0), encoded(0), SLOW)
    cache.wait_for_disk()
    assert is_frame(cache.get(key(0)), 0)


def test_parts_of_files_left_by_a_killed_process_go(tmp_path):
    files = FeatureFiles(2**20, lambda: tmp_path)
    files.write(key(0), encoded(0), lambda group, frame: False)
    (group,) = tmp_path.iterdir()
    old, new = group / ".old.tmp", group / ".new.tmp"
    for part in (old, new):
        part.write_bytes(b"part")
    os.utime(old, (1, 1))
    files.write(key(1), encoded(1), lambda group, frame: False)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    (tmp_path / "features").write_text("in the way")
    cache = make(tmp_path, 1, 20)
    for i in range(3):
        cache.put(key(i), encoded(i), SLOW)
    cache.wait_for_disk()
    assert kept(cache) == {2}


def test_a_full_disk_is_not_filled_further(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, "LEAST_FREE", 2**70)
    cache = make(tmp_path, 0, 20)
    cache.put(key(0), encoded(0), SLOW)
    cache.wait_for_disk()
    assert cache.disk_used == 0


def test_smaller_budgets_take_effect_at_once(tmp_path):
    cache = make(tmp_path, 5, 20)
    for i in range(5):
        cache.put(key(i), encoded(i), SLOW)
    cache.wait_for_disk()
    cache.set_budget(2 * NBYTES, 3 * (NBYTES + 400))
    assert cache.memory_used == 2 * NBYTES
    assert 0 < cache.disk_used <= 3 * (NBYTES + 400)


def test_forgetting_a_video_leaves_the_others(tmp_path):
    cache = make(tmp_path, 5)
    cache.put(key(0, "a"), encoded(0), SLOW)
    cache.put(key(0, "b"), encoded(1), SLOW)
    cache.forget("a")
    assert not cache.holds(key(0, "a"))
    assert is_frame(cache.get(key(0, "b")), 1)
    cache.clear()
    assert cache.memory_used == 0


def test_the_shared_cache_takes_the_settings(monkeypatch):
    shared = feature_cache.SHARED_FEATURES
    before = shared.memory_budget, shared.disk_budget
    try:
        set_features_budget(3, 5)
        assert (shared.memory_budget, shared.disk_budget) == (3 * 2**20, 5 * 2**20)
    finally:
        shared.set_budget(*before)
    monkeypatch.setenv("NAPARI_SAM3_FEATURES_MB", "7")
    monkeypatch.setenv("NAPARI_SAM3_FEATURES_DISK_MB", "0")
    made = feature_cache._as_set()
    assert (made.memory_budget, made.disk_budget) == (7 * 2**20, 0)

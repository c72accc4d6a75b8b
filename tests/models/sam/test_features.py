"""A frame is encoded once, whoever asks, and nobody waits for idle work."""

from __future__ import annotations

import threading

import pytest
import torch

from napari_sam3.errors import OutOfDeviceMemoryError, VideoError
from napari_sam3.models.sam import feature_files
from napari_sam3.models.sam.feature_cache import FeatureCache
from napari_sam3.models.sam.features import AHEAD, FeatureSource
from tests.models.sam.stand_ins import N_FRAMES, CountingEncoder, rgb_frames


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(2**26, 0, lambda: tmp_path)
    yield cache
    cache.wait_for_disk()


@pytest.fixture
def source(encoder, cache):
    source = FeatureSource(rgb_frames(), encoder, cache)
    yield source
    encoder.gate.opened.set()
    source.close()


def test_second_pass_encodes_nothing_and_gives_the_same(source, encoder):
    first = [{n: t.clone() for n, t in source.get(i).items()} for i in range(N_FRAMES)]
    for frame_index, before in enumerate(first):
        again = source.get(frame_index)
        assert all(torch.equal(again[name], before[name]) for name in before)
        assert again["turned"].is_contiguous()
    assert encoder.done == source.n_encoded == N_FRAMES


def test_without_room_frames_are_encoded_each_time_but_the_last_one(encoder, tmp_path):
    source = FeatureSource(rgb_frames(), encoder, FeatureCache(0, 0, lambda: tmp_path))
    for frame_index in (0, 0, 1, 0):
        source.get(frame_index)
    source.prefetch(5)
    source.close()
    assert encoder.done == 3


def test_frames_expected_are_read_in_another_thread(source, encoder):
    source.expect(range(3, 9))
    for frame_index in range(3, 9):
        source.get(frame_index)
    assert encoder.done == encoder.preprocessed == 6
    assert threading.current_thread().name not in encoder.threads


def test_no_more_is_read_ahead_than_needed(source, encoder):
    source.get(0)
    source.expect(range(1, N_FRAMES))
    source.close()
    assert encoder.preprocessed <= 1 + AHEAD


def test_expecting_backward_and_then_something_else(source, encoder):
    source.expect(range(8, 2, -1))
    for frame_index in (8, 7, 1, 6):
        assert source.get(frame_index)["maps"].shape == (1, 4, 12, 12)
    assert encoder.done == 4


def test_looking_encodes_the_frames_around(source, encoder):
    source.prefetch(4)
    source._idle.wait()
    assert encoder.done == N_FRAMES
    source.get(4)
    source.get(0)
    assert encoder.done == N_FRAMES


def test_real_work_stops_idle_work_in_the_midst_of_a_frame(source, encoder):
    encoder.gate.opened.clear()
    source.prefetch(4)
    assert encoder.gate.reached.wait(20)
    source._idle.interrupt(unless=9)
    encoder.gate.opened.set()
    source._idle.wait()
    assert (encoder.began, encoder.done) == (1, 0)
    source.get(9)
    assert (encoder.began, encoder.done) == (2, 1)


def test_whoever_wants_the_device_stops_idle_work(source, encoder):
    encoder.gate.opened.clear()
    source.prefetch(4)
    assert encoder.gate.reached.wait(20)

    def work():
        with encoder.device.computing():
            pass

    worker = threading.Thread(target=work)
    worker.start()
    while not encoder.device.is_waited_for:
        pass
    encoder.gate.opened.set()
    worker.join(20)
    source._idle.wait()
    assert (encoder.began, encoder.done) == (1, 0)


def test_asking_for_the_frame_being_encoded_waits_for_it(source, encoder):
    encoder.gate.opened.clear()
    source.prefetch(4)
    assert encoder.gate.reached.wait(20)
    asked = threading.Thread(target=source.get, args=(4,))
    asked.start()
    while not encoder.device.is_waited_for:
        pass
    encoder.gate.opened.set()
    asked.join(20)
    source._idle.wait()
    assert (encoder.began, encoder.done) == (1, 1)


def test_looking_elsewhere_goes_on_there(source, encoder):
    encoder.gate.opened.clear()
    source.prefetch(0)
    assert encoder.gate.reached.wait(20)
    source.prefetch(11)
    encoder.gate.opened.set()
    source._idle.wait()
    assert encoder.done == N_FRAMES


def test_closing_stops_idle_work_for_good(source, encoder):
    encoder.gate.opened.clear()
    source.prefetch(4)
    assert encoder.gate.reached.wait(20)
    closing = threading.Thread(target=source.close)
    closing.start()
    while not source._idle._run.is_over:
        pass
    encoder.gate.opened.set()
    closing.join(20)
    source.prefetch(1)
    assert (encoder.began, encoder.done) == (1, 0)


def test_unreadable_frame_is_told_to_who_asks_for_it(encoder, cache):
    class Broken(type(rgb_frames())):
        def __getitem__(self, frame_index):
            if frame_index == 3:
                raise VideoError("frame 3 is damaged")
            return super().__getitem__(frame_index)

    broken = Broken(rgb_frames()._video)
    source = FeatureSource(broken, encoder, cache)
    source.prefetch(3)
    source._idle.wait()
    source.expect(range(2, 6))
    source.get(2)
    with pytest.raises(VideoError, match="frame 3 is damaged"):
        source.get(3)
    assert source.get(4)["maps"].shape == (1, 4, 12, 12)
    source.close()


def test_other_weights_and_other_videos_are_told_apart(cache):
    encoders = CountingEncoder("a"), CountingEncoder("b")
    frames = rgb_frames(), rgb_frames()
    for encoder in encoders:
        for each in frames:
            FeatureSource(each, encoder, cache).get(0)
            FeatureSource(each, encoder, cache).get(0)
    assert [encoder.done for encoder in encoders] == [2, 2]


def test_arrays_never_go_to_disk(encoder, tmp_path):
    cache = FeatureCache(2**26, 2**26, lambda: tmp_path)
    source = FeatureSource(rgb_frames(), encoder, cache)
    source.get(0)
    source.close()
    cache.wait_for_disk()
    assert cache.memory_used > 0
    assert cache.disk_used == 0


def test_files_are_found_again_by_another_process(disc_folder, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_files, "LEAST_FREE", 0)

    def go_through():
        cache = FeatureCache(2**26, 2**28, lambda: tmp_path)
        source = FeatureSource(rgb_frames(disc_folder), encoder, cache)
        source.expect(range(4))
        made = [source.get(i)["turned"].clone() for i in range(4)]
        source.close()
        cache.wait_for_disk()
        return made

    first, second = go_through(), go_through()
    assert encoder.done == 4
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB, max allowed: 18.13 GB)."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_out_of_memory_names_the_remedies(source, encoder, monkeypatch, failure):
    def encode(pixels):
        raise failure

    source.get(0)
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "encode", encode)
        with pytest.raises(OutOfDeviceMemoryError, match=r"resolution.*fewer objects.*smaller"):
            source.get(1)
    assert source.get(0)["maps"].shape == source.get(1)["maps"].shape


def test_another_failure_stays_what_it_is(source, encoder, monkeypatch):
    monkeypatch.setattr(encoder, "encode", lambda pixels: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        source.get(0)

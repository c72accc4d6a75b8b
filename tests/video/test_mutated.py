"""Two hundred files mutated at random: each opens or is refused, in bounded time and memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from .clips import draw, encode, write_dib_avi
from .kinds import ALT_REF
from .open_all import read_about

OPEN_ALL = Path(__file__).with_name("open_all.py")
N_FILES = 200
MOST_MEGABYTES = 700
"""A group's files together. Most take a few; one whose head lies about the size of its pictures
takes what a picture of that size takes."""

VIDEOS: dict[str, dict[str, Any]] = {
    "a.mp4": {"gop": 12, "b_frames": 2, "container_options": {"movflags": "+faststart"}},
    "fragments.mp4": {
        "gop": 12,
        "b_frames": 2,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "a.mkv": {"gop": 12, "b_frames": 2},
    "vp9.webm": {"codec": "libvpx-vp9", "gop": 12, "options": ALT_REF},
    "a.ts": {"gop": 12, "b_frames": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "gop": 12, "b_frames": 2},
    "h264.avi": {"gop": 12, "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4", "gop": 12, "b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "gray16le", "n_frames": 10},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "n_frames": 10},
    "a.flv": {"gop": 12, "b_frames": 2},
    "a.h264": {"gop": 12, "b_frames": 2},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8", "n_frames": 20},
    "a.apng": {"codec": "apng", "pix_fmt": "rgb24", "n_frames": 10},
}
PICTURES = ("dib.avi", "moving.webp", "plain.tif", "zlib.tif", "imagej.tif", "a.png", "a.jpg")
KINDS = (*VIDEOS, *PICTURES)
N_GROUPS = 2


def write(path: Path) -> bytes:
    """Write a sound file of a kind."""
    pictures = [draw(number) for number in range(10)]
    if path.name in VIDEOS:
        encode(path, **VIDEOS[path.name])
    elif path.name == "dib.avi":
        write_dib_avi(path, 10, bottom_up=True)
    elif path.name == "moving.webp":
        first, *others = [Image.fromarray(picture) for picture in pictures]
        first.save(path, save_all=True, append_images=others, duration=40, lossless=True)
    elif path.suffix == ".tif":
        compression = "zlib" if path.stem == "zlib" else None
        tifffile.imwrite(
            path,
            np.stack(pictures),
            compression=compression,
            imagej=path.stem == "imagej",
            photometric="minisblack",
        )
    else:
        Image.fromarray(pictures[3]).convert("RGB").save(path)
    return path.read_bytes()


def mutate(data: bytes, dice: random.Random) -> bytearray:
    """Flip bits, overwrite, cut out, break off."""
    bad = bytearray(data)
    for _ in range(dice.choice([1, 5, 30])):
        place = dice.randrange(len(bad))
        kind = dice.randrange(4)
        if kind == 0:
            bad[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            stop = min(len(bad), place + dice.randrange(64))
            bad[place:stop] = dice.randbytes(stop - place)
        elif kind == 2:
            del bad[place : place + dice.randrange(32)]
        else:
            # the head of a file is where a wrong byte does most
            bad[dice.randrange(min(len(bad), 1000))] = dice.randrange(256)
    return bad[: dice.randrange(len(bad) // 2, len(bad))] if dice.random() < 0.2 else bad


def test_mutated_files_open_or_are_refused(tmp_path: Path) -> None:
    sound = {kind: write(tmp_path / kind) for kind in KINDS}
    files = []
    for seed in range(N_FILES):
        kind = KINDS[seed % len(KINDS)]
        path = tmp_path / f"{seed}-{kind}"
        path.write_bytes(mutate(sound[kind], random.Random(seed)))
        files.append(str(path))
    # a process for each half, so that a crash or a hang is a failure and no end of the tests
    children = [
        subprocess.Popen(
            [sys.executable, str(OPEN_ALL), *files[group::N_GROUPS]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"NAPARI_SAM3_CACHE_MB": "64"},
        )
        for group in range(N_GROUPS)
    ]
    n_opened = 0
    for child in children:
        out, err = child.communicate(timeout=300)
        assert child.returncode == 0, err[-3000:]
        opened, megabytes = out.split()
        n_opened += int(opened)
        if megabytes != "unknown":
            assert float(megabytes) < MOST_MEGABYTES
    # both happen: else the test would not be one
    assert 0.2 * N_FILES < n_opened < 0.9 * N_FILES


@pytest.mark.parametrize("kind", ["a.mp4", "a.mkv", "a.gif", "plain.tif", "moving.webp"])
def test_nothing_but_its_first_bytes(kind: str, tmp_path: Path) -> None:
    data = write(tmp_path / kind)
    files = []
    for length in (1, 2, 4, 8, 12, 13, 16, 24, 32, 48, 64):
        files.append(tmp_path / f"{length}-{kind}")
        files[-1].write_bytes(data[:length])
    assert not any(read_about(path) for path in files)

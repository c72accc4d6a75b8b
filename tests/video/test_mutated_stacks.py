"""Stacks with random damage to their descriptions open, or are refused; no other error comes."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video

from .stacks import CHANNELS, STACK, write_ome_zarr

N_CASES = 150
_HEAD = 2600  # bytes of a file that are damaged


def ome_zarr_2(folder: Path) -> tuple[Path, list[Path]]:
    path = write_ome_zarr(folder / "a.zarr", 2)
    return path, [path / ".zgroup", path / ".zattrs", path / "0" / ".zarray"]


def ome_zarr_3(folder: Path) -> tuple[Path, list[Path]]:
    path = write_ome_zarr(folder / "a.zarr", 3)
    return path, [path / "zarr.json", path / "0" / "zarr.json"]


def npy(folder: Path) -> tuple[Path, list[Path]]:
    np.save(folder / "a.npy", STACK)
    return folder / "a.npy", [folder / "a.npy"]


def ome_tiff(folder: Path) -> tuple[Path, list[Path]]:
    said = {"axes": "TCZYX", "Channel": {"Name": CHANNELS}}
    path = folder / "a.tif"
    tifffile.imwrite(path, STACK, ome=True, metadata=said, photometric="minisblack")
    return path, [path]


def imagej(folder: Path) -> tuple[Path, list[Path]]:
    path = folder / "a.tif"
    tifffile.imwrite(path, STACK.swapaxes(1, 2), imagej=True, metadata={"axes": "TZCYX"})
    return path, [path]


def damage(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(max(1, min(len(damaged), _HEAD)))
        kind = chance.random()
        if kind < 0.5 and place < len(damaged):
            damaged[place] = chance.choice(b'0123456789-"{}[],:nulltrue\x00\xff')
        elif kind < 0.7:
            del damaged[place : place + chance.randrange(1, 8)]
        elif kind < 0.9:
            damaged[place:place] = chance.choice((b"9999999", b"null", b"-1", b'"x"', b"1e400"))
        else:
            del damaged[place:]
    return bytes(damaged) or b" "


@pytest.mark.sweep
@pytest.mark.parametrize("write", [ome_zarr_2, ome_zarr_3, npy, ome_tiff, imagej])
def test_damage_is_an_error_of_ours_or_none(
    write: Callable[[Path], tuple[Path, list[Path]]], tmp_path: Path
) -> None:
    chance = random.Random(1)
    path, files = write(tmp_path)
    for _ in range(N_CASES):
        file = chance.choice(files)
        whole = file.read_bytes()
        file.write_bytes(damage(whole, chance))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with open_video(path, channel=1, z=chance.choice((0, "max"))) as video:
                    for number in (0, len(video) - 1):
                        assert video.frame(number).shape == video.shape[1:]
            except VideoError:
                pass
        file.write_bytes(whole)

"""What do a second pass over the same frames and a second click cost, once frames are encoded?

Real-size networks with random weights (they cost what real ones cost) behind the session that
people use, on an H.264 video of 1280 x 720, on the CPU. The bank of memories is full before
anything is timed: its frames share one encoded picture. Then, of the same few frames:

- first: nothing is known of them;
- second: a corrective click lies just before them, so each is computed anew; encoded frames come
  from memory;
- from disk: the same once more, after memory was emptied;
- bare: transformers' own loop, which encodes each frame whenever it comes to it (with --bare).

With `--objects N` that many objects were clicked, and one of them is corrected.

`sam3 + text` looks for a word besides, from the first pass on (detector on every frame; random
weights find nothing for it): the corrective click leaves what the word's search has found as it
is, so that the second pass computes the corrected object alone. `another word` is the search for
a further word over the same frames, which are encoded by then. Figures are seconds a frame, the
mean of the frames timed.

    python benchmarks/second_pass.py [sam2.1-tiny] [edgetam] [sam3] [--objects 3] [--bare]
"""

from __future__ import annotations

import argparse
import gc
import platform
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
import transformers
from sam_objects import make_model
from transformers import CLIPTokenizer, Sam3VideoConfig, Sam3VideoModel

from napari_sam3 import VideoSession
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.feature_cache import FeatureCache
from napari_sam3.models.sam.features import FeatureSource
from napari_sam3.models.sam.folder import LoadedSam
from napari_sam3.models.sam.model import SamModel
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.models.weights import FAMILIES
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import open_video
from napari_sam3.video.write import VideoWriter

SIZE = (720, 1280)
BANK = 9  # frames until a bank is as full as it gets, but for the cheap pointers
CLICK, CORRECTION = (640.0, 360.0), (400.0, 200.0)
GIB = 2**30


def write_film(path: Path, n_frames: int) -> None:
    """A disc that moves over noise."""
    ground = np.random.default_rng(0).integers(0, 120, (*SIZE, 3), dtype=np.uint8)
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    with VideoWriter(path, fps=25) as writer:
        for index in range(n_frames):
            frame = np.roll(ground, 2 * index, axis=1)
            frame[(rows - 360) ** 2 + (columns - 640 - 4 * index) ** 2 < 120**2] = (220, 60, 40)
            writer.write(frame)


def make_network(name: str) -> tuple[Any, str, Pictures]:
    """A network of the real size, its family, and how it takes frames."""
    if name != "sam3":
        family = "edgetam_video" if name == "edgetam" else "sam2_video"
        return make_model(name), family, Pictures(1024)
    torch.manual_seed(0)
    network = Sam3VideoModel(Sam3VideoConfig()).eval()
    with torch.no_grad():
        network.tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(4.0)
    return network, "sam3_video", Pictures(1008, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def write_tokenizer(folder: Path) -> None:
    """Words of letters: what a word is called costs nothing."""
    letters = [f"{chr(c)}{end}" for c in range(97, 123) for end in ("", "</w>")]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters]
    CLIPTokenizer({piece: i for i, piece in enumerate(pieces)}, []).save_pretrained(folder)


class Bench:
    """One model on the film."""

    def __init__(
        self, name: str, film: Path, scratch: Path, n_timed: int, n_objects: int = 1
    ) -> None:
        self.network, family, pictures = make_network(name)
        write_tokenizer(scratch)
        self.name, self.film, self.n_timed, self.n_objects = name, film, n_timed, n_objects
        self.n_corrections = 0
        self.cache = FeatureCache(8 * GIB, 8 * GIB, lambda: scratch / f"features of {name}")
        loaded = LoadedSam(
            self.network,
            scratch,
            FAMILIES[family],
            Device("cpu"),
            pictures.size,
            pictures,
            f"benchmark {name}",
        )
        self.pictures = pictures
        self.model = SamModel(loaded, name, self.cache)
        self.timed = range(BANK, BANK + n_timed)

    def share_bank(self) -> None:
        """Encode one frame for all those that only fill the bank; warms everything up too."""
        video = open_video(self.film)
        source = FeatureSource(RgbFrames(video), self.model._encoder, self.cache)
        first = self.timed[-1] + 1
        encoded = {name: tensor.cpu() for name, tensor in source.get(first).items()}
        for index in range(1, BANK):
            self.cache.put(source._key(index), encoded, 0.0)
        source.close()
        video.close()

    def click(self, session: VideoSession) -> float:
        """Point out the objects; seconds of the first click."""
        for number in range(2, self.n_objects + 1):
            session.add_prompt(1, points=[(10.0 + 100 * number, 120.0)], obj_id=number)
        return took(lambda: session.add_prompt(0, points=[CLICK], obj_id=1))

    def fill_bank(self, session: VideoSession) -> None:
        for _ in session.propagate(start_frame_index=0, max_frame_num_to_track=BANK):
            pass

    def ours(self) -> dict[str, float]:
        """Seconds of each kind."""
        told: dict[str, float] = {}
        with VideoSession(self.film, self.model) as session:
            told["first click"] = self.click(session)
            told["second click"] = took(
                lambda: session.add_prompt(0, points=[CORRECTION], point_labels=[0], obj_id=1)
            )
            self.fill_bank(session)
            told["first pass"] = self.walk(session)
            told["megabytes a frame"] = self.cache.memory_used / 2**20 / (BANK + self.n_timed + 1)
            self.correct(session)
            told["second pass"] = self.walk(session)
            self.cache.wait_for_disk()
            self.cache.set_budget(0, self.cache.disk_budget)
            self.cache.set_budget(8 * GIB, self.cache.disk_budget)
            self.share_bank_again()
            self.correct(session)
            told["from disk"] = self.walk(session)
            told["disk megabytes"] = self.cache.disk_used / 2**20
        return told

    def share_bank_again(self) -> None:
        """The bank's frames were never encoded, so no file holds them."""
        before = self.timed
        self.share_bank()
        assert self.timed == before

    def correct(self, session: VideoSession) -> None:
        """A click just before the frames that are timed: all of them must be computed anew."""
        self.n_corrections += 1
        x, y = CORRECTION[0] + self.n_corrections, CORRECTION[1]
        session.add_prompt(BANK - 1, points=[(x, y)], point_labels=[0], obj_id=1)

    def walk(self, session: VideoSession) -> float:
        """Time the frames behind the bank; seconds a frame."""
        last = BANK - 1
        steps = session.propagate(start_frame_index=last, max_frame_num_to_track=self.n_timed + 1)
        next(steps)  # and what must be computed on the way to it
        return took(lambda: list(steps)) / self.n_timed

    def with_text(self) -> tuple[dict[str, float], dict[str, float]]:
        """The same with a word that is looked for from the first pass on; and another word."""
        self.cache.wait_for_disk()
        self.cache.clear()  # nothing is known of the frames again
        self.share_bank()
        told: dict[str, float] = {}
        with VideoSession(self.film, self.model) as session:
            told["first click"] = self.click(session)
            self.fill_bank(session)
            session.add_prompt(BANK - 1, text="thing")
            told["first pass"] = self.walk(session)
            self.correct(session)
            told["second pass"] = self.walk(session)
            session.add_prompt(BANK - 1, text="other")
            another = {"second pass": self.walk(session)}
        return told, another

    def bare(self) -> Iterator[float]:
        """Seconds of transformers' own loop for each of the frames timed."""
        model, pictures = self.network, self.pictures
        video = open_video(self.film)
        kind = type(model).__name__.removesuffix("Model") + "InferenceSession"
        session = getattr(transformers, kind)(
            video_height=SIZE[0],
            video_width=SIZE[1],
            dtype=torch.float32,
            max_vision_features_cache_size=BANK + 2,
        )
        with torch.inference_mode():
            for index in (0, self.timed[-1] + 1):
                session.add_new_frame(pictures.preprocess(video.frame(index)), index)
            for index in range(self.timed.stop):
                session.processed_frames.setdefault(index, session.processed_frames[0])
            model._prepare_vision_features(session, 0, 1)
            seen = session.cache.get_vision_features(0)
            for index in range(1, BANK):
                session.cache.cache_vision_features(index, seen)
            session.obj_id_to_idx(1)
            point = torch.tensor([[[[pictures.size / 2, pictures.size / 2]]]])
            labels = torch.ones(1, 1, 1, dtype=torch.int32)
            session.add_point_inputs(0, 0, {"point_coords": point, "point_labels": labels})
            session.obj_with_new_inputs = [1]
            for index in range(BANK):
                model(session, frame_idx=index)
            for index in self.timed:
                begin = perf_counter()
                session.add_new_frame(pictures.preprocess(video.frame(index)), index)
                output = model(session, frame_idx=index)
                masks = torch.nn.functional.interpolate(
                    output.pred_masks, SIZE, mode="bilinear", align_corners=False
                )
                assert (masks > 0).numpy().shape[-2:] == SIZE
                yield perf_counter() - begin
        video.close()


def took(work: Any) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def report(name: str, told: dict[str, float]) -> None:
    def seconds(kind: str) -> str:
        return f"{told[kind]:.2f}" if kind in told else ""

    def ratio(one: str, other: str, digits: int) -> str:
        both = one in told and other in told
        return f"{told[one] / told[other]:.{digits}f} x" if both else ""

    row = [
        name,
        *(seconds(kind) for kind in ("first pass", "second pass", "from disk", "bare")),
        ratio("first pass", "second pass", 1),
        *(seconds(kind) for kind in ("first click", "second click")),
        ratio("first click", "second click", 0),
        f"{told['megabytes a frame']:.0f}" if "megabytes a frame" in told else "",
    ]
    print("| " + " | ".join(row) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["sam2.1-tiny", "sam3"])
    parser.add_argument("--frames", type=int, default=3, help="frames that are timed")
    parser.add_argument("--objects", type=int, default=1, help="that were clicked")
    parser.add_argument("--bare", action="store_true", help="transformers' own loop too")
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end=""
    )
    print(f"torch {torch.__version__}, transformers {transformers.__version__}\n")
    print(
        "| model | first | second | from disk | bare | ratio | 1st click | 2nd | ratio | MB/frame |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in options.models:
        with TemporaryDirectory() as folder:
            film = Path(folder) / "film.mp4"
            write_film(film, BANK + options.frames + 2)
            bench = Bench(name, film, Path(folder), options.frames, options.objects)
            bench.share_bank()
            told = bench.ours()
            if options.bare and name != "sam3":
                told["bare"] = float(np.mean(list(bench.bare())))
            many = f", 1 of {options.objects} objects" if options.objects > 1 else ""
            report(f"{name}{many}", told)
            if name == "sam3":
                text, another = bench.with_text()
                report(f"{name} + text{many}", text)
                report(f"{name}, another word", another)
            bench.model.close()
            del bench
            gc.collect()


if __name__ == "__main__":
    main()

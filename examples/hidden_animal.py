"""Follow an animal that goes behind a tree: see where it was lost, click once more, go on.

python hidden_animal.py

The film is made here, forest.mp4. Writes "results/overlay.mp4" and "results/objects.csv".
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_sam3 import VideoSession
from napari_sam3.export import Scene, open_writer
from napari_sam3.review import Review
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import FrameResult, label_image
from napari_sam3.video.video_writer import VideoWriter

HEIGHT, WIDTH, N_FRAMES = 240, 400, 72
TREE = slice(122, 216)
"""Its columns, px."""
BUSH = 340, 174, 34
"""x, y and radius, px."""


def forest() -> Iterator[np.ndarray]:
    """Frames, (H, W, 3) uint8: an animal walks behind a tree, then behind a bush."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5

    def grain(
        shape: tuple[int, int], size: float | tuple[float, float], depth: float
    ) -> np.ndarray:
        noise = gaussian_filter(rng.normal(size=shape), size)
        return (noise * depth / noise.std())[..., None]

    ground = np.array([96, 132, 74]) + grain((HEIGHT, WIDTH), 4, 9)
    bark = np.array([92, 72, 58]) + grain((HEIGHT, WIDTH), (12, 2), 10)
    leaves = np.array([52, 92, 48]) + grain((HEIGHT, WIDTH), 3, 12)
    coat = np.array([190, 110, 45]) + grain((60, 120), 3, 14)
    coat[24:] = coat[:, 28:40] = 235, 215, 180  # a white belly and collar
    bush = np.hypot(x - BUSH[0], y - BUSH[1]) < BUSH[2]
    for frame_index in range(N_FRAMES):
        dx, dy = x - 20 - 4.4 * frame_index, y - 118 - 4 * np.sin(frame_index / 2)
        body = ((dx - 30) / 30) ** 2 + ((dy - 20) / 15) ** 2 < 1
        head = ((dx - 63) / 11) ** 2 + ((dy - 12) / 9) ** 2 < 1
        picture = ground.copy()
        picture[body | head] = coat[dy[body | head].astype(int), dx[body | head].astype(int)]
        picture[:, TREE] = bark[:, TREE]
        picture[bush] = leaves[bush]
        yield np.clip(picture, 0, 255).astype(np.uint8)


def frames_without(results: list[FrameResult]) -> list[int]:
    """Frames on which the animal, object 1, can't be seen."""
    return [result.frame_index for result in results if 1 not in result.objects]


with VideoWriter("forest.mp4", 24) as film:
    for picture in forest():
        film.write(picture)

with VideoSession("forest.mp4", "optical-flow") as session, ExitStack() as stack:
    session.add_prompt(0, points=[[50, 138], [82, 130]])
    results = list(session.propagate())
    print("one click each on body and head; not seen on frames:", *frames_without(results))

    # what the window's Next would show
    review = Review()
    for result in results:
        review.look(result.frame_index, label_image(result.objects, session.frame_size))
    for place in review.places()[:3]:
        print(f"worth a look: frame {place.frame_index}, {place}")

    # on frame 46 it has come out: one click more, and once more through the film
    session.add_prompt(46, points=[[245, 130]], obj_id=1)
    scene = Scene(
        shape=(N_FRAMES, *session.frame_size),
        video=session.video,
        frames=RgbFrames(session.video),
    )
    writers = [
        stack.enter_context(open_writer(name, Path("results") / file, scene))
        for name, file in (("overlay", "overlay.mp4"), ("csv", "objects.csv"))
    ]
    results = []
    for result in session.propagate():
        results.append(result)
        for writer in writers:
            writer.write(result)
    print("and a click on frame 46; not seen on frames:", *frames_without(results))
    print(
        "px of it:", *(result.objects[1].area if 1 in result.objects else 0 for result in results)
    )

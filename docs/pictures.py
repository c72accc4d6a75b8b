"""Make the pictures and the film of the window for README and guide, by a real run.

Run on a machine with a screen (or under `xvfb-run -s "-screen 0 1600x1000x24"`):

    python docs/pictures.py

It tracks two cells of the sample as a person does, by events of mouse and keyboard.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

IMAGES = Path(__file__).parent / "images"
SIZE = 1280, 800
FILM_WIDTH = 800
CELLS = (110, 225), (140, 500)
"""(y, x) of two cells on the frame in the middle."""


class Camera:
    """Takes pictures of a window."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.frames: list[Image.Image] = []

    def picture(self) -> Image.Image:
        """The window as it is."""
        QTest.qWait(300)
        shot = self._viewer.window.screenshot(canvas_only=False, flash=False)
        return Image.fromarray(np.asarray(shot)[..., :3])

    def take(self, times: int = 1) -> None:
        """Add a picture to the film."""
        picture = self.picture()
        picture = picture.resize((FILM_WIDTH, picture.height * FILM_WIDTH // picture.width))
        self.frames += [picture] * times

    def wait(self, is_over: Callable[[], bool], *, films: bool = False) -> None:
        """Let the window live until something is so."""
        while not is_over():
            QTest.qWait(200)
            if films:
                self.take()

    def save(self, path: Path) -> None:
        """Write the film."""
        few = [one.quantize(96, dither=Image.Dither.NONE) for one in self.frames]
        few[0].save(path, save_all=True, append_images=few[1:], duration=350, loop=0, optimize=True)


def main() -> None:
    """Make them all."""
    os.environ["NAPARI_SAM3_PROJECTS"] = tempfile.mkdtemp()
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(*SIZE)
    viewer.open_sample("napari-sam3", "dividing_cells")
    camera = Camera(viewer)
    camera.take(3)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam3")
    state, canvas = dock.state, viewer.window._qt_viewer.canvas.native
    camera.wait(lambda: state.points is not None and not dock.models.survey.is_running)
    camera.take(4)

    def click(y: float, x: float) -> None:
        world = viewer.layers[0].data_to_world([viewer.dims.current_step[0], y, x])
        scene = viewer.window._qt_viewer.canvas.view.scene
        left, top, *_ = scene.transform.map([world[-1], world[-2], 0, 1])
        QTest.mouseMove(canvas, QPoint(round(left), round(top)))
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(round(left), round(top)))

    for obj_id, place in enumerate(CELLS, 1):
        if obj_id > 1:
            QTest.keyClick(canvas, Qt.Key.Key_N)
        click(*place)
        camera.wait(lambda i=obj_id: i in state.preview.objects)
        camera.take(4)
    QTest.mouseClick(dock.tracking_panel.propagate.native, Qt.MouseButton.LeftButton)
    camera.wait(lambda: state.is_idle, films=True)
    camera.wait(lambda: not dock.review.is_looking)
    camera.take(5)
    camera.picture().save(IMAGES / "window.png", optimize=True)
    for frame_index in range(0, viewer.dims.range[0].stop.__int__(), 4):
        viewer.dims.set_current_step(0, frame_index)
        camera.take()
    camera.save(IMAGES / "window.gif")
    dock.shut_down()
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    main()

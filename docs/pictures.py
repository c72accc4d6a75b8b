"""Make the pictures and the film of the window for README and docs, by a real run.

Run on a machine with a screen (or under `xvfb-run -s "-screen 0 1600x1000x24"`):

    python docs/pictures.py

It tracks two cells of the sample as a person does, by events of mouse and keyboard.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import napari
import numpy as np
from napari.layers import Tracks
from picture_files import save_film, save_picture
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QWidget

from napari_sam3 import attach
from napari_sam3.samples import sample_paths

SIZE = 1280, 800
FILM_WIDTH = 800
CELLS = (110, 225), (140, 500)
"""(y, x) of two cells on the frame in the middle."""
DIVIDES_AT = 40


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

    def keep(self, name: str, of: QWidget | None = None) -> None:
        """Write a picture of the window, or of a part of it."""
        picture = self.picture()
        if of is not None:
            corner, room = of.mapTo(of.window(), QPoint(0, 0)), of.size()
            box = corner.x(), corner.y(), corner.x() + room.width(), corner.y() + room.height()
            picture = picture.crop(box)
        save_picture(picture, name)

    def save(self, name: str) -> None:
        """Write the film."""
        save_film(self.frames, name, ms=350, quality=30)


def open_window() -> tuple[napari.Viewer, Camera]:
    """Open an empty window, and a camera on it."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(*SIZE)
    return viewer, Camera(viewer)


def close_window(viewer: napari.Viewer, dock: Any = None) -> None:
    """End the work and close the window."""
    if dock is not None:
        dock.shut_down()
    viewer.close()
    QApplication.processEvents()


def main() -> None:
    """Make them all."""
    os.environ["NAPARI_SAM3_PROJECTS"] = tempfile.mkdtemp()
    viewer, camera = open_window()
    viewer.open_sample("napari-sam3", "dividing_cells")
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
    camera.keep("window-still.webp")
    for frame_index in range(0, viewer.dims.nsteps[0], 4):
        viewer.dims.set_current_step(0, frame_index)
        camera.take()
    camera.save("window.webp")

    # a division, in the dock and as tracks
    viewer.dims.set_current_step(0, DIVIDES_AT)
    state.object_in_hand = 1
    objects = dock.objects_panel
    objects.divide([7, 8])
    objects.show_tracks()
    camera.wait(lambda: any(isinstance(one, Tracks) for one in viewer.layers))
    objects.fields.more.expand(animate=False)
    camera.keep("objects.webp")
    objects.fields.more.collapse(animate=False)

    # models and settings
    dock.video_panel.group.expand(animate=False)
    dock.settings_panel.group.expand(animate=False)
    QTest.qWait(500)  # laid out
    scroll_bar = dock.findChild(QScrollArea).verticalScrollBar()
    scroll_bar.setValue(scroll_bar.maximum())
    camera.keep("models.webp", of=dock)
    folder = dock.projects.project.folder
    close_window(viewer, dock)

    # the same work, opened again
    viewer, camera = open_window()
    viewer.open(str(folder), plugin="napari-sam3")
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam3")
    camera.wait(lambda: dock.projects.project is not None and len(dock.objects_panel.list.rows) > 1)
    dock.history_list.group.collapse(animate=False)
    dock.project_panel.group.expand(animate=False)
    QTest.qWait(2000)
    camera.keep("project.webp")
    close_window(viewer, dock)

    # a script's session
    viewer, camera = open_window()
    (layer,) = viewer.open(str(sample_paths().video), plugin="napari-sam3")
    with attach(viewer, layer) as work:
        work.add_prompt(0, points=[[343, 406]])
        work.add_prompt(0, box=[368, 247, 442, 305])
        work.propagate(on_frame=lambda result: result.frame_index < 11)
        viewer.dims.set_current_step(0, 8)
        camera.keep("script.webp")
    close_window(viewer)


if __name__ == "__main__":
    main()

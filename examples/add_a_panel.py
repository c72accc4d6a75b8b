"""Add a panel to the window: it shows the state, and its button calls a controller.

python add_a_panel.py

It says which objects are on the frame on screen. CONTRIBUTING.md says where a panel stands in the
package.
"""

import napari
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam3 import attach
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from napari_sam3.samples import sample_paths


class FramePanel(QWidget):
    """A line of text and a button; keeps nothing that the state says.

    Parameters
    ----------
    tracking : TrackingController
        Its `state` is shown, its verbs are called.
    """

    def __init__(self, tracking: TrackingController) -> None:
        super().__init__()
        self._tracking = tracking
        self.text = QLabel()
        self.segment = QPushButton("Segment frame")
        self.segment.clicked.connect(self.segment_frame)
        rows = QVBoxLayout(self)
        rows.addWidget(self.text)
        rows.addWidget(self.segment)
        # the state tells of each of its fields when it changes
        for name in ("phase", "outcome", "n_prompts", "steps_done"):
            tracking.state.events[name].connect(self.show_state)
        tracking.viewer.dims.events.current_step.connect(self.show_state)
        self.show_state()

    def segment_frame(self) -> None:
        """Show what the prompts mean on the frame on screen."""
        self._tracking.segment_frame()

    def show_state(self, _value: object = None) -> None:
        """Say what is on the frame on screen; the button is closed where it could do nothing."""
        state, results = self._tracking.state, self._tracking.results
        notes = {} if results is None else results.planes.notes(self._tracking.frame_on_screen())
        self.text.setText(f"Objects here: {', '.join(map(str, sorted(notes))) or 'none'}")
        self.segment.setEnabled(state.is_idle and state.n_prompts > 0)


def main() -> None:
    """Open the sample with the dock and the panel, and segment one object."""
    viewer = napari.Viewer()
    (layer,) = viewer.open(str(sample_paths().video), plugin="napari-sam3")
    dock = SegmentAndTrackWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment and track")
    panel = FramePanel(dock.tracking)
    viewer.window.add_dock_widget(panel, name="Frame", area="left")
    with attach(viewer, layer) as work:  # by the dock's controller, since there is a dock
        work.add_prompt(0, points=[[343, 406]])
        print(panel.text.text())
    napari.run()


if __name__ == "__main__":
    main()

"""Prompt and track in a napari window by script; the window stays alive, and yours at the end.

python script_a_viewer.py
"""

import napari

from napari_sam3 import attach
from napari_sam3.samples import sample_paths

viewer = napari.Viewer()
(layer,) = viewer.open(str(sample_paths().video), plugin="napari-sam3")

with attach(viewer, layer) as work:
    work.add_prompt(0, points=[[343, 406]])  # x, y in px; shown in a points layer
    work.add_prompt(0, box=[368, 247, 442, 305])
    # stop early: after frame 11
    work.propagate(on_frame=lambda result: result.frame_index < 11)
    work.objects.rename(1, "the cell in the middle")
    work.tracks()
    print(work.export("results/labels.tif"), [layer.name for layer in viewer.layers])

napari.run()  # the window is yours; not needed for anything above

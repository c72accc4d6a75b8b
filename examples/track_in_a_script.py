"""Follow one object through a video and print where it is. No window, no Qt.

python track_in_a_script.py [VIDEO X Y]     X, Y: a pixel on the object, on the first frame
"""

import sys

from napari_sam3 import VideoSession
from napari_sam3.samples import sample_paths

video, x, y = sys.argv[1:] or (sample_paths().video, 343, 406)

with VideoSession(video) as session:
    session.add_prompt(0, points=[[float(x), float(y)]])
    for result in session.propagate():
        for obj_id, found in result.objects.items():
            print(result.frame_index, obj_id, f"{found.score:.2f}", found.bbox, found.area)

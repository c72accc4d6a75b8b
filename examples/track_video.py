"""Track a video without a window, and kept as it goes: run it again, and nothing is computed twice.

python track_video.py [VIDEO X Y]     X, Y: a pixel on the object, on the first frame
"""

import sys

from napari_sam3 import track_video
from napari_sam3.samples import sample_paths

video, x, y = sys.argv[1:] or (sample_paths().video, 343, 406)
prompts = [{"frame": 0, "object": 1, "points": [[float(x), float(y)]]}]

with track_video(
    video, prompts, max_frame_num_to_track=12, project="cell.sam3", progress=True
) as tracked:
    print(tracked.labels.shape, tracked.object_ids, tracked.scores(11))
    tracked.objects.classify(1, "cell")
    print("wrote", tracked.export("results/coco.json"), tracked.export("results/01_RES"))

"""All objects that a word names, with SAM 3: found, followed, and written.

python by_text.py [VIDEO WORDS]

Needs the weights of SAM 3 (`napari-sam3 models get sam3`). Without arguments it looks for "cell" in
the sample. Writes "results/coco.json".
"""

import sys

from napari_sam3 import track_video
from napari_sam3.samples import sample_paths

video, words = sys.argv[1:] or (sample_paths().video, "cell")

prompts = [{"frame": 0, "text": words}]
with track_video(video, prompts, model="sam3", max_frame_num_to_track=12) as tracked:
    print(f"{words!r} names objects {tracked.object_ids}")
    for frame_index in (0, 11):
        print("frame", frame_index, tracked.scores(frame_index))
    for obj_id in tracked.object_ids:
        tracked.objects.classify(obj_id, words)
    print("wrote", tracked.export("results/coco.json"))

"""Track what was drawn on one frame, write the results in several formats, read them back.

python export_results.py [VIDEO LABELS]     LABELS: any format that docs/formats.md lists

Writes into the folder "results".
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from napari_sam3 import VideoSession
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.imports import open_labels, prompt_with_labels
from napari_sam3.samples import sample_paths
from napari_sam3.video.video_facts import describe_video

sample = sample_paths()
path, drawn = sys.argv[1:] or (sample.video, sample.truth)

with VideoSession(path) as session, open_labels(drawn) as labels, ExitStack() as stack:
    prompt_with_labels(session, 0, labels[0])
    scene = Scene(
        shape=(len(session.video), *session.frame_size),
        facts=describe_video(session.video),
        video=session.video,
    )
    writers = [
        stack.enter_context(open_writer(name, Path("results") / FORMATS[name].target, scene))
        for name in ("tiff", "coco", "ctc", "ome-zarr", "csv")
    ]
    for result in session.propagate(max_frame_num_to_track=12):
        for writer in writers:
            writer.write(result)

with open_labels("results/coco.json") as labels:
    print(labels.shape, "objects on frame 11:", sorted(labels.notes(11)))

"""Track in all videos of a folder: one bad video does not stop the rest, a killed run goes on.

python batch_over_a_folder.py [FOLDER]     its click fits the sample
"""

import shutil
import sys
from pathlib import Path

from napari_sam3 import run_batch
from napari_sam3.samples import sample_paths

if sys.argv[1:]:
    folder = Path(sys.argv[1])
else:
    folder = Path("films")
    folder.mkdir(exist_ok=True)
    shutil.copy(sample_paths().video, folder / "cells.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")

report = run_batch(
    [folder],
    [{"frame": 0, "points": [[343, 406]]}],
    out="results",
    formats=["tiff", "csv"],
    max_frame_num_to_track=10,
)
print(report)  # also in results/summary.csv

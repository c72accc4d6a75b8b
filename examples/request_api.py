"""The SAM 3 video API's requests, on the sample or on a video of yours.

python request_api.py [VIDEO X Y]
"""

import sys

from napari_sam3 import Sam3VideoPredictor
from napari_sam3.samples import sample_paths

video, x, y = sys.argv[1:] or (sample_paths().video, 343, 406)

predictor = Sam3VideoPredictor()
session_id = predictor.handle_request({"type": "start_session", "resource_path": str(video)})[
    "session_id"
]
predictor.handle_request(
    {
        "type": "add_prompt",
        "session_id": session_id,
        "frame_index": 0,
        "points": [[float(x), float(y)]],
        "point_labels": [1],
    }
)
for response in predictor.handle_stream_request(
    {
        "type": "propagate_in_video",
        "session_id": session_id,
        "propagation_direction": "forward",
        "max_frame_num_to_track": 10,
    }
):
    print(response["frame_index"], {i: o["bbox"] for i, o in response["outputs"].items()})
predictor.handle_request({"type": "close_session", "session_id": session_id})

"""The complete workflow of the API's page, as it stands there but for the import line."""

from __future__ import annotations

import numpy as np

from napari_sam3.models.registry import AUTO_VARIABLE
from napari_sam3.video.video_writer import VideoWriter

PAGE = """
from napari_sam3 import Sam3VideoPredictor

predictor = Sam3VideoPredictor()

# 1. Start session
response = predictor.handle_request({
    "type": "start_session",
    "resource_path": "video.mp4"
})
session_id = response["session_id"]

# 2. Add prompt on first frame
response = predictor.handle_request({
    "type": "add_prompt",
    "session_id": session_id,
    "frame_index": 0,
    "text": "person",
    "points": [[640, 360]],
    "point_labels": [1]
})

# 3. Propagate through video
results = []
for response in predictor.handle_stream_request({
    "type": "propagate_in_video",
    "session_id": session_id,
    "propagation_direction": "forward"
}):
    results.append(response)

# 4. Process results
for result in results:
    frame_idx = result["frame_index"]
    for obj_id, obj_data in result["outputs"].items():
        mask = obj_data["mask"]
        score = obj_data["score"]
        bbox = obj_data["bbox"]
        # Save or visualize

# 5. Clean up
predictor.handle_request({
    "type": "close_session",
    "session_id": session_id
})
"""


def test_page(tmp_path, monkeypatch):
    with VideoWriter(tmp_path / "video.mp4", fps=25) as writer:
        for _ in range(5):
            writer.write(np.zeros((720, 1280, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(AUTO_VARIABLE, "fake")
    names: dict = {}
    exec(compile(PAGE, "page", "exec"), names)
    assert [r["frame_index"] for r in names["results"]] == [0, 1, 2, 3, 4]
    assert all(set(r["outputs"]) == {1, 2} for r in names["results"])
    assert names["results"][4]["outputs"][2]["mask"][360 + 8, 640 + 12]

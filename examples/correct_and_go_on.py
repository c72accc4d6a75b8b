"""Stop a propagation, correct an object, and go on: what was right is not computed again.

python correct_and_go_on.py
"""

from napari_sam3 import VideoSession
from napari_sam3.samples import sample_paths

with VideoSession(sample_paths().video) as session:
    session.add_prompt(0, boxes=[[310, 365, 376, 442], [368, 247, 442, 305]])
    with session.propagate() as running:
        for result in running:
            if result.frame_index == 20:
                break  # say this one went wrong here
    # a click on the object, and one beside it that shall not belong to it
    x0, y0, x1, y1 = session.result(20).objects[1].bbox
    middle, beside = [(x0 + x1) / 2, (y0 + y1) / 2], [x1 + 10, y1 + 10]
    session.add_prompt(20, points=[middle, beside], point_labels=[1, 0], obj_id=1)
    areas = [result.objects[1].area for result in session.propagate() if 1 in result.objects]
    print(f"object 1 was seen on {len(areas)} frames, {min(areas)} to {max(areas)} px")

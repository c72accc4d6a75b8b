"""Open a project, correct an object, and go on from there.

python continue_a_project.py [PROJECT]     without one it is made of the sample
"""

import sys

from napari_sam3 import track_video
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.samples import sample_paths

place = sys.argv[1] if sys.argv[1:] else "sample.sam3"
if not sys.argv[1:]:
    prompts = [{"frame": 0, "object": 1, "points": [[343, 406]]}]
    # stopped on the way, as if the machine had been switched off
    track_video(
        sample_paths().video,
        prompts,
        max_frame_num_to_track=15,
        project=place,
        on_frame=lambda result: result.frame_index < 6,
    ).close()

with Project.open(place) as project:
    for problem in project.problems:
        print("lost:", problem)
    print("left to do:", project.frames_left, "with", project.state.model)
    with ProjectRun(project, project.state.model or "auto") as run:
        for result in run:  # each frame is kept before it is given
            print(result.frame_index, {i: o.area for i, o in result.objects.items()})
    project.objects.rename(1, "the cell in the middle")
    project.save_objects(project.objects)
    print(project.labels, project.labels.mean_scores())

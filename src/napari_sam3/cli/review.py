"""`napari-sam3 review`: what in results is worth a person's look."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from napari_sam3.cli.export import open_results
from napari_sam3.projects.label_file import ProjectLabels
from napari_sam3.review import CheckFile, Place, Review, review_labels


def run(arguments: argparse.Namespace) -> int:
    """Read, and list. Returns the exit code."""
    with open_results(arguments.labels, arguments.first_number) as labels:
        frames = len(labels.processed_frames())
        with tqdm(total=frames, desc="looking", unit="frame", disable=None) as bar:
            review = review_labels(labels, on_frame=lambda _frame_index: bar.update())
        if isinstance(labels, ProjectLabels):
            _restore(review, labels)
        places = [p for p in review.places(labels.objects.divisions) if p.is_doubtful]
        shown = places[: arguments.most]
        arguments.facts |= {
            "frames": frames,
            "n_places": len(places),
            "n_checked": len(review.checks),
            "places": [_to_json(place) for place in shown],
        }
        if not arguments.json:
            _print_table(shown)
            print(
                f"\n{len(places)} places worth a look on {frames} frames, {len(shown)} shown; "
                f"{len(review.checks)} checked before"
            )
    return 0


def _restore(review: Review, labels: ProjectLabels) -> None:
    file = CheckFile(labels.project.folder)
    review.restore(file.load())
    if file.problem is not None:
        print(f"warning: {file.problem}", file=sys.stderr)


def _to_json(place: Place) -> dict[str, Any]:
    return {
        "object": place.obj_id,
        "frame": place.frame_index,
        "frames": [place.first, place.last],
        "value": round(place.value, 3),
        "reasons": [
            {"kind": r.kind, "frame": r.frame_index, "amount": round(r.amount, 3), "text": str(r)}
            | ({"object": r.other} if r.other else {})
            for r in place.reasons
        ],
    }


def _print_table(places: Sequence[Place]) -> None:
    if not places:
        return
    print(f"{'value':>7} {'object':>7} {'frame':>7}  {'frames':<15} why")
    for place in places:
        frames = f"{place.first} to {place.last}"
        print(f"{place.value:7.1f} {place.obj_id:7} {place.frame_index:7}  {frames:<15} {place}")

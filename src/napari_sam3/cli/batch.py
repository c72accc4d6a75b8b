"""`napari-sam3 batch`: many videos, each kept in a project, exported, and told of in a table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from napari_sam3.batch.run import run_batch
from napari_sam3.cli import FAILED, INTERRUPTED
from napari_sam3.cli.prompts import STANDARD_INPUT, read_prompt_file
from napari_sam3.errors import RequestError
from napari_sam3.session.saved_prompts import PromptList, find_meant


def run(arguments: argparse.Namespace) -> int:
    """Track in all of them. Returns the exit code."""
    paths: list[Path] = list(arguments.paths)
    prompts: Path | PromptList | None = None
    if arguments.text is None and not arguments.prompts_beside:
        if not paths:
            raise RequestError(
                "name a file of prompts and the videos; or --text or --prompts-beside, and the "
                "videos (napari-sam3 batch --help shows how)"
            )
        prompts = paths.pop(0)
        if prompts == STANDARD_INPUT:
            prompts = read_prompt_file(prompts)
            # those that it names, looked for here if there are no others, as beside a file
            named = dict.fromkeys(p.video for p in prompts if p.video is not None)
            paths = paths or [find_meant(Path(), name) for name in named]
    report = run_batch(
        paths,
        prompts,
        arguments.output,
        text=arguments.text,
        beside=arguments.prompts_beside,
        model=arguments.model,
        device=arguments.device,
        formats=arguments.formats,
        direction=arguments.direction,
        start_frame_index=arguments.start,
        max_frame_num_to_track=arguments.frames,
        contrast_limits=arguments.contrast,
        jobs=arguments.jobs,
        scheduler=arguments.scheduler,
        insecure=arguments.insecure,
        overwrite=arguments.overwrite,
        recover=arguments.recover,
        pack=arguments.pack,
        channel=arguments.channel,
        z=arguments.z,
        scene=arguments.scene,
        progress=sys.stderr.isatty(),
    )
    arguments.facts |= {
        "rows": [asdict(row) for row in report.rows],
        "summary": str(report.summary_path),
    }
    print(report)
    print(f"wrote {report.summary_path}")
    if report.was_interrupted:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return FAILED if report.failed else 0

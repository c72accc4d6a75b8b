"""The command line: `napari-sam3 demo`, `track`, `batch`, `open`, `review` and so on.

Only what parsing needs is imported here; each command brings its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from napari_sam3 import __version__
from napari_sam3.cli import detect_options, model_options, parse, video_options
from napari_sam3.cli.parser import Parser
from napari_sam3.errors import ChoiceError, RequestError, Sam3Error
from napari_sam3.settings import settings_said

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
DEMO_FOLDER = "demo-output"
_TRACK_HELP = """\
prompts (at least one, unless a project has some; all may be repeated; coordinates in px from the
top left corner):
  Each prompt is an object of its own. Put "ID:" in front to say which object is meant: prompts
  with the same ID belong together, and ID is the object's label in what is written.
  Put "@N" behind to place a prompt on frame N; else it lies on the frame of --frame.

examples:
  one click                    napari-sam3 track film.mp4 --point 320,240 -o out
  two clicks, one object       ... --point 1:320,240 --point 1:350,260
  what does not belong to it   ... --point 1:320,240 --point 1:400,240,-
  two objects                  ... --box 10,20,110,90 --box 200,40,280,160
  a correction on frame 30     ... --point 1:320,240 --point 1:300,200@30
  every label of a picture     ... --mask labels.png
  every box of a tracker       ... --prompts mot.txt
  the 50 frames round 100      ... --point 320,240 --frame 100 --direction both --frames 25
  a long run that may stop     ... --point 320,240 --project film.sam3
  all that is there            ... --detect blobs
  what comes in later, too     ... --detect blobs --detect-every 50, then --prompts proposals.json
"""


_BATCH_HELP = """\
prompts:
  PROMPTS is a file of prompts, JSON or CSV, for all videos, or naming the video of each (JSON
  "videos", CSV column "video"); a project, whose prompts are said to all videos; or - for those on
  standard input. Instead of it: --text, or --prompts-beside. docs/guide/headless.md shows files.

examples:
  the same prompts for all     napari-sam3 batch prompts.json films/*.mp4 -o results
  those that the file names    napari-sam3 batch prompts.csv -o results --formats coco,ctc
  all that a word names        napari-sam3 batch --text cell films -o results --model sam3
  killed, stopped or failed    the same command goes on; what is done is skipped
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    With --json, what a command tells people goes to stderr, and one object of JSON to stdout: what
    it has put into `arguments.facts`, the exit code, and the error if there is one.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if left out.

    Returns
    -------
    int
        0: done; 1: it failed; 2: wrongly asked for; 130: interrupted, what was done is kept.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a path may hold signs that a terminal has not
            stream.reconfigure(errors="backslashreplace")
    try:
        return _do(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:  # as in "| head": nobody reads on
        _throw_away_output()
        return FAILED
    except OSError as exc:  # as where the output goes to a disk that is full
        print(f"napari-sam3: error: what it tells can't be written ({exc})", file=sys.stderr)
        _throw_away_output()
        return FAILED


def _throw_away_output() -> None:
    """Else the interpreter tries once more at its end, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _do(words: Sequence[str]) -> int:
    """Read what is asked for, do it, and say what went wrong. Returns the exit code."""
    facts: dict[str, Any] = {}
    is_json = "--json" in words
    try:
        arguments = _parse(words)
        arguments.facts = facts
        is_json = getattr(arguments, "json", False)  # it may be shortened, or of another word
        with redirect_stdout(sys.stderr) if is_json else nullcontext():
            code = _run(arguments)
    except SystemExit as exit_:  # argparse has printed the help
        return int(exit_.code or 0)
    except Sam3Error as exc:
        code = MISUSED if isinstance(exc, RequestError | ChoiceError) else FAILED
        facts["error"] = " ".join(str(exc).split())
    except KeyboardInterrupt:
        print("napari-sam3: interrupted", file=sys.stderr)
        code = INTERRUPTED
    except OSError as exc:
        if exc.filename is None:  # of the output itself
            raise
        code, facts["error"] = FAILED, str(exc)
    if "error" in facts:
        print(f"napari-sam3: error: {facts['error']}", file=sys.stderr)
    if is_json:
        print(json.dumps({"exit_code": code, **facts}, indent=1), flush=True)
    return code


def _run(arguments: argparse.Namespace) -> int:
    """Run the command that was read. Returns the exit code."""
    with warnings.catch_warnings(), settings_said(**model_options.said_settings(arguments)):
        warnings.showwarning = _show_warning
        run = import_module(f"napari_sam3.cli.{arguments.command}").run
        code = int(run(arguments))
        sys.stdout.flush()
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What is told of files in one line; what is for developers as ever."""
    if issubclass(category, UserWarning):
        print(f"napari-sam3: warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        print(
            warnings.formatwarning(message, category, filename, lineno, line),
            end="",
            file=file or sys.stderr,
        )


def _parse(words: Sequence[str]) -> argparse.Namespace:
    arguments, rest = make_parser().parse_known_args(words)
    # argparse takes no second part of a list that has options amid it
    if "paths" in arguments and not any(word.startswith("-") for word in rest):
        arguments.paths += map(Path, rest)
    elif rest:
        arguments.parser.refuse(rest)
    if arguments.command == "track" and arguments.output is None and arguments.project is None:
        arguments.parser.error("say where results go: by --output, --project or both")
    return arguments


def make_parser() -> Parser:
    """What reads the whole command line."""
    parser = Parser(
        "napari-sam3",
        description="Segment and track anything in video.",
        epilog="exit codes: 0 done, 1 failed, 2 wrongly asked for, 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"napari-sam3 {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_track(commands)
    _add_json(detect_options.add_detect(commands))
    _add_batch(commands)
    _add_open(commands)
    _add_review(commands)
    _add_export(commands)
    _add_pack(commands)
    _add_proxy(commands)
    _add_models(commands)
    _add_certificates(commands)
    _add_completion(commands)
    _add_doctor(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[Parser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="see it work, on a sample or your own video",
        description="Track the cells of a generated time-lapse and compare with the truth; or, in "
        "a video of yours, what moves most. In a napari window where there is a display.",
    )
    demo.add_argument(
        "video", nargs="?", metavar="VIDEO", type=parse.there, help="a video of yours"
    )
    demo.add_argument("--headless", action="store_true", help="open no window")
    demo.add_argument(
        *("-o", "--output"),
        metavar="FOLDER",
        type=Path,
        help=f"where overlay.mp4 and picture.png go (default: {DEMO_FOLDER}, where older ones are "
        "replaced)",
    )
    demo.add_argument("--overwrite", action="store_true", help="replace older ones in FOLDER too")
    model_options.add_model(demo)


def _add_track(commands: argparse._SubParsersAction[Parser]) -> None:
    track = commands.add_parser(
        "track",
        help="track objects through a video and write masks, film and table",
        description="Track objects through a video (a file, a folder of frames or a picture).",
        epilog=_TRACK_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    track.add_argument("video", metavar="VIDEO", type=parse.there)
    video_options.add_choice(track)
    prompts = track.add_argument_group("prompts (see below)")
    kinds = (
        ("--point", parse.point, "[ID:]X,Y[,+|-][@N]", "a click on the object (-: off it)"),
        ("--box", parse.box, "[ID:]X0,Y0,X1,Y1[@N]", "a box round the object"),
        (
            "--mask",
            parse.mask,
            "[ID:]FILE[@N]",
            "labels, drawn or tracked before: each value but 0 an object",
        ),
        ("--text", parse.text, "WORDS", "all objects that the words name"),
    )
    for name, read, form, help_ in kinds:
        prompts.add_argument(
            name, dest="prompts", action="append", type=read, metavar=form, help=help_
        )
    prompts.add_argument(
        "--frame", type=parse.index, default=0, metavar="N", help="their frame, from 0 (default 0)"
    )
    prompts.add_argument(
        "--prompts",
        dest="prompt_files",
        action="append",
        type=Path,
        metavar="FILE",
        help="prompts in a file: JSON or CSV (docs/projects.md), boxes or spots of MOT, CVAT, "
        "TrackMate, LabelMe or YOLO (docs/formats.md), those of a project, its folder, or - for "
        "those on standard input",
    )
    detect_options.add_to_track(prompts)
    _add_range(track)
    _add_results(track, formats=parse.DEFAULT_FORMATS)
    _add_images(track)
    track.add_argument(
        "--project",
        type=Path,
        metavar="FOLDER",
        help="keep all in a project as it comes; the same command goes on where it stopped",
    )
    _add_recover(track)
    model_options.add_model(track)
    _add_compute(track)
    _add_json(track)


def _add_batch(commands: argparse._SubParsersAction[Parser]) -> None:
    batch = commands.add_parser(
        "batch",
        help="track in many videos, each kept in a project",
        description="Track in many videos. Each is kept in a project as it goes; one that goes "
        "wrong does not stop the rest. A table tells how it went, also as summary.csv.",
        epilog=_BATCH_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.add_argument(
        "paths",
        nargs="*",
        metavar="PROMPTS VIDEO",
        type=Path,
        help="the prompts, then videos, folders of frames or folders of videos",
    )
    batch.add_argument("--text", metavar="WORDS", help="all objects that the words name")
    batch.add_argument(
        "--prompts-beside", action="store_true", help="prompts are in VIDEO.prompts.json"
    )
    video_options.add_choice(batch)
    _add_results(batch, is_needed=True, formats=(), overwrite="begin all videos anew")
    batch.add_argument(
        "--pack",
        action="store_true",
        help="keep each project in few files when its video is done ('pack' does it later)",
    )
    batch.add_argument(
        "--jobs",
        type=parse.jobs,
        metavar="N",
        help="videos at once, each with a process (default 1; with --scheduler as many as workers)",
    )
    _add_range(batch)
    _add_recover(batch)
    model_options.add_model(batch)
    _add_compute(batch)
    _add_json(batch)


def _add_recover(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--recover",
        choices=("exact", "quick"),
        default="exact",
        help="how a run that was stopped or killed, or whose worker was, goes on: as if it had not "
        "been, for which some frames are computed again (exact, the default), or at once, nearly "
        "so (quick)",
    )


def _add_range(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--start", type=parse.index, metavar="N", help="first frame (default: the first prompted)"
    )
    command.add_argument(
        "--direction", choices=("forward", "backward", "both"), default="forward", help="in time"
    )
    command.add_argument(
        "--frames", type=parse.count, metavar="N", help="at most so many frames in each direction"
    )
    video_options.add_contrast(command)


def _add_open(commands: argparse._SubParsersAction[Parser]) -> None:
    open_ = commands.add_parser(
        "open",
        help="open a project or a video in napari",
        description="Open a project (a folder that ends in .sam3), or a video, in a napari window "
        "with the dock. A project comes back as it was: layers, results, prompts, settings; a "
        "propagation that was stopped can go on.",
    )
    open_.add_argument("path", metavar="PROJECT_OR_VIDEO", type=parse.there)
    video_options.add_choice(open_)


def _add_review(commands: argparse._SubParsersAction[Parser]) -> None:
    review = commands.add_parser(
        "review",
        help="list what in results is worth a look",
        description="List the places of results that are worth a person's look, the most valuable "
        "first: lost, found again far away, low score, a jump of size or place, in parts, touching "
        "another object. What was checked in the window is left out.",
    )
    review.add_argument(
        "labels",
        metavar="LABELS",
        type=parse.there,
        help="a project, or labels of any format that 'export' reads",
    )
    review.add_argument(
        "--most", type=parse.count, metavar="N", help="list no more than N places (default: all)"
    )
    _add_json(review)
    _add_first_number(review)


def _add_export(commands: argparse._SubParsersAction[Parser]) -> None:
    export = commands.add_parser(
        "export",
        help="write labels in other formats",
        description="Write labels that were tracked or drawn before in other formats. They are "
        "read from a project, a TIFF stack, a folder of pictures (DAVIS's too), a Cell Tracking "
        "Challenge folder, OME-Zarr, or COCO or YouTube-VIS JSON.",
    )
    export.add_argument("labels", metavar="LABELS", type=parse.there, help="file or folder")
    _add_results(export, is_needed=True, formats=None)
    _add_images(export)
    export.add_argument(
        "--video",
        type=parse.there,
        metavar="VIDEO",
        help="what the labels are of: for the film, intensities, times, scale and content hash "
        "(a project knows its own)",
    )
    video_options.add_choice(export)
    export.add_argument(
        "--pixel-size",
        type=parse.pixel_size,
        metavar="SIZE",
        help="of a pixel, as 0.65um, or height,width as 0.65,0.6um (default: as the video says)",
    )
    _add_first_number(export)
    _add_json(export)


def _add_pack(commands: argparse._SubParsersAction[Parser]) -> None:
    pack = commands.add_parser(
        "pack",
        help="keep projects that are done in few files",
        description="Keep the frames of projects that are done some 1000 in a file, where there "
        "are too many files else. All reads them as before; who writes to one later unpacks it by "
        "that. One that is not done, or in use, is left as it is and told of.",
    )
    pack.add_argument(
        "paths",
        nargs="+",
        metavar="PROJECT",
        type=parse.there,
        help="a project, or a folder that holds projects, as a batch makes it",
    )
    pack.add_argument("--undo", action="store_true", help="give each frame its own file again")
    _add_json(pack)


def _add_proxy(commands: argparse._SubParsersAction[Parser]) -> None:
    proxy = commands.add_parser(
        "proxy",
        help="make a video quick to scrub through",
        description="Make a proxy of a video: a copy, kept in the user's cache folder, in which "
        "every frame is found at once. napari shows it; tracking reads the original.",
    )
    proxy.add_argument("video", metavar="VIDEO", type=parse.there)
    proxy.add_argument("--remove", action="store_true", help="delete the proxy")
    _add_json(proxy)


def _add_models(commands: argparse._SubParsersAction[Parser]) -> None:
    models = commands.add_parser(
        "models",
        help="list the models, and get them",
        description="List the models: size, licence, speed, whether they are here, and the "
        "prompts they take. The net is asked only by get, check, token, and folder with a hub id.",
    )
    _add_json(models)
    actions = models.add_subparsers(dest="action", metavar="ACTION")
    _add_json(actions.add_parser("list", help="list them, as without an action"))
    get = actions.add_parser(
        "get",
        help="download one",
        description="Download a model into the Hugging Face hub's cache. What broke off or was "
        "stopped goes on where it was; what is there is not fetched again.",
    )
    get.add_argument("name", metavar="NAME", help="as listed, or a hub id such as who/what")
    _add_json(get)
    check = actions.add_parser(
        "check",
        help="ask the hub whether one may be downloaded",
        description="Ask the hub whether a model may be downloaded, and how a request stands.",
    )
    check.add_argument("name", metavar="NAME")
    _add_json(check)
    folder = actions.add_parser(
        "folder",
        help="use a model of your own",
        description="Use a model of your own, of the families listed, in the format of Hugging "
        "Face transformers: a folder with config.json and model.safetensors, or a hub id.",
    )
    folder.add_argument("place", metavar="FOLDER", help="the folder, or a hub id such as who/what")
    folder.add_argument(
        "--name", help="what to call it (default: as the folder); one of ours to stand in for it"
    )
    _add_json(folder)
    forget = actions.add_parser("forget", help="forget a model of your own; its files stay")
    forget.add_argument("name", metavar="NAME")
    _add_json(forget)
    token = actions.add_parser(
        "token",
        help="save an access token of the hub",
        description="Save an access token, for gated models; it is asked for, or read from stdin.",
    )
    token.add_argument("--check", action="store_true", help="only check the one that is saved")
    _add_json(token)


def _add_certificates(commands: argparse._SubParsersAction[Parser]) -> None:
    certificates = commands.add_parser(
        "certificates",
        help="make what lets a scheduler, its workers and its clients know each other",
        description="Make certificates for computing on other machines (docs/guide/cluster.md): "
        "an authority, and one each for a scheduler, its workers and its clients.",
    )
    certificates.add_argument("folder", metavar="FOLDER", type=Path, help="a new one")


def _add_completion(commands: argparse._SubParsersAction[Parser]) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what lets a shell complete commands and options",
        description="Print a script that lets a shell complete commands, options, formats, models "
        "and files of napari-sam3 with Tab (docs/guide/headless.md says where it goes).",
    )
    completion.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"))


def _add_doctor(commands: argparse._SubParsersAction[Parser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed and whether it works, for a report",
        description="Print versions, devices, memory, codecs, folders and models, as plain text "
        "that can be pasted into a report. With --run, track the sample video and measure.",
    )
    doctor.add_argument("--run", metavar="MODEL", help="track the sample video with this model")
    doctor.add_argument("--device", help="where it runs, as cpu or cuda (default: the best)")
    doctor.add_argument(
        "--frames", type=parse.count, default=24, metavar="N", help="of the sample (default 24)"
    )
    doctor.add_argument(
        "--resolution", type=parse.pixels, metavar="PX", help="side of what the model sees"
    )
    model_options.add_computing(doctor)
    _add_compute(doctor, "look at the workers of this Dask scheduler too, as tls://host:8786")
    _add_json(doctor)


def _add_first_number(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--first-number",
        type=parse.index,
        metavar="N",
        help="the number that frame 0 has in the names of pictures (default: as they tell)",
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json",
        action="store_true",
        # of an action of a command: it does not undo what was said before the action
        default=argparse.SUPPRESS if command.prog.count(" ") > 1 else False,
        help="print one object of JSON; the rest goes to stderr",
    )


def _add_compute(
    command: argparse.ArgumentParser,
    help_: str = "compute on workers of this Dask scheduler, as tls://host:8786 "
    "(docs/guide/cluster.md)",
) -> None:
    command.add_argument("--scheduler", metavar="ADDRESS", help=help_)
    command.add_argument(
        "--insecure",
        action="store_true",
        help="take that address though it is neither encrypted nor on this machine: who reaches "
        "it runs code as you",
    )


def _add_images(command: argparse.ArgumentParser) -> None:
    """Whether the frames go along with what is said of them."""
    command.add_argument(
        "--images",
        choices=("jpg", "png", "none"),
        default="none",
        help="write the frames as pictures beside the formats that name some, and into OME-Zarr "
        "(default none)",
    )


def _add_results(
    command: argparse.ArgumentParser,
    *,
    is_needed: bool = False,
    formats: tuple[str, ...] | None,
    overwrite: str = "replace earlier results there",
) -> None:
    """Where results go, in which formats: `formats` if none is named, which None does not allow."""
    command.add_argument(
        *("-o", "--output", "--out"),
        required=is_needed,
        type=Path,
        metavar="FOLDER",
        help="where results go",
    )
    default = f"; default {','.join(formats)}" if formats else ""
    command.add_argument(
        "--formats",
        type=parse.formats,
        required=formats is None,
        default=formats,
        metavar="LIST",
        help=parse.FORMATS_HELP + default,
    )
    command.add_argument("--overwrite", action="store_true", help=overwrite)

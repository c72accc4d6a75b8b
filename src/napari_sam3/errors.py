"""Every error that the package raises on purpose.

Each message says what was wrong, the value, and the remedy. An error about a request is a
`RuntimeError` too, as the SAM 3 video API promises its callers.
"""

import errno


class Sam3Error(Exception):
    """Root of all errors raised by napari-sam3."""


# ---------------------------------------------------------------- requests


class RequestError(Sam3Error, RuntimeError):
    """A request or a call on a session that can't be carried out; nothing was changed by it."""


class SessionNotFoundError(RequestError):
    """No session of that id is open (never started, or closed)."""


class FrameIndexError(RequestError):
    """A frame number outside the video."""


class MissingPromptError(RequestError):
    """A propagation or a prompt with nothing to go by."""


class UnsupportedPromptError(RequestError):
    """A prompt of a kind that the session's model can't take."""


class UnknownObjectError(RequestError):
    """An object id that the session does not hold."""


class PropagationRunningError(RequestError):
    """A second propagation on a session that has one running."""


class PromptFileError(RequestError):
    """A file of prompts that can't be read, or holds what can't be a prompt."""


# --------------------------------------------------------------- projects


class ProjectError(Sam3Error, OSError):
    """A project that can't be made, opened or written."""


class ProjectReadOnlyError(ProjectError):
    """A change of a project that is open for reading only."""


# ------------------------------------------------------------------ files


class VideoError(Sam3Error, OSError):
    """A video, image or folder that can't be read or written."""


class LabelRangeError(VideoError):
    """A label that a format of results does not hold."""


class ChoiceError(VideoError):
    """A channel, depth or scene that a file does not hold, or that was not chosen."""


class ChoiceNeededError(ChoiceError):
    """A file that holds several channels, planes or scenes, and none was chosen.

    Attributes
    ----------
    counts : dict of str to int
        How many there are to choose from, of "channel", "z" and "scene", where that is asked.
    """

    def __init__(self, message: str, counts: dict[str, int]) -> None:
        super().__init__(message)
        self.counts = counts


class UnsafeFileError(Sam3Error, OSError):
    """A file that is a link, a pipe or a device, or larger than any of its kind; left alone.

    Who reads a project, labels, a model or prompts says it as an error of these.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.errno = errno.EPERM  # the file is there, and nothing of it is lost


# ---------------------------------------------------------------- lineage


class LineageError(Sam3Error, ValueError):
    """A division that can't be: a cycle, a second mother, a birth after the division."""


class LockedObjectError(Sam3Error, ValueError):
    """A change of an object that a person has locked; nothing was changed."""


class StoreError(Sam3Error, OSError):
    """Results that can't be kept on disk, or read from there."""


class StoreReadOnlyError(StoreError, ValueError):
    """A change to results that may only be looked at; nothing was changed."""


# ----------------------------------------------------------------- layers


class LayerError(Sam3Error, ValueError):
    """A napari layer, or a choice of its axes, that can't be used."""


# ----------------------------------------------------------------- models


class ModelError(Sam3Error):
    """A model that can't be had, loaded or run."""


class CheckpointError(ModelError, ValueError):
    """A tracker's state that is damaged, or of something else; nothing is gone on with from it."""


class ModelUnavailableError(ModelError):
    """No model of that name, or one that this machine can't run."""


class UnknownModelError(ModelUnavailableError, RequestError):
    """A model that was asked for by what is no name of one, no folder and no hub id."""


class OutOfDeviceMemoryError(ModelError):
    """The device's memory is used up; what was computed before stays."""


class WeightsMissingError(ModelError):
    """A model's weights are not on this machine, and nobody asked for them to be fetched."""


class HubOfflineError(WeightsMissingError):
    """The Hugging Face hub can't be reached, or offline mode is on."""


class TokenError(WeightsMissingError):
    """The hub wants an access token, and there is none or it is not accepted."""


class AccessNotRequestedError(WeightsMissingError):
    """Gated weights whose licence was not yet accepted on the hub by this account."""


class AccessPendingError(WeightsMissingError):
    """Gated weights that this account has asked for; the answer is still to come."""


class AccessRefusedError(WeightsMissingError):
    """Gated weights that this account has asked for in vain."""


class DownloadError(WeightsMissingError):
    """A download that broke off; what has come is kept, and the next one goes on from there."""


class DownloadCancelledError(DownloadError):
    """A download that was stopped by the person who had asked for it."""


# ------------------------------------------------------- computing elsewhere


class ComputeError(Sam3Error):
    """Work on another machine that can't be had, or went wrong there."""


class WireError(ComputeError):
    """A message from another machine that is none of ours, or damaged."""


class InsecureAddressError(ComputeError):
    """A scheduler that anybody could speak to, or speak for: its address is not encrypted."""


class SchedulerLostError(ComputeError):
    """A scheduler that does not answer; what was computed before stays."""


class WorkerLostError(ComputeError):
    """A worker that is gone, and another one in its place as well; what came before stays."""


class NoWorkerError(ComputeError):
    """No worker is there, or none is free."""


class OtherVersionError(ComputeError):
    """A worker with a release that can't work together with this one."""


# ----------------------------------------------------------------- worker


class PropagationError(Sam3Error):
    """What went wrong in a propagation, as it leaves a worker thread.

    Never a `RuntimeError`: superqt takes one for a deleted worker and waits for ever.
    """

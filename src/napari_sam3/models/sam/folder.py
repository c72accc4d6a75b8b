"""From a folder in transformers' format to a network on a device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PretrainedConfig, PreTrainedModel

from napari_sam3.errors import ModelUnavailableError, Sam3Error
from napari_sam3.models.sam.device import Device, is_out_of_memory
from napari_sam3.models.sam.half_weights import hold_weights
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.models.sam.upstream import check_upstream
from napari_sam3.models.weights.catalogue import Family
from napari_sam3.models.weights.local_files import CONFIG, read_family, what_is_missing
from napari_sam3.models.weights.model_files import read_model_text
from napari_sam3.plain_files import open_plain
from napari_sam3.settings import read_settings

logger = logging.getLogger(__name__)

_NETWORKS = {
    "sam2_video": "Sam2VideoModel",
    "edgetam_video": "EdgeTamVideoModel",
    "sam3_tracker_video": "Sam3TrackerVideoModel",
    "sam3_video": "Sam3VideoModel",
}
# what transformers raises on files that are damaged, or a config that makes no sense
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
)
_VERSION = 1  # of what is kept of a frame; to be raised when the encoders keep something else
_HEAD = 2**20
_LEAST_PATCHES = 4
_SPARE = 0.02  # of the parameters that may be missing from the weights
_LARGEST_SIDE = 4096
_MOST_BUFFERS = 2**28  # numbers


@dataclass(eq=False)
class LoadedSam:
    """A network on its device, and what belongs to it.

    Attributes
    ----------
    network : PreTrainedModel
        In evaluation mode; float32, or what the device computes in where that is the same.
    folder : Path
        Where it came from; the tokenizer lies there too.
    family : Family
    device : Device
    resolution : int
        Side of the square that frames are squeezed to, px.
    pictures : Pictures
    key : str
        Changes with whatever changes what the encoder makes of a frame.
    """

    network: PreTrainedModel
    folder: Path
    family: Family
    device: Device
    resolution: int
    pictures: Pictures
    key: str


def load_network(
    folder: str | Path, device: str | None = None, resolution: int | None = None
) -> LoadedSam:
    """Load what a folder holds.

    Parameters
    ----------
    folder : path
        With config.json and weights in transformers' format, of one of the families known.
    device : str, optional
        The best one if left out.
    resolution : int, optional
        Working resolution, px; the nearest that the architecture can do is taken. The one that
        the model was made for if left out.

    Raises
    ------
    ModelUnavailableError
        If the folder holds no such model, its files are damaged or incomplete, the resolution
        can't be had, this machine has no such device, or transformers is of a version that does
        not fit.
    OutOfDeviceMemoryError
        If the device has no room for it.
    """
    folder = Path(folder)
    family = read_family(folder)
    missing = what_is_missing(folder)
    if missing is not None:
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} is incomplete: {missing}; get it again, or "
            "name another folder"
        )
    settings = read_settings()
    place = Device(device, settings.precision)
    kind: Any = getattr(transformers, _NETWORKS[family.model_type])
    with place.telling_of_memory(), _quietly(folder):
        config = kind.config_class.from_pretrained(folder, local_files_only=True)
        side = native_side = _native_side(config)
        if not 0 < side <= _LARGEST_SIDE:
            raise ValueError(f"its image_size is {side}")
        if resolution:
            side = fit_resolution(family, config, resolution)
            set_resolution(config, side)
        _check_size(kind, config, folder)
        network, told = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    _check_complete(network, told["missing_keys"], folder)
    check_upstream(network)
    network.eval().requires_grad_(False)
    if place.half is not None:
        hold_weights(network, place.half)
    with place.telling_of_memory():
        network = network.to(place.torch)
    with _quietly(folder):
        pictures = Pictures.of_folder(folder, family.model_type, side, native_side)
    return LoadedSam(
        network,
        folder,
        family,
        place,
        side,
        pictures,
        _key(folder, pictures, place),
    )


def fit_resolution(family: Family, config: PretrainedConfig, wanted: int) -> int:
    """The side nearest to `wanted` that the architecture can do, px.

    Raises
    ------
    ModelUnavailableError
        If it is too small to see anything.
    """
    step = _step(config)
    if wanted < _LEAST_PATCHES * step:
        raise ModelUnavailableError(
            f"a working resolution of {wanted} px is too low for {family.title}; take at least "
            f"{_LEAST_PATCHES * step}, or 0 for the model's own"
        )
    side = round(wanted / step) * step
    if side != wanted:
        logger.info("%s works in steps of %d px: took %d, not %d", family.title, step, side, wanted)
    return side


def set_resolution(config: PretrainedConfig, side: int) -> None:
    """Change a configuration so that its network takes pictures of `side` x `side` px.

    The weights stay as they are: position encodings are computed, or stretched by the network.
    """
    if config.model_type in ("sam3_video", "sam3_tracker_video"):
        config.image_size = side
        if config.model_type == "sam3_video":
            config.low_res_mask_size = 4 * side // _step(config)
            vision = config.detector_config.vision_config
            vision.backbone_feature_sizes = list(
                config.tracker_config.vision_config.backbone_feature_sizes
            )
        return
    cells = side // 16
    config.image_size = side
    config.prompt_encoder_config.image_size = side
    config.memory_attention_rope_feat_sizes = [cells, cells]
    config.vision_config.backbone_feature_sizes = [[n * cells] * 2 for n in (4, 2, 1)]
    if hasattr(config.vision_config.backbone_config, "image_size"):
        config.vision_config.backbone_config.image_size = [side, side]


def _native_side(config: PretrainedConfig) -> int:
    side = config.image_size
    return int(side if isinstance(side, int) else side[0])


def _step(config: PretrainedConfig) -> int:
    """What the side must be a multiple of, px."""
    if config.model_type == "sam3_video":
        return int(config.detector_config.vision_config.backbone_config.patch_size)
    if config.model_type == "sam3_tracker_video":
        return int(config.vision_config.backbone_config.patch_size)
    return 32  # four halvings after the patches of SAM 2 and EdgeTAM, and none may be uneven


@contextmanager
def _quietly(folder: Path) -> Iterator[None]:
    """Load without progress bars; what is raised on damaged files becomes an error that says so."""
    had_bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    except _DAMAGE as exc:
        if is_out_of_memory(exc) or isinstance(exc, Sam3Error):
            raise
        reason = str(exc).strip().partition("\n")[0]
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} can't be loaded ({reason}); its files are "
            "damaged or do not belong together: get it again, or name another folder"
        ) from exc
    finally:
        if had_bars:
            transformers.utils.logging.enable_progress_bar()


def _check_size(kind: Any, config: PretrainedConfig, folder: Path) -> None:
    """Refuse a config of a network far larger than the weights, before memory is taken for it."""
    with torch.device("meta"):
        network = kind(config)
    needed = sum(one.numel() for one in network.parameters())
    # at least one byte a number
    there = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    if needed > there or sum(one.numel() for one in network.buffers()) > _MOST_BUFFERS:
        raise ValueError(
            f"{CONFIG} tells of a network of {needed:,} parameters, for {there:,} bytes of weights"
        )


def _check_complete(network: PreTrainedModel, missing: Any, folder: Path) -> None:
    names = sorted(missing)
    if not names:
        return
    listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if len(names) > _SPARE * len(network.state_dict()):
        raise ModelUnavailableError(
            f"the weights in {str(folder)!r} are not of the model that its {CONFIG} tells: "
            f"{len(names)} parameters are missing ({listed}); get it again, or correct {CONFIG}"
        )
    logger.warning("the weights in %s lack %d parameters: %s", folder, len(names), listed)


def _key(folder: Path, pictures: Pictures, device: Device) -> str:
    digest = hashlib.sha256(read_model_text(folder / CONFIG).encode())
    for path in sorted(folder.glob("*.safetensors")):
        # in the hub's cache a file is a link, and what it links to is called by its hash
        status, name = path.stat(), path.resolve().name
        digest.update(repr((path.name, name, status.st_size, status.st_mtime_ns)).encode())
        with open_plain(path.resolve()) as file:
            digest.update(file.read(_HEAD))
    digest.update(repr(pictures).encode())
    told = (
        _VERSION,
        digest.hexdigest(),
        pictures.size,
        device.torch.type,
        device.precision,
        torch.__version__,
        transformers.__version__,
    )
    return "-".join(map(str, told))

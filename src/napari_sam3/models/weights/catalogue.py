"""What is known of models: their families, and of weights where they are, how large, which licence.

Sizes are of what is downloaded: weights, configuration, processor and tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_sam3.models.base import Capabilities

GiB = 2**30
HUB = "https://huggingface.co"


_CLICKS = Capabilities()
_CONCEPTS = Capabilities(text=True, exemplars=True)


@dataclass(frozen=True)
class Family:
    """Models of one architecture.

    Attributes
    ----------
    model_type : str
        What `config.json` calls it.
    title : str
        What people call it.
    capabilities : Capabilities
        The prompts that its models take.
    """

    model_type: str
    title: str
    capabilities: Capabilities


FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        Family("sam3_video", "SAM 3", _CONCEPTS),
        Family("sam3_tracker_video", "SAM 3 tracker", _CLICKS),
        Family("sam2_video", "SAM 2", _CLICKS),
        Family("edgetam_video", "EdgeTAM", _CLICKS),
    )
}
"""By `model_type`."""


@dataclass(frozen=True)
class Licence:
    """Terms that weights come under.

    Attributes
    ----------
    name : str
        As its authors call it.
    url : str or None
        Where it can be read (and, if gated, accepted).
    summary : str
        One sentence on what it allows; no substitute for reading it.
    """

    name: str
    url: str | None
    summary: str


APACHE = Licence(
    "Apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0",
    "Any use, also commercial, with the licence and notices kept when it is passed on.",
)
SAM_LICENSE = Licence(
    "SAM License",
    f"{HUB}/facebook/sam3/blob/main/LICENSE",
    "Research and commercial use, also of modified versions, passed on only under the same "
    "licence; use for military, weapons, nuclear or espionage purposes and reverse engineering "
    "are forbidden, and publications must name it.",
)
UNKNOWN_LICENCE = Licence(
    "unknown", None, "Whoever made these weights says what they may be used for."
)


@dataclass(frozen=True)
class Weights:
    """Weights that can be asked for by name.

    Attributes
    ----------
    name : str
        What `load_model` takes.
    repo_id : str or None
        The repository on the hub; None: only a folder.
    revision : str
        Its branch, tag or commit.
    folder : Path or None
        A folder of the person's that is used in place of the hub's cache.
    model_type : str or None
        The family (`FAMILIES`); None: not known before `config.json` is read.
    licence : Licence
    download_bytes : int or None
        Size of the download; None: not known before the hub is asked.
    is_gated : bool
        Whether the hub wants the licence accepted, and a token.
    memory_bytes : int
        Memory of the device that one video with a few objects is reckoned to need; an estimate.
    """

    name: str
    repo_id: str | None = None
    revision: str = "main"
    folder: Path | None = None
    model_type: str | None = None
    licence: Licence = UNKNOWN_LICENCE
    download_bytes: int | None = None
    is_gated: bool = False
    memory_bytes: int = 2 * GiB

    @property
    def page(self) -> str | None:
        """The model's page, where a gated licence is accepted and access asked for."""
        return None if self.repo_id is None else f"{HUB}/{self.repo_id}"


def _sam2(size: str, megabytes: int, memory_bytes: int) -> Weights:
    return Weights(
        f"sam2.1-{size}",
        f"facebook/sam2.1-hiera-{size}",
        model_type="sam2_video",
        licence=APACHE,
        download_bytes=megabytes * 10**6,
        memory_bytes=memory_bytes,
    )


KNOWN: dict[str, Weights] = {
    weights.name: weights
    for weights in (
        # 860 million parameters in float32: 3.44 GB, and the tokenizer
        Weights(
            "sam3",
            "facebook/sam3",
            model_type="sam3_video",
            licence=SAM_LICENSE,
            download_bytes=3_444_000_000,
            is_gated=True,
            memory_bytes=8 * GiB,
        ),
        _sam2("large", 898, 4 * GiB),
        _sam2("base-plus", 323, 3 * GiB),
        _sam2("small", 184, 2 * GiB),
        _sam2("tiny", 156, 2 * GiB),
        Weights(
            "edgetam",
            "yonigozlan/EdgeTAM-hf",
            model_type="edgetam_video",
            licence=APACHE,
            download_bytes=56_000_000,
            memory_bytes=3 * GiB // 2,
        ),
    )
}
"""Weights with a name of ours, the best first."""

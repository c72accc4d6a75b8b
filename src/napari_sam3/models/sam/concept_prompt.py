"""What is looked for, as the detector takes it: the tokens of words and of exemplar boxes.

The detector reads a prompt as a row of tokens: those of the text, then those of the exemplars and
one that stands for them all. Exemplar tokens are made once, from the frame that the boxes were
drawn on, and are then the prompt on every frame: they say what the things look like, so look-alikes
are found wherever they are. Without a text the text is the word "visual", as SAM 3 was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer, Sam3VideoModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from napari_sam3.errors import ModelUnavailableError, UnsupportedPromptError
from napari_sam3.values import Concept

_TEXT_OF_BOXES = "visual"
_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True, eq=False)
class ConceptPrompt:
    """A concept's tokens. Goes to the detector in place of a text's features.

    Attributes
    ----------
    pooler_output : (1, N, C) tensor
        Named as the detector asks for a text's tokens.
    mask : (1, N) bool tensor
        False where a token is padding.
    """

    pooler_output: Tensor
    mask: Tensor


class Tokenizer:
    """Words to numbers."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def of_folder(cls, folder: Path) -> Tokenizer | None:
        """Read what lies beside a model's weights; None if there is no tokenizer.

        Raises
        ------
        ModelUnavailableError
            If its files are damaged.
        """
        if not any(all((folder / name).exists() for name in names) for names in _FILES):
            return None
        try:
            return cls(CLIPTokenizer.from_pretrained(str(folder), local_files_only=True))
        # tokenizers raises plain Exceptions for what it can't read
        except Exception as exc:
            raise ModelUnavailableError(
                f"the tokenizer in {str(folder)!r} can't be read ({exc}); get the model again, or "
                "name another folder"
            ) from exc

    def encode(self, text: str, length: int) -> tuple[Tensor, Tensor]:
        """Turn a text into `length` numbers, and a mask that says which of them are padding.

        Returns
        -------
        (1, length) int64 tensor, (1, length) int64 tensor
            The mask is 0 for padding.

        Raises
        ------
        UnsupportedPromptError
            If the text is too long.
        """
        encoded = self._tokenizer(
            text, return_tensors="pt", padding="max_length", max_length=length
        )
        count = encoded.input_ids.shape[1]
        if count > length:
            raise UnsupportedPromptError(
                f"the text {text!r} is too long for the model: {count - 2} pieces of words, at "
                f"most {length - 2} fit; use a short noun phrase, such as 'red car'"
            )
        return encoded.input_ids, encoded.attention_mask


def encode_concept(
    model: Sam3VideoModel,
    tokenizer: Tokenizer,
    concept: Concept,
    size: tuple[int, int],
    view: Sam3VisionEncoderOutput | None,
) -> ConceptPrompt:
    """Make a concept's tokens.

    Parameters
    ----------
    size : (height, width)
        Of the video, px.
    view : Sam3VisionEncoderOutput or None
        The frame that the concept's boxes are on; not needed if it has none.

    Raises
    ------
    UnsupportedPromptError
        If the text is too long.
    """
    detector = model.detector_model
    length = detector.config.text_config.max_position_embeddings
    ids, mask = tokenizer.encode(concept.text or _TEXT_OF_BOXES, length)
    words = detector.get_text_features(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), return_dict=True
    ).pooler_output
    is_word = mask.to(model.device).bool()
    if view is None:
        return ConceptPrompt(words, is_word)
    height, width = size
    low, high = (corners / (width, height) for corners in np.split(concept.boxes_xyxy, 2, axis=1))
    # centre, then width and height, as parts of the picture
    boxes = np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)
    boxes_cxcywh = torch.from_numpy(boxes)[None].to(model.device)
    labels = torch.from_numpy(concept.box_labels.astype("int64"))[None].to(model.device)
    exemplars = detector.geometry_encoder(
        box_embeddings=boxes_cxcywh,
        box_mask=torch.ones_like(labels, dtype=torch.bool),
        box_labels=labels,
        img_feats=view.fpn_hidden_states[:-1],
        img_pos_embeds=view.fpn_position_encoding[:-1],
    )
    return ConceptPrompt(
        torch.cat([words, exemplars.last_hidden_state], dim=1),
        torch.cat([is_word, exemplars.attention_mask], dim=1),
    )

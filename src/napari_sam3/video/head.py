"""The first frames of a file: what its index is checked with, and what is shown first."""

from __future__ import annotations

from dataclasses import dataclass

import av

from napari_sam3.video.decoder import Decoder
from napari_sam3.video.index import FrameIndex


@dataclass(eq=False)
class Head:
    """What decoding a file from its start has given so far.

    Attributes
    ----------
    frames : list of av.VideoFrame
        In the order in which the decoder gave them.
    decoder : Decoder or None
        Which goes on from there.
    is_damaged : bool
        Whether packets among them could not be decoded.
    """

    frames: list[av.VideoFrame]
    decoder: Decoder | None = None
    is_damaged: bool = False

    @classmethod
    def decode(cls, decoder: Decoder, n_frames: int) -> Head:
        """Decode the first frames; the decoder has given none yet."""
        frames = [frame for _, (_, frame) in zip(range(n_frames), decoder.decode(), strict=False)]
        return cls(frames, decoder, decoder.errors > 0)

    def close(self) -> None:
        """Close the decoder."""
        if self.decoder is not None:
            self.decoder.close()
            self.decoder = None

    def number(self, index: FrameIndex) -> list[tuple[int, av.VideoFrame]]:
        """The frames with their numbers, without those that are none of the video."""
        if index.kind == "count":
            return list(enumerate(self.frames[: len(index)]))
        places = [None if frame.pts is None else index.frame_of(frame.pts) for frame in self.frames]
        return [(n, frame) for n, frame in zip(places, self.frames, strict=True) if n is not None]

    def hand_over(self, index: FrameIndex) -> Decoder | None:
        """The decoder, for whoever reads the frames that follow; None if it is not fit for that."""
        decoder = self.decoder
        numbers = [number for number, _ in self.number(index)]
        if (
            decoder is None
            or self.is_damaged
            or decoder.kind != index.kind
            or numbers != list(range(len(self.frames)))
        ):
            self.close()
            return None
        decoder.last = numbers[-1]
        self.decoder = None
        return decoder

    def drop_after(self, stamp: int) -> None:
        """Forget frames shown after a stamp: of a file that breaks off they do not count."""
        self.frames = [f for f in self.frames if f.pts is None or f.pts <= stamp] or self.frames[:1]

    def bear_out(self, index: FrameIndex) -> FrameIndex | None:
        """The index, if the stamps of the decoded frames agree with it; else None."""
        decoded = [frame.pts for frame in self.frames]
        # a recording may start between keyframes: what comes before the first one can't be decoded
        first = index.frame_of(decoded[0]) if decoded and decoded[0] is not None else None
        if first is None:
            return None
        if first and not self.is_damaged:
            index = index.starting_at(first)
        if decoded == index.stamps[: len(decoded)].tolist():
            return index
        # where some can't be decoded, the others must be in their places
        places = [index.frame_of(stamp) for stamp in decoded if stamp is not None]
        known = [place for place in places if place is not None]
        is_in_order = len(known) == len(decoded) and known == sorted(known)
        return index if self.is_damaged and is_in_order else None

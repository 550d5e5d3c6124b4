"""Networks of fixed input length: windows, batches across clips, stitching."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32

from mirbench.domain import Audio, Encoder, Features
from mirbench.errors import EncoderError


@dataclass(frozen=True)
class WindowFeatures:
    """Features of a batch of windows, as a network returns them.

    Attributes
    ----------
    frames
        One vector for every window, layer and frame.
    tokens
        Vectors that represent a whole window, by name.
    """

    frames: Float[torch.Tensor, "batch layer time dim"]
    tokens: Mapping[str, Float[torch.Tensor, "batch _layer _dim"]] = field(default_factory=dict)


class WindowedEncoder(Encoder):
    """A network that takes windows of one length.

    A subclass implements `encode_windows` and sets the attributes below; this class cuts clips into windows on the
    network's frame grid, fills batches across clips, and stitches the frames together:

    - Consecutive windows start `n_frames - overlap` frames apart; where windows overlap, frames are averaged.
    - The last window is moved back so that it ends inside the clip; fewer than `hop_length` samples remain unused.
    - A clip shorter than a window is padded with zeros; frames centred in the padding are dropped. Tokens still
      represent the padding. Where the network also takes other lengths, set `shortest`: such a clip is then a window of
      its own length, padded only to the shortest.
    - A clip's tokens are the mean over its windows.

    Attributes
    ----------
    window_length, hop_length, offset
        In samples: length of a window, distance between frames, and centre of a window's first frame.
    n_frames
        Number of frames that the network returns for a window.
    overlap
        Number of frames that consecutive windows share.
    shortest
        Length in samples of the shortest window that the network takes; None where it takes one length only.
    device
        Device to which windows are moved before they are encoded.
    """

    window_length: int
    hop_length: int
    offset: float
    n_frames: int
    overlap: int = 0
    shortest: int | None = None
    device: str = "cpu"

    @abstractmethod
    def encode_windows(self, windows: Float32[torch.Tensor, "batch samples"]) -> WindowFeatures:
        """Return the features of a batch of windows; called under `torch.inference_mode`.

        Parameters
        ----------
        windows
            Mono samples in [-1, 1], on `device`.
        """

    def prepared(self, audio: Audio) -> Audio:
        """Return a whole clip as it enters the network, normalised for example; its length must not change.

        Parameters
        ----------
        audio
            Mono samples in [-1, 1]. The array must not be modified.
        """
        return audio

    def encode(self, audio: Audio) -> Features:
        return next(iter(self.encode_all([audio], batch_size=16)))

    def encode_all(self, clips: Iterable[Audio], batch_size: int) -> Iterator[Features]:
        open_clips: deque[_OpenClip] = deque()
        waiting: list[tuple[_OpenClip, int]] = []
        for audio in clips:
            clip = _OpenClip(len(audio), self.starts(len(audio)), self._padded(self.prepared(audio)))
            open_clips.append(clip)
            is_short = len(clip.audio) < self.window_length
            if is_short:
                self._encode_waiting([(clip, 0)])
            for start in [] if is_short else clip.starts:
                waiting.append((clip, start))
                if len(waiting) == batch_size:
                    self._encode_waiting(waiting)
                    waiting = []
            while open_clips and open_clips[0].is_complete:
                yield self._stitch(open_clips.popleft())
        if waiting:
            self._encode_waiting(waiting)
        for clip in open_clips:
            yield self._stitch(clip)

    def starts(self, n_samples: int) -> list[int]:
        """Return where the windows of a clip begin, in samples.

        Parameters
        ----------
        n_samples
            Length of the clip.
        """
        step = (self.n_frames - self.overlap) * self.hop_length
        last = max(0, n_samples - self.window_length) // self.hop_length * self.hop_length
        return [*range(0, last, step), last]

    def _padded(self, audio: Audio) -> Audio:
        missing = max(0, (self.shortest or self.window_length) - len(audio))
        return np.pad(audio, (0, missing)) if missing else audio

    def _encode_waiting(self, waiting: "list[tuple[_OpenClip, int]]") -> None:
        batch = np.stack([clip.audio[start : start + self.window_length] for clip, start in waiting])
        with torch.inference_mode():
            encoded = self.encode_windows(torch.from_numpy(batch).to(self.device))
        if not isinstance(encoded, WindowFeatures) or not isinstance(encoded.frames, torch.Tensor):
            raise EncoderError(
                f"encode_windows returned a {type(encoded).__name__}; expected WindowFeatures of tensors"
            )
        frames = encoded.frames.float().cpu().numpy()
        tokens = {name: token.float().cpu().numpy() for name, token in encoded.tokens.items()}
        is_short = batch.shape[1] < self.window_length
        if frames.ndim != 4 or len(frames) != len(batch) or (frames.shape[2] != self.n_frames and not is_short):
            raise EncoderError(
                f"encode_windows returned frames of shape {frames.shape}; expected [batch, layer, {self.n_frames}, dim]"
            )
        for row, (clip, _) in enumerate(waiting):
            clip.frames.append(frames[row])
            clip.tokens.append({name: token[row] for name, token in tokens.items()})

    def _stitch(self, clip: "_OpenClip") -> Features:
        n_layers, n_in_window, n_dims = clip.frames[0].shape
        n_frames = clip.starts[-1] // self.hop_length + n_in_window
        total = np.zeros((n_layers, n_frames, n_dims), dtype=np.float32)
        count = np.zeros((n_frames, 1), dtype=np.float32)
        for start, frames in zip(clip.starts, clip.frames, strict=True):
            place = slice(start // self.hop_length, start // self.hop_length + n_in_window)
            total[:, place] += frames
            count[place] += 1
        first = self.offset if self.offset < clip.n_samples else clip.n_samples / 2  # of a clip that ends before it
        centres = first + np.arange(n_frames) * self.hop_length
        inside = centres < max(clip.n_samples, first + 1)
        return Features(
            frames=(total / count)[:, inside],
            times=centres[inside] / self.sample_rate,
            tokens={name: np.mean([token[name] for token in clip.tokens], axis=0) for name in clip.tokens[0]},
        )


@dataclass(eq=False)
class _OpenClip:
    """A clip of which some windows may still wait for their batch."""

    n_samples: int
    starts: list[int]
    audio: Audio
    frames: list[np.ndarray] = field(default_factory=list)
    tokens: list[dict[str, np.ndarray]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.frames) == len(self.starts)

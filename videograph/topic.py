"""Language before any edge, by products: the title says which features of a frame count (Eq. 1a).

Letters at line ends: B videos, T steps, d width, r rank.
"""

from __future__ import annotations

from torch import Tensor, nn

from videograph.config import ModelConfig
from videograph.graph import unit
from videograph.inputs import Inputs

TOPIC_SCALE = 8.0
"""Spread of the first weights of W_b: a random map keeps the cosines between topics, and with weights this
large training turns it little, while W_a and W_c, which start near 0, learn fast."""
TURNED_STEPS = 256
"""Steps from which on the three maps of a topic are multiplied first, which then takes less time."""


class Topic(nn.Module):
    """Which features of a frame count, by what the whole video is said to be about (Eq. 1a).

    Words of a title, added, move all frames of a video alike; multiplied with what frames show, they tell
    the frames apart.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        rank = config.topic_rank
        self.of_frames = nn.Linear(config.feature_dim, rank, bias=False)
        self.of_words = nn.Linear(config.word_dim, rank, bias=False)
        self.join = nn.Linear(rank, config.width, bias=False)

    def initialise(self) -> None:
        """Products start near 0; W_b, see `TOPIC_SCALE`."""
        nn.init.xavier_uniform_(self.of_frames.weight, 0.1)
        nn.init.normal_(self.of_words.weight, std=TOPIC_SCALE)
        nn.init.xavier_uniform_(self.join.weight, 0.1)

    def about(self, inputs: Inputs) -> Tensor | None:
        """W_b q, q the mean, length 1, of the words that hold at every step, or 0, (B, 1, r); None
        where there are no words at all."""
        words, mask = inputs.word_features, inputs.word_mask
        if words is None or mask is None:
            return None
        always = mask if mask.ndim == 2 else (mask | ~inputs.frame_mask[..., None]).all(1)
        return self.of_words(unit(always[:, None].to(words.dtype) @ words))

    def forward(self, frames: Tensor, about: Tensor) -> Tensor:
        """W_c ((W_a phi) * (W_b q)), (B, T, d), to add to W_f phi."""
        if frames.shape[1] < TURNED_STEPS:
            return self.join(self.of_frames(frames) * about)
        # One map for each video, (B, d, dim), then one product for each step.
        of_video = (self.join.weight * about) @ self.of_frames.weight
        return frames @ of_video.transpose(1, 2)

"""Options: frozen dataclasses, a reason per field. The command line reads its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from videograph.errors import UsageError

SPEEDS = ("balanced", "fast", "exact")
"""Which frames stand for the picks, see `SummarizeConfig.speed`."""


@dataclass(frozen=True)
class SummarizeConfig:
    """How `videograph.summarize` works on one video."""

    budget: str | None = None
    """Length of the summary: "15%", "0.15", "90s", "12 shots" or "auto"; None is summary.py's default."""
    speed: str = "balanced"
    """"exact" takes the frame shown at each pick; "balanced" the nearest reference frame, which spares
    decoding the frames nothing depends on; "fast" key frames only, where they are dense enough."""
    seed: int = 0
    """Seed of everything that draws at random."""
    encoder: str = "builtin"
    """Who sees the frames; `encoders.available_encoders()` lists the names."""
    steps_per_second: Fraction = Fraction(2)
    """Picks a second of presentation time: the field's 2, so that trained models see what they know."""


LANGUAGE = ("none", "query", "both", "shuffled")
"""Which words reach the nodes, see `ModelConfig.language`."""


@dataclass(frozen=True)
class ModelConfig:
    """What VideoGraph is made of. Every ablation is a field here."""

    feature_dim: int
    """Width of the frame features, as the encoder gives them."""
    object_dim: int = 0
    """Width of the object features; 0 builds the model without objects."""
    word_dim: int = 0
    """Width of the word features; 0 builds the model without language."""
    width: int = 256
    """Common node width: wide enough for pooled image features, small enough to train on 40 videos."""
    n_recursions: int = 3
    """Times that edges and nodes are computed anew; 0 is a plain classifier of each frame."""
    n_objects: int = 8
    """Object slots read; encoders put the most certain objects first, further ones are not seen."""
    use_objects: bool = True
    """False leaves the spatial graphs out, and all their weights."""
    language: str = "query"
    """"query": a user's words in place of the video's own; "both": beside them; "shuffled": those of
    another video, a control for training; "none": no words, and no weights for them."""
    fusion: str = "early"
    """"early": words are in the nodes before any edge; "late": they join after the last graph."""
    share_weights: bool = True
    """One set of weights for all recursions: fewer to learn, and K can be read as depth of thought."""
    refine_edges: bool = True
    """False keeps the edges of the first recursion: plain graph convolution layers."""
    tie_affinity: bool = False
    """True makes graphs undirected before the softmax: a node asks for what it answers to."""
    object_pooling: str = "attention"
    """"attention": the frame weighs its objects; "mean": all count alike."""
    time_encoding: str = "none"
    """"none": scores do not depend on the order of frames; "sinusoidal": step number added to the
    frame's node; "relative": its place as a share of the video."""
    temporal_edges: str = "auto"
    """"full": every pair of frames; "sparse": a window and landmarks, an approximation in linear time;
    "auto": full up to `full_steps`."""
    full_steps: int = 32_768
    """Steps up to which "auto" takes all pairs: about 4.5 hours at 2 steps a second."""
    window: int = 64
    """Steps that a sparse graph sees one by one on either side: about half a minute."""
    n_landmarks: int = 2_048
    """Means of equal runs that stand for the rest of the video in a sparse graph."""
    centre_features: bool = False
    """True subtracts the video's mean feature: for encoders whose features share a large common part."""
    shuffle_frames: bool = False
    """True shuffles steps before the graph and maps scores back: a control, does order matter?"""
    head: str = "keyframes"
    """What a score means, hence the loss: "keyframes", the chance to be one (Eq. 10, 11); "importance",
    the mean rating people give."""
    initial_score: float = 0.5
    """Score of every step before training: 0.5 with labels, the summary's share without."""
    reconstruct: bool = False
    """True adds the decoder of Eq. 14, which training without labels needs and scoring does not."""
    dropout: float = 0.3
    """Share of a final node's entries dropped in training, before the classifier."""
    input_dropout: float = 0.0
    """Share of the input features' entries dropped in training: there are few videos with labels."""

    def __post_init__(self) -> None:
        for name in ("feature_dim", "width"):
            _in_range(name, getattr(self, name), 1, 1_000_000)
        for name in ("object_dim", "word_dim", "n_objects", "window", "n_landmarks"):
            _in_range(name, getattr(self, name), 0, 1_000_000)
        _in_range("n_recursions", self.n_recursions, 0, 64)
        _in_range("full_steps", self.full_steps, 1, 1 << 40)
        _in_range("dropout", self.dropout, 0, 0.99)
        _in_range("input_dropout", self.input_dropout, 0, 0.99)
        _in_range("initial_score", self.initial_score, 0.001, 0.999)
        _one_of("language", self.language, LANGUAGE)
        _one_of("fusion", self.fusion, ("early", "late"))
        _one_of("object_pooling", self.object_pooling, ("attention", "mean"))
        _one_of("time_encoding", self.time_encoding, ("none", "sinusoidal", "relative"))
        _one_of("temporal_edges", self.temporal_edges, ("full", "sparse", "auto"))
        _one_of("head", self.head, ("keyframes", "importance"))

    @property
    def has_objects(self) -> bool:
        """Whether spatial graphs are built."""
        return self.use_objects and self.object_dim > 0 and self.n_objects > 0

    @property
    def has_language(self) -> bool:
        """Whether words are read."""
        return self.language != "none" and self.word_dim > 0


def _in_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} is {value}. Allowed: {low} to {high}.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        known = ", ".join(f'"{a}"' for a in allowed)
        raise UsageError(f'{name} is "{value}". Allowed: {known}.')

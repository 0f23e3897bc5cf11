"""Options: frozen dataclasses, a reason per field. The command line reads its defaults from here."""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from videograph.errors import UsageError, VideographError

SPEEDS = ("balanced", "fast", "exact")
"""Which frames stand for the picks, see `SummarizeConfig.speed`."""


@dataclass(frozen=True)
class SummarizeConfig:
    """How `videograph.summarize` works on one video."""

    budget: str | None = None
    """Length of the summary: "15%", "0.15", "90s", "12 shots" or "auto"; None is summary's default."""
    speed: str = "balanced"
    """"exact" decodes every frame; "balanced" spares frames that nothing depends on, unless one is shown at a
    pick, and with B-frames the smoothing of block edges; "fast" looks at key frames only, each for the picks
    around it, where there are enough."""
    seed: int = 0
    """Seed of everything that draws at random."""
    encoder: str = "embedded"
    """Who sees the frames; `encoders.available_encoders()` lists the names."""
    steps_per_second: Fraction = Fraction(2)
    """Picks a second of presentation time: the field's 2, so that trained models see what they know."""


@dataclass(frozen=True)
class WordsConfig:
    """Which words lead a summary or are asked, and where they come from."""

    query: tuple[str, ...] = ()
    """What the user looks for; a moment may answer any of them."""
    unwanted: tuple[str, ...] = ()
    """What the user wants to be left out."""
    title: str | None = None
    """Title in place of the file's own; None: the file's."""
    subtitles: str | None = None
    """A subtitle file in place of those beside the video or inside it; None: these."""
    text: str = "lexical"
    """Who compares words: "lexical" needs no download, "text:minilm" knows synonyms."""
    objects: str | None = None
    """Detector that looks at a frame of each shot; None: the encoder's own regions, without names."""
    objects_every: int | None = None
    """The detector looks at every k-th pick instead; None: at a frame of each shot."""
    captions: str | None = None
    """Captioner that puts a frame of each shot into words; None: nobody."""
    speech: str | None = None
    """Recognizer that writes down what is said; None: nobody."""
    device: str = "auto"
    """Where networks compute: "auto" (the first GPU, else the CPU), "cpu", "cuda" or "mps"."""

    @property
    def looks(self) -> bool:
        """Whether words are asked for that come of looking at the video, or of listening."""
        return any(spec is not None for spec in (self.objects, self.captions, self.speech))


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
    steps_per_node: int = 1
    """Steps that become one node of the temporal graph, scores lying on lines between their middles: 8 are
    the 4 s in which people judge; 1 tells every sampled frame apart. Fewer in videos of under 8 nodes."""
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
    topic_rank: int = 0
    """Products of what a frame shows with what the whole video is said to be about that reach its first
    node: the title says which features count. 0 leaves them out, as do late fusion and no language."""
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
    concept_head: bool = False
    """True also says which of the query's concepts each step shows: the query-focused form learns it."""
    reconstruct: bool = False
    """True adds the decoder of Eq. 14, which training without labels needs and scoring does not."""
    dropout: float = 0.3
    """Share of a final node's entries dropped in training, before the classifier."""
    input_dropout: float = 0.0
    """Share of the input features' entries dropped in training: there are few videos with labels."""

    def __post_init__(self) -> None:
        for name in ("feature_dim", "width", "steps_per_node"):
            _in_range(name, getattr(self, name), 1, 1_000_000)
        for name in ("object_dim", "word_dim", "n_objects", "topic_rank", "window", "n_landmarks"):
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


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the tables `[model]` and `[loss]` of the same file say which one, by what."""

    dataset: str = ""
    """Videos to learn from: an h5 in the field's layout, or the name of a set in the data folder."""
    features: str = ""
    """Which features, where they lie apart from the labels, see `datasets.eccv16.load`."""
    words: str = ""
    """An h5 with `word_features` of each video, where the data set's own file has none."""
    unlabelled: str = ""
    """Further videos, learnt from without their labels; only where the objective is "mixed"."""
    splits: str = "validation"
    """"validation": 20 % of the videos choose the epoch, the others train; "all": all train; anything
    else names fixed folds ("disjoint5"), whose test videos are left alone."""
    fold: int = 0
    """Which of the fixed folds."""
    objective: str = "supervised"
    """"supervised" (Eq. 17), "unsupervised" (Eq. 18: labels are never looked at), "mixed": both."""
    target: str = "keyframes"
    """What labels teach: "keyframes", the 15 % summary (Eq. 11); "soft", the mean rating as a chance;
    "importance", the mean rating as a value; "ranking", its order."""
    select: str = "auto"
    """Which epoch is kept: "mode1" or "mode2", the best rank correlation on the validation videos;
    "last"; "auto": mode 1 where ratings of each user are known, else mode 2; last without labels."""
    epochs: int = 100
    """Times that every video is seen."""
    patience: int = 0
    """Epochs without a better one after which training stops early; 0 never does."""
    batch_size: int = 1
    """Videos padded to one length and computed at once: more pays on a GPU, and with `steps_per_node`."""
    accumulate: int = 4
    """Batches to a step: gradients of so many are added up before the weights move."""
    learning_rate: float = 3e-4
    """Of AdamW at its height."""
    weight_decay: float = 1e-2
    """Share of a weight that is taken off for each unit of learning rate: there are few videos."""
    warmup_epochs: int = 5
    """Epochs in which the rate rises; then it falls to 0 along a cosine."""
    clip_norm: float = 5.0
    """Longest gradient; longer ones are scaled down."""
    average: float = 0.0
    """Share of the past in a running mean of the weights, which is what is kept; 0: no mean. With few
    videos 0.98 or so spares much of the luck of the last steps."""
    seed: int = 0
    """Of first weights, order, dropout; the same seed on the same machine gives the same model."""
    device: str = "auto"
    """"cpu", "cuda", or "auto": the GPU where there is one."""
    crop_steps: int = 0
    """Longest run of steps learned from at once, drawn anew each time: for hours of video. 0: all."""
    n_queries: int = 0
    """Queries of each video that an epoch draws in the query-focused form; 0: all."""
    save_seconds: float = 10.0
    """How often the state is kept that a killed run goes on from; it is kept between epochs."""

    def __post_init__(self) -> None:
        _one_of("objective", self.objective, ("supervised", "unsupervised", "mixed"))
        _one_of("target", self.target, ("keyframes", "soft", "importance", "ranking"))
        _one_of("select", self.select, ("auto", "mode1", "mode2", "last"))
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        for name in ("epochs", "batch_size", "accumulate"):
            _in_range(name, getattr(self, name), 1, 1_000_000)
        for name in (
            "fold",
            "patience",
            "warmup_epochs",
            "save_seconds",
            "weight_decay",
            "seed",
            "crop_steps",
            "n_queries",
        ):
            _in_range(name, getattr(self, name), 0, 1_000_000_000)
        for name in ("learning_rate", "clip_norm"):
            _in_range(name, getattr(self, name), 1e-9, 1_000)
        _in_range("average", self.average, 0, 0.9999)
        if self.objective == "unsupervised" and self.select in ("mode1", "mode2"):
            raise UsageError(
                f'select is "{self.select}", which looks at labels, but the objective is '
                '"unsupervised". Allowed: auto, last.'
            )


# -- settings from TOML files and KEY=VALUE -----------------------------------------------------------


def read_settings(
    path: Path | None, overrides: Sequence[str], tables: Mapping[str, type[Any]]
) -> dict[str, dict[str, Any]]:
    """What a TOML file and `KEY=VALUE` say, by table, each name and type checked.

    Args:
        path: the file, or None.
        overrides: "seed=3", "model.width=64": these win.
        tables: dataclass of each table; "" is the file's top level.

    Raises:
        UsageError: an unknown name, with the nearest known one, or a value of another type.
        VideographError: the file cannot be read as TOML.
    """
    given: dict[str, dict[str, Any]] = {table: {} for table in tables}
    for name, value in _flat(_read_toml(path) if path else {}):
        _set(given, tables, name, value)
    for text in overrides:
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f'"{text}" is no setting. Allowed: KEY=VALUE, as in epochs=50.')
        _set(given, tables, name.strip(), _value(value.strip()))
    return given


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VideographError(f"{path} is not TOML: {error}.") from error


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _value(text: str) -> Any:
    """A value as TOML would read it; bare words are strings."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(
    given: dict[str, dict[str, Any]], tables: Mapping[str, type[Any]], name: str, value: Any
) -> None:
    known = {
        f"{table}.{field.name}".lstrip("."): (table, field)
        for table, kind in tables.items()
        for field in fields(kind)
    }
    if name not in known:
        raise UsageError(f'no setting "{name}". Nearest: {_nearest(name, list(known))}.')
    table, field = known[name]
    kind = str(field.type)
    if kind == "float" and type(value) is int:
        value = float(value)
    if type(value).__name__ != kind:
        raise UsageError(f"{name} is {value!r}. Allowed: {_KINDS.get(kind, kind)}.")
    given[table][field.name] = value


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}


def _nearest(name: str, known: list[str]) -> str:
    """The most similar names; a bare name also finds the one in a table."""
    bare = name.rpartition(".")[2]
    close = [k for k in known if k.rpartition(".")[2] == bare]
    close += difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    close += [
        k for k in known if difflib.SequenceMatcher(None, bare, k.split(".")[-1]).ratio() > 0.7
    ]
    return ", ".join(dict.fromkeys(close[:3])) or ", ".join(known)


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Settings as a TOML file that `read_settings` reads back the same."""
    lines = []
    for table, values in sorted(tables.items()):
        lines += [f"\n[{table}]"] if table else []
        lines += [
            f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()
        ]
    return "\n".join(lines) + "\n"


EVALUATE_PROTOCOLS = ("ours", "dsnet", "pglsum", "gravit", "legacy-best-on-test")
"""Bundles of the protocol's variants, and the one that chooses the epoch on the videos it is scored on."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How `videograph evaluate` scores predictions."""

    splits: str = "disjoint5"
    """Folds of the table: "disjoint5", "all" (no folds), or a JSON file, ours or published."""
    protocol: str = "ours"
    """How scores become a summary: a bundle of variants, see `EVALUATE_PROTOCOLS`."""
    capacity: str | None = None
    """Variant of the summary's length in place of the bundle's."""
    shot_score: str | None = None
    """Variant of a shot's value in place of the bundle's."""
    spread: str | None = None
    """Variant of spreading scores over frames in place of the bundle's."""
    n_draws: int = 100
    """Random predictions per video: chance to a thousandth on one video, far better on a set."""
    seed: int = 0
    """Seed of the draws and of the bootstrap."""

    def __post_init__(self) -> None:
        _one_of("protocol", self.protocol, EVALUATE_PROTOCOLS)
        _in_range("n_draws", self.n_draws, 1, 100_000)
        _in_range("seed", self.seed, 0, 1_000_000_000)


GIBIBYTE = 1 << 30
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class CacheConfig:
    """Where features are kept, so that they are computed once."""

    folder: str = ""
    """The folder, made when it is first needed; "" is the platform's own for caches."""
    max_bytes: int = 4 * GIBIBYTE
    """What it may hold, in bytes: some hundred 10-minute videos. 0: nothing is kept or looked up."""

    def __post_init__(self) -> None:
        _in_range("max_bytes", self.max_bytes, 0, 1 << 60)

    @classmethod
    def from_environment(cls) -> CacheConfig:
        """As VIDEOGRAPH_CACHE (a folder, or "off") and VIDEOGRAPH_CACHE_SIZE ("4GB", "500MB") say.

        Raises:
            UsageError: the size is none.
        """
        folder = os.environ.get("VIDEOGRAPH_CACHE", cls.folder)
        size = os.environ.get("VIDEOGRAPH_CACHE_SIZE", "")
        max_bytes = _bytes("VIDEOGRAPH_CACHE_SIZE", size) if size else cls.max_bytes
        return cls("", 0) if folder.lower() == "off" else cls(folder, max_bytes)


def _bytes(name: str, text: str) -> int:
    """ "4GB", "1.5 T", "500000": a number of bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if found is None or (found[3] and not found[2]):
        raise UsageError(
            f'{name} is "{text}". Allowed: a size like 4GB, 500MB or 2GiB; 0 for none.'
        )
    unit = 1024 ** " kmgt".index(found[2]) if found[3] else _UNITS[found[2]]
    return int(float(found[1]) * unit)

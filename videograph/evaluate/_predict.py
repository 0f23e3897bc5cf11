"""A model scores a data set once, into a file that is then scored as often as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videograph.config import EvaluateConfig
from videograph.datasets import Dataset
from videograph.datasets._splits import Splits
from videograph.errors import UsageError
from videograph.evaluate._choose import folds_of
from videograph.evaluate._scores import ScoreFile, read_scores, write_scores

if TYPE_CHECKING:
    from videograph.inputs import Inputs
    from videograph.records import Words

TRAINED_ON = "trained_on"
"""Attribute of a score file: keys that its model learned from; with the split's number, of that split's."""
UNHEARD = "words_unheard"
"""Attribute of a score file whose model reads words: keys of videos for which the data set had none."""


def predict(
    dataset: Dataset,
    path: Path,
    *,
    model: str = "training-free",
    words: str | None = None,
    config: EvaluateConfig | None = None,
) -> ScoreFile:
    """Let a model score every video once and keep the scores in an h5.

    Words that the data set has are heard by a model with language.

    Args:
        dataset: videos with features.
        path: the h5 to write.
        model: "training-free", or a checkpoint; with "{split}" in it, one for each split, which then
            scores the split's validation and test videos.
        words: an h5 of word features, or the name of a text encoder: the title, met in what is said and
            named at each step, guides the training-free form. None: it runs without words. A trained model
            hears those that the data set was loaded with.
        config: splits and seed.

    Raises:
        UsageError: no model there, one that reads other features or other words, or words for a
            trained model, which hears those of the data set.
        VideographError: the videos have no features.
    """
    config = config or EvaluateConfig()
    if words is not None and model != "training-free":
        raise UsageError(
            f"words guide the training-free form; {model} hears the words that its data set holds. "
            "Load the data set with them."
        )
    attributes = {"model": model, "features": dataset.features, "dataset": dataset.name}
    if dataset.query_videos:
        from videograph.evaluate._answers import answers

        scores, learned = answers(dataset, model)
        write_scores(path, scores, attributes | {TRAINED_ON: learned})
        return replace(read_scores(path), name=path.stem)
    if words is not None:
        attributes["words"] = words
        scores, attributes[TRAINED_ON] = _guided(dataset, words), ""
    elif "{split}" not in model:
        scores, found = _scored(dataset, tuple(dataset.videos), model, config)
        attributes |= found
    else:
        scores = {}
        for i, fold in enumerate(folds_of(dataset, config).folds):
            name = model.replace("{split}", str(i))
            held, found = _scored(dataset, (*fold.val, *fold.test), name, config)
            scores |= {f"split_{i}/{key}": value for key, value in held.items()}
            attributes[f"{TRAINED_ON}_{i}"] = found.pop(TRAINED_ON)
            if UNHEARD in found:
                attributes[UNHEARD] = f"{attributes.get(UNHEARD, '')} {found[UNHEARD]}".strip()
    write_scores(path, scores, attributes)
    return replace(read_scores(path), name=model if model == "training-free" else path.stem)


def _guided(dataset: Dataset, words: str) -> dict[str, np.ndarray]:
    from videograph.evaluate._words import guides
    from videograph.scoring import score_video

    return {
        key: score_video(dataset.videos[key].as_features(dataset.features), guide=told).scores
        for key, told in guides(dataset, words).items()
    }


def _scored(
    dataset: Dataset, keys: Sequence[str], model: str, config: EvaluateConfig
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Scores by key, and what is to be said of them: the videos of this data set that the model learned
    from, and whether it missed its words."""
    from videograph.model import VideoGraph  # torch only where a model is asked
    from videograph.scoring import score_video

    loaded, learned = None, ()
    if model != "training-free":
        loaded = VideoGraph.from_pretrained(model)
        loaded.origin.admit(dataset.features)
        learned = loaded.origin.videos
    is_control = loaded is not None and loaded.config.language == "shuffled"
    words = _words(dataset, config.seed if is_control else None)
    found, facts = {}, {}
    if loaded is not None and loaded.config.has_language:
        _admit_words([w for w in words.values() if w is not None], loaded.config.word_dim)
        if silent := [key for key in keys if words[key] is None]:
            facts[UNHEARD] = " ".join(silent)
    for key in keys:
        features = dataset.videos[key].as_features(dataset.features)
        scored = score_video(features, model=loaded, words=words[key], seed=config.seed)
        found[key] = scored.scores
    facts[TRAINED_ON] = " ".join(key for key in learned if key in dataset.videos)
    return found, facts


def _words(dataset: Dataset, shuffled_by: int | None) -> dict[str, Words | None]:
    """What each video says, None where it says nothing; with a seed, what another one says: the control."""
    from videograph.examples import examples_of, with_others_words, words_of

    if shuffled_by is None:
        return {key: words_of(video) for key, video in dataset.videos.items()}
    mixed = {e.key: e.inputs for e in with_others_words(examples_of(dataset), shuffled_by)}
    return {key: _as_words(inputs) for key, inputs in mixed.items()}


def _as_words(inputs: Inputs) -> Words | None:
    from videograph.records import Words

    if inputs.word_features is None or inputs.word_mask is None:
        return None
    timed = inputs.word_mask.ndim == 3
    return Words(inputs.word_features[0].numpy(), inputs.word_mask[0].numpy() if timed else None)


def _admit_words(words: Sequence[Words], word_dim: int) -> None:
    if others := {w.features.shape[1] for w in words} - {word_dim}:
        raise UsageError(
            f"the data set's words have {min(others)} numbers. Allowed: {word_dim}, as the model reads. "
            "Make them with the text encoder it was trained with."
        )


def leaked(file: ScoreFile, splits: Splits) -> list[str]:
    """Videos that are scored by a model that learned from them."""
    learned = file.attributes.get(TRAINED_ON, "")
    return [
        key
        for i, fold in enumerate(splits.folds)
        for key in fold.test
        if key in file.attributes.get(f"{TRAINED_ON}_{i}", learned).split()
    ]

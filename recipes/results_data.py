"""Benchmark videos as the results' recipes read them: inputs made small, words made of letters.

Everything that is fitted to labels or to picture features is fitted on a fold's training videos only.
Word vectors are fitted to the captions and titles of all videos: they see no label and no picture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d

from videograph.datasets import BenchmarkVideo, Dataset, load_dataset

DATA = Path(os.environ.get("VIDEOGRAPH_DATA", "../shared/data"))
WORD_DIM = 48
"""Directions kept of the words' co-occurrence in captions."""
_STOP = (
    "and are being camera close for from has have her his image into near next one other over scene seen "
    "several she shot show shown shows showing some that the their there they this three two under video "
    "was while with"
)
STOP = frozenset(_STOP.split())
"""Words that say nothing of the content."""


@dataclass(frozen=True)
class Said:
    """A word or phrase that is said of a video, and when."""

    text: str
    kind: int
    """0: title, 1: caption."""
    start_seconds: float = 0.0
    end_seconds: float = float("inf")


def load(name: str, features: str) -> Dataset:
    """A set of the data folder with its picture features and sentences."""
    return load_dataset(str(DATA / name), features=features)


def words_in(text: str) -> list[str]:
    """Content words, lower case, plural s taken off."""
    found = re.findall(r"[a-z]+", text.lower())
    return [_singular(w) for w in found if w not in STOP and len(w) > 2]


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


class WordVectors:
    """Vectors of words: principal directions of who stands in a sentence with whom (LSA on PPMI)."""

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        self.names = sorted({w for s in sentences for w in s})
        number = {w: i for i, w in enumerate(self.names)}
        counts = np.zeros((len(sentences), len(self.names)))
        for i, sentence in enumerate(sentences):
            for word in sentence:
                counts[i, number[word]] = 1
        pairs = counts.T @ counts
        share = pairs / pairs.sum()
        expected = share.sum(0)[:, None] * share.sum(0)
        ppmi = np.log(np.maximum(share / np.maximum(expected, 1e-12), 1.0))
        u, s, _ = np.linalg.svd(ppmi, hermitian=True)
        rows = u[:, :WORD_DIM] * np.sqrt(s[:WORD_DIM])
        self.rarity = dict(zip(self.names, np.log(len(sentences) / counts.sum(0)), strict=True))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        self.vectors = dict(zip(self.names, rows.astype(np.float32), strict=True))

    def of_text(self, words: Sequence[str]) -> np.ndarray:
        """Mean vector, rare words counting more, length 1."""
        known = [w for w in words if w in self.vectors]
        if not known:
            return np.zeros(WORD_DIM, np.float32)
        mean = np.sum([self.vectors[w] * self.rarity[w] for w in known], axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-9)


def title_cosine(video: BenchmarkVideo, vectors: WordVectors) -> np.ndarray:
    """Cosine of what is said at each step to the title, (n_steps,); no training."""
    title = vectors.of_text(words_in(video.title))
    score = np.zeros(video.n_steps, np.float32)
    for caption in video.captions:
        here = (video.seconds >= caption.start_seconds) & (video.seconds < caption.end_seconds)
        score[here] = vectors.of_text(words_in(caption.text)) @ title
    return score


def change(features: np.ndarray, n_steps: int = 9) -> np.ndarray:
    """Smoothed feature change, (n_steps,)."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    moved = np.concatenate([[0.0], 1 - (unit[1:] * unit[:-1]).sum(1)])
    return uniform_filter1d(moved, n_steps, mode="nearest").astype(np.float32)


def places(n: int) -> np.ndarray:
    """t, t^2, |t - 1/2| of each step, (n_steps, 3)."""
    t = np.linspace(0, 1, n)
    return np.stack([t, t**2, np.abs(t - 0.5)], 1).astype(np.float32)


def classes(video: BenchmarkVideo) -> np.ndarray:
    """How sure each class is seen, and how large, at each step, (n_steps, 2 * 80)."""
    objects = video.objects
    assert objects is not None and objects.classes is not None and objects.boxes is not None
    assert objects.scores is not None
    n = len(objects.class_names)
    found = np.zeros((video.n_steps, 2 * n), np.float32)
    size = np.prod(np.clip(objects.boxes[..., 2:] - objects.boxes[..., :2], 0, 1), -1)
    for t, slot in zip(*np.nonzero(objects.mask), strict=True):
        c = objects.classes[t, slot]
        if c >= 0:
            found[t, c] = max(found[t, c], objects.scores[t, slot])
            found[t, n + c] = max(found[t, n + c], size[t, slot])
    return found


def mean_object(video: BenchmarkVideo) -> np.ndarray:
    """Mean object feature of each step, 0 without objects."""
    assert video.objects is not None
    mask = video.objects.mask[..., None]
    return (video.objects.features * mask).sum(1) / np.maximum(mask.sum(1), 1)

"""Sentences as the words they hold: no network, no download, no torch; the same on every machine.

Stems meet their kin ("hunting", "hunter"), runs of letters meet compounds, typos and other languages
("gatekeeper", "gate"); each is hashed to a place and a sign of the vector (Weinberger et al., Feature
Hashing for Large Scale Multitask Learning, ICML 2009). Words that every conversation holds count less.
Synonyms are beyond it: for those there is `text:minilm`.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from videograph.encoders import TextEncoder
from videograph.english import COMMON_WORDS, FUNCTION_WORDS, REQUEST_WORDS, split_words, stem

DIM = 2048
"""Places to hash to: two unrelated sentences have a cosine of 0 +- 0.02."""
MIN_LETTERS, MAX_LETTERS = 3, 5
"""Runs of letters looked at, a mark at either end of the word included."""
LETTERS_SHARE = 0.8
"""Weight of all runs of letters of a word beside its stem."""
FIRST_UNSPACED = "\u0e00"
"""From Thai on, scripts put no spaces between words: there runs of letters are all that meets."""
FUNCTION_WEIGHT, REQUEST_WEIGHT, COMMON_WEIGHT = 0.05, 0.2, 0.35
"""Weight of words that say little beside one that says something: just enough to find "Who are you?"."""
MAX_WORD_LETTERS = 40
"""Letters of a word that are read; more is no word."""


def load_text() -> TextEncoder:
    """The encoder of words without weights."""
    return Lexical()


class Lexical:
    """Hashed stems and runs of letters."""

    name = "lexical-1"
    dim = DIM
    space: str | None = None

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length 1 for each text, (n, dim) float32; 0 for a text without a word."""
        rows = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word, count in Counter(split_words(text)).items():
                places, values = _hashed(word[:MAX_WORD_LETTERS])
                np.add.at(row, places, values * np.float32(1 + np.log(count)))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1)


@lru_cache(maxsize=65_536)
def _hashed(word: str) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of a word, its weight included."""
    weight = _weight(word)
    root = stem(word)
    runs = [] if word in FUNCTION_WORDS else list(_runs(f"<{word}>"))
    names = [f"stem {root}", *(f"letters {run}" for run in runs)]
    share = LETTERS_SHARE if word[0] < FIRST_UNSPACED else 3.0
    each = share / np.sqrt(max(1, len(runs)))
    values = np.array([1.0, *[each] * len(runs)], dtype=np.float32) * np.float32(weight)
    codes = [zlib.crc32(name.encode("utf-8")) for name in names]
    signs = np.array([1 if code >> 31 else -1 for code in codes], dtype=np.float32)
    return np.array([code % DIM for code in codes]), values * signs


def _runs(word: str) -> Iterator[str]:
    shortest = MIN_LETTERS if word[1:2].isascii() else MIN_LETTERS - 1
    for n in range(shortest, MAX_LETTERS + 1):
        for i in range(len(word) - n + 1):
            yield word[i : i + n]


def _weight(word: str) -> float:
    if word in FUNCTION_WORDS:
        return FUNCTION_WEIGHT
    if word in REQUEST_WORDS:
        return REQUEST_WEIGHT
    return COMMON_WEIGHT if stem(word) in _COMMON_STEMS else 1.0


_COMMON_STEMS = frozenset(stem(word) for word in COMMON_WORDS)

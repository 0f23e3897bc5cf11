"""Sentences by a network that was trained on them: `text:minilm`, any of sentence-transformers, a folder.

The small ones, a BERT and the mean of its words, are read in numpy and are there in a fraction of a
second; all others through sentence-transformers. The vectors are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videograph.encoders import TextEncoder
from videograph.encoders._bert import SentenceBert, is_plain_bert
from videograph.encoders._hub import Preset, fetch, fingerprint, needs
from videograph.errors import VideographError

PRESETS = {
    "minilm": Preset(
        "sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
    ),
    "multilingual": Preset(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "e8f8c211226b894fcb81acc59f3b34ba3efd5f42",
    ),
}
"""Models with a short name: English, 90 MB; fifty languages, 470 MB. Both Apache-2.0."""


def load_text(what: str = "minilm", *, device: str = "auto") -> TextEncoder:
    """A text encoder.

    Args:
        what: a preset ("minilm", "multilingual"), a hub id, or a folder of sentence-transformers.
        device: "auto", "cpu", "cuda" or "mps". "auto" takes the CPU for models that numpy reads.

    Raises:
        UsageError: no such model, or no such device.
        VideographError: it cannot be fetched or read, or the libraries are missing.
    """
    needs("tokenizers")  # says so before anything is downloaded for it
    folder = fetch(what, PRESETS, instead='the text encoder "lexical"')
    name = f"text-{fingerprint(folder)}"
    if device in ("auto", "cpu") and is_plain_bert(folder):
        return _Sentences(name, _sentence_bert(folder))
    return _Sentences(name, _SentenceTransformer(folder, device))


def _sentence_bert(folder: Path) -> SentenceBert:
    try:
        reader = SentenceBert(folder)
        reader.encode_text(["a word"])  # weights that are missing or of another size show here
    except Exception as error:  # of safetensors, of tokenizers, of what does not fit together
        raise _unreadable(folder, error) from error
    return reader


def _unreadable(folder: Path, error: Exception) -> VideographError:
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    return VideographError(
        f"{folder} cannot be read as a model of sentence-transformers ({why}). "
        "Try minilm, or a folder that SentenceTransformer.save wrote."
    )


class _Sentences:
    """A text encoder around a reader of sentences."""

    space: str | None = None

    def __init__(self, name: str, reader: Any) -> None:
        self.name = name
        self.dim: int = reader.dim
        self._reader = reader

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length 1 for each text, (n, dim) float32; 0 for a text without a letter."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        said = [i for i, text in enumerate(texts) if any(c.isalnum() for c in text)]
        if said:
            rows[said] = self._reader.encode_text([texts[i] for i in said])
        return rows


class _SentenceTransformer:
    """Any model, by the library that its folder was written with."""

    def __init__(self, folder: Path, device: str) -> None:
        library = needs("sentence_transformers")
        from videograph.encoders._device import choose_device
        from videograph.encoders._hub import quiet

        where = str(choose_device(device))
        try:
            with quiet():
                self._model = library.SentenceTransformer(
                    str(folder),
                    device=where,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"use_safetensors": True},
                )
        except Exception as error:  # the library raises many kinds for a folder it cannot use
            raise _unreadable(folder, error) from error
        self.dim = len(self.encode_text(["width"])[0])

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        rows = self._model.encode(
            list(texts), convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, dtype=np.float32)

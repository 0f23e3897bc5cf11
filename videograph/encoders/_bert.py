"""A BERT that reads sentences, in numpy: small sentence encoders, there before torch would be.

Devlin et al., BERT, 2019; the mean of the last layer over the words is the sentence (Reimers and
Gurevych, Sentence-BERT, 2019). Weights and results are those of sentence-transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videograph.encoders._hub import needs, read_json

BATCH_WORDS = 4096
"""Words that are read at once, padding included: 50 MB of arrays for the largest model of this kind."""
_PATHS = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}


def is_plain_bert(folder: Path) -> bool:
    """Whether a folder of sentence-transformers is a BERT, the mean of its words, and nothing else."""
    config, pooling = _json(folder / "config.json"), _json(folder / "1_Pooling" / "config.json")
    settings = _json(folder / "sentence_bert_config.json")
    modules = _json(folder / "modules.json")
    parts = {m["type"].rpartition(".")[2]: m["path"] for m in modules} if modules else {}
    ways = {name: on for name, on in pooling.items() if name.startswith("pooling_mode")}
    means = ways.pop("pooling_mode_mean_tokens", False) or ways.pop("pooling_mode", "") == "mean"
    prompt = _json(folder / "config_sentence_transformers.json").get("default_prompt_name")
    return (
        parts in (_PATHS, {name: _PATHS[name] for name in ("Transformer", "Pooling")})
        and config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and means
        and not any(ways.values())
        and not settings.get("do_lower_case")
        and prompt is None
        and (folder / "tokenizer.json").is_file()
        and (folder / "model.safetensors").is_file()
    )


def _json(file: Path) -> Any:
    return read_json(file) if file.is_file() else {}


class SentenceBert:
    """Sentences in, vectors out."""

    def __init__(self, folder: Path) -> None:
        self._config = _json(folder / "config.json")
        self.dim: int = self._config["hidden_size"]
        self._weights = _weights(folder / "model.safetensors")
        self._tokenizer = needs("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_longest(folder, self._config["max_position_embeddings"]))
        self._tokenizer.no_padding()

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length 1 for each text, (n, dim) float32."""
        ids = [np.array(e.ids) for e in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(ids), self.dim), dtype=np.float32)
        for batch in _batches([len(i) for i in ids]):
            width = max(len(ids[i]) for i in batch)
            mask = np.arange(width) < np.array([[len(ids[i])] for i in batch])
            padded = np.zeros(mask.shape, dtype=np.int64)
            padded[mask] = np.concatenate([ids[i] for i in batch])
            words = self._read(padded, mask)
            rows[batch] = (words * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def _read(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Last layer, (n, width, dim); `mask` (n, width) is False on padding."""
        w = self._weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        hidden = np.where(mask, np.float32(0), np.float32(-1e9))[:, None, None, :]
        for number in range(self._config["num_hidden_layers"]):
            x = self._layer(x, hidden, f"encoder.layer.{number}")
        return x

    def _layer(self, x: np.ndarray, hidden: np.ndarray, name: str) -> np.ndarray:
        n_heads = self._config["num_attention_heads"]
        q, k, v = (
            _heads(self._linear(x, f"{name}.attention.self.{part}"), n_heads)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(self.dim // n_heads)) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (scores / scores.sum(-1, keepdims=True)) @ v  # (n, n_heads, width, dim / n_heads)
        seen = seen.swapaxes(1, 2).reshape(x.shape)
        x = self._norm(
            x + self._linear(seen, f"{name}.attention.output.dense"),
            f"{name}.attention.output.LayerNorm",
        )
        inner = _gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(
            x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        flat = x.reshape(-1, x.shape[-1]) @ self._weights[f"{name}.weight"].T
        flat += self._weights[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], -1)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((x * x).mean(-1, keepdims=True) + self._config.get("layer_norm_eps", 1e-12))
        return x / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _longest(folder: Path, n_positions: int) -> int:
    """Words of a sentence that are read, where the library looks for it: its settings, the tokenizer's."""
    asked = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    asked = asked or _json(folder / "tokenizer_config.json").get("model_max_length")
    return int(min(asked or n_positions, n_positions))


def _weights(file: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return {
        k.removeprefix("bert."): v.astype(np.float32, copy=False)
        for k, v in load_file(file).items()
    }


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of texts of about the same length, at most `BATCH_WORDS` words together."""
    found: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if found and (len(found[-1]) + 1) * lengths[i] <= BATCH_WORDS:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _heads(x: np.ndarray, n_heads: int) -> np.ndarray:
    return x.reshape(*x.shape[:2], n_heads, -1).swapaxes(1, 2)


def _gelu(x: np.ndarray) -> np.ndarray:
    """x times the share of a normal distribution below x; erf by Abramowitz and Stegun 7.1.26, error 2e-7."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(factor)) * t
    erf = np.copysign(1 - series * np.exp(-z * z), x)
    return x * (1 + erf) / 2

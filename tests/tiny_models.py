"""Hugging Face models a few kilobytes small, with random weights, in folders as the hub's look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
IMAGE = {"image_size": 32, "patch_size": 8}


def save(model: Any, folder: Path, *parts: Any) -> Path:
    """Weights, config, and what goes with them."""
    for part in (model, *parts):
        part.save_pretrained(folder)
    return folder


def letter_tokenizer(max_length: int = 16) -> Any:
    """A letter, a token; capitals are another kind of thing, so that lower-casing is seen."""
    vocabulary = ["<pad>", "<eos>", "<unk>", *LETTERS, *LETTERS[:26].upper()]
    core = Tokenizer(models.WordLevel({t: i for i, t in enumerate(vocabulary)}, "<unk>"))
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>",
        model_max_length=max_length,
    )  # fmt: skip


def clip(folder: Path, seed: int = 0) -> Path:
    """The family of preset clip: class token, projections, byte-pair texts, cut in the middle."""
    torch.manual_seed(seed)
    characters = [chr(c) for c in range(33, 127)]
    vocabulary = [
        *characters,
        *(c + "</w>" for c in characters),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    (folder / "parts").mkdir(parents=True)
    tokenizer = transformers.CLIPTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)}, merges=[], model_max_length=16
    )
    config = transformers.CLIPConfig(
        text_config={**SIZES, "vocab_size": len(vocabulary), "max_position_embeddings": 16,
                     "bos_token_id": len(vocabulary) - 2, "eos_token_id": len(vocabulary) - 1,
                     "pad_token_id": len(vocabulary) - 1},
        vision_config={**SIZES, **IMAGE},
        projection_dim=24,
    )  # fmt: skip
    processor = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    (folder / "parts").rmdir()
    return save(transformers.CLIPModel(config), folder, processor, tokenizer)


def siglip(folder: Path, seed: int = 0) -> Path:
    """The family of preset siglip2 at a fixed size: no class token, texts padded to full length."""
    torch.manual_seed(seed)
    tokenizer = letter_tokenizer()
    config = transformers.SiglipConfig(
        text_config={**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 16,
                     "projection_size": 32, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0},
        vision_config={**SIZES, **IMAGE},
    )  # fmt: skip
    processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}, resample=2)
    return save(transformers.SiglipModel(config), folder, processor, tokenizer)


def siglip2_naflex(folder: Path, seed: int = 0) -> Path:
    """SigLIP2 for any aspect ratio: patches made by its own processor, padded after the last."""
    torch.manual_seed(seed)
    tokenizer = letter_tokenizer()
    config = transformers.Siglip2Config(
        text_config={**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 16,
                     "projection_size": 32, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0},
        vision_config={**SIZES, "patch_size": 8, "num_patches": 16},
    )  # fmt: skip
    processor = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    return save(transformers.Siglip2Model(config), folder, processor, tokenizer)


def dinov2(folder: Path, seed: int = 0) -> Path:
    """The family of preset dinov2: pictures only."""
    torch.manual_seed(seed)
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, **IMAGE
    )
    processor = transformers.BitImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3
    )
    return save(transformers.Dinov2Model(config), folder, processor)


def vit_classifier(folder: Path, seed: int = 0) -> Path:
    """A classifier, whose file has no weights for the pooler."""
    torch.manual_seed(seed)
    config = transformers.ViTConfig(**SIZES, **IMAGE, num_labels=3)
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return save(transformers.ViTForImageClassification(config), folder, processor)


def blip(folder: Path, seed: int = 0) -> Path:
    """The lightest captioner."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "dog", "on", "the", "road"]
    tokenizer = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(words)})
    config = transformers.BlipConfig(
        text_config={**SIZES, "vocab_size": len(words), "max_position_embeddings": 32,
                     "encoder_hidden_size": 32, "bos_token_id": 5, "sep_token_id": 3,
                     "eos_token_id": 3, "pad_token_id": 0},
        vision_config={**SIZES, **IMAGE},
        projection_dim=24,
    )  # fmt: skip
    processor = transformers.BlipImageProcessorPil(size={"height": 32, "width": 32})
    model = transformers.BlipForConditionalGeneration(config)
    return save(model, folder, transformers.BlipProcessor(processor, tokenizer))

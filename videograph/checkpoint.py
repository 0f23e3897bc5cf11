"""How a model lies on disk: config.json and model.safetensors, loaded strictly or not at all.

Nothing is unpickled, missing or surplus weights are refused, and a folder needs no network. The
config names the encoder whose features the model reads, because other features mean other things.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from videograph.config import ModelConfig
from videograph.errors import UsageError, VideographError

if TYPE_CHECKING:
    from torch import nn

FORMAT = "videograph-1"
"""Of config.json; another layout will be another name."""
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Origin:
    """What a model learned from; "" and 0 where it is not known."""

    encoder: str = ""
    """Name and version of the encoder of frames and objects: features of others are refused."""
    preprocessing: str = ""
    """How frames were sampled for it."""
    text_encoder: str = ""
    """Name of the encoder of words, "" for a model that reads none."""
    name: str = ""
    """Name of the run; summaries give it as the model's."""
    objective: str = ""
    """"supervised", "unsupervised" or "mixed"."""
    dataset: str = ""
    """Name of the set of videos."""
    videos: tuple[str, ...] = ()
    """Videos it was trained on: a figure measured on these is no figure."""
    epoch: int = 0
    """Epoch that was kept, from 1."""
    seed: int = 0
    """Seed of the run."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the libraries it was trained with."""
    measured: str = ""
    """A sentence for the card: what such a model reached on videos it had not seen."""

    def admit(self, encoder: str) -> None:
        """Let features of that encoder pass.

        Raises:
            UsageError: the model was trained on those of another.
        """
        if self.encoder and encoder != self.encoder:
            raise UsageError(
                f'the features are of encoder "{encoder}". Allowed: "{self.encoder}", which this model '
                "was trained on. Extract them with that encoder, or take another model."
            )


CARD = """---
{{ card_data }}
---

# VideoGraph{{ " " + origin.name if origin.name else "" }}

Scores how much each sampled frame of a video belongs into its summary
(the program `videograph`).

- Reads: features of **{{ origin.encoder or "an encoder that was not named" }}**
  ({{ model.feature_dim }} numbers a frame{% if model.has_objects %}, up to {{ model.n_objects }} objects
  of {{ model.object_dim }}{% endif %}{% if model.has_language %}, words of {{ model.word_dim }} by
  {{ origin.text_encoder or "an encoder that was not named" }}{% endif %}){% if origin.preprocessing %},
  {{ origin.preprocessing }}{% endif %}.
- Learned from: {{ origin.videos | length }} videos of {{ origin.dataset or "an unnamed set" }},
  {{ origin.objective or "objective unknown" }}, epoch {{ origin.epoch }}, seed {{ origin.seed }}.
{%- if origin.measured %}
- Measured: {{ origin.measured }}
{%- endif %}
- Width {{ model.width }}, {{ model.n_recursions }} recursions; everything else is in `config.json`.

```
videograph summarize VIDEO --model THIS_FOLDER_OR_ID
```
"""


class Checkpointed(
    PyTorchModelHubMixin,
    library_name="videograph",
    tags=["video-summarization"],
    license="apache-2.0",
    model_card_template=CARD,
):
    """What makes a module of a `ModelConfig` one that can be kept: `save_pretrained`, `push_to_hub`,
    `from_pretrained`."""

    config: ModelConfig
    origin: Origin = Origin()
    """What it learned from; saved and loaded with it."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **model_kwargs: Any,
    ) -> Self:
        """The model in a folder, or on the Hugging Face Hub, ready to score.

        Raises:
            UsageError: nothing is there, or it is of another kind.
            VideographError: it is damaged, or its weights are not those that its config asks for.
        """
        if model_kwargs:
            raise UsageError(
                f"a checkpoint takes no {', '.join(model_kwargs)}: its config says all."
            )
        spec = pretrained_model_name_or_path
        options = {
            "force_download": force_download, "token": token, "cache_dir": cache_dir,
            "local_files_only": local_files_only, "revision": revision,
        }  # fmt: skip
        config, origin = _read_config(_file(spec, CONFIG, options))
        model = cls(config)  # pyright: ignore[reportCallIssue]
        _load_weights(cast("nn.Module", model), _file(spec, WEIGHTS, options))
        model.origin = origin
        return model

    def _save_pretrained(self, save_directory: Path) -> None:
        from safetensors.torch import save_file

        weights = cast("nn.Module", self).state_dict()
        tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        content = {"format": FORMAT, "model": asdict(self.config), "origin": asdict(self.origin)}
        hidden = save_directory / f".{WEIGHTS}.part"
        try:
            save_file(tensors, hidden, metadata={"format": "pt"})
            os.replace(hidden, save_directory / WEIGHTS)
            hidden.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            os.replace(hidden, save_directory / CONFIG)
        finally:
            hidden.unlink(missing_ok=True)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The README.md of the checkpoint: what the model reads and what it learned from."""
        return super().generate_model_card(
            *args, **{"model": self.config, "origin": self.origin, **kwargs}
        )


def _file(spec: str | Path, name: str, options: dict[str, Any]) -> Path:
    """A file of the checkpoint; a folder is never looked for on the hub."""
    if Path(spec).is_dir():
        if not (Path(spec) / name).is_file():
            raise UsageError(
                f"{spec} holds no {name}. Allowed: a folder with {CONFIG} and {WEIGHTS}, as "
                "videograph train writes to RUN/model."
            )
        return Path(spec) / name
    if Path(spec).exists() or Path(spec).is_absolute() or str(spec).count("/") != 1:
        raise UsageError(
            f"no model at {spec}. Allowed: a folder with {CONFIG} and {WEIGHTS}, or the id of one on "
            "the Hugging Face Hub (OWNER/NAME)."
        )
    try:
        return Path(hf_hub_download(str(spec), name, **options))
    except (HfHubHTTPError, OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise VideographError(
            f"{spec} is no folder here, and {name} of that id could not be had from the Hugging Face "
            f"Hub ({said})."
        ) from error


def _read_config(file: Path) -> tuple[ModelConfig, Origin]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        kind = content.get("format")
    except (OSError, ValueError, AttributeError) as error:
        raise VideographError(f"{file} is not a readable config ({error}).") from error
    if kind != FORMAT:
        raise UsageError(
            f'{file} is of format "{kind}". Allowed: "{FORMAT}", as videograph train writes it.'
        )
    try:
        origin = dict(content["origin"])
        origin["videos"] = tuple(origin.get("videos", ()))
        known = {f.name for f in fields(Origin)}
        return ModelConfig(**content["model"]), Origin(
            **{name: value for name, value in origin.items() if name in known}
        )
    except (TypeError, KeyError) as error:
        raise VideographError(
            f"{file} does not describe a model of this version ({error}). Try a newer videograph."
        ) from error


def _load_weights(model: nn.Module, file: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise VideographError(
            f"{file} is not a readable safetensors file ({error}). Was the copy cut off?"
        ) from error
    wanted = model.state_dict()
    wrong = sorted(wanted.keys() ^ tensors.keys())
    wrong += [n for n in wanted.keys() & tensors.keys() if wanted[n].shape != tensors[n].shape]
    if wrong:
        raise VideographError(
            f"{file} does not hold the weights that {CONFIG} asks for: {len(wrong)} are missing, surplus "
            f"or of another shape ({', '.join(wrong[:3])}). Are the two files of one checkpoint?"
        )
    model.load_state_dict(tensors, strict=True)
    model.eval()

"""Any vision or image-text model of the Hugging Face Hub, or of a folder, as encoder of frames and words.

    transformers:clip                     a preset, see PRESETS
    transformers:owner/name               a hub id, "@revision" if need be
    transformers:./folder                 what save_pretrained wrote

A frame's features are the image tower's embedding for image-text models, of length 1 and in one space with
the texts that `load_text` encodes; for others the pooled output, or where a model has none, its class token
or the mean of its last map. Objects cost no second network: they are the tower's patch tokens or last map,
pooled over a grid or grouped, see `_patches`. Frames are prepared as the model's own processor does it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from videograph.encoders import Encoded
from videograph.encoders._boxes import refuse_strange
from videograph.encoders._device import choose_device, precision
from videograph.encoders._hub import Preset, fetch, fingerprint, load_model, load_part, needs
from videograph.encoders._patches import Objects, clusters_of, grid_of, none_of
from videograph.encoders._preprocessing import frame_side, pixels_of
from videograph.encoders._tower import OPTIONAL, Seen, Tower
from videograph.errors import UsageError
from videograph.records import OBJECT_KINDS

if TYPE_CHECKING:
    import torch

PRESETS = {
    # The main branch has pickled weights only; this is the hub's own conversion of it.
    "clip": Preset("openai/clip-vit-base-patch32", "c237dc49a33fc61debc9276459120b7eac67e7ef"),
    "siglip2": Preset(
        "google/siglip2-base-patch16-224", "75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2"
    ),
    "dinov2": Preset("facebook/dinov2-small", "ed25f3a31f01632728cabb09d1542f84ab7b0056"),
}
OBJECTS = ("grid", "clusters", "none")
"""What `objects` may be."""
_VERSION = "1"
"""Of what is done here with a model's output: other features are another number."""
_AT_ONCE, _AT_ONCE_ON_GPU = 4, 64
"""Frames that a model sees together: on a CPU, the maps of more outgrow its cache."""


class TransformersEncoder:
    """Sees through a Hugging Face model; see the module."""

    def __init__(self, vision: _Vision, objects: str, n_objects: int) -> None:
        self._vision = vision
        self._objects = objects
        self.n_objects = n_objects
        self.name = vision.name + (
            "" if objects == "grid" and n_objects == 9 else f"-{objects}{n_objects}"
        )
        self.frame_side = frame_side(vision.pixels)
        trial = vision.see(np.full((1, 64, 64, 3), 127, np.uint8))
        self.dim = trial.features.shape[1]
        self.object_dim = trial.maps.shape[3] if n_objects else 0

    def encode(self, images: np.ndarray, previous: np.ndarray | None = None) -> Encoded:
        """Features of frames, see `encoders.Encoder.encode`; each frame is seen for itself.

        Raises:
            UsageError: the images are not (n, height, width, 3) uint8.
        """
        refuse_strange(images)
        n, at_once = len(images), self._vision.at_once
        features = np.zeros((n, self.dim), np.float32)
        objects = none_of(n, self.n_objects, self.object_dim)
        for start in range(0, n, at_once):
            part = slice(start, start + at_once)
            seen = self._vision.see(images[part])
            features[part] = seen.features.cpu().numpy()
            found = self._objects_of(seen, images.shape[1:3])
            for whole, some in zip(objects, found, strict=True):
                whole[part] = some
        kind = OBJECT_KINDS.index("cluster" if self._objects == "clusters" else "grid")
        return Encoded(
            features=features,
            object_features=objects.features,
            object_mask=objects.mask,
            object_boxes=objects.boxes,
            object_kinds=np.where(objects.mask, kind, 0).astype(np.int8),
        )

    def _objects_of(self, seen: Seen, shape: tuple[int, ...]) -> Objects:
        if self._objects == "none":
            return none_of(len(seen.features))
        make = grid_of if self._objects == "grid" else clusters_of
        return make(seen.maps, self._vision.pixels.seen(*shape), self.n_objects)


class TransformersText:
    """The text tower of an image-text model: words in the space of its frames."""

    def __init__(self, vision: _Vision, what: str) -> None:
        transformers = needs("transformers")
        self._vision, self._model = vision, vision.tower.model
        self._tokenizer = load_part(transformers.AutoTokenizer, vision.folder)
        config = getattr(self._model.config, "text_config", self._model.config)
        places = getattr(config, "max_position_embeddings", 512)
        self._most = int(min(self._tokenizer.model_max_length, places))
        # SigLIP learned from lower-case texts padded to full length, without a mask.
        self._is_siglip = str(self._model.config.model_type).startswith("siglip")
        self.space = vision.name
        self.name = f"{vision.name}-text"
        self.dim = self._encoded(["a"]).shape[1]

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts, see `encoders.TextEncoder.encode_text`."""
        rows = np.zeros((len(texts), self.dim), np.float32)
        said = [k for k, text in enumerate(texts) if text.strip()]
        for start in range(0, len(said), 64):
            part = said[start : start + 64]
            rows[part] = self._encoded([texts[k] for k in part])
        return rows

    def _encoded(self, texts: list[str]) -> np.ndarray:
        import torch

        options: dict[str, Any] = {"padding": True}
        if self._is_siglip:
            texts, options = [text.lower() for text in texts], {"padding": "max_length"}
        tokens = self._tokenizer(
            texts, truncation=True, max_length=self._most, return_tensors="pt", **options
        )
        names = ("input_ids",) if self._is_siglip else ("input_ids", "attention_mask")
        inputs = {name: tokens[name].to(self._vision.device) for name in names if name in tokens}
        with torch.inference_mode():
            made = self._model.get_text_features(**inputs)
        vectors = made if torch.is_tensor(made) else made.pooler_output
        return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


class _Vision:
    """A model and how it is shown frames; frames and words of one model share it."""

    def __init__(self, folder: Path, key: str, device: torch.device) -> None:
        transformers = needs("transformers")
        model, missing = load_model(transformers.AutoModel, folder, optional=OPTIONAL)
        self.folder, self.device = folder, device
        self.pixels, how = pixels_of(folder)
        digest = hashlib.sha256(f"{_VERSION} {how}".encode()).hexdigest()[:8]
        self.name = f"transformers-{model.config.model_type}-{key}-{digest}"
        self.at_once = _AT_ONCE if device.type == "cpu" else _AT_ONCE_ON_GPU
        if device.type == "cpu":  # a third faster for MobileNetV2, the same for transformers
            import torch

            model.to(memory_format=torch.channels_last)
        self.tower = Tower(
            model.to(device, precision(device)),
            has_pooler=not any("pooler." in name for name in missing),
        )

    def see(self, images: np.ndarray) -> Seen:
        """Vectors and maps of frames, on the device; those that share a space with texts at length 1."""
        import torch

        seen = self.tower(self.pixels(images))
        if self.tower.shares_text:
            return seen._replace(features=torch.nn.functional.normalize(seen.features, dim=-1))
        return seen


_LOADED: WeakValueDictionary[tuple[str, str, str], _Vision] = WeakValueDictionary()
_LOADING = threading.Lock()


def _vision(what: str, device: str) -> _Vision:
    """The model, taken from whoever holds it already: frames and words then cost its memory once."""
    if find_spec("transformers") is None:
        needs("transformers")  # says so before anything is downloaded for it
    place = choose_device(device)
    folder = fetch(what, PRESETS, instead='the encoder "embedded"')
    key = (str(folder), fingerprint(folder), str(place))
    with _LOADING:
        vision = _LOADED.get(key)
        if vision is None:
            vision = _LOADED[key] = _Vision(folder, key[1], place)
    return vision


def load(
    what: str = "clip", *, device: str = "auto", objects: str = "grid", n_objects: int | None = None
) -> TransformersEncoder:
    """The frame encoder of a model.

    Args:
        what: a preset, a hub id, or a folder.
        device: "auto", "cpu", "cuda" or "mps"; half precision on a GPU, never on a CPU.
        objects: "grid", 3 x 3 cells of the map; "clusters", its groups; "none".
        n_objects: object slots; by default 9 cells or 8 groups.

    Raises:
        UsageError: an option is not allowed, or there is no such model.
        VideographError: the model cannot be fetched or read, or does not see pictures.
    """
    if objects not in OBJECTS:
        raise UsageError(f'objects is "{objects}". Allowed: {", ".join(OBJECTS)}.')
    most = {"grid": 9, "clusters": 64, "none": 0}[objects]
    if n_objects is None:
        n_objects = {"grid": 9, "clusters": 8, "none": 0}[objects]
    if not min(1, most) <= n_objects <= most:
        raise UsageError(f'n_objects is {n_objects}. Allowed for "{objects}": up to {most}.')
    return TransformersEncoder(_vision(what, device), objects, n_objects)


def load_text(what: str = "clip", *, device: str = "auto") -> TransformersText:
    """The text tower of an image-text model; its `space` is the name of `load(what)`.

    Raises:
        UsageError: the model knows no texts, or there is no such model.
        VideographError: the model cannot be fetched or read.
    """
    vision = _vision(what, device)
    if not vision.tower.shares_text:
        raise UsageError(
            f"{what} sees pictures only. Allowed for words: an image-text model, such as clip or siglip2."
        )
    return TransformersText(vision, what)

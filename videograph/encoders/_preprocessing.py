"""From frames to what a model was trained to be shown: its own processor's numbers, faster.

Most models are shown pictures that were scaled, cut in the middle, and brought to a mean and a deviation.
That is done here as their processor does it, with Pillow, but for a batch at once and without copies. What
a processor does is not taken from its name: the two are compared on noise when a model is loaded, and
where they differ (patches of any aspect ratio, crop by percent) the processor itself is used, in its form
that needs Pillow and numpy only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from videograph.encoders._hub import load_part, needs
from videograph.errors import VideographError

if TYPE_CHECKING:
    import torch

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares of a frame's width and height."""
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_TRIALS = ((240, 420), (411, 230), (256, 256))
"""Height and width of the noise on which plain pixels and a processor are compared."""


@dataclass(frozen=True)
class PlainPixels:
    """Scale, cut the middle out, bring to mean and deviation."""

    short_side: int | None
    """Short side after scaling, the aspect ratio being kept; None: scaled to `size`."""
    size: tuple[int, int] | None
    """Height and width after scaling, the aspect ratio being lost; None where `short_side` is kept."""
    resample: int
    """Filter, in Pillow's numbers."""
    crop: tuple[int, int] | None
    """Height and width of the middle that is shown; None: all."""
    scale: tuple[float, ...]
    """What a value in 0-255 is multiplied with, by channel."""
    shift: tuple[float, ...]
    """What is added then."""

    def __call__(self, images: np.ndarray) -> dict[str, torch.Tensor]:
        """`pixel_values`, (n, 3, height, width) float32 and channels last, of (n, height, width, 3) uint8."""
        import torch

        shown = np.stack([self._shown(Image.fromarray(image)) for image in images])
        values = shown.astype(np.float32)
        values *= np.asarray(self.scale, np.float32)
        values += np.asarray(self.shift, np.float32)
        return {"pixel_values": torch.from_numpy(values).permute(0, 3, 1, 2)}

    def seen(self, height: int, width: int) -> Box:
        """The part of a frame that is shown."""
        if self.crop is None:
            return _WHOLE
        h, w = self._scaled(height, width)
        y, x = (h - self.crop[0]) // 2, (w - self.crop[1]) // 2
        return (x / w, y / h, (x + self.crop[1]) / w, (y + self.crop[0]) / h)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        if self.short_side is None:
            return self.size or (height, width)
        long = int(self.short_side * max(height, width) / min(height, width))
        return (self.short_side, long) if height <= width else (long, self.short_side)

    def _shown(self, image: Image.Image) -> np.ndarray:
        height, width = self._scaled(image.height, image.width)
        image = image.resize((width, height), Image.Resampling(self.resample))
        if self.crop is not None:
            y, x = (height - self.crop[0]) // 2, (width - self.crop[1]) // 2
            image = image.crop((x, y, x + self.crop[1], y + self.crop[0]))
        return np.asarray(image)


@dataclass(frozen=True)
class ProcessorPixels:
    """Whatever a model's own processor does; each frame is taken to be shown whole."""

    processor: Any
    """An image processor of transformers."""

    def __call__(self, images: np.ndarray) -> dict[str, torch.Tensor]:
        """The model's inputs for (n, height, width, 3) uint8."""
        return dict(
            self.processor(
                images=list(images), return_tensors="pt", input_data_format="channels_last"
            )
        )

    def seen(self, height: int, width: int) -> Box:
        """The part of a frame that is shown."""
        return _WHOLE


Pixels = PlainPixels | ProcessorPixels


def pixels_of(folder: Path) -> tuple[Pixels, str]:
    """How frames are prepared for the model in a folder, and what tells this way from others.

    Raises:
        VideographError: the folder does not say how.
    """
    transformers = needs("transformers")
    processor = load_part(transformers.AutoImageProcessor, folder, backend="pil")
    plain = _plain(processor)
    if plain is not None and _agree(plain, processor):
        return plain, json.dumps(asdict(plain), sort_keys=True)
    return ProcessorPixels(processor), json.dumps(processor.to_dict(), sort_keys=True, default=str)


def frame_side(pixels: Pixels) -> int:
    """Long side at which frames are asked for: enough that the short one need not be enlarged, at 2:1."""
    if isinstance(pixels, ProcessorPixels):
        return 512
    return min(2048, max(32, 2 * (pixels.short_side or max(pixels.size or (256,)))))


def _plain(processor: Any) -> PlainPixels | None:
    """The processor's settings as plain pixels, or None where they do not fit."""

    def edges(name: str, *sides: str) -> tuple[int, ...]:
        size = getattr(processor, name, None)
        found = [
            size.get(side) if isinstance(size, dict) else getattr(size, side, None)
            for side in sides
        ]
        return tuple(int(f) for f in found if f)

    resized = bool(getattr(processor, "do_resize", False))
    short = edges("size", "shortest_edge") if resized else ()
    size = edges("size", "height", "width") if resized else ()
    crop = edges("crop_size", "height", "width") if getattr(processor, "do_center_crop", 0) else ()
    if (resized and not short and len(size) != 2) or len(crop) == 1:
        return None
    factor = processor.rescale_factor if getattr(processor, "do_rescale", False) else 1.0
    is_normal = getattr(processor, "do_normalize", False)
    mean = np.broadcast_to(processor.image_mean if is_normal else 0.0, 3)
    deviation = np.broadcast_to(processor.image_std if is_normal else 1.0, 3)
    return PlainPixels(
        short_side=short[0] if short else None,
        size=(size[0], size[1]) if size and not short else None,
        resample=int(getattr(processor, "resample", None) or 2),
        crop=(crop[0], crop[1]) if crop else None,
        scale=tuple(float(factor / d) for d in deviation),
        shift=tuple(float(-m / d) for m, d in zip(mean, deviation, strict=True)),
    )


def _agree(plain: PlainPixels, processor: Any) -> bool:
    """Whether both make the same of noise; rounding may differ, no pixel may."""
    rng = np.random.default_rng(0)
    own = ProcessorPixels(processor)
    for shape in _TRIALS:
        noise = rng.integers(0, 256, (1, *shape, 3), dtype=np.uint8)
        try:
            theirs = own(noise)
        except Exception as error:  # a processor of something else than pictures
            raise VideographError(
                f"the processor {type(processor).__name__} cannot prepare frames ({error}). "
                "Try a vision or an image-text model, such as clip, siglip2 or dinov2."
            ) from error
        if set(theirs) != {"pixel_values"}:
            return False
        ours, values = plain(noise)["pixel_values"], theirs["pixel_values"]
        if ours.shape != values.shape or float((ours - values).abs().max()) > 1e-5:
            return False
    return True
